"""The waiting list of one's fleets: joining it out of the finder, taking what is offered, leaving."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.paginator import Page, Paginator
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from bookings import operations
from bookings.errors import BookingError
from bookings.models import BookingStatus, WaitlistEntry
from bookings.pages import access
from bookings.pages.forms.slots import ReserveForm
from bookings.pages.views import trips
from bookings.pages.views.refusals import status_of, words_of
from bookings.pages.waiting import OpenFirst, waiting_of
from bookings.rules.content_version import seen_version
from depots import pages

A_PAGE = 50


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def waitlist(request: HttpRequest) -> HttpResponse:
    """The list; sending a slot of the finder here waits for it."""
    if request.method == "POST":
        return _join(request)
    access.fleet_member(request.user)
    return _page(request)


@login_required
@require_POST
def accept(request: HttpRequest, entry_id: int) -> HttpResponse:
    found = access.waitlist_entry(request.user, entry_id)
    try:
        booking = operations.accept_offer(
            entry_id=found.pk, seen_version=seen_version(request.POST),
            actor=access.as_dispatcher(request.user), now=timezone.now(),
        )  # fmt: skip
    except BookingError as refusal:
        return _page(request, status_of(refusal), words_of(refusal))
    words = "Asked for." if booking.status == BookingStatus.REQUESTED else "Booked."
    return pages.done(request, booking.get_absolute_url(), words)


@login_required
@require_POST
def leave(request: HttpRequest, entry_id: int) -> HttpResponse:
    found = access.waitlist_entry(request.user, entry_id)
    try:
        operations.leave_waitlist(
            entry_id=found.pk, seen_version=seen_version(request.POST),
            actor=access.as_dispatcher(request.user), now=timezone.now(),
        )  # fmt: skip
    except BookingError as refusal:
        return _page(request, status_of(refusal), words_of(refusal))
    return pages.done(request, reverse("bookings:waitlist"), "No longer waiting for this slot.")


def _join(request: HttpRequest) -> HttpResponse:
    fleets, now = access.dispatcher(request.user), timezone.now()
    form = ReserveForm(_slot_sent(request), fleets=fleets, vehicles=trips.vehicles_of(fleets), now=now)
    if not form.is_valid():
        sentences = " ".join(str(error) for errors in form.errors.values() for error in errors)
        return _page(request, 422, sentences)
    wanted = replace(form.slot_request(""), shown_price=None)
    try:
        operations.join_waitlist(wanted, actor=access.as_dispatcher(request.user), now=now)
    except BookingError as refusal:
        return _page(request, status_of(refusal), words_of(refusal))
    words = "You wait for this slot, and are told when it comes free."
    return pages.done(request, reverse("bookings:waitlist"), words)


def _slot_sent(request: HttpRequest) -> dict[str, Any]:
    """Of a depot's refused slots each is a button that names its option and EVSE."""
    option, _, evse = request.POST.get("place", "").partition("-")
    return {**request.POST.dict(), "option": option, "evse": evse}


def _page(request: HttpRequest, status: int = 200, refusal: str = "") -> HttpResponse:
    now = timezone.now()
    entries = OpenFirst(access.open_waitlist_of(request.user), access.settled_waitlist_of(request.user))
    page: Page[WaitlistEntry] = Paginator(entries, A_PAGE).get_page(request.GET.get("page"))
    context = {
        "entries": waiting_of(page.object_list, now), "page": page, "refusal": refusal,
        "may_book": bool(access.fleets_booked_for(request.user)), "now": now,
    }  # fmt: skip
    return pages.respond(request, "bookings/waitlist/list", context, status)
