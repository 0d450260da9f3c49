"""Search along a route: what lies in the corridor, when a truck gets there, and the first slot it could use."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from threading import Event

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from bookings.rules.fit import Needs
from bookings.search import routing
from bookings.search.along_route import Journey, depots_on_the_way, find_slots_along
from bookings.search.offers import find_slots
from bookings.search.routing import ROAD_FACTOR, RoutedWay, great_circles, route_through
from bookings.search.slots import SlotSearch
from depots.models import Depot
from depots.periods import Period
from depots.routes import Point
from tests.factories import (
    NOW,
    at,
    book_slot,
    make_depot,
    make_evse,
    make_fleet,
    make_opening_hours,
    make_operator,
    make_option,
    option_of,
    slot,
)

HAMBURG, BASEL = Point(53.55, 9.99), Point(47.56, 7.59)
MINUTE = timedelta(minutes=1)


def place(latitude: float, longitude: float, **fields: object) -> Depot:
    depot = make_depot(latitude=f"{latitude:.6f}", longitude=f"{longitude:.6f}", **fields)
    make_evse(depot)
    return depot


def journey(**fields: object) -> Journey:
    return Journey(great_circles([HAMBURG, BASEL]), NOW, **fields)  # type: ignore[arg-type]


@pytest.mark.django_db
def test_what_lies_in_the_corridor_is_found_in_the_order_in_which_one_comes_past_it() -> None:
    kassel, frankfurt = place(51.32, 9.3), place(50.11, 8.68)
    place(50.94, 6.96)  # Cologne
    place(54.5, 10.2)  # behind the start

    found = depots_on_the_way(journey(), make_fleet(), now=NOW)

    assert [one.depot for one in found] == [kassel, frankfurt]
    assert [one.depot for one in depots_on_the_way(journey(corridor_km=5), make_fleet(), now=NOW)] == []
    assert found[1].along_km == pytest.approx(392.8 * ROAD_FACTOR, abs=0.5)
    assert found[1].detour_km == pytest.approx(2 * 9.99 * ROAD_FACTOR, abs=0.1)


@pytest.mark.django_db
def test_a_truck_gets_there_with_its_driving_and_the_breaks_that_fall_due() -> None:
    """471 km along and 12 beside it: at 70 km/h almost seven hours of driving, and one break before."""
    place(50.11, 8.68)

    [found] = depots_on_the_way(journey(), make_fleet(), now=NOW)

    driving = timedelta(hours=(found.along_km + found.apart_km) / 70)
    assert found.arrives_at == NOW + driving + 45 * MINUTE
    [faster] = depots_on_the_way(journey(speed_kmh=200), make_fleet(), now=NOW)
    assert faster.arrives_at == NOW + driving * 70 / 200


@pytest.mark.django_db
def test_no_slot_begins_before_the_truck_is_there_and_lengths_round_up_to_the_step() -> None:
    fleet = make_fleet()
    place(51.32, 9.3)

    [found] = find_slots_along(journey(), SlotSearch(fleet, slot(8, 9), NOW), 40 * MINUTE)

    period = found.offer.period
    assert found.offer.is_free
    assert timedelta() <= period.starts_at - found.place.arrives_at < 15 * MINUTE
    assert period.duration == 45 * MINUTE


@pytest.mark.django_db
def test_where_all_is_taken_on_arrival_the_first_slot_after_it_is_offered() -> None:
    depot, fleet = place(51.32, 9.3), make_fleet()
    [evse] = depot.evses.all()
    book_slot(fleet=fleet, option=option_of(evse), period=slot(12, 14))

    [found] = find_slots_along(journey(), SlotSearch(fleet, slot(8, 9), NOW), 60 * MINUTE)

    assert at(12) < found.place.arrives_at < at(14)
    assert found.offer.is_free
    assert found.offer.period == slot(14, 15)


@pytest.mark.django_db
def test_asked_with_patience_a_search_offers_the_earliest_slot_in_its_window_and_else_says_what_is_nearest() -> (
    None
):
    fleet, evse = make_fleet(), make_evse()
    book_slot(fleet=fleet, option=option_of(evse), period=slot(10, 12))
    asked = Period(at(9, 20), at(10, 10))

    [patient] = find_slots(SlotSearch(fleet, asked, NOW, patience=timedelta(hours=3)))
    [hasty] = find_slots(SlotSearch(fleet, asked, NOW, patience=timedelta(hours=1)))

    assert (patient.is_free, patient.period) == (True, slot(12, 13))
    assert patient.quote is None or patient.quote.period == slot(12, 13)
    assert (hasty.is_free, hasty.nearest) == (False, slot(12, 13))


@pytest.mark.django_db
def test_a_partners_calendar_is_asked_from_arrival_on_by_its_own_steps() -> None:
    fleet = make_fleet()
    there = make_depot(
        make_operator(is_partner=True), is_mirror=True, open_to_all=False, latitude="51.32", longitude="9.3"
    )
    option = make_option(make_evse(there, option=False), is_mirror=True, calendar_at=NOW)
    option.offered_slots.create(calendar_id="c", period=Period(at(8, 7), at(11, 7)))
    option.offered_slots.create(calendar_id="c", period=Period(at(14, 7), at(20, 7)))

    [found] = find_slots_along(journey(), SlotSearch(fleet, slot(8, 9), NOW), 45 * MINUTE)

    assert found.offer.is_free
    assert found.offer.is_hint
    assert found.offer.period == Period(at(14, 7), at(14, 52))


@pytest.mark.django_db
def test_what_does_not_fit_is_left_out_or_said_as_the_search_wants_it() -> None:
    fleet, depot = make_fleet(), place(51.32, 9.3)
    make_evse(depot, max_vehicle_length_cm=1200)
    needs = Needs(length_cm=1650)

    every = find_slots_along(journey(), SlotSearch(fleet, slot(8, 9), NOW, needs=needs), 45 * MINUTE)
    fitting = find_slots_along(
        journey(), SlotSearch(fleet, slot(8, 9), NOW, needs=needs, fitting_only=True), 45 * MINUTE
    )

    assert [one.offer.is_free for one in every] == [True, False]
    assert len(fitting) == 1


@pytest.mark.django_db
def test_a_search_along_a_route_asks_as_much_of_the_database_whatever_lies_on_it() -> None:
    fleet = make_fleet()

    def statements() -> int:
        with CaptureQueriesContext(connection) as seen:
            find_slots_along(journey(), SlotSearch(fleet, slot(8, 9), NOW), 45 * MINUTE)
        return len(seen)

    place(51.32, 9.3, grid_limit_w=100_000)
    statements()
    one = statements()
    for number in range(6):
        place(51 - number / 3, 9.1 - number / 10, grid_limit_w=100_000)
    statements()

    assert (one, statements()) == (3, 3)


# Routing services that operators might plug in.


def by_road(places: Sequence[tuple[float, float]]) -> RoutedWay:
    """Around by Cologne."""
    return RoutedWay([places[0], (52.5, 8.0), (50.94, 6.96), (49.5, 7.2), places[-1]], 900)


RAN: list[Event] = []


def hangs(places: Sequence[tuple[float, float]]) -> RoutedWay:
    RAN[-1].wait(60)
    return by_road(places)


def breaks(places: Sequence[tuple[float, float]]) -> RoutedWay:
    raise OSError("connection refused")


BAD_ANSWERS: dict[str, object] = {
    "nothing": None,
    "no points": RoutedWay([]),
    "one point": RoutedWay([HAMBURG]),
    "not numbers": RoutedWay([HAMBURG, ("north", "east")]),  # type: ignore[list-item]
    "three numbers": RoutedWay([HAMBURG, (1, 2, 3), BASEL]),  # type: ignore[list-item]
    "off the globe": RoutedWay([HAMBURG, (91, 0), BASEL]),
    "not a number": RoutedWay([HAMBURG, (float("nan"), 9), BASEL]),
    "another way": RoutedWay([(40, 0), (41, 1)]),
    "past no end": RoutedWay([HAMBURG, (50, 9)]),
    "a jump": RoutedWay([HAMBURG, (20, 9), BASEL]),
    "too many points": RoutedWay([HAMBURG] * 100_001),
    "a length of nothing": RoutedWay([HAMBURG, (50.5, 8.8), BASEL], 1),
    "an endless length": RoutedWay([HAMBURG, (50.5, 8.8), BASEL], float("inf")),
    "a length in words": RoutedWay([HAMBURG, (50.5, 8.8), BASEL], "far"),  # type: ignore[arg-type]
}
ANSWER: list[object] = []


def answers(places: Sequence[tuple[float, float]]) -> object:
    return ANSWER[-1]


@pytest.fixture
def plug_in(settings: Settings) -> Iterator[Callable[[Callable[..., object]], None]]:
    routing._routed.cache_clear()

    def use(service: Callable[..., object]) -> None:
        settings.ROUTING_SERVICE = f"{__name__}.{service.__name__}"

    yield use
    routing._routed.cache_clear()
    routing._hanging.clear()


def test_an_operators_routing_service_says_the_way_and_how_long_it_is(
    plug_in: Callable[[Callable[..., object]], None],
) -> None:
    plug_in(by_road)

    route = route_through([HAMBURG, BASEL])

    assert (route.is_by_road, route.failed, route.length_km) == (True, False, 900)
    cologne = route.line.position(50.94, 6.96, within_km=1)
    assert cologne is not None
    assert route.by_road(route.line.length_km) == pytest.approx(900)
    assert route.line.position(50.11, 8.68, within_km=50) is None


@pytest.mark.parametrize("answer", BAD_ANSWERS.values(), ids=BAD_ANSWERS)
def test_what_a_routing_service_says_is_not_believed_where_it_makes_no_sense(
    answer: object, plug_in: Callable[[Callable[..., object]], None]
) -> None:
    plug_in(answers)
    ANSWER.append(answer)

    route = route_through([HAMBURG, BASEL])

    assert (route.is_by_road, route.failed) == (False, True)
    assert route.length_km == pytest.approx(687.2 * ROAD_FACTOR, abs=0.5)


def test_a_routing_service_that_fails_or_hangs_costs_a_moment_once_and_no_page(
    plug_in: Callable[[Callable[..., object]], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    plug_in(breaks)
    assert route_through([HAMBURG, BASEL]).failed
    plug_in(hangs)
    RAN.append(Event())
    monkeypatch.setattr(routing, "WAIT_S", 0.05)
    assert route_through([HAMBURG, BASEL]).failed

    monkeypatch.setattr(routing, "WAIT_S", 60)
    began = time.monotonic()
    again = route_through([HAMBURG, BASEL])  # asks nobody while the first call hangs
    took = time.monotonic() - began

    assert again.failed
    assert took < 30
    RAN[-1].set()
    for call in list(routing._hanging):
        call.join(30)
    assert route_through([HAMBURG, BASEL]).is_by_road


@pytest.mark.django_db
def test_each_evse_of_a_depot_is_looked_at_in_its_own_time() -> None:
    """It opens after the truck is there: where all is taken then, that says nothing of the bay beside it."""
    depot, fleet = place(51.32, 9.3, terms={"max_duration_min": 1440}), make_fleet()
    make_opening_hours(depot, 16 * 60, 22 * 60)
    depot.charging_when_closed = False
    depot.save()
    [taken] = depot.evses.all()
    free = make_evse(depot)
    book_slot(fleet=fleet, option=option_of(taken), period=slot(15, 21))

    offers = find_slots_along(journey(), SlotSearch(fleet, slot(8, 9), NOW), 60 * MINUTE)

    [found] = [one.offer for one in offers if one.offer.is_free]
    assert found.evse is not None
    assert (found.evse.pk, found.period) == (free.pk, slot(15, 16))
