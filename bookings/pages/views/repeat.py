"""A booking that is to come again: a rule, what becomes of each day, then one click."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID, uuid4

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from bookings import operations
from bookings.errors import BookingError, RuleUnclear
from bookings.models import Booking, BookingSeries
from bookings.operations import OccurrenceOutcome
from bookings.operations.many_wishes import version_of
from bookings.pages import access
from bookings.pages.forms.series import RepeatForm
from bookings.pages.series_rows import can_repeat, rule_words, series_rows
from bookings.pages.views.refusals import status_of, words_of
from bookings.rules.content_version import seen_version
from bookings.rules.recurrence import MOST_OCCURRENCES
from depots import pages


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def repeat(request: HttpRequest, booking_id: int) -> HttpResponse:
    """The form; sent, what was previewed is booked: all, or what fits."""
    known, now = access.fleet_booking(request.user, booking_id), timezone.now()
    made = BookingSeries.objects.filter(fleet=known.fleet_id, request_id=_key(request)).first()
    if made is not None:  # sent twice, and the first was quicker
        return pages.done(request, made.get_absolute_url())
    found = _repeatable(known)
    if request.method != "POST":
        return _page(request, found, RepeatForm(found, None, now=now), now, 200)
    form = _sent(request, found, now)
    if not form.is_valid():
        return _page(request, found, form, now, 422)
    try:
        made = operations.book_series(
            form.series_request(_key(request)), what_fits=request.POST.get("mode") == "what_fits",
            seen_version=seen_version(request.POST), actor=access.as_dispatcher(request.user), now=now,
        )  # fmt: skip
    except BookingError as refusal:
        return _page(request, found, form, now, status_of(refusal), refused=words_of(refusal))
    return pages.done(request, made.get_absolute_url(), "The series is booked.")


@login_required
@require_POST
def preview(request: HttpRequest, booking_id: int) -> HttpResponse:
    """What would become of each day; nothing is booked."""
    found, now = _repeatable(access.fleet_booking(request.user, booking_id)), timezone.now()
    form = _sent(request, found, now)
    return _page(request, found, form, now, 200 if form.is_valid() else 422)


def _repeatable(found: Booking) -> Booking:
    if not can_repeat(found):
        raise Http404
    return found


def _sent(request: HttpRequest, found: Booking, now: datetime) -> RepeatForm:
    form = RepeatForm(found, request.POST, now=now)
    form.move(request.POST.getlist("moved")[:MOST_OCCURRENCES])
    if taken := request.POST.get("take"):
        form.move([taken])
    if left := request.POST.get("leave"):
        form.leave_out(left[:10])
    return form


def _key(request: HttpRequest) -> str:
    try:
        return str(UUID(request.POST.get("key", "")))
    except ValueError:
        return str(uuid4())


def _page(
    request: HttpRequest, found: Booking, form: RepeatForm, now: datetime, status: int, *, refused: str = ""
) -> HttpResponse:
    outcomes: list[OccurrenceOutcome] = []
    if form.is_bound and form.is_valid():
        try:
            outcomes = operations.preview_series(
                form.series_request(""), actor=access.as_dispatcher(request.user), now=now
            )
        except RuleUnclear as unclear:
            form.add_error("first_day" if unclear.field == "first.starts_at" else None, str(unclear))
            status = 422
    beyond = sum(outcome.is_beyond for outcome in outcomes)
    fits = sum(outcome.refusal is None for outcome in outcomes)
    context = {
        "booking": found, "form": form, "rows": series_rows(outcomes, found.depot.zone), "fits": fits, "beyond": beyond,
        "refused_days": len(outcomes) - fits - beyond, "version": version_of(outcomes), "key": _key(request),
        "rule": form.rrule if outcomes else "", "rule_words": rule_words(form.rrule) if outcomes else "", "refused": refused,
    }  # fmt: skip
    return pages.respond(request, "bookings/series/repeat", context, status)
