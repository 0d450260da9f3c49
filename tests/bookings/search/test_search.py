"""The search for free slots: what SQL finds of it is what the rules say, whatever is occupied and wherever it is."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from bookings.models import Booking, BookingOption, BookingStatus, Occupancy
from bookings.rules.fit import Needs
from bookings.search.availability import free_in, free_periods
from bookings.search.bookable import bookable_depots, bookable_options
from bookings.search.offers import find_slots
from bookings.search.slots import SlotSearch
from depots.geography import Circle
from depots.models import Agreement, Depot, Evse, Organisation
from depots.periods import Period, gaps
from tests.factories import (
    NOW,
    book_slot,
    make_depot,
    make_evse,
    make_fleet,
    make_option,
    make_vehicle,
    option_of,
    place_hold,
    slot,
)
from tests.money_factories import make_bound, per_kwh

CCS, MCS = "IEC_62196_T2_COMBO", "MCS"


def moments() -> st.SearchStrategy[datetime]:
    """On a coarse grid, so that spans often touch and now and then are equal; now and then between two seconds."""
    return st.builds(
        lambda quarters, odd: NOW + timedelta(minutes=15 * quarters, microseconds=odd),
        st.integers(-40, 40),
        st.sampled_from([0, 0, 0, 1, 999_999]),
    )


def spans() -> st.SearchStrategy[Period]:
    ends = st.tuples(moments(), moments()).filter(lambda pair: pair[0] != pair[1])
    return ends.map(lambda pair: Period(min(pair), max(pair)))


class Gaps(TestCase):
    busy: Evse
    empty: Evse

    @classmethod
    def setUpTestData(cls) -> None:
        cls.busy, cls.empty = make_evse(option=False), make_evse(option=False)

    @settings(max_examples=60)
    @given(taken=st.lists(spans(), max_size=8), asked=st.lists(spans(), min_size=2, max_size=2))
    def test_the_gaps_that_sql_finds_are_those_that_remain_when_what_is_taken_is_cut_out(
        self, taken: list[Period], asked: list[Period]
    ) -> None:
        busy, empty = self.busy, self.empty
        # Of one holder: spans of the same holder may overlap.
        Occupancy.objects.bulk_create(
            Occupancy(evse=busy, span=span, holder=1, kind=Occupancy.Kind.CLOSURE) for span in taken
        )

        free = free_in({busy.pk: asked[0], empty.pk: asked[1]}, now=NOW)

        touching = [span for span in taken if span.overlaps(asked[0])]
        assert free == {busy.pk: gaps(asked[0], touching), empty.pk: [asked[1]]}


@pytest.mark.django_db
def test_a_hold_that_ran_out_is_free_time_and_one_that_stands_is_not() -> None:
    evse, vehicle = make_evse(), make_vehicle()
    held = place_hold(fleet=vehicle.fleet, option=option_of(evse), period=slot(10, 11), vehicle=vehicle)
    asked = slot(9, 12)
    assert held.held_until is not None

    standing = free_periods([evse.pk], asked, now=held.held_until - timedelta(seconds=1))
    run_out = free_periods([evse.pk], asked, now=held.held_until)
    untold = free_periods([evse.pk], asked)

    assert standing == untold == {evse.pk: [slot(9, 10), slot(11, 12)]}
    assert run_out == {evse.pk: [asked]}
    assert Booking.objects.get().status == BookingStatus.HELD


class Places(TestCase):
    depot: Depot
    fleet: Organisation

    @classmethod
    def setUpTestData(cls) -> None:
        cls.depot, cls.fleet = make_evse().depot, make_fleet()

    @settings(max_examples=60)
    @given(
        here=st.tuples(st.floats(-90, 90), st.floats(-180, 180)),
        there=st.tuples(st.floats(-90, 90), st.floats(-180, 180)),
        radius_km=st.floats(1, 20_000),
    )
    def test_whatever_lies_in_a_circle_lies_in_its_box(
        self, here: tuple[float, float], there: tuple[float, float], radius_km: float
    ) -> None:
        circle = Circle(*here, radius_km)
        # The columns keep six places: of a place on the border itself the box may miss the last of them.
        place = [f"{degrees:.6f}" for degrees in there]
        if not Circle(*here, radius_km * (1 - 1e-9) - 0.001).contains(*place):
            return
        Depot.objects.update(latitude=place[0], longitude=place[1])

        assert bookable_depots(self.fleet, near=circle, now=NOW) == [self.depot]


def days() -> st.SearchStrategy[timedelta]:
    return st.integers(-2, 2).map(lambda number: timedelta(days=number))


class Doors(TestCase):
    """Two depots, one of them perhaps a partner's, and who is let in there."""

    depots: list[Depot]
    askers: list[Organisation]

    @classmethod
    def setUpTestData(cls) -> None:
        cls.depots = [make_evse().depot, make_evse().depot]
        cls.askers = [cls.depots[0].operator, make_fleet(), make_fleet(), make_fleet(is_partner=True)]

    @settings(max_examples=80, deadline=None)
    @given(
        is_mirror=st.booleans(),
        withdrawn=st.sampled_from(["nothing", "depot", "option"]),
        guests=st.dictionaries(
            st.sampled_from([None, 0, 1, 2, 3]), st.tuples(days(), st.none() | days()), max_size=3
        ),
    )
    def test_a_depot_can_be_searched_exactly_where_an_option_of_it_can_be_booked(
        self,
        is_mirror: bool,
        withdrawn: str,
        guests: dict[int | None, tuple[timedelta, timedelta | None]],
    ) -> None:
        depot = self.depots[0]
        Agreement.objects.filter(depot=depot).delete()
        Depot.objects.filter(pk=depot.pk).update(is_mirror=is_mirror, is_withdrawn=withdrawn == "depot")
        depot.options.update(is_mirror=is_mirror, is_withdrawn=withdrawn == "option")
        for guest, (since, until) in guests.items():
            Agreement.objects.create(
                depot=depot,
                guest=None if guest is None else self.askers[guest],
                starts_at=NOW + since,
                ends_at=None if until is None else NOW + max(until, since + timedelta(hours=1)),
            )

        for asker in self.askers:
            booked = set(bookable_options(asker, now=NOW).values_list("depot", flat=True))
            assert {found.pk for found in bookable_depots(asker, now=NOW)} == booked
            assert {found.pk for found in bookable_depots(asker, depot=depot, now=NOW)} == booked & {depot.pk}


@pytest.mark.parametrize("longitude", [179.9, -179.9])
def test_the_date_line_is_no_border(longitude: float) -> None:
    assert Circle(0, 179.95, 20).contains(0, longitude)


def test_a_degree_of_latitude_is_111_kilometres() -> None:
    assert Circle(52, 10, 1).distance_km(53, 10) == pytest.approx(111.2, abs=0.1)


@pytest.fixture
def country() -> list[Evse]:
    """Hamburg, Kassel and Munich, each with a bay for articulated trucks, a short one, and one with MCS."""
    found = []
    for place in [("53.5", "9.9"), ("51.3", "9.5"), ("48.1", "11.6")]:
        depot = make_depot(latitude=place[0], longitude=place[1])
        found += [
            make_evse(depot, max_vehicle_length_cm=1875, max_power_w=400_000),
            make_evse(depot, max_vehicle_length_cm=1000, max_power_w=400_000),
            make_evse(depot, standard=MCS, max_power_w=1_000_000),
        ]
    return found


TRUCK = Needs(connector_standards=frozenset({CCS}), length_cm=1650)


@pytest.mark.django_db
def test_a_search_by_place_finds_what_the_search_everywhere_finds_there(country: list[Evse]) -> None:
    fleet, near = make_fleet(), Circle(52.4, 9.7, 150)

    everywhere = find_slots(SlotSearch(fleet, slot(10, 11), NOW, needs=TRUCK))
    found = find_slots(SlotSearch(fleet, slot(10, 11), NOW, near=near, needs=TRUCK))

    told = {(o.option.code, o.option.name, o.option.is_mirror) for o in everywhere}
    assert told == set(BookingOption.objects.values_list("code", "name", "is_mirror"))
    kept = [o for o in everywhere if near.contains(o.option.depot.latitude, o.option.depot.longitude)]
    assert [(o.evse.pk, str(o.refusal)) for o in found] == [(o.evse.pk, str(o.refusal)) for o in kept]
    assert len(found) == 6


@pytest.mark.django_db
def test_a_search_for_what_fits_names_nothing_that_does_not_and_loses_nothing_that_does(
    country: list[Evse],
) -> None:
    fleet = make_fleet()

    everything = find_slots(SlotSearch(fleet, slot(10, 11), NOW, needs=TRUCK))
    fitting = find_slots(SlotSearch(fleet, slot(10, 11), NOW, needs=TRUCK, fitting_only=True))

    assert [o.evse.pk for o in fitting] == [o.evse.pk for o in everything if o.is_free]
    assert {o.evse.pk for o in fitting} == {country[n].pk for n in (0, 3, 6)}


@pytest.mark.django_db
def test_a_search_for_power_leaves_out_what_is_too_weak(country: list[Evse]) -> None:
    search = SlotSearch(make_fleet(), slot(10, 11), NOW, min_power_w=500_000, fitting_only=True)

    assert {o.evse.pk for o in find_slots(search)} == {country[n].pk for n in (2, 5, 8)}


@pytest.mark.django_db
def test_where_less_power_is_left_than_must_be_possible_the_slot_is_refused() -> None:
    depot = make_depot(grid_limit_w=500_000)
    evse, other = make_evse(depot), make_evse(depot)
    fleet = make_fleet()
    book_slot(fleet=fleet, option=option_of(other), period=slot(10, 11), power_w=350_000)

    enough = find_slots(SlotSearch(fleet, slot(10, 11), NOW, min_power_w=150_000))
    more = find_slots(SlotSearch(fleet, slot(10, 11), NOW, min_power_w=151_000))

    assert [o.evse.pk for o in enough if o.is_free] == [evse.pk]
    assert {o.refusal.code for o in more if o.refusal} == {"slot_taken", "power_unavailable"}
    assert next(o for o in more if o.evse.pk == evse.pk).nearest in (slot(9, 10), slot(11, 12))


@pytest.mark.django_db
def test_a_search_asks_as_much_of_the_database_whatever_the_number_of_depots_and_zones() -> None:
    fleet = make_fleet()
    zones = ["Europe/Berlin", "Europe/Lisbon", "Europe/Vilnius"]
    search = SlotSearch(fleet, dict.fromkeys(zones, slot(10, 11)), NOW)

    def statements() -> int:
        with CaptureQueriesContext(connection) as seen:
            find_slots(search)
        return len(seen)

    def add_depot(zone: str) -> None:
        make_evse(make_depot(time_zone=zone, grid_limit_w=100_000), max_power_w=400_000)

    add_depot(zones[0])
    unknown, known = statements(), statements()
    for zone in zones * 3:
        add_depot(zone)

    assert (statements(), statements()) == (unknown, known)
    assert known == 3


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("vehicle_w", "told_w", "asked_w"),
    [(350_000, None, 350_000), (350_000, 150_000, 150_000), (500_000, None, 400_000)],
)
def test_a_partners_slot_has_the_price_and_the_power_that_its_booking_keeps(
    vehicle_w: int, told_w: int | None, asked_w: int
) -> None:
    """The least of what the vehicle takes, the EVSE gives and the calendar tells."""
    fleet, network = make_fleet(), make_fleet("Südnetz", is_partner=True)
    there = make_depot(network, is_mirror=True, open_to_all=False)
    evse = make_evse(there, max_power_w=400_000, option=False)
    option = make_option(evse, is_mirror=True, calendar_at=NOW)
    option.offered_slots.create(calendar_id="c", period=slot(8, 20), max_power_w=told_w)
    make_bound(per_kwh("0.40"), option=option)
    vehicle = make_vehicle(fleet, max_power_w=vehicle_w)

    [offer] = find_slots(SlotSearch(fleet, slot(10, 11), NOW, vehicle=vehicle))
    booking = book_slot(option=option, fleet=fleet, period=slot(10, 11), vehicle=vehicle, now=NOW)

    assert (offer.power_w, booking.promised_power_w) == (asked_w, asked_w)
    assert offer.quote is not None
    assert booking.quote == offer.quote.to_json()
