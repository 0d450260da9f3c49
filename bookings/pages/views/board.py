"""The board of a depot, and what its managers do with a booking on it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django import forms
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from bookings import operations
from bookings.errors import BookingError, LowerPower
from bookings.models import Booking, BookingRequest, BookingStatus
from bookings.operations.request_log import needs_of
from bookings.operations.undo import Act
from bookings.pages import access, history, wording
from bookings.pages.board import Window, read_board
from bookings.pages.board.reading import evses_of
from bookings.pages.forms import undo_button
from bookings.pages.forms.depot import CancellationForm, DecisionForm, EndForm, MoveForm, add_refusal
from bookings.pages.forms.fields import DayInput
from bookings.pages.live import calendar_audience, depot_audience, fleet_audience
from bookings.pages.navigation import nav_of
from bookings.pages.offer_words import may_offer, offer_words
from bookings.pages.overstay_words import overstay_words
from bookings.pages.views import board_answers
from bookings.pages.views.refusals import status_of
from bookings.rules import permissions
from bookings.rules.content_version import seen_version
from bookings.rules.own_slots import note_going_on
from bookings.rules.session_targets import session_of
from bookings.search.next_bay import rest_period
from bookings.search.offers import find_slots
from bookings.search.slots import SlotSearch
from depots.models import Depot
from depots.pages import done, respond

DAY = DayInput()
DAY_ATTRIBUTES = {"id": "board-day", "class": "form-control", "data-submits": ""}


@never_cache
@login_required
@require_safe
def board(request: HttpRequest, code: str) -> HttpResponse:
    now = timezone.now()
    viewer = access.board(request.user, code, now=now)
    window = Window.asked(request.GET.get("day", ""), request.GET.get("view", ""), viewer.depot, now=now)
    shown = read_board(viewer, window, now=now)
    return respond(
        request,
        "bookings/board/board",
        {
            "board": shown,
            "depot": viewer.depot,
            "window": window,
            "is_today": window.shows_today(now),
            "day_input": DAY.render("day", window.first, DAY_ATTRIBUTES),
            "views": [("day", "Day"), ("3-days", "3 days"), ("week", "Week")],
            "closed_hours": window.closed_hours(viewer.depot),
            "audiences": _audiences(viewer),
            "waiting": nav_of(request).waiting_at[viewer.depot.pk] if viewer.sees_all else 0,
        },
    )


@never_cache
@login_required
@require_safe
def booking(request: HttpRequest, code: str, booking_id: int) -> HttpResponse:
    """Everything about one booking for those who look after the depot; forms only for who runs it."""
    return panel(request, _seen(request, code, booking_id))


@login_required
@require_POST
def move(request: HttpRequest, code: str, booking_id: int) -> HttpResponse:
    """A form sent by a person, or a bar dropped somewhere else, which wants to know in JSON."""
    found = _run(request, code, booking_id)
    form = MoveForm(request.POST, booking=found, evses=evses_of(found.depot))
    if not form.is_valid() or form.period is None:
        if board_answers.wants_json(request):
            invalid = {"code": "invalid", "detail": _first_error(form), "fields": form.errors}
            return JsonResponse(invalid, status=422)
        return panel(request, found, move_form=form, status=422)
    try:
        moved = _changed(request, found, period=form.period, evse=form.cleaned_data["evse"])
    except BookingError as refusal:
        if board_answers.wants_json(request):
            return board_answers.refused(refusal, found.depot)
        asks_power = _asks_power(form, refusal)
        add_refusal(form, refusal, found.depot)
        return panel(request, found, move_form=form, asks_power=asks_power, status=status_of(refusal))
    return board_answers.moved(request, moved, undo=_undo_of_move(found, moved))


@login_required
@require_POST
def end(request: HttpRequest, code: str, booking_id: int) -> HttpResponse:
    """Another end for a vehicle that charges: sooner, or later where the next slot is free."""
    found = _run(request, code, booking_id)
    form = EndForm(request.POST, booking=found)
    if not form.is_valid():
        return panel(request, found, end_form=form, status=422)
    try:
        changed = _changed(request, found, ends_at=form.cleaned_data["ends_at"])
    except BookingError as refusal:
        asks_power = _asks_power(form, refusal)
        add_refusal(form, refusal, found.depot)
        return panel(request, found, end_form=form, asks_power=asks_power, status=status_of(refusal))
    until = changed.ends_at.astimezone(changed.depot.zone)
    return done(
        request,
        board_answers.board_url(changed),
        f"{board_answers.name(changed)} may stay until {until:%H:%M}.",
    )


@login_required
@require_POST
def cancel(request: HttpRequest, code: str, booking_id: int) -> HttpResponse:
    found = _run(request, code, booking_id)
    form = CancellationForm(request.POST)
    if not form.is_valid():
        return panel(request, found, cancel_form=form, status=422)
    try:
        operations.cancel_booking(
            booking_id=found.pk,
            reason=form.cleaned_data["reason"],
            note=form.cleaned_data["note"],
            by=Booking.Side.DEPOT,
            seen_version=seen_version(request.POST),
            actor=access.as_manager(request.user),
            now=timezone.now(),
        )
    except BookingError as refusal:
        add_refusal(form, refusal, found.depot)
        return panel(request, found, cancel_form=form, status=status_of(refusal))
    return done(
        request,
        board_answers.board_url(found),
        f"{board_answers.name(found)} cancelled. {found.fleet} is told.",
    )


def _changed(request: HttpRequest, found: Booking, **wishes: Any) -> Booking:
    """Carry out the depot's change; `wishes` as of ChangeRequest. Raises a BookingError."""
    return operations.change_booking(
        found.pk,
        operations.ChangeRequest(accepts_lower_power="accept_lower_power" in request.POST, **wishes),
        by=Booking.Side.DEPOT,
        seen_version=seen_version(request.POST),
        actor=access.as_manager(request.user),
        now=timezone.now(),
    )


def panel(
    request: HttpRequest,
    found: Booking,
    *,
    move_form: MoveForm | None = None,
    asks_power: bool = False,
    end_form: EndForm | None = None,
    cancel_form: CancellationForm | None = None,
    status: int = 200,
) -> HttpResponse:
    """Everything about a booking, with the forms for what may be done with it; one that was sent stands as it was."""
    found = access.booking(request.user, found.pk) if status != 200 else found
    now = timezone.now()
    note_going_on([found], now=now)
    sent = {"move_form": move_form, "end_form": end_form, "cancel_form": cancel_form}
    context = {
        **_facts(found, now),
        **(_forms(found, sent, now) if found.depot.operator_id in access.operators_decided_for(request.user) else {}),
        "asks_power": asks_power,
        "next_bay": _next_bay(found, now),
        "overstay": overstay_words(found, now=now),
        "entries": history.moments(
            found, organisation_ids=access.operators_seen(request.user), is_fleet=False
        ),
    }  # fmt: skip
    return respond(request, "bookings/board/booking", context, status)


def _facts(found: Booking, now: datetime) -> dict[str, Any]:
    zone, asked = found.depot.zone, found.pending_request
    return {
        "booking": found,
        "session": session_of(found),
        "goes_on_words": wording.GOES_ON,
        "now": now,
        "is_broken_off": found.is_interrupted and found.status == BookingStatus.COMPLETED,
        "starts_at": found.starts_at.astimezone(zone),
        "ends_at": found.ends_at.astimezone(zone),
        "duration": found.ends_at - found.starts_at,
        "tokens": list(found.tokens.all()),
        "step": found.terms.slot_step_min,
        "back_url": board_answers.board_url(found),
        "asked": asked,
        "asked_period": _asked(asked, found),
        "offered": offer_words(found),
        "may_offer": may_offer(found),
    }


def _forms(found: Booking, sent: Mapping[str, forms.Form | None], now: datetime) -> dict[str, Any]:
    """What who runs the depot may do; a form that was sent before a new one."""
    asked, by = found.pending_request, Booking.Side.DEPOT
    may_change = permissions.can_change(found, by=by, now=now)
    may_end = may_change and found.status == BookingStatus.CHARGING
    may_move = may_change and not may_end and found.ends_at > now
    may_cancel = permissions.can_cancel(found, by=by, now=now)
    return {
        "decision_form": DecisionForm() if asked and asked.kind not in _NOT_DECIDED else None,
        "move_form": (sent["move_form"] or MoveForm(booking=found, evses=evses_of(found.depot)))
        if may_move
        else None,
        "end_form": (sent["end_form"] or EndForm(booking=found)) if may_end else None,
        "cancel_form": (sent["cancel_form"] or CancellationForm()) if may_cancel else None,
    }


# A cancellation is the partner's to grant, an offer the fleet's.
_NOT_DECIDED = {BookingRequest.Kind.CANCEL, BookingRequest.Kind.OFFER}


def _next_bay(found: Booking, now: datetime) -> dict[str, Any] | None:
    """Where a truck whose charging broke off could go on, for what it still needs; no `evse` where nothing is free."""
    if not found.is_interrupted:
        return None
    period = rest_period(found, now=now)
    search = SlotSearch(
        found.fleet, period, now, depot=found.depot, vehicle=found.vehicle, needs=needs_of(found)
    )
    offers = find_slots(search)
    first = next((offer for offer in offers if offer.is_free and not offer.trouble), None)
    zone = found.depot.zone
    return {
        "evse": first.evse if first else None,
        "starts_at": period.starts_at.astimezone(zone),
        "ends_at": period.ends_at.astimezone(zone),
    }


def _undo_of_move(before: Booking, moved: Booking) -> str:
    """The button that puts it back where it stood: not over what somebody moved since."""
    now = timezone.now()
    period = before.period if before.period != moved.period else None
    return undo_button.button_of(
        Act.CHANGED, moved, by=Booking.Side.DEPOT, period=period, evse_id=before.evse_id, now=now
    )


def _asks_power(form: MoveForm | EndForm, refusal: BookingError) -> bool:
    """Whether it takes the manager's word that less power is meant: the form is sent again then, as it stands."""
    if isinstance(refusal, LowerPower):
        form.show_shifted()
        return True
    return False


def _seen(request: HttpRequest, code: str, booking_id: int) -> Booking:
    return _of(access.yard(request.user, code), access.booking(request.user, booking_id))


def _run(request: HttpRequest, code: str, booking_id: int) -> Booking:
    return _of(access.run_depot(request.user, code), access.depot_booking(request.user, booking_id))


def _of(depot: Depot, found: Booking) -> Booking:
    if found.depot_id != depot.pk:
        raise Http404
    return found


def _audiences(viewer: access.BoardViewer) -> list[str]:
    """Whose news this page follows, in order of what they tell."""
    if viewer.sees_all:
        return [depot_audience(viewer.depot.pk)]
    return [*[fleet_audience(pk) for pk in sorted(viewer.fleet_ids)], calendar_audience(viewer.depot.pk)]


def _asked(asked: BookingRequest | None, found: Booking) -> tuple[datetime, datetime] | None:
    period = asked.asked.get("period") if asked and asked.kind == BookingRequest.Kind.CHANGE else None
    if not period:
        return None
    zone = found.depot.zone
    return (
        datetime.fromisoformat(period["start"]).astimezone(zone),
        datetime.fromisoformat(period["end"]).astimezone(zone),
    )


def _first_error(form: Any) -> str:
    name, errors = next(iter(form.errors.items()))
    label = form.fields[name].label or name if name in form.fields else ""
    return f"{label}: {errors[0]}" if label else str(errors[0])
