"""Stops for a journey: breaks by Regulation (EC) No 561/2006, charging for the next leg, and slots that can be had."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from bookings.operations.proposed_stops import slot_requests
from bookings.rules.driving_times import Breaks, Duty
from bookings.rules.vehicle_range import EnergyUse
from bookings.search.along_route import Journey
from bookings.search.routing import Route
from bookings.search.slots import SlotSearch
from bookings.search.trip_plan import NoPlan, Trip, TripPlan, plan_trip
from depots.models import Depot
from depots.routes import Line, Point
from tests.factories import NOW, book_slot, make_depot, make_evse, make_fleet, make_vehicle, option_of, slot

pytestmark = pytest.mark.django_db
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
# A meridian, on which a degree is 111.2 km; by road as long as it is, at 80 km/h.
KM = 180 / 6371 / 3.141592653589793


def depot_at(km: float, *, power_w: int = 400_000, **fields: Any) -> Depot:
    depot = make_depot(latitude=f"{40 + km * KM:.6f}", longitude="9.0", **fields)
    make_evse(depot, max_power_w=power_w)
    return depot


def trip(km: float, **fields: Any) -> Trip:
    line = Line((Point(40, 9), Point(40 + km * KM, 9)))
    journey = Journey(Route(line, line.length_km), NOW, speed_kmh=80)
    search = SlotSearch(make_fleet(), slot(8, 9), NOW, vehicle=None, fitting_only=True)
    return Trip(journey, search, **fields)


def planned(found: TripPlan | NoPlan) -> TripPlan:
    assert isinstance(found, TripPlan)
    check(found)
    return found


def check(plan: TripPlan, duty: Duty | None = None) -> None:
    """Counted anew: every limit is kept, no slot begins before the truck is there, and each lasts as long as is needed."""
    duty, at = duty or Duty(), NOW
    for stop in plan.stops:
        at += stop.drives
        duty = duty.driven(stop.drives)
        assert stop.arrives_at == at
        assert stop.offer.is_free
        assert stop.offer.period.starts_at >= at
        assert stop.offer.period.duration >= stop.stands >= stop.pause
        duty = duty.waited(stop.offer.period.starts_at - at).rested(stop.stands).rested(stop.rest)
        at = stop.leaves_at
    duty.driven(plan.last_leg)
    assert plan.arrives_at == at + plan.last_leg


def test_a_way_of_four_and_a_half_hours_needs_no_stop() -> None:
    plan = planned(plan_trip(trip(360)))

    assert plan.stops == ()
    assert plan.arrives_at == NOW + 4.5 * HOUR


def test_a_break_is_taken_before_the_driving_period_is_over_and_is_three_quarters_of_an_hour() -> None:
    depots = [depot_at(km) for km in (100, 350, 370)]

    plan = planned(plan_trip(trip(600)))

    [stop] = plan.stops
    assert stop.place.depot in depots[:2]  # the last is further than 4.5 h
    assert (stop.pause, stop.offer.period.duration) == (45 * MINUTE, 45 * MINUTE)


def test_a_break_in_parts_is_fifteen_minutes_and_then_thirty() -> None:
    for km in (150, 340):
        depot_at(km, terms={"min_duration_min": 15})

    plan = planned(plan_trip(trip(500, breaks=Breaks.IN_PARTS)))

    assert [stop.pause for stop in plan.stops] == [15 * MINUTE, 30 * MINUTE]
    assert [stop.offer.period.duration for stop in plan.stops] == [15 * MINUTE, 30 * MINUTE]


def test_where_the_day_is_too_short_a_daily_rest_is_proposed_and_said() -> None:
    """900 km at 80 km/h are eleven and a quarter hours of driving: two on the second day."""
    for km in (340, 690):
        depot_at(km)

    plan = planned(plan_trip(trip(900)))

    assert [stop.rest for stop in plan.stops] == [timedelta(), 11 * HOUR]
    assert plan.arrives_at > NOW + 11.25 * HOUR + 45 * MINUTE + 11 * HOUR


def test_a_taken_depot_is_passed_by_for_one_that_is_free() -> None:
    taken, free = depot_at(340, terms={"max_duration_min": 1440}), depot_at(300)
    one = trip(600)
    [evse] = taken.evses.all()
    book_slot(fleet=make_fleet(), option=option_of(evse), period=slot(10, 20))

    [stop] = planned(plan_trip(one)).stops

    assert stop.place.depot == free


def test_a_stop_names_others_that_would_do() -> None:
    near, far = depot_at(250), depot_at(300)
    depot_at(600)  # too far for the first break, too late for another

    [stop] = planned(plan_trip(trip(550))).stops

    assert {stop.place.depot, *(other.place.depot for other in stop.alternatives)} == {near, far}


def test_a_slot_charges_what_the_next_leg_needs() -> None:
    """300 kWh at 1 kWh a km, full: 270 km down to the reserve. To the end are 500 km: 230 of them are missing at km 250, which
    200 kW charge in no break of 45 minutes."""
    depot_at(250, power_w=200_000)
    energy = EnergyUse(300_000, 1_000, max_power_w=400_000, curve=((0, 400_000), (100, 400_000)))

    plan = planned(plan_trip(trip(500, energy=energy, energy_wh=300_000)))

    [stop] = plan.stops
    assert stop.charged_wh == pytest.approx(230_000, abs=100)
    assert stop.stands == pytest.approx(69 * MINUTE, abs=MINUTE)
    assert stop.offer.period.duration == 75 * MINUTE
    assert plan.energy_wh == pytest.approx(energy.reserve_wh, abs=100)


def test_where_the_battery_does_not_last_to_the_next_depot_it_says_so_and_where() -> None:
    depot_at(300)
    energy = EnergyUse(300_000, 1_000)

    found = plan_trip(trip(500, energy=energy, energy_wh=200_000))

    assert isinstance(found, NoPlan)
    assert (found.limit, found.why_not) == ("energy", "")
    assert (found.since_km, found.until_km) == (0, pytest.approx(170))


def test_where_nothing_is_free_in_time_it_says_why() -> None:
    depot_at(300, terms={"horizon_days": 1})
    one = trip(600)
    tomorrow = replace(one, journey=replace(one.journey, depart_at=NOW + timedelta(days=3)))

    found = plan_trip(tomorrow)

    assert isinstance(found, NoPlan)
    assert found.limit == "break"
    assert "1 days ahead" in found.why_not


def test_a_plan_asks_as_much_of_the_database_whatever_lies_on_the_way() -> None:
    one = trip(600)

    def statements() -> int:
        with CaptureQueriesContext(connection) as seen:
            planned(plan_trip(one))
        return len(seen)

    depot_at(300, grid_limit_w=300_000)
    statements()
    few = statements()
    for km in (200, 250, 280, 320, 340):
        depot_at(km, grid_limit_w=300_000)
    statements()

    assert statements() == few <= 4


def test_a_plan_is_what_can_be_booked() -> None:
    depot_at(300)
    vehicle = make_vehicle(make_fleet())
    one = trip(600)
    one = replace(one, search=replace(one.search, fleet=vehicle.fleet, vehicle=vehicle))

    [asked] = slot_requests(planned(plan_trip(one)), one.search)
    booking = book_slot(
        fleet=asked.fleet, option=asked.option, period=asked.period, vehicle=asked.vehicle, evse=asked.evse
    )

    assert booking.period.duration == 45 * MINUTE
