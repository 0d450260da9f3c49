"""Slots asked for by energy or states of charge: the end is found under the locks, and what was asked stays with the booking."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from bookings import operations
from bookings.errors import EnergyImpossible, SlotTaken, TooLong
from bookings.models import Booking, BookingRequest, OfferedSlot
from bookings.operations import SlotRequest
from bookings.rules.charging_duration import EnergyAsked
from bookings.rules.power import Supply
from depots.periods import Period
from tests.factories import (
    DISPATCHER,
    MANAGER,
    NOW,
    at,
    book_slot,
    change_slot,
    make_depot,
    make_evse,
    make_fleet,
    make_operator,
    make_option,
    make_vehicle,
    option_of,
    slot,
)

pytestmark = pytest.mark.django_db
TERMS = {"slot_step_min": 15, "min_duration_min": 15, "max_duration_min": 600}
KWH_300 = EnergyAsked(energy_wh=300_000)


@pytest.fixture
def depot() -> Any:
    """Four EVSEs of 400 kW behind 800 kW: 200 kW each by default, less where others wished for more."""
    return make_depot(grid_limit_w=800_000, terms=TERMS)


@pytest.fixture
def evses(depot: Any) -> list[Any]:
    return [make_evse(depot) for _ in range(4)]


def until_charged(energy: EnergyAsked = KWH_300, **asked: Any) -> Booking:
    request = SlotRequest.until_charged(**{"starts_at": at(10), "energy": energy, **asked})
    return operations.request_booking(request, actor=DISPATCHER, now=NOW)


def test_a_slot_lasts_until_the_energy_is_charged_with_the_promised_power(evses: list[Any]) -> None:
    vehicle = make_vehicle()

    booking = until_charged(fleet=vehicle.fleet, option=option_of(evses[0]), vehicle=vehicle)

    assert booking.period == slot(10, (11, 30))  # 200 kW, though the EVSE gives 400 and the truck takes 350
    assert (booking.promised_power_w, booking.energy_wh) == (200_000, 300_000)
    asked = BookingRequest.objects.get(booking=booking).asked
    assert asked["energy"] == {"energy_wh": 300_000}
    assert asked["period"] == booking.period.as_json()


def test_the_promise_of_the_longer_slot_counts_and_one_step_less_would_not_do(
    depot: Any, evses: list[Any]
) -> None:
    fleet = make_fleet()
    late = {"fleet": fleet, "period": slot(11, 13), "power_w": 350_000}
    book_slot(option=option_of(evses[1]), vehicle=make_vehicle(fleet), **late)

    booking = until_charged(fleet=fleet, option=option_of(evses[0]), vehicle=make_vehicle(fleet))

    supply = Supply.at({depot.pk}, booking.period, without=booking.pk, now=NOW)
    watts = supply.promise(evses[0], booking.period, None, 350_000)
    assert booking.promised_power_w == watts < 200_000
    assert watts * booking.period.minutes / 60 >= 300_000
    shorter = Period(booking.starts_at, booking.ends_at - timedelta(minutes=15))
    assert supply.promise(evses[0], shorter, None, 350_000) * shorter.minutes / 60 < 300_000


def test_a_wish_is_charged_with(evses: list[Any]) -> None:
    vehicle = make_vehicle()

    booking = until_charged(fleet=vehicle.fleet, option=option_of(evses[0]), vehicle=vehicle, power_w=300_000)

    assert (booking.period, booking.promised_power_w) == (slot(10, 11), 300_000)


def test_states_of_charge_are_kept_with_the_energy_they_come_to(evses: list[Any]) -> None:
    vehicle = make_vehicle(battery_wh=500_000, charge_curve=[[0, 350_000], [80, 100_000], [100, 50_000]])
    asked = EnergyAsked(soc_from=20, soc_to=80)

    booking = until_charged(asked, fleet=vehicle.fleet, option=option_of(evses[0]), vehicle=vehicle)

    assert (booking.energy_wh, booking.soc_from, booking.soc_to) == (300_000, 20, 80)
    assert booking.period == slot(
        10, 12
    )  # 90 minutes with an even 200 kW; the curve falls below that from 48 % on


def test_of_a_pool_the_evse_that_charges_it_soonest_is_taken(depot: Any) -> None:
    pool = make_option(make_evse(make_depot(terms=TERMS), max_power_w=100_000, option=False), terms=None)
    fast = make_evse(pool.depot, max_power_w=300_000, option=False)
    pool.evses.add(fast)
    fleet = make_fleet()

    booking = until_charged(fleet=fleet, option=pool, vehicle=make_vehicle(fleet))

    assert (booking.evse, booking.period) == (fast, slot(10, 11))


def test_who_stands_in_the_way_of_the_end_refuses_it_and_what_is_nearest_is_said(evses: list[Any]) -> None:
    fleet = make_fleet()
    book_slot(fleet=fleet, option=option_of(evses[0]), vehicle=make_vehicle(fleet), period=slot(11, 12))

    with pytest.raises(SlotTaken) as refused:
        until_charged(fleet=fleet, option=option_of(evses[0]), vehicle=make_vehicle(fleet))

    assert refused.value.nearest == slot((9, 30), 11)


@pytest.mark.parametrize(
    ("energy", "refusal"),
    [
        (EnergyAsked(energy_wh=2_500_000), TooLong),
        (EnergyAsked(soc_from=20, soc_to=80), EnergyImpossible),  # the battery is not known
    ],
)
def test_what_cannot_be_charged_there_is_refused_and_nothing_stays(
    evses: list[Any], energy: EnergyAsked, refusal: type[Exception]
) -> None:
    vehicle = make_vehicle()

    with pytest.raises(refusal):
        until_charged(energy, fleet=vehicle.fleet, option=option_of(evses[0]), vehicle=vehicle)

    assert not Booking.objects.exists()


def test_a_hold_by_energy_is_confirmed_as_it_was_held(evses: list[Any]) -> None:
    vehicle = make_vehicle()
    request = SlotRequest.until_charged(
        starts_at=at(10), energy=KWH_300, fleet=vehicle.fleet, option=option_of(evses[0]), vehicle=vehicle
    )

    held = operations.hold_slot(request, actor=DISPATCHER, now=NOW)
    booking = operations.confirm_hold(booking_id=held.pk, actor=DISPATCHER, now=NOW)

    assert (booking.period, booking.energy_wh) == (slot(10, (11, 30)), 300_000)


def test_it_takes_no_more_statements_than_a_slot_with_an_end(evses: list[Any]) -> None:
    vehicle = make_vehicle()
    asked = {"fleet": vehicle.fleet, "vehicle": vehicle}
    book_slot(option=option_of(evses[0]), period=slot(7, 8, day=1), **asked)  # what is kept is read

    with CaptureQueriesContext(
        connection,
    ) as by_time:
        book_slot(option=option_of(evses[1]), period=slot(10, 11), **asked)
    with CaptureQueriesContext(connection) as by_energy:
        until_charged(option=option_of(evses[2]), **asked)

    assert len(by_energy) == len(by_time)


@pytest.fixture
def mirrored() -> Any:
    operator = make_operator(is_partner=True)
    depot = make_depot(operator, is_mirror=True, terms=TERMS)
    return make_evse(depot, max_power_w=400_000)


def test_a_partner_is_asked_for_as_long_as_its_calendar_s_power_takes(mirrored: Any) -> None:
    vehicle = make_vehicle()
    option = option_of(mirrored)
    option.is_mirror = True
    option.save()
    OfferedSlot.objects.create(option=option, period=slot(9, 11), max_power_w=300_000)
    OfferedSlot.objects.create(option=option, period=slot(11, 20), max_power_w=150_000)

    booking = until_charged(fleet=vehicle.fleet, option=option, vehicle=vehicle)

    assert (booking.period, booking.promised_power_w) == (slot(10, 11), 300_000)
    longer = until_charged(
        EnergyAsked(energy_wh=450_000), fleet=vehicle.fleet, option=option, vehicle=vehicle
    )
    assert (longer.period, longer.promised_power_w) == (slot(10, 13), 150_000)


def test_a_change_keeps_what_was_asked_and_can_ask_for_other_energy(evses: list[Any]) -> None:
    vehicle = make_vehicle(battery_wh=600_000)
    booking = until_charged(fleet=vehicle.fleet, option=option_of(evses[0]), vehicle=vehicle)

    moved = change_slot(booking_id=booking.pk, period=slot(12, 14))
    assert (moved.period, moved.energy_wh) == (slot(12, 14), 300_000)

    more = change_slot(
        booking_id=booking.pk, energy=EnergyAsked(soc_from=20, soc_to=90), ends_when_charged=True, seen_version=None
    )  # fmt: skip
    assert (more.energy_wh, more.soc_from, more.soc_to) == (420_000, 20, 90)
    assert more.period == slot(
        12, (14, 15)
    )  # 200 kW, above 80 % falling towards the quarter of what the truck takes
    asked = BookingRequest.objects.filter(booking=booking).order_by("pk").last()
    assert asked is not None
    assert asked.asked["period"] == more.period.as_json()

    none = change_slot(booking_id=booking.pk, energy=EnergyAsked())
    assert (none.energy_wh, none.soc_from, none.period) == (None, None, more.period)


def test_another_start_with_the_energy_of_before_finds_its_end_anew(evses: list[Any]) -> None:
    vehicle = make_vehicle()
    booking = until_charged(fleet=vehicle.fleet, option=option_of(evses[0]), vehicle=vehicle)

    changed = change_slot(booking_id=booking.pk, starts_at=at(11), ends_when_charged=True)

    assert (changed.period, changed.energy_wh) == (slot(11, (12, 30)), 300_000)


def test_a_change_by_energy_without_any_is_refused(evses: list[Any]) -> None:
    vehicle = make_vehicle()
    booking = book_slot(fleet=vehicle.fleet, option=option_of(evses[0]), vehicle=vehicle, period=slot(10, 11))

    with pytest.raises(EnergyImpossible):
        change_slot(booking_id=booking.pk, ends_when_charged=True)


@pytest.mark.parametrize(
    ("battery_wh", "kept"),
    [(400_000, (240_000, 20, 80)), (None, (300_000, None, None)), (300_000, (180_000, 20, 80))],
)
def test_another_vehicle_keeps_the_states_of_charge_where_its_battery_is_known_else_the_energy(
    evses: list[Any], battery_wh: int | None, kept: tuple[int, int | None, int | None]
) -> None:
    vehicle = make_vehicle(battery_wh=500_000)
    other = make_vehicle(vehicle.fleet, battery_wh=battery_wh)
    asked = EnergyAsked(soc_from=20, soc_to=80)
    booking = until_charged(asked, fleet=vehicle.fleet, option=option_of(evses[0]), vehicle=vehicle)

    changed = change_slot(booking_id=booking.pk, vehicle=other)

    assert (changed.energy_wh, changed.soc_from, changed.soc_to) == kept
    assert changed.period == booking.period


def test_a_battery_that_is_smaller_by_now_keeps_no_booking_from_being_moved(evses: list[Any]) -> None:
    vehicle = make_vehicle(battery_wh=500_000)
    booking = until_charged(fleet=vehicle.fleet, option=option_of(evses[0]), vehicle=vehicle)
    vehicle.battery_wh = 100_000
    vehicle.save()

    moved = change_slot(booking_id=booking.pk, period=slot(12, 14))

    assert (moved.period, moved.energy_wh) == (slot(12, 14), None)


def test_a_change_that_waits_for_the_depot_keeps_the_energy_it_asks_for() -> None:
    depot = make_depot(terms={**TERMS, "approval": True})
    evse, vehicle = make_evse(depot, max_power_w=200_000), make_vehicle()
    booking = until_charged(fleet=vehicle.fleet, option=option_of(evse), vehicle=vehicle)
    operations.decide(booking_id=booking.pk, accept=True, actor=MANAGER, now=NOW)

    change_slot(booking_id=booking.pk, energy=EnergyAsked(energy_wh=400_000), ends_when_charged=True)
    booking.refresh_from_db()
    assert (booking.period, booking.energy_wh) == (slot(10, (11, 30)), 300_000)
    operations.decide(booking_id=booking.pk, accept=True, actor=MANAGER, now=NOW)

    booking.refresh_from_db()
    assert (booking.period, booking.energy_wh) == (slot(10, 12), 400_000)


def test_what_is_taken_back_has_the_energy_of_before(evses: list[Any]) -> None:
    vehicle = make_vehicle()
    booking = until_charged(fleet=vehicle.fleet, option=option_of(evses[0]), vehicle=vehicle)
    changed = change_slot(
        booking_id=booking.pk, energy=EnergyAsked(energy_wh=200_000), ends_when_charged=True
    )

    back = change_slot(booking_id=booking.pk, period=booking.period, restores=changed.version)

    assert (back.period, back.energy_wh) == (booking.period, 300_000)
