"""/waitlist: slots that somebody else has, offered in turn when they come free."""

from __future__ import annotations

import json
from typing import Literal

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from ninja import Query, Router
from pydantic import BaseModel, Field

from bookings import operations
from bookings.api.authentication import Caller, caller_of
from bookings.api.booking_objects import bookings_of, told_whole
from bookings.api.booking_requests import NewBooking, slot_request
from bookings.api.fields import Moment, whole_number
from bookings.api.paging import Page, paged
from bookings.api.preconditions import SeenOffer, seen_offer, seen_version
from bookings.api.problems import ApiResponse
from bookings.api.schemas import List, WholeBooking
from bookings.models import WaitlistEntry
from bookings.notifications.waitlist_object import waitlist_object
from bookings.operations.waitlist import entry_version

router = Router()
AT_HAND = ("depot", "option", "evse", "vehicle", "held__evse")


class WaitlistPage(Page):
    status: Literal["waiting", "offered", "accepted", "expired", "withdrawn"] | None = None


class Offer(BaseModel):
    option: str
    evse: str | None = Field(description="that is held; null at a partner, where nothing is")
    starts_at: Moment
    ends_at: Moment
    until: Moment


class WaitlistObject(BaseModel):
    id: int
    version: int
    status: str
    offer: Offer | None
    depot: str
    option: str
    evse: str | None
    vehicle: str | None
    starts_at: Moment
    ends_at: Moment | None
    booking: int | None = Field(description="what an accepted offer became")
    waits_until: Moment
    created_at: Moment


@router.post("", response={201: WaitlistObject})
def join(request: HttpRequest, body: NewBooking) -> HttpResponse:
    """Wait for a slot. What would be refused for another reason than that it is taken is refused."""
    caller = caller_of(request)
    entry = operations.join_waitlist(slot_request(caller, body), actor=caller.actor, now=caller.now)
    response = _answer(entry, status=201)
    response["Location"] = f"/api/v1/waitlist/{entry.pk}"
    return response


@router.get("", response=List[WaitlistObject])
def entries(request: HttpRequest, query: Query[WaitlistPage]) -> HttpResponse:
    rows = _entries_of(caller_of(request))
    rows = rows.filter(status=query.status) if query.status else rows
    told = paged(rows, query, ["asked_at", "pk"], waitlist_object)
    return ApiResponse(json.dumps(told, ensure_ascii=False))


@router.get("/{entry_id}", response=WaitlistObject)
def entry(request: HttpRequest, entry_id: str) -> HttpResponse:
    """`ETag` is its version: another one whenever something else is on offer."""
    return _answer(_own_entry(caller_of(request), entry_id))


@router.delete("/{entry_id}", response={204: None})
def leave(request: HttpRequest, entry_id: str) -> HttpResponse:
    """Wait no more; what is offered goes to the next in turn."""
    caller = caller_of(request)
    found = _own_entry(caller, entry_id)
    seen = seen_version(request, entry_version(found), of="entry")
    operations.leave_waitlist(entry_id=found.pk, seen_version=seen, actor=caller.actor, now=caller.now)
    return HttpResponse(status=204)


@router.post("/{entry_id}/acceptance", response=WholeBooking)
def accept(request: HttpRequest, entry_id: str, body: SeenOffer | None = None) -> HttpResponse:
    """Take what is offered: the Booking, `confirmed`, or `requested` where a depot or a partner decides. With `If-Match`, or
    `version`, only the offer that was seen."""
    caller = caller_of(request)
    found = _own_entry(caller, entry_id)
    booking = operations.accept_offer(
        entry_id=found.pk, seen_version=seen_offer(request, body, entry_version(found)), actor=caller.actor, now=caller.now
    )  # fmt: skip
    return told_whole(bookings_of(caller.organisation).get(pk=booking.pk))


def _entries_of(caller: Caller) -> QuerySet[WaitlistEntry]:
    return WaitlistEntry.objects.filter(fleet=caller.organisation).select_related(*AT_HAND)


def _answer(entry: WaitlistEntry, *, status: int = 200) -> HttpResponse:
    response = ApiResponse(json.dumps(waitlist_object(entry), ensure_ascii=False), status=status)
    response["ETag"] = f'"{entry_version(entry)}"'
    return response


def _own_entry(caller: Caller, entry_id: str) -> WaitlistEntry:
    """404 for what is not the caller's."""
    return get_object_or_404(_entries_of(caller), pk=whole_number(entry_id))
