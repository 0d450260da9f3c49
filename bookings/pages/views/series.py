"""Series: their list, one with its bookings, changing it and giving it up."""

from __future__ import annotations

from datetime import datetime

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import Count, Max, Min, Q
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from bookings import operations
from bookings.errors import BookingError, Conflicts
from bookings.models import LIVE, Booking, BookingSeries
from bookings.operations import OccurrenceOutcome, Scope, SeriesChange
from bookings.pages import access
from bookings.pages.forms.series import SeriesCancelForm, SeriesChangeForm
from bookings.pages.series_rows import SeriesRow, ShownSeries, rule_words, series_rows
from bookings.pages.views.refusals import status_of, words_of
from bookings.rules.content_version import seen_version
from depots import pages

A_PAGE = 50


@never_cache
@login_required
@require_safe
def listed(request: HttpRequest) -> HttpResponse:
    access.fleet_member(request.user)
    rows = access.series_of(request.user).annotate(
        booked=Count("bookings"),
        ahead=Count("bookings", Q(bookings__status__in=LIVE)),
        first_at=Min("bookings__starts_at"),
        last_at=Max("bookings__starts_at"),
    )
    page = Paginator(rows, A_PAGE).get_page(request.GET.get("page"))
    found = [(series, rule_words(series.rrule)) for series in page.object_list]
    return pages.respond(request, "bookings/series/list", {"found": found, "page": page})


@never_cache
@login_required
@require_safe
def series(request: HttpRequest, series_id: int) -> HttpResponse:
    found = access.series(request.user, series_id)
    shown = _shown(found, timezone.now())
    may_change = found.fleet_id in access.fleets_booked_for(request.user)
    context = {"shown": shown, "may_change": may_change}
    return pages.respond(request, "bookings/series/series", context)


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def change(request: HttpRequest, series_id: int) -> HttpResponse:
    """Another time or vehicle for one of its bookings, for that and those that follow, or for all."""
    now = timezone.now()
    shown = _shown(access.fleet_series(request.user, series_id), now)
    named = _named(request, shown)
    if named is None:
        raise Http404  # nothing is left that could be changed
    form = SeriesChangeForm(named, request.POST if request.method == "POST" else None, now=now)
    if not form.is_valid():
        return _change_page(request, shown, form, 422 if form.is_bound else 200)
    wanted = SeriesChange(
        scope=Scope(form.cleaned_data["scope"]), booking_id=named.pk, request=form.change_request()
    )
    try:
        operations.change_series(
            shown.series.pk, wanted, seen_version=seen_version(request.POST),
            actor=access.as_dispatcher(request.user), now=now,
        )  # fmt: skip
    except BookingError as refusal:
        form.add_error(None, words_of(refusal))
        return _change_page(request, shown, form, status_of(refusal), refused=_refused(refusal, named))
    return pages.done(request, shown.series.get_absolute_url(), "Changed, or asked for where others decide.")


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def cancel(request: HttpRequest, series_id: int) -> HttpResponse:
    """Give it up, or what is left of it from one of its bookings on."""
    now = timezone.now()
    shown = _shown(access.fleet_series(request.user, series_id), now)
    named = _named(request, shown)
    form = SeriesCancelForm(named, request.POST if request.method == "POST" else None)
    if not form.is_valid():
        return _cancel_page(request, shown, named, form, 422 if form.is_bound else 200)
    is_part = form.cleaned_data["scope"] == Scope.FOLLOWING.value
    try:
        operations.cancel_series(
            shown.series.pk, reason=form.cleaned_data["reason"], booking_id=named.pk if named and is_part else None,
            seen_version=seen_version(request.POST), actor=access.as_dispatcher(request.user), now=now,
        )  # fmt: skip
    except BookingError as refusal:
        form.add_error(None, words_of(refusal))
        return _cancel_page(request, shown, named, form, status_of(refusal))
    return pages.done(request, shown.series.get_absolute_url(), "Given up, as far as that is free of charge.")


def _shown(found: BookingSeries, now: datetime) -> ShownSeries:
    rows = access.booking_rows().filter(series=found).order_by("series_date")
    return ShownSeries(found, list(rows), now)


def _named(request: HttpRequest, shown: ShownSeries) -> Booking | None:
    """The booking that a change is about: the one asked for, else the next; 404 for one that is none of these."""
    asked = request.POST.get("booking") or request.GET.get("booking")
    if not asked:
        return next(iter(shown.upcoming), None)
    found = next((one for one in shown.upcoming if str(one.pk) == asked), None)
    if found is None:
        raise Http404
    return found


def _refused(refusal: BookingError, named: Booking) -> list[SeriesRow]:
    """The days that stood in the way."""
    if not isinstance(refusal, Conflicts):
        return []
    found = [
        one for one in refusal.outcomes if isinstance(one, OccurrenceOutcome) and one.refusal is not None
    ]
    return series_rows(found, named.depot.zone)


def _change_page(
    request: HttpRequest,
    shown: ShownSeries,
    form: SeriesChangeForm,
    status: int,
    *,
    refused: list[SeriesRow] | None = None,
) -> HttpResponse:
    context = {"shown": shown, "form": form, "named": form.named, "refused": refused or []}
    return pages.respond(request, "bookings/series/change", context, status)


def _cancel_page(
    request: HttpRequest, shown: ShownSeries, named: Booking | None, form: SeriesCancelForm, status: int
) -> HttpResponse:
    return pages.respond(
        request, "bookings/series/cancel", {"shown": shown, "form": form, "named": named}, status
    )
