from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from functools import partial
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import DateField, DateTimeField, F, Func, QuerySet, Value
from django.db.models.expressions import Combinable
from django.db.models.functions import Cast
from django.db.models.lookups import GreaterThanOrEqual, LessThanOrEqual
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from bookings import operations
from bookings.errors import BookingError, WrongStatus
from bookings.models import Booking, BookingStatus, Token, Vehicle
from bookings.operations.change_series import changeable
from bookings.operations.undo import Act
from bookings.pages import (
    access,
    day,
    history,
    money_access,
    overlaps,
    payment_words,
    remote_control,
    wording,
)
from bookings.pages.again import book_again
from bookings.pages.board.row_states import RowState
from bookings.pages.booking_bills import bills_of, running_cost
from bookings.pages.forms import undo_button
from bookings.pages.forms.bookings import ConfirmForm, GroupChoice, ListForm, groups_of
from bookings.pages.instead import instead_of
from bookings.pages.offer_words import offer_words
from bookings.pages.overstay_words import overstay_words
from bookings.pages.partner_session import partner_session
from bookings.pages.power_words import power_now
from bookings.pages.price_parts import quoted_parts
from bookings.pages.remote_charging import charging_there as charging_there_of
from bookings.pages.series_rows import can_repeat
from bookings.pages.vehicle_words import told_of_vehicle
from bookings.pages.views import slots
from bookings.pages.views.refusals import status_of
from bookings.rules.content_version import seen_version
from bookings.rules.own_slots import note_going_on, session_under_way
from bookings.rules.permissions import deadline_period
from bookings.rules.session_targets import session_of
from bookings.rules.terms import LONGEST_BOOKING
from bookings.templatetags.board import charged
from depots import pages
from depots.models import ChargingSession, Depot

A_PAGE = 100
A_DAY = timedelta(days=1)


def _local_day(moment: Combinable) -> Cast:
    """The day on the clock of the booking's depot."""
    local = Func(F("depot__time_zone"), moment, function="timezone", output_field=DateTimeField())
    return Cast(local, DateField())


LOCAL_DAY = _local_day(F("starts_at"))
# What ends at midnight does not touch the day that begins then.
LAST_LOCAL_DAY = _local_day(F("ends_at") - Value(timedelta(microseconds=1)))


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def bookings(request: HttpRequest) -> HttpResponse:
    """The list; sending a slot of the finder here books it."""
    if request.method == "POST":
        return slots.book(request)
    fleets = access.fleet_member(request.user)
    rows = access.bookings_of(request.user)
    depots = list(Depot.objects.filter(bookings__fleet__in=fleets).distinct().order_by("name"))
    vehicles = list(Vehicle.objects.filter(fleet__in=fleets).order_by("plate"))
    asked = request.GET if request.GET.keys() - {"page"} else {"first_day": _today(depots)}
    form = ListForm(asked, depots=depots, vehicles=vehicles)
    valid = form.is_valid()
    page = Paginator(_narrowed(rows, form) if valid else rows.none(), A_PAGE).get_page(
        request.GET.get("page")
    )
    now = timezone.now()
    context = {
        "form": form, "page": page, "is_today_on": asked is not request.GET,
        "is_several": len(fleets) > 1, "entries": day.entries(page.object_list, now),
        "may_book": bool(access.fleets_booked_for(request.user)),
    }  # fmt: skip
    return pages.respond(request, "bookings/list", context, 200 if valid else 422)


@never_cache
@login_required
@require_http_methods(["GET", "HEAD"])
def booking(request: HttpRequest, booking_id: int) -> HttpResponse:
    return booking_page(request, access.booking(request.user, booking_id))


@login_required
@require_POST
def confirm(request: HttpRequest, booking_id: int) -> HttpResponse:
    """Turn a hold into a booking, or into a request where the depot decides."""
    found = access.fleet_booking(request.user, booking_id)
    wanted = (BookingStatus.CONFIRMED, BookingStatus.REQUESTED)
    form = ConfirmForm(request.POST)
    if not form.is_valid():
        return booking_page(request, found, 422, "No group of yours has such a name.")
    confirm_hold = partial(operations.confirm_hold, tokens=form.tokens())
    return _act(request, found, confirm_hold, _words_of_confirmation, wanted=wanted, act=Act.MADE)


@login_required
@require_POST
def release(request: HttpRequest, booking_id: int) -> HttpResponse:
    """Give a hold back."""
    found = access.fleet_booking(request.user, booking_id)
    words, wanted = "The slot is free again.", (BookingStatus.CANCELLED,)
    return _act(
        request,
        found,
        operations.release_hold,
        lambda _: words,
        wanted=wanted,
        act=Act.RELEASED,
        to="/slots/",
    )


@login_required
@require_POST
def seen(request: HttpRequest, booking_id: int) -> HttpResponse:
    """A dispatcher has looked at what the depot changed."""
    found = access.fleet_booking(request.user, booking_id)
    actor = access.as_dispatcher(request.user)
    try:
        version = seen_version(request.POST)
        operations.mark_seen(booking_id=found.pk, seen_version=version, actor=actor, now=timezone.now())
    except BookingError as refusal:
        return booking_page(request, access.booking(request.user, found.pk), status_of(refusal), str(refusal))
    return HttpResponse(status=204) if pages.wants_part(request) else redirect(found)


def booking_page(request: HttpRequest, found: Booking, status: int = 200, refusal: str = "") -> HttpResponse:
    now, user = timezone.now(), request.user
    is_fleet = found.fleet_id in access.fleets_seen(user)
    is_dispatcher = found.fleet_id in access.fleets_booked_for(user)
    mine = access.fleets_seen(user) | access.operators_seen(user)
    payment, session = payment_words.payment_of(found), session_of(found)
    note_going_on([found], now=now)
    context = {
        "booking": found,
        "entry": day.entry(found, now),
        "is_fleet": is_fleet,
        "is_dispatcher": is_dispatcher,
        "is_manager": not found.depot.is_mirror
        and found.depot.operator_id in access.operators_decided_for(user),
        "refusal": refusal,
        "status_words": wording.status_words(found),
        "firmness": wording.firmness(found, now=now),
        "terms": wording.terms_lines(
            found.terms, found.period, found.depot, counted=deadline_period(found), now=now
        ),
        "actions": wording.fleet_actions(found, now=now) if is_dispatcher else [],
        "can_repeat": is_dispatcher and can_repeat(found),
        "can_change_series": is_dispatcher and found.series_id is not None and changeable(found, now),
        "instead": instead_of(found, now=now) if is_dispatcher else None,
        "again": book_again(found, now=now) if is_dispatcher else [],
        "pending": found.pending_request,
        "offered": offer_words(found),
        "payment": payment_words.payment_notice(found, payment, now=now),
        "waits_for": payment_words.waits_for(payment, found),
        "sees_balance": found.pays_before and money_access.sees_balance(user, found),
        "asked": history.asked_words(found),
        "depot_change": history.last_change_by_depot(found),
        "charged": charged(found),
        "price": quoted_parts(found),
        "bills": bills_of(found),
        **_charging_here(found, session, now),
        "told_state": RowState.told(found),
        "there": charging_there_of(found, may_match=is_dispatcher, now=now),
        "sees_records": money_access.sees_records(user, found),
        "groups": _groups(found) if is_dispatcher and found.status == BookingStatus.HELD else [],
        "elsewhere": _elsewhere(found) if is_fleet and found.status == BookingStatus.HELD else "",
        "moments": history.moments(found, organisation_ids=mine, is_fleet=is_fleet),
        "remote": remote_control.remote(user, found, session, now=now),
        "partner_session": partner_session(user, found, now=now),
        "told": told_of_vehicle(found, is_fleet=is_fleet, now=now),
        "now": now,
    }
    return pages.respond(request, "bookings/booking", context, status)


def _charging_here(found: Booking, session: ChargingSession | None, now: datetime) -> dict[str, Any]:
    return {
        "session": session,
        "shows_meter": session is not None and _is_of_its_fleet(session, found),
        "running_cost": running_cost(found, session, now=now),
        "goes_on_words": wording.GOES_ON,
        "power_now": power_now(session),
        "overstay": overstay_words(found, now=now),
    }


@never_cache
@login_required
@require_safe
def charging_there(request: HttpRequest, booking_id: int) -> HttpResponse:
    """How far charging at a partner's depot is; the booking's page asks for it again and again."""
    found = access.booking(request.user, booking_id)
    context = {"booking": found, "there": charging_there_of(found, now=timezone.now())}
    return render(request, "bookings/_remote_charging.html", context)


@never_cache
@login_required
@require_safe
def cost(request: HttpRequest, booking_id: int) -> HttpResponse:
    """What the session under way has come to; the booking's page asks for it again and again."""
    found, now = access.booking(request.user, booking_id), timezone.now()
    context = {"booking": found, "running_cost": running_cost(found, session_under_way(found), now=now)}
    return render(request, "bookings/_running_cost.html", context)


def _act(
    request: HttpRequest,
    found: Booking,
    operation: Callable[..., Booking],
    words: Callable[[Booking], str],
    *,
    wanted: tuple[str, ...],
    act: Act,
    to: str = "",
) -> HttpResponse:
    """A step that needs no form: the page again, or with the reason why it was refused.

    A second click finds done what it `wanted`, which is no refusal.
    """
    try:
        after = operation(
            booking_id=found.pk, seen_version=seen_version(request.POST), actor=access.as_dispatcher(request.user),
            now=timezone.now(),
        )  # fmt: skip
    except BookingError as refusal:
        after = access.booking(request.user, found.pk)
        if not isinstance(refusal, WrongStatus) or after.status not in wanted:
            return booking_page(request, after, status_of(refusal), str(refusal))
    messages.success(request, words(after), extra_tags=undo_button.button_of(act, after, now=timezone.now()))
    return redirect(to or found)


def _is_of_its_fleet(session: ChargingSession, booking: Booking) -> bool:
    """What was charged in another fleet's booking is nobody's business."""
    return session.pk == booking.session_id or session.visit.booking.fleet_id == booking.fleet_id


def _elsewhere(held: Booking) -> str:
    """Where the truck or its cards are booked as well, before the hold is confirmed."""
    uids = [token.uid for token in held.tokens.all() if not token.is_group]
    found = overlaps.overlapping(held.fleet, held.period, vehicle=held.vehicle, uids=uids, besides=held.pk)
    return overlaps.sentence(found, held.vehicle)


def _groups(held: Booking) -> list[GroupChoice]:
    """What may open it instead of the tokens it is held with; a partner knows no groups of ours."""
    if not held.is_ours:
        return []
    return groups_of(
        Token.objects.filter(fleet=held.fleet_id).exclude(group_name="").select_related("vehicle")
    )


def _words_of_confirmation(booking: Booking) -> str:
    if booking.status == BookingStatus.REQUESTED:
        awaited = payment_words.waits_for(payment_words.payment_of(booking), booking)
        return (
            "Asked for. The depot decides."
            if awaited == "the depot"
            else f"Asked for. It waits for {awaited}."
        )
    return f"Booked: {booking.reference}."


def _today(depots: list[Depot]) -> str:
    """Where the day is youngest, so that no depot's today is left out."""
    now = timezone.now()
    return min([now.astimezone(depot.zone).date() for depot in depots] or [now.date()]).isoformat()


def _narrowed(rows: QuerySet[Booking], form: ListForm) -> QuerySet[Booking]:
    """In order of time; without a first day the latest come first."""
    asked = form.cleaned_data
    same = {"depot": asked["depot"], "vehicle": asked["vehicle"], "status": asked["status"]}
    rows = rows.filter(**{name: value for name, value in same.items() if value})
    first, last = asked["first_day"], asked["last_day"]
    # What touches the days is shown, also what began before them. The coarse bounds are for the index: no zone is more
    # than a day from UTC, no booking of ours longer than the terms can say.
    if first:
        earliest = _midnight(first) - A_DAY - LONGEST_BOOKING
        rows = rows.filter(GreaterThanOrEqual(LAST_LOCAL_DAY, first), starts_at__gte=earliest)
    if last:
        rows = rows.filter(LessThanOrEqual(LOCAL_DAY, last), starts_at__lt=_midnight(last) + 2 * A_DAY)
    return rows.order_by("starts_at", "pk") if first else rows.order_by("-starts_at", "-pk")


def _midnight(date: Any) -> datetime:
    return datetime.combine(date, time(), UTC)
