"""Every way in which partners deviate from Bookings 1.1, on payloads of our own, each under its name."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from conformance import specification
from roaming.ocpi.client_owned import read_patch
from roaming.ocpi.times import read_time
from roaming.ocpi.v2_3_0.bookings import reading
from tests.roaming.ocpi.v2_3_0.bookings.deviating import at, base, body_of, deviations

READERS = {
    "booking": reading.read_booking,
    "booking_location": reading.read_booking_location,
    "booking_request": reading.read_booking_request,
    "calendar": reading.read_calendar,
}
SHAPES = {"booking": reading.BOOKING, "booking_location": reading.BOOKING_LOCATION}
NAMES = {
    "booking": "Booking",
    "booking_location": "BookingLocation",
    "booking_request": "BookingRequest",
    "calendar": "Calendar",
}
# Rows of the table that no payload can show: addresses, moments, statuses of answers, what the other side expects, other modules.
NOT_IN_A_PAYLOAD = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 14, 36, 38, 39, 40, 41, 53, 54, 56, 58, 59}
# Legal, although somebody could take it for otherwise: there is nothing to count.
LEGAL = {30, 31, 35, 37, 45, 49, 50, 51, 52}


@pytest.mark.parametrize("kind", sorted(READERS))
def test_the_payloads_without_a_deviation_have_none(kind: str) -> None:
    assert specification.faults(NAMES[kind], base(kind), "2.3.0", exact=True) == []
    assert READERS[kind](base(kind)).deviations == ()


@pytest.mark.parametrize("deviation", deviations(), ids=lambda one: f"{one['row']} {one['what']}")
def test_a_deviation_is_read_and_named(deviation: dict[str, Any]) -> None:
    """Checklist 68."""
    body = body_of(deviation)

    if "patch" in deviation:
        read: Any = read_patch(SHAPES[deviation["kind"]], body)
    else:
        read = READERS[deviation["kind"]](body)

    assert sorted(read.deviations) == deviation["noted"]
    for path, meant in deviation["reads"].items():
        found = at(read.value, path)
        assert found == (read_time(meant) if isinstance(found, datetime) else meant), path


def test_each_row_of_the_table_is_here_and_what_deviates_is_named() -> None:
    """Checklist 68."""
    shown = {one["row"] for one in deviations()}

    assert shown | NOT_IN_A_PAYLOAD == set(range(1, 61))
    assert not shown & NOT_IN_A_PAYLOAD
    assert {
        row for row in shown if not any(one["noted"] for one in deviations() if one["row"] == row)
    } <= LEGAL
