"""A booking that is changed to another option of its depot: its EVSEs, terms and tariff hold from then on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from bookings import errors, operations
from bookings.errors import BookingError
from bookings.models import Booking, BookingOption, BookingRequest, TermsOverride
from bookings.operations.undo import Act, Undo, can_undo, undo
from bookings.rules import quotes
from depots.models import Depot, Evse
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
    option_of,
    slot,
)
from tests.money_factories import make_prices

pytestmark = pytest.mark.django_db


class Yard:
    """A depot with two options, each of one EVSE, and a booking under the first from 12 to 13."""

    def __init__(self, *, terms: dict[str, Any] | None = None, **second: Any) -> None:
        self.depot: Depot = make_depot()
        self.evse: Evse = make_evse(self.depot)
        self.fleet = make_fleet()
        other = make_evse(self.depot, option=False, **second)
        self.other: BookingOption = make_option(other, terms=terms or {"turnaround_min": 10})
        self.booking: Booking = book_slot(
            fleet=self.fleet,
            option=option_of(self.evse),
            vehicle=make_vehicle(self.fleet),
            period=slot(12, 13),
        )

    def change(self, **asked: Any) -> Booking:
        return change_slot(booking_id=self.booking.pk, **{"option": self.other, **asked})


def test_its_evse_terms_and_price_are_those_of_the_other() -> None:
    yard = Yard(max_power_w=200_000)
    make_prices(yard.depot, time_per_hour=60)

    changed = yard.change()

    booking = Booking.objects.get(pk=yard.booking.pk)
    assert booking.option == changed.option == yard.other
    assert (booking.evse, booking.period) == (yard.other.evses.get(), slot(12, 13))
    assert (booking.terms.turnaround_min, booking.promised_power_w) == (10, 200_000)
    assert quotes.brief(booking.quote) == {"currency": "EUR", "total": "60.00"}
    assert not booking.is_evse_asked
    [event] = booking.events.filter(kind="changed")
    assert (event.detail["before"]["option"], event.detail["after"]["option"]) == (
        yard.evse.uid,
        yard.other.code,
    )
    asked = BookingRequest.objects.get(booking=booking, kind="change").asked
    assert asked["option"] == yard.other.code
    # The old place is free again.
    book_slot(
        fleet=yard.fleet, option=option_of(yard.evse), vehicle=make_vehicle(yard.fleet), period=slot(12, 13)
    )


def test_with_another_time_and_evse_it_goes_there_at_once() -> None:
    yard = Yard()
    second = make_evse(yard.depot, option=False)
    yard.other.evses.add(second)

    changed = yard.change(evse=second, period=slot(15, 16))

    assert (changed.option, changed.evse, changed.period) == (yard.other, second, slot(15, 16))
    assert changed.is_evse_asked


def test_where_the_other_needs_approval_it_waits_and_stays_what_it_is() -> None:
    yard = Yard(terms={"approval": True, "no_show_min": 40})

    changed = yard.change()

    assert changed.option == option_of(yard.evse)
    waiting = Booking.objects.get(pk=changed.pk)
    assert (waiting.option, waiting.evse, waiting.status) == (option_of(yard.evse), yard.evse, "confirmed")
    assert waiting.pending_request is not None

    operations.decide(booking_id=changed.pk, accept=True, actor=MANAGER, now=NOW)

    booking = Booking.objects.get(pk=changed.pk)
    assert (booking.option, booking.evse) == (yard.other, yard.other.evses.get())
    assert (booking.terms.approval, booking.terms.no_show_min) == (True, 40)


def test_a_later_ask_for_another_truck_keeps_the_option_that_waits() -> None:
    yard = Yard(terms={"approval": True})
    truck = make_vehicle(yard.fleet)
    yard.change()
    change_slot(booking_id=yard.booking.pk, vehicle=truck)

    operations.decide(booking_id=yard.booking.pk, accept=True, actor=MANAGER, now=NOW)

    booking = Booking.objects.get(pk=yard.booking.pk)
    assert (booking.option, booking.vehicle) == (yard.other, truck)


def taken(yard: Yard) -> dict[str, Any]:
    truck = make_vehicle(yard.fleet)
    book_slot(fleet=yard.fleet, option=yard.other, vehicle=truck, period=slot(11, (12, 30)))
    return {}


def too_low(yard: Yard) -> dict[str, Any]:
    yard.other.evses.update(max_vehicle_height_cm=380)
    return {"vehicle": make_vehicle(yard.fleet, height_cm=400)}


def off_its_step(yard: Yard) -> dict[str, Any]:
    TermsOverride.objects.filter(option=yard.other).update(slot_step_min=60)
    return {"period": slot((12, 15), (13, 15))}


def under(**terms: Any) -> Callable[[Yard], dict[str, Any]]:
    """Nothing is asked for but the option, whose terms do not allow the slot as it is."""

    def ask(yard: Yard) -> dict[str, Any]:
        TermsOverride.objects.filter(option=yard.other).update(**terms)
        return {}

    return ask


def too_far_ahead(yard: Yard) -> dict[str, Any]:
    yard.booking = book_slot(
        fleet=yard.fleet,
        option=option_of(yard.evse),
        vehicle=make_vehicle(yard.fleet),
        period=slot(12, 13, day=2),
    )
    return under(horizon_days=1)(yard)


def one_too_many(yard: Yard) -> dict[str, Any]:
    """What it has itself counts for nothing."""
    under(max_open_bookings=1)(yard)
    book_slot(
        fleet=yard.fleet, option=option_of(yard.evse), vehicle=make_vehicle(yard.fleet), period=slot(15, 16)
    )
    return {}


def of_another_depot(yard: Yard) -> dict[str, Any]:
    return {"option": option_of(make_evse())}


def not_open(yard: Yard) -> dict[str, Any]:
    BookingOption.objects.filter(pk=yard.other.pk).update(is_withdrawn=True)
    return {}


def of_the_first(yard: Yard) -> dict[str, Any]:
    """The EVSE is none of the option."""
    return {"evse": yard.evse}


def at_the_deadline(yard: Yard) -> dict[str, Any]:
    return {"now": at(11, 59)}


@pytest.mark.parametrize(
    ("wrong", "refusal"),
    [
        (taken, errors.SlotTaken),
        (too_low, errors.DoesNotFit),
        (off_its_step, errors.NotAligned),
        (under(slot_step_min=90), errors.NotAligned),
        (under(max_duration_min=45), errors.TooLong),
        (under(min_duration_min=75), errors.TooShort),
        (under(lead_min=1440), errors.TooSoon),
        (too_far_ahead, errors.TooFarAhead),
        (one_too_many, errors.TooManyBookings),
        (of_another_depot, errors.OptionUnknown),
        (not_open, errors.NotOpenToYou),
        (of_the_first, errors.DoesNotFit),
        (at_the_deadline, errors.ChangeTooLate),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_changes(wrong: Any, refusal: type[BookingError]) -> None:
    yard = Yard()
    asked = wrong(yard)

    with pytest.raises(refusal):
        yard.change(**asked)

    booking = Booking.objects.get(pk=yard.booking.pk)
    assert (booking.option, booking.evse, booking.version) == (option_of(yard.evse), yard.evse, 1)


def test_it_counts_the_others_behind_the_depots_lock_and_not_itself() -> None:
    yard = Yard(terms={"max_open_bookings": 1})

    with CaptureQueriesContext(connection) as statements:
        assert yard.change().option == yard.other

    assert any('FROM "depots_depot"' in one["sql"] and "UPDATE" in one["sql"] for one in statements)


def undo_of(yard: Yard, changed: Booking) -> Undo:
    was = yard.booking
    before = {"evse_id": was.evse_id, "option_id": was.option_id, "approval": was.terms.approval}
    return Undo(Act.CHANGED, changed.pk, changed.version, NOW, **before)


def test_undone_it_has_the_terms_it_had_whatever_they_are_by_now() -> None:
    yard = Yard(terms={"turnaround_min": 10, "no_show_min": 40})
    was = Booking.objects.get(pk=yard.booking.pk)
    click = undo_of(yard, yard.change())
    assert can_undo(click, Booking.objects.get(pk=was.pk), now=NOW)
    TermsOverride.objects.create(
        option=option_of(yard.evse), lead_min=1440, no_show_min=20, max_open_bookings=1, approval=True
    )

    undo(click, actor=DISPATCHER, now=NOW)

    booking = Booking.objects.get(pk=was.pk)
    assert (booking.option, booking.evse, booking.quote) == (was.option, was.evse, was.quote)
    assert booking.terms == was.terms
    assert booking.pending_request is None


@pytest.mark.parametrize("approving", ["first", "other"])
def test_nobody_is_offered_an_undo_that_the_depot_would_have_to_decide_on(approving: str) -> None:
    yard = Yard(terms={"approval": approving == "other"})
    if approving == "first":
        Booking.objects.filter(pk=yard.booking.pk).update(
            terms_json=yard.booking.terms_json | {"approval": True}
        )
        yard.booking = Booking.objects.get(pk=yard.booking.pk)
    changed = yard.change()
    assert (changed.option == yard.other) == (approving == "first")

    assert not can_undo(undo_of(yard, changed), changed, now=NOW)
