"""What a partner asks of a depot of ours."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from bookings import operations
from bookings.models import Booking
from bookings.operations.request_log import ReceivedMessage
from bookings.rules.entitlement import TokenName
from bookings.rules.fit import Needs
from depots.periods import Period
from tests.factories import (
    NOW,
    PARTNER,
    ask_for_slot,
    make_organisation,
    option_of,
    slot,
)

PARTY = ("DE", "ABC")


def ask(evse: Any, period: Period = slot(10, 11), **wishes: Any) -> Booking:
    partner = wishes.pop("fleet", None) or make_organisation(
        country_code="DE", emsp_party_id="ABC", is_partner=True
    )
    asked = {
        "fleet": partner, "option": option_of(evse), "period": period, "needs": Needs(), "evse": None,
        "tokens": [TokenName("CARD1")], "power_w": None, "plate": "", "request_id": "R-1",
        "authorization_reference": "A-1", "party": PARTY, "message": ReceivedMessage({"request_id": "R-1"}, "f1"),
        "actor": PARTNER, "now": NOW, **wishes,
    }  # fmt: skip
    return ask_for_slot(**asked)


def change(booking: Booking, period: Period, *, now: datetime = NOW, **wishes: Any) -> Booking:
    asked = {"period": period, "message": ReceivedMessage({}, "f2"), **wishes}
    request = operations.ChangeRequest(**asked)
    return operations.ask_to_change(booking.pk, request, actor=PARTNER, now=now)


def decisions(booking: Booking) -> list[str]:
    return list(booking.requests.values_list("decision", flat=True))
