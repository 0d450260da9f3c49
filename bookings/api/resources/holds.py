"""/holds: a slot kept for a while. A hold is a booking that is `held`; it is read, and listed, as one."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from ninja import Router

from bookings import operations
from bookings.api.authentication import caller_of
from bookings.api.booking_objects import told_whole
from bookings.api.booking_requests import NewBooking, slot_request
from bookings.api.resources.bookings import own_booking
from bookings.api.schemas import WholeBooking

router = Router()


@router.post("", response={201: WholeBooking})
def hold(request: HttpRequest, body: NewBooking) -> HttpResponse:
    """Keep a slot until `held_until`. A partner's slot cannot be held."""
    caller = caller_of(request)
    made = operations.hold_slot(slot_request(caller, body), actor=caller.actor, now=caller.now)
    return told_whole(made, status=201)


@router.post("/{booking_id}/confirmation", response=WholeBooking)
def confirm(request: HttpRequest, booking_id: str) -> HttpResponse:
    """Make it a booking, or a request where the depot decides."""
    caller = caller_of(request)
    found = own_booking(caller, booking_id)
    confirmed = operations.confirm_hold(booking_id=found.pk, actor=caller.actor, now=caller.now)
    return told_whole(confirmed)


@router.delete("/{booking_id}", response={204: None})
def release(request: HttpRequest, booking_id: str) -> HttpResponse:
    """Give it back."""
    caller = caller_of(request)
    operations.release_hold(booking_id=own_booking(caller, booking_id).pk, actor=caller.actor, now=caller.now)
    return HttpResponse(status=204)
