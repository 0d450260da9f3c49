"""Bookings at partners that keep none: their charger is kept by RESERVE_NOW, shortly before, as far as it goes.

The Delivery of the newest ask is what goes on: due when the charger is to be kept, again while it is not, and as soon as a
command is decided. Nothing is kept between two looks but the PartnerCommands themselves, so whoever takes over after a kill
goes on.

Nobody but us knows the booking, so a change or a cancellation needs nobody's consent: what is kept already is given back. Until
the charger is kept the booking stays requested; where it cannot be by the time a truck would have lost its slot, it is declined.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from bookings.actors import SCHEDULER, Actor
from bookings.core import calendars
from bookings.core.locking import lock_booking
from bookings.errors import SlotTaken
from bookings.models import Booking, BookingRequest, BookingStatus, PartnerCommand
from bookings.operations import (
    RemoteState,
    adopt_remote,
    give_back_at_partner,
    reserve_at_partner,
    take_elsewhere,
)
from bookings.rules.reservations import KEPT_BEFORE
from depots.periods import Period
from roaming.models import Delivery
from roaming.ocpi.times import read_time
from roaming.outbound import deliveries
from roaming.outbound.deliveries import Lease
from roaming.outbound.postponing import postpone
from roaming.outbound.waking import wake_sender

Decision, State = BookingRequest.Decision, PartnerCommand.State
RESERVE, GIVE_BACK = PartnerCommand.Kind.RESERVE, PartnerCommand.Kind.GIVE_BACK
# Somebody may drive away meanwhile.
TRIED_AGAIN = timedelta(minutes=2)
CHARGES = "Charging has begun."
ONLY_TIME = "By best effort only the time can be changed: cancel, and book the other EVSE or vehicle."
TAKEN_BACK = "The partner took its charger back."


def drives(ask_id: int) -> BookingRequest | None:
    """The ask, decided or not, where it is of a booking by best effort; None leaves it to our_requests."""
    ask = BookingRequest.objects.select_related("booking").filter(pk=ask_id).first()
    return ask if ask is not None and ask.booking.is_best_effort else None


def go_on(lease: Lease, ask: BookingRequest, *, now: datetime) -> None:
    """The next step for the booking, and when to look again. All of it under the booking's lock: what is kept for one that is
    being cancelled would stay kept."""
    with calendars.one_operation():
        booking = lock_booking(ask.booking_id)
        newest = booking.requests.order_by("-pk").first()
        until = _step(newest, booking, now) if newest is not None and newest.pk == ask.pk else None
    if until is None:
        deliveries.unchanged(lease)
    else:
        postpone(lease, until=until)


def _step(ask: BookingRequest, booking: Booking, now: datetime) -> datetime | None:
    """When to look again; None when there is nothing more to do."""
    commands = list(booking.partner_commands.filter(kind__in=[RESERVE, GIVE_BACK]).order_by("pk"))
    last = commands[-1] if commands else None
    if last is not None and last.state in PartnerCommand.WAITING and now < last.answer_by:
        return last.answer_by
    if ask.decision == Decision.PENDING and booking.status == BookingStatus.CHARGING:
        _adopt(booking, RemoteState(decision=Decision.DECLINED, reason=CHARGES, ask_id=ask.pk), now)
        return None
    if ask.decision == Decision.PENDING and ask.kind == BookingRequest.Kind.CANCEL:
        _give_back(booking, commands, ask, now)
        _adopt(booking, _cancelled(ask), now)
        return None
    if ask.decision == Decision.PENDING and ask.kind == BookingRequest.Kind.CHANGE:
        return _change(ask, booking, commands, now)
    return _keep(ask, booking, commands, now) if booking.status == BookingStatus.REQUESTED else None


def _change(
    ask: BookingRequest, booking: Booking, commands: list[PartnerCommand], now: datetime
) -> datetime | None:
    if {"tokens", "vehicle_id"} & ask.asked.keys() or ask.asked.get(
        "evse_id", booking.evse_id
    ) != booking.evse_id:
        _adopt(booking, RemoteState(decision=Decision.DECLINED, reason=ONLY_TIME, ask_id=ask.pk), now)
        return now if booking.status == BookingStatus.REQUESTED else None
    period = _asked_period(ask)
    if period is not None and (reason := _why_taken(booking, period)):
        _adopt(booking, RemoteState(decision=Decision.DECLINED, reason=reason, ask_id=ask.pk), now)
        return now if booking.status == BookingStatus.REQUESTED else None
    _give_back(booking, commands, ask, now)
    state = RemoteState(
        status=BookingStatus.REQUESTED,
        period=period,
        decision=Decision.ACCEPTED,
        ask_id=ask.pk,
    )
    _adopt(booking, state, now)
    return now


def _why_taken(booking: Booking, period: Period) -> str:
    """Another of ours may have asked for that time since this one did; empty where none has."""
    try:
        take_elsewhere(booking.option_id, period, but=booking.pk)
    except SlotTaken as taken:
        return str(taken)
    return ""


def _keep(
    ask: BookingRequest, booking: Booking, commands: list[PartnerCommand], now: datetime
) -> datetime | None:
    name = _reservation(booking, ask)
    tries = [one for one in commands if one.kind == RESERVE and one.reservation == name]
    last = tries[-1] if tries else None
    if last is not None and last.state == State.DONE:
        _adopt(booking, RemoteState(status=BookingStatus.CONFIRMED, decision=Decision.ACCEPTED), now)
        return None
    until = booking.no_show_at()
    if now >= until:
        _give_back(booking, commands, ask, now)
        reason = f"Its charger could not be kept. {_words(last)}".strip()
        declined = RemoteState(status=BookingStatus.DECLINED, decision=Decision.DECLINED, reason=reason)
        _adopt(booking, declined, now)
        return None
    due = booking.starts_at - KEPT_BEFORE
    if last is not None:
        due = max(due, (last.answered_at or last.asked_at) + TRIED_AGAIN)
    if now < due:
        return min(due, until)
    command = reserve_at_partner(
        booking_id=booking.pk, reservation=name, expires_at=until, actor=ask.asked_by, now=now
    )
    return command.answer_by


def _give_back(
    booking: Booking, commands: Iterable[PartnerCommand], ask: BookingRequest, now: datetime
) -> None:
    """What the partner keeps, or may: a lost answer says nothing."""
    kept: dict[str, bool] = {}
    for one in commands:
        if one.kind == GIVE_BACK:
            kept.pop(one.reservation, None)
        elif one.state != State.REFUSED and one.expires_at is not None and one.expires_at > now:
            kept[one.reservation] = True
    for name in kept:
        give_back_at_partner(booking_id=booking.pk, reservation=name, actor=ask.asked_by, now=now)


def decided(command: PartnerCommand, *, now: datetime) -> None:
    """The partner has said what became of it: the booking goes on."""
    if command.kind not in {RESERVE, GIVE_BACK} or command.state in PartnerCommand.WAITING:
        return
    newest = command.booking.requests.order_by("-pk").values("pk")[:1]
    waiting = Delivery.objects.filter(
        kind=Delivery.Kind.REQUEST, object_id__in=newest, next_try_at__isnull=False
    )
    if waiting.update(next_try_at=now):
        wake_sender()


def taken_back(command: PartnerCommand, *, now: datetime) -> None:
    """The partner gives its charger to somebody else after all (CANCELED_RESERVATION): nothing is left of the booking."""
    booking = Booking.objects.select_related("depot__operator").get(pk=command.booking_id)
    newest = booking.partner_commands.filter(kind=RESERVE).order_by("-pk").first()
    if newest is None or newest.reservation != command.reservation:
        return

    def state(locked: Booking, ask: BookingRequest | None) -> RemoteState:
        if locked.status != BookingStatus.CONFIRMED:
            return RemoteState()
        return RemoteState(
            status=BookingStatus.CANCELLED,
            reason=TAKEN_BACK,
            cancelled_by=str(Booking.Side.DEPOT.value),
            cancel_reason="UNKNOWN",
        )

    adopt_remote(booking_id=booking.pk, state=state, actor=_partner(booking), now=now)


def _adopt(booking: Booking, state: RemoteState, now: datetime) -> None:
    actor = _partner(booking) if state.status == BookingStatus.CONFIRMED else SCHEDULER
    adopt_remote(booking_id=booking.pk, state=state, actor=actor, now=now)


def _cancelled(ask: BookingRequest) -> RemoteState:
    return RemoteState(
        status=BookingStatus.CANCELLED,
        decision=Decision.ACCEPTED,
        cancelled_by=str(Booking.Side.FLEET.value),
        cancel_reason=ask.asked.get("reason", "NO_CANCELED"),
        ask_id=ask.pk,
    )


def _reservation(booking: Booking, ask: BookingRequest) -> str:
    """Another one with each ask: a reservation that is being given back is not mistaken for its successor."""
    return f"{booking.reference}-{ask.pk}"[:36]


def _asked_period(ask: BookingRequest) -> Period | None:
    asked: dict[str, Any] | None = ask.asked.get("period")
    return Period(read_time(asked["start"]), read_time(asked["end"])) if asked else None


def _words(last: PartnerCommand | None) -> str:
    if last is None:
        return "The partner was not reached in time."
    return last.text if last.state == State.REFUSED else "The partner did not answer."


def _partner(booking: Booking) -> Actor:
    operator = booking.depot.operator
    return Actor.partner(operator.country_code, operator.cpo_party_id)
