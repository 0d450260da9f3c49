"""Book again: the finder as the booking was, at the same time of the depot's clock on another day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from bookings.models import Booking
from bookings.pages.again import book_again
from bookings.rules.charging_duration import EnergyAsked
from depots.periods import Period
from tests.factories import NOW, book_slot, make_depot, make_evse, make_fleet, make_vehicle, option_of, slot

pytestmark = pytest.mark.django_db


def booked(zone: str = "Europe/Berlin", period: Period = slot(10, 11)) -> Booking:
    fleet, evse = make_fleet(), make_evse(make_depot(time_zone=zone))
    vehicle = make_vehicle(fleet, battery_wh=600_000)
    energy = EnergyAsked(soc_from=20, soc_to=60)
    option, now = option_of(evse), period.starts_at - timedelta(hours=2)
    return book_slot(fleet=fleet, option=option, vehicle=vehicle, period=period, energy=energy, now=now)


def test_the_finder_is_filled_in_as_it_was() -> None:
    booking = booked()

    [next_day, next_week] = book_again(booking, now=NOW)

    assert (next_day.words, next_week.words) == ("Wed 16 Jan, 11:00", "Tue 22 Jan, 11:00")
    assert parse_qs(urlsplit(next_day.url).query) == {
        "fleet": [booking.fleet.name],
        "depot": [booking.depot.code],
        "vehicle": [booking.plate],
        "starts_at": ["2030-01-16T11:00"],
        "ends_at": ["2030-01-16T12:00"],
        "soc_from": ["20"],
        "soc_to": ["60"],
    }


def test_what_is_over_is_offered_from_tomorrow_on_and_on_its_day_of_the_week() -> None:
    booking = booked()

    found = book_again(booking, now=NOW + timedelta(days=9))

    assert [one.words for one in found] == ["Fri 25 Jan, 11:00", "Tue 29 Jan, 11:00"]


def test_a_time_that_the_clocks_skip_is_not_offered() -> None:
    """In the night of 31 March 2030 Berlin has no half past two."""
    first = datetime(2030, 3, 30, 1, 30, tzinfo=UTC)

    found = book_again(
        booked(period=Period(first, first + timedelta(minutes=45))), now=first - timedelta(hours=2)
    )

    assert [one.words for one in found] == ["Sat 6 Apr, 02:30"]


def test_a_hold_is_not_booked_again() -> None:
    booking = booked()
    booking.status = "held"

    assert book_again(booking, now=NOW) == []
