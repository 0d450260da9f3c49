"""A booking and its rows are written as they are, whatever of it was written out before."""

from __future__ import annotations

import pytest

from bookings.core import writing
from bookings.models import Booking, BookingEvent
from bookings.models.booking_names import new_request_id
from depots import round_trips
from tests.factories import NOW, make_evse, make_vehicle, option_of, slot

pytestmark = pytest.mark.django_db


def unsaved(*, terms_json: dict[str, object], **columns) -> Booking:
    evse, truck = make_evse(), make_vehicle()
    option, period = option_of(evse), slot(10, 11)
    return Booking(
        request_id=new_request_id(), fleet=truck.fleet, depot=evse.depot, option=option, evse=evse, vehicle=truck,
        starts_at=period.starts_at, ends_at=period.ends_at, status="confirmed", created_at=NOW, updated_at=NOW,
        terms_json=terms_json, **columns,
    )  # fmt: skip


def insert(booking: Booking) -> Booking:
    writing.insert_with(booking, [BookingEvent(booking=booking, kind="status", after="confirmed", at=NOW)])
    return Booking.objects.get(pk=booking.pk)


def test_what_changed_since_it_was_written_ahead_is_written_as_it_is_now():
    with round_trips.atomic():
        booking = unsaved(plate="O'Neill \\ 1", terms_json={"lead_min": 5}, promised_power_w=0)
        writing.write_ahead(booking)
        booking.promised_power_w, booking.quote, booking.note = 50_000, {"total": "1.00"}, "50 %s"
        booking.terms_json["approval"] = True

        stored = insert(booking)

    assert (stored.plate, stored.terms_json) == ("O'Neill \\ 1", {"lead_min": 5, "approval": True})
    assert (stored.promised_power_w, stored.quote, stored.note) == (50_000, {"total": "1.00"}, "50 %s")
    assert stored.period == slot(10, 11)


def test_outside_of_a_block_it_is_written_all_the_same():
    booking = unsaved(plate="O'Neill", terms_json={})
    writing.write_ahead(booking)

    assert insert(booking).plate == "O'Neill"
