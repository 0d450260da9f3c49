"""After its deadline a booking can be cancelled where its terms have a fee for that, until it starts."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bookings import operations
from bookings.errors import CancelTooLate, TooLateToUndo
from bookings.models import Booking
from bookings.operations.undo import Act, Undo, can_undo, undo
from tests.factories import (
    DISPATCHER,
    MANAGER,
    NOW,
    at,
    book_slot,
    make_depot,
    make_evse,
    make_vehicle,
    option_of,
    slot,
)

pytestmark = pytest.mark.django_db


def booked(**terms) -> Booking:
    evse, vehicle = make_evse(make_depot(terms={"cancel_until_min": 60, **terms})), make_vehicle()
    return book_slot(fleet=vehicle.fleet, vehicle=vehicle, option=option_of(evse), period=slot(10, 11))


def cancel(booking: Booking, now, by: str = "fleet") -> Booking:
    actor = DISPATCHER if by == "fleet" else MANAGER
    return operations.cancel_booking(booking_id=booking.pk, reason="TRAFFIC", by=by, actor=actor, now=now)


def test_where_terms_have_a_late_cancellation_it_is_possible_until_the_start():
    assert cancel(booked(late_cancel=True), at(9, 59)).status == "cancelled"

    with pytest.raises(CancelTooLate, match="15 Jan 11:00"):
        cancel(booked(late_cancel=True), at(10))


def test_elsewhere_it_is_refused_as_it_was():
    with pytest.raises(CancelTooLate, match="15 Jan 10:00"):
        cancel(booked(), at(9, 30))
    assert cancel(booked(), at(9, 30), by="depot").status == "cancelled"


def test_one_click_takes_back_nothing_that_would_cost_a_fee():
    booking = booked(late_cancel=True)
    click = Undo(Act.MADE, booking.pk, booking.version, NOW)

    assert can_undo(click, booking, now=at(9))
    assert not can_undo(click, booking, now=at(9, 1))


def test_a_click_that_comes_after_the_deadline_costs_no_fee_either():
    first, second = booked(late_cancel=True), booked(late_cancel=True)
    on_the_way = at(9) + timedelta(seconds=1)

    with pytest.raises(CancelTooLate, match="free of charge until"):
        undo(Undo(Act.MADE, first.pk, first.version, at(9)), actor=DISPATCHER, now=on_the_way)
    done = undo(Undo(Act.MADE, second.pk, second.version, at(9)), actor=DISPATCHER, now=at(9))
    again = undo(Undo(Act.MADE, second.pk, second.version, at(9)), actor=DISPATCHER, now=on_the_way)
    assert (done.status, again) == ("cancelled", done)


def test_one_click_takes_no_late_cancellation_back_that_has_cost_its_fee():
    in_time, late = cancel(booked(late_cancel=True), at(9)), cancel(booked(late_cancel=True), at(9, 1))
    clicks = {
        booking.pk: Undo(Act.CANCELLED, booking.pk, booking.version, at(9, 1)) for booking in (in_time, late)
    }

    assert can_undo(clicks[in_time.pk], in_time, now=at(9, 1))
    assert not can_undo(clicks[late.pk], late, now=at(9, 1))
    with pytest.raises(TooLateToUndo):
        undo(clicks[late.pk], actor=DISPATCHER, now=at(9, 1))
