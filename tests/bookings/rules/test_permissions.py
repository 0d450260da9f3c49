from __future__ import annotations

from bookings.core.lifecycle import NEXT
from bookings.models import BookingStatus
from bookings.rules.permissions import CANCELLABLE


def test_what_may_be_cancelled_is_what_the_table_of_moves_lets_be_cancelled():
    assert {status for status, after in NEXT.items() if BookingStatus.CANCELLED in after} == CANCELLABLE
