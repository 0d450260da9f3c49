"""A promise of power through changes, drags, rescues, approvals and holds that ran out."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from bookings import operations
from bookings.enforcement.rescue import _take_best
from bookings.errors import LowerPower, PowerUnavailable
from bookings.models import Booking, BookingStatus, Occupancy
from bookings.operations import change_plan
from bookings.rules.power import Supply, peak
from depots.models import ChargingSession, Depot, Evse, Organisation
from depots.periods import Period
from tests.factories import (
    CHARGER,
    DISPATCHER,
    MANAGER,
    NOW,
    at,
    book_slot,
    change_slot,
    make_charger,
    make_depot,
    make_evse,
    make_fleet,
    make_vehicle,
    option_of,
    place_hold,
    slot,
)

pytestmark = pytest.mark.django_db
GRID = 500_000


@pytest.fixture
def depot() -> Depot:
    """Four EVSEs of 400 kW behind 500 kW: 125 each, at most 350 for one."""
    depot = make_depot(grid_limit_w=GRID)
    for _ in range(4):
        make_evse(depot)
    return depot


@pytest.fixture
def evses(depot: Depot) -> list[Evse]:
    return list(depot.evses.order_by("pk"))


@pytest.fixture
def fleet() -> Organisation:
    return make_fleet()


def book(evse: Evse, period: Period, *, power_kw: int | None = None, **fields: Any) -> Booking:
    fleet = fields.pop("fleet", None) or make_fleet()
    vehicle = make_vehicle(fleet, max_power_w=fields.pop("vehicle_w", None))
    return book_slot(
        fleet=fleet, option=option_of(evse), period=period, vehicle=vehicle,
        power_w=power_kw and power_kw * 1000, actor=DISPATCHER, now=NOW, **fields,
    )  # fmt: skip


def change(booking: Booking, **asked: Any) -> Booking:
    return change_slot(booking_id=booking.pk, **{"actor": DISPATCHER, "now": NOW, **asked})


def kw(booking: Booking) -> float:
    booking.refresh_from_db()
    return booking.promised_power_w / 1000


def test_every_evse_can_be_booked_whatever_the_first_one_took(evses):
    first = book(evses[0], slot(10, 11), power_kw=350)

    others = [book(evse, slot(10, 11)) for evse in evses[1:]]

    assert kw(first) == 350
    assert [kw(booking) for booking in others] == [50, 50, 50]
    assert _peak() <= GRID


def test_a_wish_above_what_leaves_the_others_their_least_is_refused_with_what_there_is(evses):
    with pytest.raises(PowerUnavailable) as refused:
        book(evses[0], slot(10, 11), power_kw=351)

    assert refused.value.available_w == 350_000


def test_a_refused_wish_names_the_nearest_time_at_which_it_can_be_kept(evses):
    book(evses[0], slot(10, 12), power_kw=350)

    with pytest.raises(PowerUnavailable) as refused:
        book(evses[1], slot(10, 11), power_kw=200)

    assert refused.value.nearest == slot(9, 10)
    assert kw(book(evses[1], refused.value.nearest, power_kw=200)) == 200


def test_a_wish_is_kept_by_a_change_of_time(evses):
    booking = book(evses[0], slot(10, 11), power_kw=250)
    book(evses[1], slot(13, 14))

    change(booking, period=slot(13, 14))

    assert kw(booking) == 250


def test_a_change_that_cannot_keep_the_wish_is_refused_and_changes_nothing(evses):
    booking = book(evses[0], slot(10, 11), power_kw=300)
    book(evses[1], slot(13, 14), power_kw=200)

    with pytest.raises(PowerUnavailable):
        change(booking, period=slot(13, 14))

    booking.refresh_from_db()
    assert (booking.starts_at, kw(booking)) == (at(10), 300)


def test_without_a_wish_the_default_of_the_new_time_holds_and_the_event_says_both(evses):
    booking = book(evses[0], slot(10, 11))
    book(evses[1], slot(13, 14), power_kw=300)

    change(booking, period=slot(13, 14))

    event = booking.events.get(kind="changed")
    assert (event.detail["before"]["power_w"], event.detail["after"]["power_w"]) == (125_000, 66_000)
    assert kw(booking) == 66


def test_a_new_wish_replaces_the_old_one(evses):
    booking = book(evses[0], slot(10, 11), power_kw=300)

    change(booking, power_w=100_000)
    change(booking, period=slot(12, 13))

    assert kw(booking) == 100
    assert Occupancy.objects.get(holder=booking.pk).power_w == 100_000


def test_another_truck_of_the_same_power_leaves_the_promise_though_the_default_is_lower_by_now(evses, fleet):
    booking = book(evses[0], slot(10, 11), fleet=fleet)
    book(evses[1], slot(10, 11), power_kw=270)

    change(booking, vehicle=make_vehicle(fleet, max_power_w=None))

    assert kw(booking) == 125


def test_a_lower_limit_leaves_what_is_promised_to_who_only_sends_another_truck(evses, fleet, depot):
    booking = book(evses[0], slot(10, 11), fleet=fleet, power_kw=350)
    Depot.objects.filter(pk=depot.pk).update(grid_limit_w=300_000)

    change(booking, vehicle=make_vehicle(fleet, max_power_w=None))

    assert kw(booking) == 350


def test_a_drag_that_lowers_power_asks_first_and_is_carried_out_when_that_is_accepted(evses):
    booking = book(evses[0], slot(10, 11))
    book(evses[1], slot(13, 14), power_kw=300)
    drag = {"period": slot(13, 14), "by": Booking.Side.DEPOT}

    with pytest.raises(LowerPower) as asked:
        change(booking, **drag)
    before = kw(booking)
    change(booking, **drag, accepts_lower_power=True)

    assert (asked.value.before_w, asked.value.after_w) == (125_000, 66_000)
    assert "125 kW" in str(asked.value)
    assert "66 kW" in str(asked.value)
    assert (before, kw(booking)) == (125, 66)


def test_a_drag_that_cannot_keep_a_wish_asks_too_and_keeps_as_much_as_there_is(evses):
    booking = book(evses[0], slot(10, 11), power_kw=300)
    book(evses[1], slot(13, 14), power_kw=200)
    drag = {"period": slot(13, 14), "by": Booking.Side.DEPOT}

    with pytest.raises(LowerPower):
        change(booking, **drag)
    change(booking, **drag, accepts_lower_power=True)

    assert kw(booking) == 200
    booking.refresh_from_db()
    assert booking.wished_power_w == 300_000


def test_a_drag_that_keeps_the_power_asks_nothing(evses):
    booking = book(evses[0], slot(10, 11), power_kw=300)

    change(booking, evse=evses[2], by=Booking.Side.DEPOT)

    assert kw(booking) == 300


def test_a_change_that_waits_keeps_what_it_asks_for_until_it_is_decided():
    depot = make_depot(grid_limit_w=GRID, terms={"approval": True})
    evses = [make_evse(depot) for _ in range(4)]
    booking = book(evses[0], slot(10, 11))
    operations.decide(booking_id=booking.pk, accept=True, actor=MANAGER, now=NOW)
    change(booking, period=slot(13, 14), power_w=300_000)

    with pytest.raises(PowerUnavailable):
        book(evses[1], slot(13, 14), power_kw=101)
    book(evses[1], slot(13, 14), power_kw=100)
    operations.decide(booking_id=booking.pk, accept=True, actor=MANAGER, now=NOW)

    assert kw(booking) == 300
    assert _peak() <= GRID


def test_what_waits_without_a_wish_gets_what_was_kept_for_it():
    depot = make_depot(grid_limit_w=GRID, terms={"approval": True})
    evses = [make_evse(depot) for _ in range(4)]
    booking = book(evses[0], slot(10, 11))
    operations.decide(booking_id=booking.pk, accept=True, actor=MANAGER, now=NOW)
    change(booking, period=slot(13, 14))
    book(evses[1], slot(13, 14), power_kw=275)  # all but the leasts and what is kept

    operations.decide(booking_id=booking.pk, accept=True, actor=MANAGER, now=NOW)

    assert kw(booking) == 125
    assert _peak() <= GRID


def test_of_two_places_kept_at_one_evse_the_larger_counts_once():
    depot = make_depot(grid_limit_w=GRID, terms={"approval": True})
    evses = [make_evse(depot) for _ in range(4)]
    booking = book(evses[0], slot(10, 11), power_kw=100)
    operations.decide(booking_id=booking.pk, accept=True, actor=MANAGER, now=NOW)

    change(booking, period=slot((10, 15), 11), power_w=300_000)

    most = Supply.at({depot.pk}, slot(10, 11)).lowest(evses[1], slot((10, 30), 11)).most_w
    assert most == GRID - 300_000 - 2 * 50_000


def test_a_rescue_keeps_the_power_where_it_can_and_else_moves_with_less(evses, depot):
    small = make_evse(depot, max_power_w=60_000, status="available")
    charger = make_charger(depot, lease_holder="g", lease_until=NOW + timedelta(minutes=1))
    working = make_evse(charger=charger, status="available")
    weak = make_evse(charger=charger, status="available", max_power_w=100_000)
    booking = book(evses[0], slot(10, 11), power_kw=200)

    moved = _take_best(booking, [small, weak, working], NOW)
    first = (booking.evse, kw(booking))
    again = _take_best(booking, [weak], NOW)

    assert moved
    assert first == (working, 200)
    assert again
    assert (booking.evse, kw(booking)) == (weak, 100)
    events = [e.detail["after"]["power_w"] for e in booking.events.filter(kind="changed")]
    assert events == [200_000, 100_000]


def test_a_truck_that_plugs_in_behind_a_weaker_cabinet_is_promised_what_is_left_there(depot, evses):
    charger = make_charger(depot, cabinet="A", cabinet_limit_w=200_000)
    inside = [make_evse(charger=charger) for _ in range(2)]
    booking = book(evses[0], slot(8, 9), power_kw=250)
    session = ChargingSession.objects.create(
        charger=charger,
        evse=inside[0],
        transaction="T-1",
        token_uid="04AA",
        started_at=NOW,
        start_received_at=NOW,
    )

    operations.start_charging(booking_id=booking.pk, session=session, actor=CHARGER, now=NOW)

    assert kw(booking) == 150  # of 200, the other EVSE of the cabinet keeps 50
    assert Occupancy.objects.get(holder=booking.pk).power_w == 150_000
    event = booking.events.filter(after="charging").get()
    assert event.detail["promised_before_w"] == 250_000


def test_a_hold_that_ran_out_keeps_no_power_from_a_neighbour(evses, fleet):
    held = place_hold(
        fleet=fleet, option=option_of(evses[0]), period=slot(10, 11), vehicle=make_vehicle(fleet), power_w=350_000,
        actor=DISPATCHER, now=NOW,
    )  # fmt: skip
    later = NOW + timedelta(minutes=11)

    taken = book_slot(
        fleet=fleet, option=option_of(evses[1]), period=slot(10, 11), vehicle=make_vehicle(fleet), power_w=350_000,
        actor=DISPATCHER, now=later,
    )  # fmt: skip

    held.refresh_from_db()
    assert held.status == BookingStatus.EXPIRED
    assert taken.promised_power_w == 350_000
    assert _peak() <= GRID


def test_a_wish_that_was_confirmed_from_a_hold_is_a_wish(evses, fleet):
    held = place_hold(
        fleet=fleet, option=option_of(evses[0]), period=slot(10, 11), vehicle=make_vehicle(fleet), power_w=300_000,
        actor=DISPATCHER, now=NOW,
    )  # fmt: skip
    booking = operations.confirm_hold(booking_id=held.pk, actor=DISPATCHER, now=NOW)
    book(evses[1], slot(13, 14), power_kw=250)

    with pytest.raises(PowerUnavailable):
        change(booking, period=slot(13, 14))


def test_a_cabinet_binds_beside_the_grid(depot, evses):
    charger = make_charger(depot, cabinet="A", cabinet_limit_w=200_000)
    inside = [make_evse(charger=charger) for _ in range(2)]

    booking = book(inside[0], slot(10, 11))

    # The grid would leave 83 kW each of six, the cabinet 100.
    assert kw(booking) == 83
    with pytest.raises(PowerUnavailable, match="Power cabinet A"):
        book(inside[1], slot(10, 11), power_kw=120)


def test_a_closed_evse_keeps_its_least_so_that_it_can_open_again(evses):
    closure = operations.close_evse(evse=evses[3], period=slot(9, 15), actor=MANAGER, now=NOW)

    with pytest.raises(PowerUnavailable):
        book(evses[0], slot(10, 11), power_kw=351)
    book(evses[0], slot(10, 11), power_kw=350)
    operations.lift_closure(closure_id=closure.pk, actor=MANAGER, now=NOW)

    assert kw(book(evses[3], slot(10, 11))) == 50


def test_the_finder_shows_what_is_then_promised(evses, fleet):
    from bookings.search.offers import find_slots
    from bookings.search.slots import SlotSearch

    book(evses[0], slot(10, 11), power_kw=300)
    vehicle = make_vehicle(fleet, max_power_w=None)

    offers = [o for o in find_slots(SlotSearch(fleet, slot(10, 11), NOW, vehicle=vehicle)) if o.is_free]

    assert [offer.power_w for offer in offers] == [66_000] * 3
    assert kw(book(evses[1], slot(10, 11), fleet=fleet)) == 66


def test_planning_keeps_what_was_asked_of_power_apart_from_what_was_promised(evses):
    booking = book(evses[0], slot(10, 11))

    change_to_the_same = change_plan.planned(booking, operations.ChangeRequest(power_w=125_000))

    assert not change_plan.is_same(booking, change_to_the_same)  # now it is wished for


def _peak() -> int:
    rows = Occupancy.objects.exclude(kind="closure").values_list("holder", "evse", "span", "power_w")
    return peak(
        [(span, watts) for *_, span, watts in rows], Period(NOW - timedelta(days=1), NOW + timedelta(days=2))
    )
