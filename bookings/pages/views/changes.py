"""A fleet changes a booking or gives it up: the forms, what a change would cost, and what comes of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from bookings import operations
from bookings.errors import BookingError, ChangedMeanwhile, PriceChanged, WrongStatus
from bookings.models import Booking, BookingStatus
from bookings.operations.undo import Act, named
from bookings.pages import access, day, wording
from bookings.pages.booking_bills import cancellation_fee
from bookings.pages.change_prices import ChangePrice, change_price, kept_price
from bookings.pages.forms import undo_button
from bookings.pages.forms.bookings import CancelForm, ChangeForm
from bookings.pages.views.refusals import status_of
from bookings.rules.content_version import seen_version
from depots import pages
from depots.periods import Period
from depots.wall_clock import local_text


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def change(request: HttpRequest, booking_id: int) -> HttpResponse:
    """The form for another time, EVSE, vehicle or other tokens."""
    found = access.fleet_booking(request.user, booking_id)
    now = timezone.now()
    form = ChangeForm(found, request.POST if request.method == "POST" else None, now=now)
    if not form.is_valid():
        return _change_page(request, found, form, 422 if form.is_bound else 200, now=now)
    if elsewhere := form.elsewhere():
        form.warn(elsewhere)
        return _change_page(request, found, form, 409, price=_new_price(request, found, form, now), now=now)
    wanted = operations.ChangeRequest(**form.wishes(), shown_price=form.price_shown)
    try:
        changed = operations.change_booking(
            found.pk,
            wanted,
            seen_version=seen_version(request.POST),
            actor=access.as_dispatcher(request.user),
            now=now,
        )
    except ChangedMeanwhile as refusal:
        found = access.fleet_booking(request.user, booking_id)
        form = ChangeForm(found, form.carried_over(ChangeForm(found, None, now=now)), now=now)
        # Sent twice, and the first was quicker; a form without version says nothing of what it showed.
        if refusal.changes and form.is_valid() and not form.wishes():
            return pages.done(request, found.get_absolute_url(), "Changed.")
        return _not_changed(request, found, form, refusal, now=now)
    except BookingError as refusal:
        return _not_changed(request, found, form, refusal, now=now)
    waits = Booking.objects.get(pk=changed.pk).pending_request is not None
    undo = "" if waits else _undo_of_change(found, changed, form.wishes(), now)
    words = "Asked for." if waits else f"Changed. {wording.price_change(found.quote, changed.quote)}".strip()
    return pages.done(request, found.get_absolute_url(), words, undo=undo)


@never_cache
@login_required
@require_POST
def changed_price(request: HttpRequest, booking_id: int) -> HttpResponse:
    """What the form of a change would cost as it stands; the page asks while it is filled in, and nothing is changed."""
    found, now = access.fleet_booking(request.user, booking_id), timezone.now()
    form = ChangeForm(found, request.POST, now=now)
    price = _new_price(request, found, form, now) if form.is_valid() else kept_price(found)
    return render(request, "bookings/_change_price.html", {"change_price": price})


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def cancel(request: HttpRequest, booking_id: int) -> HttpResponse:
    """The form that gives a booking up, with its reason."""
    found = access.fleet_booking(request.user, booking_id)
    now = timezone.now()
    form = CancelForm(request.POST if request.method == "POST" else None, initial={"reason": "NO_CANCELED"})
    if not form.is_valid():
        return _cancel_page(request, found, form, 422 if form.is_bound else 200, now=now)
    try:
        cancelled = operations.cancel_booking(
            booking_id=found.pk, reason=form.cleaned_data["reason"], note=form.cleaned_data["note"],
            by=Booking.Side.FLEET, seen_version=seen_version(request.POST),
            actor=access.as_dispatcher(request.user), now=now,
        )  # fmt: skip
    except BookingError as refusal:
        cancelled = access.booking(request.user, found.pk)
        # Sent twice, and the first was quicker: what was asked for is done.
        if not (isinstance(refusal, WrongStatus) and cancelled.cancelled_by == Booking.Side.FLEET):
            form.add_error(None, str(refusal))
            return _cancel_page(request, cancelled, form, status_of(refusal), now=now)
    over = cancelled.status == BookingStatus.CANCELLED
    words = "Cancelled." if over else f"{found.depot.operator} has been asked to cancel it."
    undo = undo_button.button_of(Act.CANCELLED, cancelled, now=now) if over else ""
    return pages.done(request, found.get_absolute_url(), words, undo=undo)


def _not_changed(
    request: HttpRequest, found: Booking, form: ChangeForm, refusal: BookingError, *, now: datetime
) -> HttpResponse:
    form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
    # Any other reason stands at the form already.
    price = _new_price(request, found, form, now) if isinstance(refusal, PriceChanged) else None
    return _change_page(
        request, found, form, status_of(refusal), nearest=refusal.nearest, price=price, now=now
    )


def _new_price(request: HttpRequest, found: Booking, form: ChangeForm, now: datetime) -> ChangePrice:
    return change_price(found, form, actor=access.as_dispatcher(request.user), now=now)


def _change_page(
    request: HttpRequest,
    found: Booking,
    form: ChangeForm,
    status: int,
    *,
    nearest: Period | None = None,
    price: ChangePrice | None = None,
    now: datetime,
) -> HttpResponse:
    context = {
        "booking": found, "form": form, "nearest": nearest and _offer(found, nearest),
        "refusal": _why_not(found, "change", now), "entry": day.entry(found, now),
        "change_price": price or kept_price(found),
    }  # fmt: skip
    return pages.respond(request, "bookings/change", context, status)


def _cancel_page(
    request: HttpRequest, found: Booking, form: CancelForm, status: int, *, now: datetime
) -> HttpResponse:
    context = {
        "booking": found, "form": form, "refusal": _why_not(found, "cancellation", now), "entry": day.entry(found, now),
        "fee": cancellation_fee(found, by=Booking.Side.FLEET, now=now),
    }  # fmt: skip
    return pages.respond(request, "bookings/cancel", context, status)


def _undo_of_change(before: Booking, after: Booking, wishes: Mapping[str, Any], now: datetime) -> str:
    """The button that puts back what this change made another."""
    if "vehicle" in wishes and before.vehicle_id is None:
        return ""  # a vehicle can be exchanged, not taken away
    if wishes.keys() & {"trailer", "drops_trailer"}:
        return ""
    is_elsewhere = before.evse_id != after.evse_id
    is_for_others = "vehicle" in wishes or "tokens" in wishes
    return undo_button.button_of(
        Act.CHANGED, after, now=now,
        period=before.period if wishes.keys() & {"period", "ends_at", "energy"} else None,
        evse_id=before.evse_id if is_elsewhere else None,
        option_id=before.option_id if "option" in wishes else None,
        approval="option" in wishes and before.terms.approval,
        vehicle_id=before.vehicle_id if "vehicle" in wishes else None,
        tokens=named(list(before.tokens.all())) if is_for_others else None,
    )  # fmt: skip


def _why_not(found: Booking, name: str, now: datetime) -> str:
    """Why an action's form is of no use right now; empty when it is."""
    known = {action.name: action.why_not for action in wording.fleet_actions(found, now=now)}
    if found.status == BookingStatus.HELD:
        return "It is only held yet: confirm it or give it back."
    return known.get(name, f"A booking that is {found.get_status_display().lower()} stays as it is.")


def _offer(found: Booking, nearest: Period) -> dict[str, str]:
    """The nearest possible time, as words and as the form's own values."""
    zone = found.depot.zone
    ends = nearest.ends_at.astimezone(zone)
    return {
        "words": f"{wording.local(nearest.starts_at, found.period, found.depot)}–{ends:%H:%M}",
        "starts_at": local_text(nearest.starts_at, zone),
        "ends_at": local_text(nearest.ends_at, zone),
    }
