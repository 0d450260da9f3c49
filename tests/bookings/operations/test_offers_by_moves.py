"""What a search tells of a pool that is full: what can be had all the same because other bookings move."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from bookings import operations
from bookings.models import Booking
from bookings.rules.charging_duration import EnergyAsked
from bookings.search.offers import find_slots
from bookings.search.slots import SlotOffer, SlotSearch
from tests.bookings.operations.test_make_room import Yard
from tests.factories import DISPATCHER, NOW, book_slot, make_evse, make_vehicle, slot
from tests.money_factories import make_prices

pytestmark = pytest.mark.django_db


def by_moves(search: SlotSearch, found: list[SlotOffer]) -> list[SlotOffer]:
    return operations.offers_by_moves(operations.full_pools(search, found))


def told(yard: Yard, **asked: Any) -> list[SlotOffer]:
    """What the search finds free, and by moves."""
    search = SlotSearch(yard.fleet, asked.pop("period", slot(10, 12)), NOW, depot=yard.depot, **asked)
    found = find_slots(search)
    return [offer for offer in [*found, *by_moves(search, found)] if offer.is_free]


def test_a_pool_without_a_free_evse_is_offered_where_moves_make_room_and_can_be_booked_so() -> None:
    yard = Yard()
    make_prices(yard.depot, time_per_hour=60)
    yard.split()
    before = sorted(Booking.objects.values_list("pk", "evse_id", "version"))

    [offer] = told(yard, vehicle=make_vehicle(yard.fleet))

    assert (offer.option, offer.evse, offer.period, offer.power_w) == (yard.pool, None, slot(10, 12), 350_000)
    assert offer.quote is not None
    assert offer.quote.total == 120
    assert "moving other bookings" in offer.undecided
    assert sorted(Booking.objects.values_list("pk", "evse_id", "version")) == before
    yard.book(slot(10, 12))
    assert told(yard) == []


def test_by_energy_it_lasts_as_long_as_it_will_when_it_is_booked() -> None:
    yard = Yard()
    yard.split()
    vehicle, energy = make_vehicle(yard.fleet), EnergyAsked(energy_wh=600_000)

    [offer] = told(yard, vehicle=vehicle, energy=energy)
    request = operations.SlotRequest.until_charged(
        starts_at=offer.period.starts_at, energy=energy, fleet=yard.fleet, option=yard.pool, vehicle=vehicle
    )
    booking = operations.request_booking(request, actor=DISPATCHER, now=NOW)

    assert offer.period == booking.period == slot(10, (11, 45))
    assert offer.power_w == booking.promised_power_w


def test_of_others_nothing_is_offered() -> None:
    """What asked for its EVSE stays there; too much power is nowhere; what is free needs no moves."""
    yard = Yard()
    first, second = yard.split()
    assert [offer.is_by_moves for offer in told(yard, period=slot(11, 12))] == [False]
    assert told(yard, min_power_w=500_000) == []
    Booking.objects.filter(pk__in=[first.pk, second.pk]).update(is_evse_asked=True)

    assert told(yard) == []


def test_it_costs_queries_only_where_a_pool_is_full_and_no_more_for_larger_ones() -> None:
    yard = Yard()
    free = SlotSearch(yard.fleet, slot(14, 15), NOW, depot=yard.depot)
    found = find_slots(free)
    with CaptureQueriesContext(connection) as none:
        assert by_moves(free, found) == []
    yard.split()
    full = SlotSearch(yard.fleet, slot(10, 12), NOW, depot=yard.depot)
    found = find_slots(full)
    with CaptureQueriesContext(connection) as two:
        assert len(by_moves(full, found)) == 1
    more = [make_evse(yard.depot) for _ in range(3)]
    yard.pool.evses.add(*more)
    for evse in more:
        book_slot(
            fleet=yard.fleet,
            option=yard.pool,
            evse=evse,
            vehicle=make_vehicle(yard.fleet),
            period=slot(9, 13),
        )
    found = find_slots(full)
    with CaptureQueriesContext(connection) as five:
        assert len(by_moves(full, found)) == 1

    assert (len(none), len(two)) == (0, 5)
    assert len(five) <= len(two)


def test_of_a_window_three_looks_are_taken_however_many_days_are_full() -> None:
    """Each option first; of what cannot be had in the first days the later ones are not looked at."""
    yard = Yard()
    for day in range(5):
        for evse, period in zip(yard.evses, [slot(10, 11, day=day), slot(11, 12, day=day)], strict=True):
            yard.book(period, evse=evse)  # asked for, so it stays there
    searches = [SlotSearch(yard.fleet, slot(10, 12, day=day), NOW, depot=yard.depot) for day in range(5)]
    pools = [pool for search in searches for pool in operations.full_pools(search, find_slots(search))]
    assert [pool.option_id for pool in pools] == [yard.pool.pk] * 5
    with CaptureQueriesContext(connection) as one:
        assert operations.offers_by_moves(pools[:1]) == []
    with CaptureQueriesContext(connection) as five:
        assert operations.offers_by_moves(pools) == []
    assert (len(one) > 0, len(five)) == (True, 3 * len(one))

    Booking.objects.filter(starts_at__gte=NOW + timedelta(days=2)).update(is_evse_asked=False)

    [offer] = operations.offers_by_moves(pools)
    assert offer.period == slot(10, 12, day=2)
