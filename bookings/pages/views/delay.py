"""A truck is late: the form, what the delay would come to, and sliding the booking."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from bookings import operations
from bookings.errors import BookingError, SlotTaken
from bookings.models import Booking
from bookings.pages import access, day, wording
from bookings.pages.forms.delay import USUAL, DelayForm
from bookings.pages.forms.fields import ShownPriceField
from bookings.pages.views.refusals import status_of
from bookings.rules.content_version import seen_version
from bookings.search.in_the_way import in_the_way
from depots import pages
from depots.periods import Period
from depots.templatetags.berth import money


@dataclass(frozen=True)
class Outlook:
    """What a delay would come to, in words; `shown` goes back with the form. `affected` is who is in its way, with the address of
    a booking of its own fleet, else without."""

    words: str
    price: str = ""
    affected: Sequence[tuple[str, str]] = ()
    is_refused: bool = False
    is_cut: bool = False
    shown: str = ""
    shown_for: str = ""


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def delay(request: HttpRequest, booking_id: int) -> HttpResponse:
    found, now = access.fleet_booking(request.user, booking_id), timezone.now()
    form = DelayForm(request.POST if request.method == "POST" else None)
    if not form.is_valid():
        return _page(request, found, form, 422 if form.is_bound else 200, now=now)
    try:
        later = operations.delay_booking(
            found.pk, form.delay, seen_version=seen_version(request.POST), shown_price=form.price_shown,
            actor=access.as_dispatcher(request.user), now=now,
        )  # fmt: skip
    except BookingError as refusal:
        form.add_error(None, str(refusal))
        found = access.fleet_booking(request.user, booking_id)
        return _page(request, found, form, status_of(refusal), now=now)
    if Booking.objects.get(pk=later.pk).pending_request is not None:
        return pages.done(request, found.get_absolute_url(), f"Asked for. {_decider(found)}")
    words = f"Now {_times(later.period, later)}. {wording.price_change(found.quote, later.quote)}"
    return pages.done(request, found.get_absolute_url(), words.strip())


@never_cache
@login_required
@require_POST
def outlook(request: HttpRequest, booking_id: int) -> HttpResponse:
    """What the chosen delay would come to; the form asks while it is filled in, and nothing is changed."""
    found, now = access.fleet_booking(request.user, booking_id), timezone.now()
    form = DelayForm(request.POST)
    known = _outlook(request, found, form.delay, now) if form.is_valid() else Outlook("")
    return render(request, "bookings/_delay_outlook.html", {"outlook": known})


def _page(
    request: HttpRequest, found: Booking, form: DelayForm, status: int, *, now: datetime
) -> HttpResponse:
    is_known = not form.is_bound or form.is_valid()
    late = timedelta(minutes=USUAL[0]) if not form.is_bound else form.delay if form.is_valid() else None
    context: dict[str, Any] = {
        "booking": found, "form": form, "entry": day.entry(found, now), "decider": _decider(found),
        "refusal": wording.why_not_late(found, now=now),
        "outlook": _outlook(request, found, late, now) if is_known and late else Outlook(""),
    }  # fmt: skip
    return pages.respond(request, "bookings/delay", context, status)


def _outlook(request: HttpRequest, found: Booking, late: timedelta, now: datetime) -> Outlook:
    actor = access.as_dispatcher(request.user)
    try:
        then = operations.foreseen_delay(found, late, actor=actor, now=now)
    except BookingError as refusal:
        affected = _affected(found, late) if isinstance(refusal, SlotTaken) else ()
        return Outlook(str(refusal), is_refused=True, affected=affected)
    is_cut = then.period.duration < found.period.duration
    words = wording.price_change(found.quote, then.quote)
    if not words and then.quote:
        words = f"The price stays about {money(then.quote['total'], then.quote['currency'])}."
    minutes = str(int(late.total_seconds() // 60))
    return Outlook(
        f"{_times(then.period, found)} instead of {_times(found.period, found)}.",
        words, _affected(found, late) if is_cut else (),
        is_cut=is_cut, shown=ShownPriceField.written(then.quote), shown_for=minutes,
    )  # fmt: skip


def _affected(found: Booking, late: timedelta) -> list[tuple[str, str]]:
    wanted = Period(found.starts_at + late, found.ends_at + late)
    return [
        (one.words(found.depot.zone), one.own.get_absolute_url() if one.own is not None else "")
        for one in in_the_way(found, wanted)
    ]


def _times(period: Period, booking: Booking) -> str:
    zone = booking.depot.zone
    return f"{period.starts_at.astimezone(zone):%H:%M}–{period.ends_at.astimezone(zone):%H:%M}"


def _decider(booking: Booking) -> str:
    """Who is asked first; empty where nobody is."""
    if not booking.is_ours:
        return f"{booking.depot.operator.name} decides. Until then the booking stays as it is."
    return "The depot decides. Until then the booking stays as it is." if booking.terms.approval else ""
