from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction

from bookings.actors import Actor
from bookings.core import lifecycle
from bookings.core.locking import lock_booking
from bookings.errors import WrongStatus
from bookings.models import Booking, BookingRequest, BookingStatus, BookingToken, Vehicle
from bookings.operations import request_log
from bookings.operations.apply_change import replace_tokens
from bookings.operations.change_request import read_period
from bookings.rules import energy_slots, quotes
from bookings.rules.charging_duration import EnergyAsked
from bookings.rules.energy_slots import asked_then
from depots.models import Evse
from depots.periods import Period


@dataclass(frozen=True)
class RemoteState:
    """A partner's truth about one of our bookings at its depot; None is "not told".

    `status` is ours for its `remote_status`; `decision` answers the ask we are waiting for; `cancelled_by` and
    `cancel_reason` belong to a cancellation. `terms` are those it was accepted under, as far as they were told. With `ask_id` all
    of it is about that ask, and nothing once it is settled.
    """

    remote_status: str = ""
    status: BookingStatus | None = None
    remote_id: str = ""
    period: Period | None = None
    evse_uid: str | None = None
    power_w: int | None = None
    decision: BookingRequest.Decision | None = None
    reason: str = ""
    cancelled_by: str = ""
    cancel_reason: str = ""
    ask_id: int | None = None
    terms: Mapping[str, Any] = field(default_factory=dict)


# What a partner says may mean one thing or another, depending on what was asked: it is read under the lock.
Reading = Callable[[Booking, BookingRequest | None], RemoteState]


def adopt_remote(*, booking_id: int, state: RemoteState | Reading, actor: Actor, now: datetime) -> Booking:
    """Take over what the partner says. Saying the same twice changes nothing and leaves no event.

    A Reading is given the locked booking and the ask that waits by then: another may have taken the place of the one
    that the partner has read.
    """
    with transaction.atomic():
        booking = lock_booking(booking_id)
        if booking.is_ours:
            raise WrongStatus(booking.status, "adopted", "This booking is at one of our own depots.")
        ask = booking.pending_request
        if not isinstance(state, RemoteState):
            state = state(booking, ask)
        if state.ask_id is not None and (ask is None or ask.pk != state.ask_id):
            return booking
        cancel_asked = ask is not None and ask.kind == BookingRequest.Kind.CANCEL
        is_surprising = not cancel_asked and state.status != BookingStatus.REQUESTED
        if ask is not None and state.decision not in {None, BookingRequest.Decision.PENDING}:
            request_log.settle(ask, state.decision, reason=state.reason, actor=actor, now=now)
        fields, changed = _take_facts(booking, state)
        if ask is not None and ask.decision == BookingRequest.Decision.ACCEPTED:
            _take_granted(booking, ask, fields, changed)
        if state.status is not None and state.status != booking.status and _moves_on(booking, state.status):
            _take_status(booking, state, fields, changed, surprising=is_surprising, actor=actor, now=now)
        elif fields or (ask is not None and ask.decision != BookingRequest.Decision.PENDING):
            _take_rest(booking, state, ask, fields, changed, actor=actor, now=now)
    return booking


def with_asked(booking: Booking, ask: BookingRequest) -> Booking:
    """A copy, unsaved, of what a change makes of a booking beside its time and place, which its depot tells, and its tokens."""
    asked = ask.asked if ask.kind == BookingRequest.Kind.CHANGE else {}
    found = copy.copy(booking)
    if "vehicle_id" in asked:
        found.vehicle = Vehicle.objects.filter(pk=asked["vehicle_id"]).first() or booking.vehicle
    found.plate = asked.get("plate") or asked.get("vehicle") or booking.plate
    found.authorization_reference = asked.get("authorization_reference") or booking.authorization_reference
    found.wished_power_w = asked.get("power_w", booking.wished_power_w)
    found.trailer_id = request_log.trailer_asked(asked, booking)
    energy = EnergyAsked(**asked["energy"]) if "energy" in asked else asked_then(booking, found.vehicle)
    energy_slots.keep(found, energy, found.vehicle)
    return found


def _take_granted(booking: Booking, ask: BookingRequest, fields: list[str], shown: dict[str, Any]) -> None:
    """Make the booking what the partner has accepted that it be; for whom it is no partner tells anew."""
    then = with_asked(booking, ask)
    for column in (
        "vehicle_id",
        "trailer_id",
        "plate",
        "authorization_reference",
        "wished_power_w",
        *energy_slots.KEPT,
    ):
        if getattr(then, column) != getattr(booking, column):
            setattr(booking, column, getattr(then, column))
            fields.append(column.removesuffix("_id"))
    if {"vehicle", "plate"} & set(fields):
        shown["vehicle"] = booking.plate
    if ask.kind == BookingRequest.Kind.CHANGE and "tokens" in ask.asked:
        tokens = [BookingToken(**token) for token in ask.asked["tokens"]]
        replace_tokens(booking, tokens)
        shown["tokens"] = [token.ending for token in tokens]
    if "quote" in ask.asked and _is_as_asked(booking, ask):
        quotes.keep(booking, ask.asked["quote"])
        fields.extend(quotes.KEPT)
        shown["price"] = quotes.brief(booking.quote)


def _is_as_asked(booking: Booking, ask: BookingRequest) -> bool:
    return "period" not in ask.asked or booking.period.in_utc() == read_period(ask.asked["period"]).in_utc()


def _moves_on(booking: Booking, to: BookingStatus) -> bool:
    """A partner's FULFILLED stands for our charging and completed alike: completed is not taken back by it."""
    return not (booking.status == BookingStatus.COMPLETED and to == BookingStatus.CHARGING)


def _take_facts(booking: Booking, state: RemoteState) -> tuple[list[str], dict[str, Any]]:
    """Set what differs; the columns to save, and what of it a dispatcher should see."""
    fields: list[str] = []
    shown: dict[str, Any] = {}
    told = {
        "remote_id": state.remote_id, "remote_status": state.remote_status, "promised_power_w": state.power_w,
    }  # fmt: skip
    for column, value in told.items():
        if value and value != getattr(booking, column):
            setattr(booking, column, value)
            fields.append(column)
    if state.period is not None and state.period.in_utc() != booking.period.in_utc():
        shown["period"] = state.period.as_json()
        booking.period = state.period
        fields += ["starts_at", "ends_at"]
    if (terms := {**booking.terms_json, **state.terms}) != booking.terms_json:
        booking.terms_json = terms
        fields.append("terms_json")
    evse = _evse_told(booking, state)
    if evse is not None and evse.pk != booking.evse_id:
        if booking.evse_id is not None:  # the first one is what was asked for, not a change of it
            shown["evse"] = evse.uid
        booking.evse = evse
        fields.append("evse")
    return fields, shown


def _evse_told(booking: Booking, state: RemoteState) -> Evse | None:
    if not state.evse_uid:
        return None
    return Evse.objects.filter(depot=booking.depot_id, uid__iexact=state.evse_uid).first()


def _take_status(
    booking: Booking,
    state: RemoteState,
    fields: list[str],
    shown: dict[str, Any],
    *,
    surprising: bool,
    actor: Actor,
    now: datetime,
) -> None:
    assert state.status is not None
    detail = {"remote_status": state.remote_status, **shown}
    if state.reason:
        detail["reason"] = state.reason
        booking.note = state.reason[:200]
        fields.append("note")
    if state.status == BookingStatus.CANCELLED:
        booking.cancel_reason, booking.cancelled_by = state.cancel_reason, state.cancelled_by
        fields += ["cancel_reason", "cancelled_by"]
        detail |= {"reason": state.cancel_reason, "by": state.cancelled_by}
    first_answer = booking.status == BookingStatus.REQUESTED and state.status == BookingStatus.CONFIRMED
    if not first_answer and surprising and state.status != BookingStatus.CHARGING:
        booking.changed_by_depot_at = now
        fields.append("changed_by_depot_at")
    if state.status not in {BookingStatus.REQUESTED, BookingStatus.CONFIRMED}:
        request_log.decline_pending(booking, "The booking has ended.", actor=actor, now=now)
    lifecycle.adopt(booking, state.status, actor=actor, at=now, detail=detail, fields=fields)


def _take_rest(
    booking: Booking,
    state: RemoteState,
    ask: BookingRequest | None,
    fields: list[str],
    shown: dict[str, Any],
    *,
    actor: Actor,
    now: datetime,
) -> None:
    """Same status: the answer to a change, an EVSE assigned, or a move by the partner."""
    answered = ask is not None and ask.decision != BookingRequest.Decision.PENDING
    kind = "changed" if shown else "answered"
    if answered and ask is not None and ask.kind != BookingRequest.Kind.CREATE:
        kind = "change_accepted" if ask.decision == BookingRequest.Decision.ACCEPTED else "change_declined"
    if shown and not answered:
        booking.changed_by_depot_at = now
        fields.append("changed_by_depot_at")
    detail = {"by": "depot", "after": shown, **({"reason": state.reason} if state.reason else {})}
    lifecycle.record(booking, kind=kind, actor=actor, at=now, detail=detail, fields=fields)
