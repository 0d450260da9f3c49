"""What somebody else commits while an operation waits for its locks counts: facts are read after them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from bookings import errors, operations
from bookings.core import locking
from bookings.models import Booking, Closure, TermsOverride, Vehicle
from bookings.operations import booking_ground
from bookings.rules import configuration
from depots.models import Agreement, Depot, Evse
from tests.factories import (
    DISPATCHER,
    MANAGER,
    NOW,
    at,
    book_slot,
    change_slot,
    make_depot,
    make_evse,
    make_option,
    make_vehicle,
    option_of,
    place_hold,
    slot,
)

pytestmark = pytest.mark.django_db


def while_waiting(monkeypatch: pytest.MonkeyPatch, does: Callable[[], Any]) -> None:
    """Once, as if it had been committed by whoever held the first lock."""
    lock, done = locking.lock_ids, []

    def waiting(evse_ids: Any) -> None:
        lock(evse_ids)
        if not done:
            done.append(does())

    for module in (locking, booking_ground):
        monkeypatch.setattr(module, "lock_ids", waiting)


def withdraw() -> None:
    Evse.objects.update(is_withdrawn=True)


def leave_option() -> None:
    for option in Evse.objects.get().options.all():
        option.evses.clear()


def forbid_the_length() -> None:
    TermsOverride.objects.update(max_duration_min=30)


def end_the_agreement() -> None:
    Agreement.objects.update(ends_at=NOW)


def shut_the_gate() -> None:
    Depot.objects.get().opening_hours.create(weekday=7, from_minute=0, to_minute=60)


CHANGES: dict[Callable[[], Any], type[errors.BookingError]] = {
    withdraw: errors.DoesNotFit,
    leave_option: errors.DoesNotFit,
    lambda: Evse.objects.update(max_vehicle_length_cm=900): errors.DoesNotFit,
    forbid_the_length: errors.TooLong,
    end_the_agreement: errors.NotOpenToYou,
    shut_the_gate: errors.DepotClosed,
    lambda: Vehicle.objects.update(is_retired=True): errors.VehicleUnknown,
    lambda: Vehicle.objects.update(connector_standards=["MCS"]): errors.DoesNotFit,
}


@pytest.mark.parametrize(("happens", "error"), CHANGES.items(), ids=range(len(CHANGES)))
@pytest.mark.parametrize("does", [book_slot, place_hold])
def test_a_booking_goes_by_what_is_there_once_its_place_is_locked(monkeypatch, happens, error, does):
    evse, truck = make_evse(), make_vehicle(length_cm=1650)
    while_waiting(monkeypatch, happens)

    with pytest.raises(error):
        does(
            fleet=truck.fleet,
            option=option_of(evse),
            vehicle=truck,
            period=slot(10, 11),
            actor=DISPATCHER,
            now=NOW,
        )


def test_less_power_counts_that_came_while_a_booking_waited(monkeypatch):
    evse, truck = make_evse(max_power_w=300_000), make_vehicle()
    while_waiting(monkeypatch, lambda: Evse.objects.update(max_power_w=150_000))

    booking = book_slot(
        fleet=truck.fleet,
        option=option_of(evse),
        vehicle=truck,
        period=slot(10, 11),
        actor=DISPATCHER,
        now=NOW,
    )

    assert booking.promised_power_w == 150_000


@pytest.mark.parametrize(
    "happens",
    [
        lambda pk: Evse.objects.filter(pk=pk).update(is_withdrawn=True),
        lambda pk: Evse.objects.get(pk=pk).options.clear(),
        lambda pk: Evse.objects.filter(pk=pk).update(max_vehicle_length_cm=900),
    ],
    ids=["withdrawn", "of another offer", "a smaller bay"],
)
def test_a_change_goes_by_what_an_evse_is_like_once_it_is_locked(monkeypatch, happens):
    depot, truck = make_depot(), make_vehicle(length_cm=1650)
    evses = [make_evse(depot), make_evse(depot)]
    booking = book_slot(
        fleet=truck.fleet,
        option=make_option(*evses),
        vehicle=truck,
        period=slot(10, 11),
        actor=DISPATCHER,
        now=NOW,
    )
    [other] = [evse for evse in evses if evse.pk != booking.evse_id]
    while_waiting(monkeypatch, lambda: happens(other.pk))

    with pytest.raises(errors.DoesNotFit):
        change_slot(booking_id=booking.pk, evse=other, actor=DISPATCHER, now=NOW)


def test_a_limit_that_binds_only_by_now_is_kept_under_the_depots_lock(monkeypatch):
    """It is noticed under the EVSE's lock, and all is done again with the depot locked before it."""
    evse, truck = make_evse(max_power_w=300_000), make_vehicle()
    locked: list[Any] = []
    lock, kept, stale = (
        booking_ground.lock_depot,
        configuration.kept,
        iter([configuration.current(evse.depot_id)]),
    )
    monkeypatch.setattr(booking_ground, "lock_depot", lambda pk: locked.append(lock(pk)))
    monkeypatch.setattr(configuration, "kept", lambda pk: next(stale, None) or kept(pk))
    Depot.objects.update(grid_limit_w=100_000)

    booking = book_slot(
        fleet=truck.fleet,
        option=option_of(evse),
        vehicle=truck,
        period=slot(10, 11),
        actor=DISPATCHER,
        now=NOW,
    )

    assert (booking.promised_power_w, len(locked)) == (100_000, 1)


LATER_RIGHT: dict[str, Callable[[], Any]] = {
    "another plug": lambda: Vehicle.objects.update(connector_standards=["IEC_62196_T2_COMBO"]),
    "a longer bay": lambda: Evse.objects.update(max_vehicle_length_cm=None),
    "a longer term": lambda: TermsOverride.objects.update(max_duration_min=60),
}


@pytest.mark.parametrize("happens", LATER_RIGHT)
def test_what_becomes_right_while_a_booking_waits_is_not_refused(monkeypatch, happens):
    """What is made of it before the lock refuses nothing."""
    wrong = {"connector_standards": ["MCS"]} if happens == "another plug" else {}
    length_cm = 900 if happens == "a longer bay" else None
    most_min = 30 if happens == "a longer term" else 60
    evse = make_evse(make_depot(terms={"max_duration_min": most_min}), max_vehicle_length_cm=length_cm)
    truck = make_vehicle(length_cm=1650, **wrong)
    while_waiting(monkeypatch, LATER_RIGHT[happens])

    booking = _booked(evse, vehicle=truck)

    assert (booking.status, booking.terms.max_duration_min) == ("confirmed", 60)


def test_an_evse_withdrawn_meanwhile_is_not_closed(monkeypatch):
    evse = make_evse()
    Evse.objects.update(is_withdrawn=True)

    with pytest.raises(errors.EvseUnknown):
        operations.close_evse(evse=evse, period=slot(10, 11), actor=MANAGER, now=NOW)

    assert not Closure.objects.exists()


def test_a_request_that_would_be_a_no_show_at_once_is_not_accepted():
    depot = make_depot(terms={"approval": True, "no_show_min": 15, "decision_min": 600})
    booking = _booked(make_evse(depot), slot(9, 10))

    with pytest.raises(errors.WrongStatus, match="had to be there"):
        operations.decide(booking_id=booking.pk, accept=True, actor=MANAGER, now=at(9, 15))
    assert (
        operations.decide(booking_id=booking.pk, accept=False, actor=MANAGER, now=at(9, 15)).status
        == "declined"
    )


def test_nobody_waits_for_an_answer_past_the_moment_the_truck_had_to_be_there():
    depot = make_depot(terms={"approval": True, "no_show_min": 15, "decision_min": 600})

    assert _booked(make_evse(depot), slot(9, 10)).decide_until == at(9, 15)


def test_a_change_into_the_past_is_not_accepted():
    depot = make_depot(terms={"approval": True, "no_show_min": 15, "decision_min": 600})
    booking = _booked(make_evse(depot), slot(15, 16))
    operations.decide(booking_id=booking.pk, accept=True, actor=MANAGER, now=NOW)
    changed = change_slot(booking_id=booking.pk, period=slot(9, 10), actor=DISPATCHER, now=NOW)

    assert changed.decide_until == at(9, 15)
    with pytest.raises(errors.WrongStatus):
        operations.decide(booking_id=booking.pk, accept=True, actor=MANAGER, now=at(9, 15))
    assert Booking.objects.get(pk=booking.pk).period == slot(15, 16)


def test_a_hold_confirmed_too_late_to_come_is_no_booking():
    evse = make_evse(make_depot(terms={"no_show_min": 5, "hold_min": 60}))
    truck = make_vehicle()
    hold = place_hold(
        fleet=truck.fleet,
        option=option_of(evse),
        vehicle=truck,
        period=slot(9, 10),
        actor=DISPATCHER,
        now=at(8, 50),
    )

    with pytest.raises(errors.WrongStatus):
        operations.confirm_hold(booking_id=hold.pk, actor=DISPATCHER, now=at(9, 5))


def test_of_a_customer_so_many_bookings_are_open_at_a_depot_as_its_terms_allow():
    depot = make_depot(terms={"max_open_bookings": 2})
    truck, stranger = make_vehicle(), make_vehicle()
    evses = [make_evse(depot) for _ in range(4)]
    first = _booked(evses[0], vehicle=truck)
    _booked(evses[1], vehicle=truck)

    with pytest.raises(errors.TooManyBookings):
        _booked(evses[2], vehicle=truck)

    assert _booked(evses[2], vehicle=stranger).status == "confirmed"
    operations.cancel_booking(booking_id=first.pk, reason="TRAFFIC", by="fleet", actor=DISPATCHER, now=NOW)
    assert _booked(evses[3], vehicle=truck).status == "confirmed"


def test_a_hold_that_ran_out_is_no_open_booking():
    depot = make_depot(terms={"max_open_bookings": 1})
    truck = make_vehicle()
    evses = [make_evse(depot), make_evse(depot)]
    place_hold(
        fleet=truck.fleet,
        option=option_of(evses[0]),
        vehicle=truck,
        period=slot(10, 11),
        actor=DISPATCHER,
        now=NOW,
    )

    with pytest.raises(errors.TooManyBookings):
        _booked(evses[1], vehicle=truck)
    assert _booked(evses[1], vehicle=truck, now=NOW + timedelta(minutes=10)).status == "confirmed"


def _booked(evse: Evse, period: Any = slot(10, 11), **wishes: Any) -> Booking:
    truck = wishes.pop("vehicle", None) or make_vehicle()
    asked = {"fleet": truck.fleet, "option": option_of(evse), "vehicle": truck, "now": NOW, **wishes}
    return book_slot(period=period, actor=DISPATCHER, **asked)
