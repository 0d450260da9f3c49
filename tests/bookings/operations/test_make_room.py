"""Room for one more where no EVSE is free all the time: bookings that may stand elsewhere are moved there."""

from __future__ import annotations

import random
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import transaction

from bookings import operations
from bookings.actors import ASSIGNMENT
from bookings.core import calendars
from bookings.errors import PowerUnavailable, SlotTaken
from bookings.models import Booking, BookingOption, CalendarMark, Closure, Enforcement, Occupancy, Vehicle
from bookings.rules.charging_duration import EnergyAsked
from bookings.rules.movable import LEFT_ALONE_BEFORE_DUE
from depots.models import Depot, Evse, Organisation
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
    make_option,
    make_vehicle,
    slot,
)
from tests.money_factories import make_prices

pytestmark = pytest.mark.django_db


class Yard:
    """A pool of EVSEs of one depot, and a fleet that books in it."""

    def __init__(self, count: int = 2, *, terms: dict[str, Any] | None = None, **depot: Any) -> None:
        self.depot: Depot = make_depot(terms=terms, **depot)
        self.evses: list[Evse] = [make_evse(self.depot) for _ in range(count)]
        self.pool: BookingOption = make_option(*self.evses)
        self.fleet: Organisation = make_fleet()

    def book(self, period: Period, **asked: Any) -> Booking:
        asked.setdefault("vehicle", make_vehicle(self.fleet))
        return book_slot(fleet=self.fleet, option=self.pool, period=period, **asked)

    def split(self) -> tuple[Booking, Booking]:
        """One EVSE taken from 10 to 11 and the other from 11 to 12: none is free from 10 to 12, though half of both is."""
        first, second = self.book(slot(10, 11)), self.book(slot(11, 12))
        Booking.objects.filter(pk=second.pk).update(evse=self.evses[1])
        Occupancy.objects.filter(holder=second.pk).update(evse=self.evses[1])
        assert first.evse_id == self.evses[0].pk
        return first, Booking.objects.get(pk=second.pk)


def test_a_booking_goes_to_another_evse_so_that_one_more_finds_a_place() -> None:
    yard = Yard()
    make_prices(yard.depot, time_per_hour=60)
    first, second = yard.split()
    CalendarMark.objects.all().delete()

    longer = yard.book(slot(10, 12))

    first.refresh_from_db()
    second.refresh_from_db()
    assert {longer.evse_id} | {first.evse_id} == {evse.pk for evse in yard.evses}
    assert first.evse_id == second.evse_id
    moved = first if first.evse_id == yard.evses[1].pk else second
    assert (moved.period, moved.status, moved.version) == (slot(10, 11), "confirmed", 2)
    assert moved.is_changed_unseen
    event = moved.events.get(kind="changed")
    assert event.actor == ASSIGNMENT
    before, after = event.detail["before"], event.detail["after"]
    assert {name for name in before if before[name] != after[name]} == {"evse"}
    assert (before["evse"], after["evse"]) == (yard.evses[0].uid, yard.evses[1].uid)
    assert longer.reference not in str(event.detail)
    assert calendars.is_any_marked()


def armed(booking: Booking, yard: Yard) -> None:
    Booking.objects.filter(pk=booking.pk).update(enforcement=Enforcement.ARMED, armed_evse=booking.evse)


def due_soon(booking: Booking, yard: Yard) -> None:
    """Its time at the charger begins in less than what it is left alone for."""
    lead = int((booking.starts_at - NOW - LEFT_ALONE_BEFORE_DUE).total_seconds()) // 60
    booking.terms_json["arm_lead_min"] = lead
    booking.save(update_fields=["terms_json"])


def in_a_closure(booking: Booking, yard: Yard) -> None:
    """Its place would be the closure's."""
    closed = booking.evse
    assert closed is not None
    operations.close_evse(evse=closed, period=booking.period, actor=MANAGER, now=NOW)


def chosen(booking: Booking, yard: Yard) -> None:
    Booking.objects.filter(pk=booking.pk).update(is_evse_asked=True)


def waiting_for_its_depot(booking: Booking, yard: Yard) -> None:
    Booking.objects.filter(pk=booking.pk).update(decide_until=at(9, 30))


@pytest.mark.parametrize("kept", [armed, due_soon, in_a_closure, chosen, waiting_for_its_depot])
def test_what_is_kept_or_chosen_is_never_moved(kept: Any) -> None:
    yard = Yard()
    stays, _ = both = yard.split()
    before = [(one.evse_id, one.period) for one in both]
    for one in both:
        kept(Booking.objects.get(pk=one.pk), yard)

    with pytest.raises(SlotTaken):
        yard.book(slot(10, 12))

    assert [(b.evse_id, b.period) for b in (Booking.objects.get(pk=one.pk) for one in both)] == before
    assert stays.evse_id == yard.evses[0].pk


def test_one_that_chose_its_evse_stays_and_the_other_goes() -> None:
    yard = Yard()
    chosen = yard.book(slot(10, 11), evse=yard.evses[0])
    other = yard.book(slot(11, 12))
    Booking.objects.filter(pk=other.pk).update(evse=yard.evses[1])
    Occupancy.objects.filter(holder=other.pk).update(evse=yard.evses[1])

    longer = yard.book(slot(10, 12))

    assert longer.evse_id == yard.evses[1].pk
    assert Booking.objects.get(pk=chosen.pk).evse_id == yard.evses[0].pk
    assert Booking.objects.get(pk=other.pk).evse_id == yard.evses[0].pk


def test_it_goes_only_where_it_fits() -> None:
    """Room would be made by the tall one alone, and the other EVSE is too low for it."""
    yard = Yard()
    Evse.objects.filter(pk=yard.evses[1].pk).update(max_vehicle_height_cm=380)
    tall = yard.book(slot(10, 11), vehicle=make_vehicle(yard.fleet, height_cm=400))
    yard.book(slot(11, 12), evse=yard.evses[1])
    assert tall.evse_id == yard.evses[0].pk

    with pytest.raises(SlotTaken):
        yard.book(slot(10, 12))


def test_a_promise_of_power_is_kept_where_it_goes() -> None:
    """What was promised 350 kW does not go to an EVSE of 150."""
    yard = Yard()
    Evse.objects.filter(pk=yard.evses[1].pk).update(max_power_w=150_000)
    strong = yard.book(slot(10, 11))
    yard.book(slot(11, 12), evse=yard.evses[1])
    assert (strong.evse_id, strong.promised_power_w) == (yard.evses[0].pk, 350_000)

    with pytest.raises(SlotTaken):
        yard.book(slot(10, 12))


def test_an_evse_that_its_depot_or_fleet_chose_is_remembered() -> None:
    yard = Yard()
    dragged, moved, kept = yard.book(slot(10, 11)), yard.book(slot(12, 13)), yard.book(slot(14, 15))

    change_slot(booking_id=dragged.pk, by="depot", evse=yard.evses[1], actor=MANAGER)
    change_slot(booking_id=moved.pk, evse=yard.evses[1])
    change_slot(booking_id=kept.pk, period=slot(15, 16))

    chosen = dict(Booking.objects.values_list("pk", "is_evse_asked"))
    assert chosen == {dragged.pk: True, moved.pk: True, kept.pk: False}


def test_a_change_of_time_still_finds_only_what_is_free() -> None:
    yard = Yard()
    yard.split()
    elsewhere = yard.book(slot(14, 16))

    with pytest.raises(SlotTaken):
        change_slot(booking_id=elsewhere.pk, period=slot(10, 12))


def test_who_finds_no_room_is_told_what_stands_in_the_way_and_nothing_more() -> None:
    yard = Yard(3)
    yard.book(slot(10, 12), evse=yard.evses[0])
    yard.book(slot(10, 12), evse=yard.evses[1])
    operations.close_evse(evse=yard.evses[2], period=slot(9, 18), actor=MANAGER, now=NOW)
    assert Closure.objects.count() == 1

    with pytest.raises(SlotTaken) as refusal:
        yard.book(slot(11, 12))

    assert str(refusal.value) == (
        "None of the 3 EVSEs that fit is free all the time (2 taken, 1 closed), and no move of other bookings would make room."
    )
    assert refusal.value.nearest is not None


def by_energy(yard: Yard, starts_at: datetime, kwh: int, **asked: Any) -> Booking:
    asked.setdefault("vehicle", make_vehicle(yard.fleet))
    energy = EnergyAsked(energy_wh=kwh * 1000)
    request = operations.SlotRequest.until_charged(
        starts_at=starts_at, energy=energy, fleet=yard.fleet, option=yard.pool, **asked
    )
    return operations.request_booking(request, actor=DISPATCHER, now=NOW)


def test_room_is_made_for_as_long_as_charging_takes() -> None:
    """With 350 kW 600 kWh take 103 minutes: no EVSE is free for so long, and one would be."""
    yard = Yard()
    first, second = yard.split()

    longer = by_energy(yard, at(10), 600)

    first.refresh_from_db()
    second.refresh_from_db()
    assert (longer.period, longer.promised_power_w, longer.energy_wh) == (
        slot(10, (11, 45)),
        350_000,
        600_000,
    )
    assert first.evse_id == second.evse_id != longer.evse_id
    assert {first.version, second.version} == {1, 2}


def test_a_hold_by_energy_makes_room_too() -> None:
    yard = Yard()
    yard.split()
    request = operations.SlotRequest.until_charged(
        starts_at=at(10), energy=EnergyAsked(energy_wh=600_000), fleet=yard.fleet, option=yard.pool,
        vehicle=make_vehicle(yard.fleet),
    )  # fmt: skip

    held = operations.hold_slot(request, actor=DISPATCHER, now=NOW)

    assert (held.status, held.period) == ("held", slot(10, (11, 45)))


def test_what_no_moves_make_room_for_is_refused_and_moves_nobody() -> None:
    """For 1,000 kWh it would need until 13:00, when both are taken."""
    yard = Yard()
    yard.split()
    for evse in yard.evses:
        yard.book(slot(12, 13), evse=evse)
    before = sorted(Booking.objects.values_list("pk", "evse_id", "version"))

    with pytest.raises(SlotTaken) as refusal:
        by_energy(yard, at(10), 1000)

    assert "no move of other bookings would make room" in str(refusal.value)
    assert sorted(Booking.objects.values_list("pk", "evse_id", "version")) == before


def quarters(first: int, last: int) -> Period:
    """Of an hour, counted from the tests' now."""
    return Period(NOW + timedelta(minutes=15 * first), NOW + timedelta(minutes=15 * last))


class TakenBack(Exception):
    pass


def suffices(yard: Yard, truck: Vehicle, period: Period, kwh: int) -> bool:
    """Whether a slot asked for by time is booked with power enough; nothing of it stays."""
    booked = None
    with suppress(SlotTaken, PowerUnavailable, TakenBack), transaction.atomic():
        booked = yard.book(period, vehicle=truck)
        raise TakenBack
    return booked is not None and booked.promised_power_w * period.minutes >= kwh * 60_000


@pytest.mark.parametrize("seed", range(6))
def test_energy_gets_in_whenever_a_slot_by_time_that_suffices_would(seed: int) -> None:
    """One after the other stands at one or the other of two EVSEs, some where they asked to: at every length on the step it is
    tried by time, and taken back."""
    chance = random.Random(seed)
    yard = Yard(2, grid_limit_w=chance.choice([None, 600_000]))
    Evse.objects.filter(pk=yard.evses[1].pk).update(max_power_w=chance.choice([200_000, 400_000]))
    first = 4
    while first < 24:
        last = first + chance.choice([2, 3, 4])
        there = yard.book(quarters(first, last), power_w=100_000, evse=chance.choice(yard.evses))
        Booking.objects.filter(pk=there.pk).update(is_evse_asked=chance.random() < 0.1)
        first = last + chance.choice([0, 1])
    truck, first, kwh = make_vehicle(yard.fleet), chance.choice([6, 8, 10]), chance.choice([150, 250, 350])

    lengths = [quarters(first, first + count) for count in range(2, 17)]
    by_time = [period for period in lengths if suffices(yard, truck, period, kwh)]
    try:
        booked = by_energy(yard, quarters(first, 24).starts_at, kwh, vehicle=truck)
    except SlotTaken:
        assert not by_time
    else:
        assert not by_time or booked.ends_at <= by_time[0].ends_at
