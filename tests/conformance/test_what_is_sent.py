"""What Berth shows of itself, held against the tables of the specification: exactly, in both versions."""

from __future__ import annotations

from typing import Any

import pytest
import time_machine

from conformance.specification import faults
from tests.factories import NOW, make_evse, make_operator, option_of, slot
from tests.roaming.partners import BOOKINGS, LOCATIONS, VERSIONS, Caller, data, make_partner

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _clock() -> Any:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.mark.parametrize("version", VERSIONS)
def test_lists_and_credentials_are_to_the_letter(version: str) -> None:
    """Checklist 23, 60, 62, 79: Bookings under 2.2.1 are the objects of 1.1, all else is that version's own."""
    make_operator()
    option = option_of(make_evse())
    caller = Caller(make_partner(version=version))
    booked = data(caller.book(option, slot(10, 11)))

    shown = {
        "Credentials": [data(caller.get("/ocpi/2.3.0/credentials"))],
        "VersionDetails": [data(caller.get("/ocpi/2.3.0"))],
        "Location": data(caller.get(LOCATIONS)),
        "BookingLocation": data(caller.get(f"{BOOKINGS}/booking_locations")),
        "Booking": [booked, *data(caller.get(BOOKINGS))],
    }

    for kind, objects in shown.items():
        assert objects, kind
        is_agreed = kind.startswith("Booking")
        for one in objects:
            assert faults(kind, one, version, exact=True, with_newer=is_agreed) == [], (kind, one)
