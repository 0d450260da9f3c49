"""A booking, or a slot of the finder, that is to come again: a rule, what becomes of each day, then one click."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID, uuid4

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from bookings import operations
from bookings.errors import BookingError, RuleUnclear
from bookings.models import BookingSeries
from bookings.operations import OccurrenceOutcome
from bookings.operations.many_wishes import version_of
from bookings.pages import access
from bookings.pages.forms.series import RepeatedSlot, RepeatForm
from bookings.pages.forms.slots import ReserveForm, carried
from bookings.pages.series_rows import can_repeat, rule_words, series_rows
from bookings.pages.views.refusals import status_of, words_of
from bookings.pages.views.slots import vehicles_of
from bookings.rules.content_version import seen_version
from bookings.rules.recurrence import MOST_OCCURRENCES
from depots import pages


@dataclass(frozen=True)
class _Repeated:
    """What comes again, where its page looks and books, and what each sends along to say which slot it is."""

    slot: RepeatedSlot
    look_url: str
    book_url: str
    back_url: str
    carried: dict[str, str] = field(default_factory=dict)


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def repeat(request: HttpRequest, booking_id: int) -> HttpResponse:
    """The form; sent, what was previewed is booked: all, or what fits."""
    known, now = access.fleet_booking(request.user, booking_id), timezone.now()
    made = BookingSeries.objects.filter(fleet=known.fleet_id, request_id=_key(request)).first()
    if made is not None:  # sent twice, and the first was quicker
        return pages.done(request, made.get_absolute_url())
    repeated = _of_booking(request, booking_id, now)
    if request.method != "POST":
        return _page(request, repeated, RepeatForm(repeated.slot, None), now, 200)
    return _book(request, repeated, now)


@login_required
@require_POST
def preview(request: HttpRequest, booking_id: int) -> HttpResponse:
    """What would become of each day; nothing is booked."""
    now = timezone.now()
    return _look(request, _of_booking(request, booking_id, now), now)


@never_cache
@login_required
@require_POST
def repeat_slot(request: HttpRequest) -> HttpResponse:
    """The form for a slot of the finder, which sends it; sent with a rule, the series is booked."""
    now = timezone.now()
    repeated = _of_found(request, now)
    fleet = repeated.slot.asked.fleet
    made = BookingSeries.objects.filter(fleet=fleet, request_id=_key(request)).first()
    if made is not None:
        return pages.done(request, made.get_absolute_url())
    if "first_day" not in request.POST:
        return _page(request, repeated, RepeatForm(repeated.slot, None), now, 200)
    return _book(request, repeated, now)


@login_required
@require_POST
def preview_slot(request: HttpRequest) -> HttpResponse:
    now = timezone.now()
    return _look(request, _of_found(request, now), now)


def _of_booking(request: HttpRequest, booking_id: int, now: datetime) -> _Repeated:
    found = access.fleet_booking(request.user, booking_id)
    if not can_repeat(found):
        raise Http404
    return _Repeated(
        RepeatedSlot.of_booking(found, now=now), reverse("bookings:repeat_preview", args=[found.pk]),
        reverse("bookings:repeat", args=[found.pk]), found.get_absolute_url(),
    )  # fmt: skip


def _of_found(request: HttpRequest, now: datetime) -> _Repeated:
    """404 for what no slot of the finder sends, and where no vehicle was looked for."""
    fleets = access.dispatcher(request.user)
    form = ReserveForm(request.POST, fleets=fleets, vehicles=vehicles_of(fleets), now=now)
    if not form.is_valid() or form.cleaned_data["vehicle"] is None:
        raise Http404
    slot = RepeatedSlot.of_found(form.slot_request(""))
    return _Repeated(
        slot, reverse("bookings:repeat_slot_preview"), reverse("bookings:repeat_slot"), reverse("bookings:slots"), carried(form)
    )  # fmt: skip


def _book(request: HttpRequest, repeated: _Repeated, now: datetime) -> HttpResponse:
    form = _sent(request, repeated.slot)
    if not form.is_valid():
        return _page(request, repeated, form, now, 422)
    try:
        made = operations.book_series(
            form.series_request(_key(request)), what_fits=request.POST.get("mode") == "what_fits",
            seen_version=seen_version(request.POST), actor=access.as_dispatcher(request.user), now=now,
        )  # fmt: skip
    except BookingError as refusal:
        return _page(request, repeated, form, now, status_of(refusal), refused=words_of(refusal))
    return pages.done(request, made.get_absolute_url(), "The series is booked.")


def _look(request: HttpRequest, repeated: _Repeated, now: datetime) -> HttpResponse:
    form = _sent(request, repeated.slot)
    return _page(request, repeated, form, now, 200 if form.is_valid() else 422)


def _sent(request: HttpRequest, slot: RepeatedSlot) -> RepeatForm:
    form = RepeatForm(slot, request.POST)
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
    request: HttpRequest,
    repeated: _Repeated,
    form: RepeatForm,
    now: datetime,
    status: int,
    *,
    refused: str = "",
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
        "repeated": repeated, "form": form, "rows": series_rows(outcomes, form.zone), "fits": fits, "beyond": beyond,
        "refused_days": len(outcomes) - fits - beyond, "version": version_of(outcomes), "key": _key(request),
        "rule": form.rrule if outcomes else "", "rule_words": rule_words(form.rrule) if outcomes else "", "refused": refused,
    }  # fmt: skip
    return pages.respond(request, "bookings/series/repeat", context, status)
