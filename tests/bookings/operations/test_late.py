"""A truck that is late slides within the slack there is, and another one may come in its place, until the no-show time."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from bookings import enforcement, errors, operations
from bookings.models import Booking, BookingRequest, Occupancy
from bookings.operations.change_request import read_period
from bookings.rules.entitlement import TokenName
from depots.models import Evse
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
    make_opening_hours,
    make_option,
    make_vehicle,
    option_of,
    slot,
)
from tests.money_factories import make_prices

pytestmark = pytest.mark.django_db

TERMS = {
    "no_show_min": 15,
    "change_until_min": 60,
    "min_duration_min": 30,
    "turnaround_min": 5,
    "slot_step_min": 15,
}
DURING = at(10, 10)


def booked(*evses: Evse, **wishes: Any) -> Booking:
    """10:00 to 11:00; of several EVSEs as a pool."""
    option = make_option(*evses) if len(evses) > 1 else option_of(evses[0])
    truck = make_vehicle()
    asked = {"fleet": truck.fleet, "option": option, "vehicle": truck, "period": slot(10, 11), **wishes}
    return book_slot(**asked)


def late(booking: Booking, minutes: int, *, now: datetime = DURING, **wishes: Any) -> Booking:
    return operations.delay_booking(
        booking.pk, timedelta(minutes=minutes), actor=DISPATCHER, now=now, **wishes
    )


def lone_evse(**terms: Any) -> Evse:
    return make_evse(make_depot(terms={**TERMS, **terms}))


def take(evse: Evse, period: Period) -> Booking:
    truck = make_vehicle()
    return book_slot(fleet=truck.fleet, option=option_of(evse), vehicle=truck, period=period)


def test_a_late_truck_moves_start_and_end_off_the_step_past_the_deadline_of_changes_and_gives_the_time_before_back():
    evse = lone_evse()
    booking = late(booked(evse), 20)

    assert booking.period == slot((10, 20), (11, 20))
    assert Occupancy.objects.get(holder=booking.pk).span == slot((10, 20), (11, 25))
    assert booking.no_show_at() == at(10, 35)
    assert booking.events.filter(kind="changed").count() == 1


def test_its_end_moves_only_as_far_as_the_next_slot_leaves_room():
    evse = lone_evse()
    booking = booked(evse)
    take(evse, slot((11, 15), 12))

    assert late(booking, 20).period == slot((10, 20), (11, 10))  # and the turnaround


@pytest.mark.parametrize(("minutes", "left"), [(40, slot((10, 40), (11, 10))), (41, None)])
def test_with_less_than_the_least_duration_left_the_slot_is_taken(minutes: int, left: Period | None):
    evse = lone_evse()
    booking = booked(evse)
    take(evse, slot((11, 15), 12))

    if left:
        assert late(booking, minutes).period == left
    else:
        with pytest.raises(errors.SlotTaken, match="Only 29 minutes are left there before the next slot"):
            late(booking, minutes)
        booking.refresh_from_db()
        assert booking.period == slot(10, 11)


def test_it_stays_where_it_is_as_long_as_there_is_room_and_else_goes_elsewhere_in_its_offer():
    depot = make_depot(terms=TERMS)
    near, far = make_evse(depot), make_evse(depot)
    booking = booked(near, far)
    assert booking.evse is not None
    take(booking.evse, slot((11, 15), 12))

    stayed = late(booking, 20)
    assert (stayed.evse, stayed.ends_at) == (booking.evse, at(11, 10))

    moved = late(stayed, 25)
    assert moved.evse != booking.evse
    assert moved.period == slot((10, 45), (11, 35))


def test_the_end_of_opening_hours_ends_it_too():
    depot = make_depot(terms=TERMS)
    make_opening_hours(depot, 8 * 60, 12 * 60 + 15)  # an hour ahead of UTC
    booking = booked(make_evse(depot))

    assert late(booking, 30).period == slot((10, 30), (11, 15))


def test_after_the_no_show_time_it_is_too_late():
    booking = booked(lone_evse())

    with pytest.raises(errors.ChangeTooLate):
        late(booking, 20, now=at(10, 16))
    with pytest.raises(errors.NothingToChange):
        late(booking, 0)


def test_a_delay_is_priced_as_any_change_of_time():
    evse = lone_evse()
    make_prices(evse.depot, time_per_hour=60)
    booking = booked(evse)
    take(evse, slot((11, 15), 12))

    assert late(booking, 20).quote["total"] == "50.00"


def test_where_the_depot_decides_it_is_asked_and_the_old_slot_stays_until_then():
    evse = lone_evse(approval=True)
    booking = booked(evse)
    operations.decide(booking_id=booking.pk, accept=True, actor=MANAGER, now=NOW)
    take(evse, slot((11, 15), 12))

    asked = late(booking, 20)
    assert asked.period == slot(10, 11)
    [request] = asked.requests.pending()
    assert read_period(request.asked["period"]) == slot((10, 20), (11, 10))

    operations.decide(booking_id=booking.pk, accept=True, actor=MANAGER, now=DURING)
    booking.refresh_from_db()
    assert booking.period == slot((10, 20), (11, 10))


def test_a_truck_that_charges_is_not_late():
    booking = booked(lone_evse())
    Booking.objects.filter(pk=booking.pk).update(status="charging")

    with pytest.raises(errors.WrongStatus):
        late(booking, 20)


def test_another_truck_comes_in_the_slot_with_its_own_cards_until_the_no_show_time():
    evse = lone_evse()
    make_prices(evse.depot, time_per_hour=60)
    booking = booked(evse)
    other = make_vehicle(booking.fleet)

    swapped = operations.swap_vehicle(booking.pk, vehicle=other, actor=DISPATCHER, now=DURING)

    assert (swapped.vehicle, swapped.plate, swapped.evse, swapped.period) == (
        other,
        other.plate,
        evse,
        slot(10, 11),
    )
    assert [token.uid for token in swapped.tokens.all()] == [token.uid for token in other.tokens.all()]
    assert swapped.quote == booking.quote
    with pytest.raises(errors.ChangeTooLate):
        operations.swap_vehicle(
            booking.pk, vehicle=make_vehicle(booking.fleet), actor=DISPATCHER, now=at(10, 16)
        )


def test_a_truck_that_does_not_fit_the_bay_goes_elsewhere_in_the_offer_or_not_at_all():
    depot = make_depot(terms=TERMS)
    short, long = make_evse(depot, max_vehicle_length_cm=1200), make_evse(depot, max_vehicle_length_cm=1800)
    small = make_vehicle(length_cm=1000)
    booking = book_slot(
        fleet=small.fleet, option=make_option(short, long), vehicle=small, period=slot(10, 11)
    )
    assert booking.evse == short

    swapped = operations.swap_vehicle(
        booking.pk, vehicle=make_vehicle(small.fleet, length_cm=1650), actor=DISPATCHER, now=DURING
    )
    assert swapped.evse == long
    with pytest.raises(errors.DoesNotFit):
        operations.swap_vehicle(
            booking.pk, vehicle=make_vehicle(small.fleet, length_cm=2500), actor=DISPATCHER, now=DURING
        )


def test_another_drivers_card_alone_leaves_the_rest_as_it_is():
    booking = booked(lone_evse())
    card = make_vehicle(booking.fleet).tokens.get()

    swapped = operations.swap_vehicle(
        booking.pk, tokens=[TokenName(uid=card.uid)], actor=DISPATCHER, now=DURING
    )

    assert [token.uid for token in swapped.tokens.all()] == [card.uid]
    assert (swapped.vehicle, swapped.period) == (booking.vehicle, booking.period)


def test_a_partner_is_asked_for_all_of_the_later_time():
    fleet, network = make_fleet(), make_fleet("Südnetz", is_partner=True)
    there = make_depot(network, is_mirror=True, open_to_all=False)
    option = make_option(make_evse(there, option=False), is_mirror=True)
    booking = book_slot(fleet=fleet, option=option, period=slot(10, 11), vehicle=make_vehicle(fleet))
    operations.adopt_remote(
        booking_id=booking.pk,
        state=operations.RemoteState(
            remote_status="RESERVED", status="confirmed", period=slot(10, 11),
            decision=BookingRequest.Decision.ACCEPTED,
        ),
        actor=DISPATCHER, now=NOW,
    )  # fmt: skip

    late(booking, 20)

    [request] = booking.requests.pending()
    assert read_period(request.asked["period"]) == slot((10, 20), (11, 20))


def test_who_is_late_gets_no_deadline_back_and_slides_no_further_than_the_longest_slot() -> None:
    evse = lone_evse(cancel_until_min=30, max_duration_min=120)
    booking = late(booked(evse), 90)

    assert booking.starts_at == at(11, 30)
    with pytest.raises(errors.CancelTooLate):
        operations.cancel_booking(
            booking_id=booking.pk, reason="TRAFFIC", by="fleet", actor=DISPATCHER, now=DURING
        )
    with pytest.raises(errors.ChangeTooLate):
        change_slot(booking_id=booking.pk, period=slot(14, 15), now=DURING)
    with pytest.raises(errors.TooFarAhead, match="slides by 120 minutes in all"):
        late(booking, 31)


def test_who_says_in_time_that_a_truck_comes_later_may_change_and_cancel_as_by_any_change() -> None:
    booking = late(booked(lone_evse()), 20, now=NOW)

    assert booking.late_from is None
    assert change_slot(booking_id=booking.pk, period=slot(14, 15), now=NOW).period == slot(14, 15)


def test_a_truck_whose_delay_waits_for_the_depot_is_no_no_show_until_it_is_decided() -> None:
    evse = lone_evse(approval=True, decision_min=20)
    booking = booked(evse)
    operations.decide(booking_id=booking.pk, accept=True, actor=MANAGER, now=NOW)
    late(booking, 45)

    assert enforcement.give_up_or_no_show(booking_id=booking.pk, now=at(10, 15)).status == "confirmed"

    operations.decide(booking_id=booking.pk, accept=True, actor=MANAGER, now=at(10, 20))
    booking.refresh_from_db()
    assert (booking.status, booking.starts_at, booking.late_from) == ("confirmed", at(10, 45), at(10))


def test_one_the_depot_leaves_unanswered_is_a_no_show_then() -> None:
    booking = booked(lone_evse(approval=True, decision_min=10))
    operations.decide(booking_id=booking.pk, accept=True, actor=MANAGER, now=NOW)
    late(booking, 45)

    operations.fail_undecided(booking_id=booking.pk, now=at(10, 20))

    assert enforcement.give_up_or_no_show(booking_id=booking.pk, now=at(10, 20)).status == "no_show"
