"""What dispatchers read about a booking: its terms, how firmly its slot is kept, what may be done with it and why not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from bookings.errors import CancelTooLate, ChangeTooLate, WrongStatus
from bookings.models import (
    Booking,
    BookingPayment,
    BookingRequest,
    BookingStatus,
    CancelReason,
    Enforcement,
    PartnerCommand,
)
from bookings.models.enforcement_words import words_of
from bookings.rules import permissions
from bookings.rules.reservations import KEPT_BEFORE, reserved_time
from bookings.rules.terms import Terms, WalkIn
from depots.models import Depot
from depots.periods import Period
from depots.templatetags.berth import money

# Of a session that a truck began in the booking before (docs/decisions/0105).
GOES_ON = "The session began in the booking before; what it charges is billed there."
WENT_ON = "The vehicle charged on from the booking before; what it charged is billed there."


@dataclass(frozen=True)
class TermLine:
    """One term in words; `is_over` when it grants nothing any more."""

    icon: str
    words: str
    is_over: bool = False


@dataclass(frozen=True)
class Firmness:
    """How firmly the slot is kept, as a sentence."""

    words: str
    level: str
    icon: str


@dataclass(frozen=True)
class FleetAction:
    """Something a dispatcher could do; without `why_not` they may."""

    name: str
    words: str
    icon: str
    why_not: str = ""

    @property
    def is_allowed(self) -> bool:
        return not self.why_not


def terms_lines(
    terms: Terms, period: Period, depot: Depot, *, counted: Period | None = None, now: datetime
) -> list[TermLine]:
    """The terms of a period in order of what a dispatcher asks first; times are the depot's. `counted` is what the deadlines
    count from, where that is another one (permissions.deadline_period)."""
    counted = counted or period
    lines = [_deadline("edit", "Change", terms.change_deadline(counted), period, depot, now)]
    cancel_until = terms.cancel_deadline(counted)
    if terms.late_cancel and cancel_until < now < period.starts_at:
        lines.append(TermLine("calendar-off", "Cancel until it starts, for a fee"))
    else:
        lines.append(_deadline("calendar-off", "Cancel", cancel_until, period, depot, now))
    lines.append(_arrival(terms.no_show_at(period), period, depot, now))
    if terms.early_start_min:
        lines.append(TermLine("player-play", f"Start up to {terms.early_start_min} min early"))
    if terms.late_stop_min:
        lines.append(TermLine("player-stop", f"Stay up to {terms.late_stop_min} min longer"))
    if terms.max_promise_kw is not None:
        lines.append(TermLine("bolt", f"At most {terms.max_promise_kw} kW are promised"))
    if terms.max_open_bookings is not None:
        lines.append(TermLine("list", f"At most {terms.max_open_bookings} bookings that are not over"))
    if depot.is_mirror and terms.walk_in == WalkIn.OWN:
        lines.append(TermLine("lock", "Charging only with a booking"))
    if terms.approval and depot.is_mirror:
        lines.insert(0, TermLine("inbox", "The partner decides"))
    elif terms.approval:
        lines.insert(0, TermLine("inbox", f"The depot decides within {terms.decision_min} min"))
    return lines


def _arrival(latest: datetime, period: Period, depot: Depot, now: datetime) -> TermLine:
    there = local(latest, period, depot)
    return TermLine("clock", f"Had to be there by {there}" if latest <= now else f"Be there by {there}")


def local(moment: datetime, period: Period, depot: Depot) -> str:
    """`10:45` on the day the period starts, else `Mon 23 Nov 23:30`; on the depot's wall clock."""
    there = moment.astimezone(depot.zone)
    same_day = there.date() == period.starts_at.astimezone(depot.zone).date()
    return f"{there:%H:%M}" if same_day else f"{there:%a %-d %b %H:%M}"


def firmness(booking: Booking, *, now: datetime) -> Firmness | None:
    """What the charger does for a booking; None where there is nothing to keep."""
    if booking.status not in {BookingStatus.CONFIRMED, BookingStatus.CHARGING}:
        return None
    if booking.is_best_effort:
        return _best_effort_firmness(booking)
    if not booking.is_ours:
        return Firmness(
            f"{booking.depot.operator} keeps the slot at its depot.", "info", "building-warehouse"
        )
    known = words_of(booking.enforcement)
    words = booking.enforcement_in_full
    if booking.enforcement == Enforcement.NOT_DUE:
        due = local(booking.terms.due_at(booking.period), booking.period, booking.depot)
        words = f"The slot is booked. The charger is told at {due}."
    elif booking.enforcement_why == "occupied" and booking.starts_at <= now:
        words = f"{known.badge}. {booking.enforcement_sentence}"  # the page says for how long its truck has waited
    elif booking.enforcement_at is not None:
        words = f"{words} Since {local(booking.enforcement_at, booking.period, booking.depot)}."
    if booking.is_reservation and booking.status == BookingStatus.CONFIRMED:
        words = f"{_reserved_words(booking)} {words}"
    return Firmness(words, known.level, known.icon)


def best_effort_words(booking: Booking) -> str:
    """What is and what is not kept for it, while it waits for its charger."""
    partner = booking.depot.operator.name
    first = local(booking.starts_at - KEPT_BEFORE, booking.period, booking.depot)
    words = (
        f"Best effort: {partner} takes no bookings. At {first} its charger is asked to be kept for this vehicle; "
        "whoever is there first may be in the way."
    )
    last = booking.partner_commands.filter(kind=PartnerCommand.Kind.RESERVE).order_by("-pk").first()
    if last is None or last.answered_at is None or last.state == PartnerCommand.State.DONE:
        return words
    tried = local(last.answered_at, booking.period, booking.depot)
    until = local(booking.no_show_at(), booking.period, booking.depot)
    why = (
        f"The partner says no: {last.text.rstrip('.')}."
        if last.state == PartnerCommand.State.REFUSED
        else "No answer came from the partner."
    )
    return f"Best effort: not kept yet. {why} Tried last at {tried}; tried again until {until}."


def _best_effort_firmness(booking: Booking) -> Firmness:
    partner = booking.depot.operator.name
    if booking.status == BookingStatus.CHARGING:
        return Firmness(f"Best effort: {partner} has let the vehicle charge.", "info", "building-warehouse")
    until = local(booking.no_show_at(), booking.period, booking.depot)
    return Firmness(
        f"Best effort: {partner} says that its charger is kept until {until}. The rest of the slot is nobody's promise.",
        "info",
        "building-warehouse",
    )


def fleet_actions(booking: Booking, *, now: datetime) -> list[FleetAction]:
    """What its fleet may do with a booking; nothing for one that is over or only held."""
    if not booking.is_live or booking.status == BookingStatus.HELD:
        return []
    is_charging = booking.status == BookingStatus.CHARGING and booking.is_ours
    words, icon = ("Shorten or extend", "clock") if is_charging else ("Change", "edit")
    late = (
        [] if is_charging else [FleetAction("delay", "Running late", "clock", why_not_late(booking, now=now))]
    )
    if is_only_of_truck(booking, now=now):
        words = "Another vehicle"
    return [
        *late,
        FleetAction("change", words, icon, _why_no_change(booking, now)),
        FleetAction("cancellation", "Cancel booking", "x", _why_no_cancel(booking, now)),
    ]


def cancel_words(booking: Booking) -> str:
    """Why it was cancelled, and by whom."""
    reason = CancelReason.words(booking.cancel_reason)
    by = {"fleet": "by its fleet", "depot": "by the depot"}.get(booking.cancelled_by, "")
    return ": ".join(part for part in (f"Cancelled {by}".strip(), reason) if part)


def price_change(was: dict[str, Any], now: dict[str, Any]) -> str:
    """Both prices, of quotes as they are kept, where a change makes another of it."""
    if (
        not was
        or not now
        or (was.get("total"), was.get("currency")) == (now.get("total"), now.get("currency"))
    ):
        return ""
    return f"About {money(now['total'], now['currency'])} instead of {money(was['total'], was['currency'])}."


def status_words(booking: Booking) -> str:
    """Where a booking stands, in one sentence."""
    partner = booking.depot.operator.name
    decided = f" It answers by {_clock(booking)}." if booking.decide_until else ""
    known = {
        BookingStatus.HELD: "This slot is kept for you while you look. It is not booked yet.",
        BookingStatus.REQUESTED: best_effort_words(booking)
        if booking.is_best_effort and booking.status == BookingStatus.REQUESTED
        else f"{partner} has been asked and has not answered yet."
        if not booking.is_ours
        else f"The depot has been asked and decides.{decided}",
        BookingStatus.CONFIRMED: "Booked.",
        BookingStatus.CHARGING: "The vehicle is charging.",
        BookingStatus.COMPLETED: "Charged and done.",
        BookingStatus.CANCELLED: f"{cancel_words(booking)}.",
        BookingStatus.DECLINED: f"Declined: {booking.note.rstrip('.')}." if booking.note else "Declined.",
        BookingStatus.NO_SHOW: f"{booking.note} Whether the vehicle was there is not known."
        if booking.is_best_effort
        else "The reservation expired: the vehicle did not come in time."
        if booking.is_reservation
        else "The vehicle did not come in time, and the slot was given up.",
        BookingStatus.FAILED: f"Nothing came of it: {booking.note.rstrip('.')}." if booking.note else "Nothing came of it.",
        BookingStatus.EXPIRED: "The hold ran out before it was confirmed.",
    }  # fmt: skip
    return known[BookingStatus(booking.status)]


def _reserved_words(booking: Booking) -> str:
    """`Nordfracht asked for it at once, for a vehicle that is on its way, until 09:30.`"""
    until = local(reserved_time(booking).until, booking.period, booking.depot)
    return f"{booking.fleet.name} asked for it at once, for a vehicle that is on its way, until {until}."


def _clock(booking: Booking) -> str:
    """Until when the depot decides, on its own clock."""
    return f"{booking.decide_until.astimezone(booking.depot.zone):%H:%M}" if booking.decide_until else ""


def _deadline(
    icon: str, verb: str, deadline: datetime, period: Period, depot: Depot, now: datetime
) -> TermLine:
    if deadline <= now:
        done = {"Change": "changed", "Cancel": "cancelled"}[verb]
        return TermLine(icon, f"Can no longer be {done}", is_over=True)
    if deadline > period.starts_at - timedelta(minutes=1):
        return TermLine(icon, f"{verb} until it starts")
    return TermLine(icon, f"{verb} until {local(deadline, period, depot)}")


def is_only_of_truck(booking: Booking, *, now: datetime) -> bool:
    """Whether of a booking no more than its vehicle and tokens can be others by now."""
    by = Booking.Side.FLEET
    is_late = not permissions.can_change(booking, by=by, now=now)
    return is_late and permissions.can_change(booking, by=by, now=now, until_no_show=True)


def why_not_late(booking: Booking, *, now: datetime) -> str:
    """Why a truck cannot be said to be late; empty where it can."""
    return _why_no_change(booking, now)


def why_no_other_time(booking: Booking, *, now: datetime) -> str:
    """Of its time and EVSE, which can be others for less long than its vehicle."""
    try:
        permissions.check_change(booking, by=Booking.Side.FLEET, now=now)
    except ChangeTooLate as late:
        return f"Changes were possible until {local(late.deadline, booking.period, booking.depot)}."
    return ""


def _why_no_change(booking: Booking, now: datetime) -> str:
    """Of its vehicle as well: that can be another one for longest."""
    try:
        permissions.check_change(booking, by=Booking.Side.FLEET, now=now, until_no_show=True)
    except ChangeTooLate as late:
        return f"Changes were possible until {local(late.deadline, booking.period, booking.depot)}."
    except WrongStatus as refusal:
        return str(refusal)
    if booking.pays_before and BookingPayment.objects.filter(pk=booking.pk, status="asked").exists():
        return "It waits for its payment. Once that is there it can be changed."
    return _why_partner_first(booking)


def _why_no_cancel(booking: Booking, now: datetime) -> str:
    try:
        permissions.check_cancel(booking, by=Booking.Side.FLEET, now=now)
    except CancelTooLate as late:
        return f"It could be cancelled until {local(late.deadline, booking.period, booking.depot)}."
    except WrongStatus:
        return f"A booking that is {booking.get_status_display().lower()} cannot be cancelled."
    return _why_partner_first(booking)


def _why_partner_first(booking: Booking) -> str:
    waiting = booking.pending_request
    if booking.is_ours or waiting is None or waiting.kind != BookingRequest.Kind.CANCEL:
        return ""
    return f"{booking.depot.operator} has been asked to cancel it and has not answered yet."
