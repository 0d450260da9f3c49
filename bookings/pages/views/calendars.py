"""Addresses for calendar programs: where people make and revoke them, and what is behind one."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotModified
from django.urls import reverse
from django.utils import timezone
from django.utils.http import parse_etags
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from bookings.errors import BookingError
from bookings.models import CalendarFeed
from bookings.notifications import calendar_feeds
from bookings.pages import telling_access
from bookings.pages.forms.telling import CalendarForm
from bookings.pages.views.inbox import person
from depots.pages import done, respond

LONGEST_SECRET = 64


@never_cache
@login_required
@require_safe
def calendars(request: HttpRequest) -> HttpResponse:
    return _list(request, _form(request))


@never_cache
@login_required
@require_POST
def add(request: HttpRequest) -> HttpResponse:
    """The answer shows the address, this once."""
    form = _form(request, request.POST)
    if not form.is_valid():
        return _list(request, form, status=422)
    try:
        made, secret = calendar_feeds.make_feed(
            **_asked(request, form.cleaned_data["of"]), by=person(request), now=timezone.now()
        )
    except BookingError as refusal:
        form.add_error(None, str(refusal))
        return _list(request, form, status=422)
    address = settings.BERTH_BASE_URL + reverse("telling:calendar_file", args=[secret])
    return _list(request, _form(request), made=made, address=address, status=201)


@login_required
@require_POST
def revoke(request: HttpRequest, feed_id: int) -> HttpResponse:
    """It is made or revoked, and never another: there is no version of it."""
    feed = telling_access.calendar_feed(request.user, feed_id)
    calendar_feeds.revoke(feed, now=timezone.now())
    return done(
        request, reverse("telling:calendars"), f"The address for {calendar_feeds.name_of(feed)} is closed."
    )


@require_safe
def calendar_file(request: HttpRequest, secret: str) -> HttpResponse:
    """What a calendar program reads; whoever knows the address may."""
    feed = calendar_feeds.find_feed(secret) if len(secret) <= LONGEST_SECRET and secret.isascii() else None
    if feed is None:
        raise Http404
    now = timezone.now()
    tag = f'"{calendar_feeds.etag(feed, now=now)}"'
    if tag in {one.removeprefix("W/") for one in parse_etags(request.headers.get("If-None-Match", ""))}:
        response: HttpResponse = HttpResponseNotModified()
    else:
        response = HttpResponse(
            calendar_feeds.content(feed, now=now), content_type="text/calendar; charset=utf-8"
        )
    response["ETag"], response["Cache-Control"] = tag, "private, no-cache"
    return response


def _form(request: HttpRequest, data: Any = None) -> CalendarForm:
    return CalendarForm(
        data,
        fleets=telling_access.calendar_fleets(request.user),
        vehicles=list(telling_access.calendar_vehicles(request.user)),
        depots=list(telling_access.calendar_depots(request.user)),
    )


def _asked(request: HttpRequest, of: str) -> dict[str, Any]:
    """One of those that the form offered to this person."""
    kind, _, key = of.partition("-")
    if kind == "vehicle":
        vehicle = telling_access.calendar_vehicles(request.user).get(pk=key)
        return {"organisation": vehicle.fleet, "vehicle": vehicle}
    if kind == "depot":
        depot = telling_access.calendar_depots(request.user).get(pk=key)
        return {"organisation": depot.operator, "depot": depot}
    fleets = {str(fleet.pk): fleet for fleet in telling_access.calendar_fleets(request.user)}
    return {"organisation": fleets[key]}


def _list(
    request: HttpRequest,
    form: CalendarForm,
    *,
    made: CalendarFeed | None = None,
    address: str = "",
    status: int = 200,
) -> HttpResponse:
    feeds = telling_access.calendar_feeds(request.user)
    context = {
        "feeds": [(feed, calendar_feeds.name_of(feed)) for feed in feeds],
        "form": form,
        "made": made and calendar_feeds.name_of(made),
        "address": address,
    }
    return respond(request, "telling/calendars", context, status)
