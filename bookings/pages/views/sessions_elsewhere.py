"""Saying which booking a session at a partner's depot was for, where the partner has not said it."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_POST

from bookings import operations
from bookings.errors import BookingError
from bookings.models import RemoteSession
from bookings.pages import access
from bookings.pages.views.bookings import booking_page
from bookings.pages.views.refusals import status_of
from bookings.rules.content_version import seen_version


@login_required
@require_POST
def match(request: HttpRequest, booking_id: int) -> HttpResponse:
    """The session was for this booking. 404 for one that is not likely to be."""
    found = access.fleet_booking(request.user, booking_id)
    asked = request.POST.get("session", "")
    try:
        version = seen_version(request.POST)
        session = next((row for row in operations.likely_sessions(found) if str(row.pk) == asked), None)
        if session is None:
            raise Http404
        operations.match_remote_session(
            session_id=session.pk, booking_id=found.pk, matched_by=RemoteSession.MatchedBy.PERSON.value,
            seen_version=version, actor=access.as_dispatcher(request.user), now=timezone.now(),
        )  # fmt: skip
    except BookingError as refusal:
        return booking_page(request, access.booking(request.user, found.pk), status_of(refusal), str(refusal))
    return redirect(found)
