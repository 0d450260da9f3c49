"""Waiting for a slot that somebody else has: joining, leaving, and taking what is offered.

A waiting entry is locked before everything else; whoever has a booking locks no entry.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Q

from bookings.actors import Actor
from bookings.core import calendars
from bookings.core.constraints import violation_raises
from bookings.core.forgetting import delete_in_batches
from bookings.errors import (
    NO_ROOM,
    ChangedMeanwhile,
    SlotTaken,
    TooManyBookings,
    TooManyWaiting,
    WaitsAlready,
    WrongStatus,
)
from bookings.models import Booking, BookingStatus, WaitlistEntry, WaitlistMark
from bookings.operations.book import check_request, request_booking
from bookings.operations.cancel import release_hold
from bookings.operations.confirm import confirm_hold
from bookings.operations.series_plan import kept_of
from bookings.operations.slot_request import SlotRequest
from bookings.rules import content_version
from bookings.rules.charging_duration import EnergyAsked
from bookings.rules.entitlement import TokenName
from bookings.search.bookable import terms_for
from bookings.signals import waitlist_expired
from depots.models import Organisation

Status = WaitlistEntry.Status
# What may pass: somebody gives a slot back, or an own booking ends. Whatever else is refused would be refused then too.
MAY_PASS = (SlotTaken, *NO_ROOM, TooManyBookings)
# So many entries of one fleet are open at once.
MOST_WAITING = 500
# So many are ended in one transaction.
ENDED_AT_ONCE = 500
# Why an entry is over, beside the codes of refusals.
IN_VAIN, OFFER_RAN_OUT = "waited_in_vain", "offer_ran_out"
_ONE_JOINS = "SELECT pg_advisory_xact_lock(hashtextextended('joins the waiting list', %s))"
# So long one finds what became of an entry.
SETTLED_KEPT = timedelta(days=90)


def join_waitlist(request: SlotRequest, *, actor: Actor, now: datetime) -> WaitlistEntry:
    """Wait for this slot. One that is free by now is offered with the next tick.

    Raises what booking it would, where waiting does not help; WaitsAlready, TooManyWaiting.
    """
    with suppress(*MAY_PASS):
        check_request(request, now=now)
    lead = timedelta(minutes=terms_for(request.option, request.fleet, now=now).lead_min)
    entry = WaitlistEntry(
        fleet=request.fleet, depot=request.option.depot, option=request.option, evse=request.evse,
        vehicle=request.vehicle, trailer=request.trailer, starts_at=request.period.starts_at,
        ends_at=request.period.ends_at, ends_when_charged=request.ends_when_charged, asked=_asked(request),
        waits_until=request.period.starts_at - lead, asked_at=now, **actor.columns("asked_by"),
    )  # fmt: skip
    twice = WaitsAlready("This vehicle waits for the same slot already.")
    with violation_raises({"waitlist_once": twice}), calendars.one_operation():
        _check_most(entry.fleet)
        entry.save()
        mark_waiting(entry.depot_id, due_at=now)
    return entry


def leave_waitlist(
    *, entry_id: int, seen_version: int | None = None, actor: Actor, now: datetime
) -> WaitlistEntry:
    """Wait no more; a slot that is held for the entry goes to the next. Raises WrongStatus, ChangedMeanwhile."""
    with calendars.one_operation():
        entry = _locked(entry_id)
        _check_seen(entry, seen_version)
        if not entry.is_open:
            raise WrongStatus(entry.status, Status.WITHDRAWN, f"This entry is {entry.status} already.")
        if entry.held is not None and entry.held.status == BookingStatus.HELD:
            release_hold(booking_id=entry.held.pk, actor=actor, now=now)
        if entry.status == Status.OFFERED:
            mark_waiting(entry.depot_id, due_at=now)
        settle(entry, Status.WITHDRAWN, now)
    return entry


def accept_offer(*, entry_id: int, seen_version: int | None = None, actor: Actor, now: datetime) -> Booking:
    """Take what is offered: confirmed, or asked for where a depot or a partner decides. Raises WrongStatus where nothing is on
    offer any more, ChangedMeanwhile, or a refusal of the booking."""
    with calendars.one_operation():
        entry = _locked(entry_id)
        if entry.status != Status.OFFERED or entry.runs_out(now):
            raise WrongStatus(entry.status, Status.ACCEPTED, "Nothing is offered here (any more).")
        _check_seen(entry, seen_version)
        if entry.held is not None:
            booking = confirm_hold(booking_id=entry.held.pk, actor=actor, now=now)
        else:
            booking = request_booking(_offered_request(entry), actor=actor, now=now)
            entry.held = booking
        settle(entry, Status.ACCEPTED, now)
    return booking


def follow_offer(*, entry_id: int, now: datetime) -> WaitlistEntry:
    """What became of an offer by other ways: its hold was confirmed, given back, taken by the depot, or ran out."""
    with calendars.one_operation():
        entry = _locked(entry_id)
        if entry.status != Status.OFFERED:
            return entry
        if entry.held is None:
            if entry.runs_out(now):
                mark_waiting(entry.depot_id, due_at=now)
                settle(entry, Status.EXPIRED, now)
        elif (became := _became(entry.held)) == Status.WAITING:
            entry.held, entry.offered_until = None, None
            settle(entry, Status.WAITING, now)
            # While it was on offer no change of a calendar has left a mark for it.
            mark_waiting(entry.depot_id, due_at=now)
        elif became is not None:
            settle(entry, became, now)
    return entry


def expire_waiting(*, now: datetime) -> int:
    """Nobody may book the start of these any more. As many as are ended at once; how many that were."""
    with calendars.one_operation():
        over = WaitlistEntry.objects.filter(status=Status.WAITING, waits_until__lte=now)
        rows = over.select_for_update(no_key=True, of=("self",), skip_locked=True)
        rows = rows.select_related("fleet", "option__depot", "vehicle", "evse", "held")
        entries = list(rows.order_by("waits_until", "pk")[:ENDED_AT_ONCE])
        for entry in entries:
            entry.status, entry.settled_at = Status.EXPIRED, now
        WaitlistEntry.objects.bulk_update(entries, ["status", "settled_at"])
        _tell_expired(entries, IN_VAIN, now)
    return len(entries)


def forget_settled(*, now: datetime) -> None:
    delete_in_batches(WaitlistEntry.objects.filter(settled_at__lte=now - SETTLED_KEPT))


def due_offers(now: datetime) -> list[int]:
    """Offers that something became of, by id."""
    rows = WaitlistEntry.objects.filter(status=Status.OFFERED)
    became = Q(held=None, offered_until__lte=now) | (
        Q(held__isnull=False) & ~Q(held__status=BookingStatus.HELD)
    )
    return list(rows.filter(became).order_by("pk").values_list("pk", flat=True))


def entry_version(entry: WaitlistEntry) -> int:
    """For whoever is shown an entry with what is on offer, and where."""
    offered = entry.offered
    where = entry.held.evse_id if entry.held is not None else None
    return content_version.version_of([entry.pk, entry.status, offered.as_json() if offered else None, where])


def wanted_of(entry: WaitlistEntry) -> SlotRequest:
    """What it waits for, as it would be booked now."""
    asked = entry.asked
    tokens = asked.get("tokens")
    return SlotRequest(
        fleet=entry.fleet, option=entry.option, evse=entry.evse, vehicle=entry.vehicle, trailer=entry.trailer,
        period=entry.period, ends_when_charged=entry.ends_when_charged, power_w=asked.get("power_w"),
        energy=EnergyAsked(**asked["energy"]) if asked.get("energy") else None,
        tokens=[TokenName(**token) for token in tokens] if tokens is not None else None,
        shown_price=asked.get("shown_price"),
    )  # fmt: skip


def mark_waiting(depot_id: int, *, due_at: datetime) -> None:
    """Have those who wait there looked at."""
    WaitlistMark.objects.create(depot_id=depot_id, due_at=due_at)


def settle(entry: WaitlistEntry, status: str, now: datetime, *, why: str = OFFER_RAN_OUT) -> None:
    """Of a locked entry; `why` is the code of what ended one that is expired."""
    entry.status = status
    entry.settled_at = None if entry.is_open else now
    entry.save(update_fields=["status", "settled_at", "held", "offered_until"])
    if status == Status.EXPIRED:
        _tell_expired([entry], why, now)


def _tell_expired(entries: Sequence[WaitlistEntry], why: str, now: datetime) -> None:
    if entries:
        waitlist_expired.send(sender=WaitlistEntry, entries=entries, why=why, at=now)


def _check_most(fleet: Organisation) -> None:
    """One of a fleet joins at a time, so that all count. Raises TooManyWaiting."""
    with connection.cursor() as cursor:
        cursor.execute(_ONE_JOINS, [fleet.pk])
    if WaitlistEntry.objects.filter(fleet=fleet, status__in=WaitlistEntry.OPEN).count() >= MOST_WAITING:
        raise TooManyWaiting(f"{fleet} waits for {MOST_WAITING} slots already, the most there may be.")


def _asked(request: SlotRequest) -> dict[str, Any]:
    shown = {"shown_price": request.shown_price} if request.shown_price is not None else {}
    return {**kept_of(request), **shown}


def _locked(entry_id: int) -> WaitlistEntry:
    """Read after the lock: what is joined to a row that was waited for is as it was before, and an offer made meanwhile would
    be without its hold."""
    list(WaitlistEntry.objects.select_for_update(no_key=True).filter(pk=entry_id).values_list("pk"))
    at_hand = ("fleet", "option__depot", "vehicle", "trailer", "evse", "held")
    return WaitlistEntry.objects.select_related(*at_hand).get(pk=entry_id)


def _check_seen(entry: WaitlistEntry, seen_version: int | None) -> None:
    if seen_version is not None and seen_version != entry_version(entry):
        raise ChangedMeanwhile("What is offered has changed since you looked.")


def _offered_request(entry: WaitlistEntry) -> SlotRequest:
    """At the time that was offered: of one that ends when charged the end is known by then."""
    offered = entry.offered
    assert offered is not None
    return replace(wanted_of(entry), period=offered, ends_when_charged=False)


def _became(held: Booking) -> str | None:
    """None while it is held. A depot that takes the slot away puts its fleet back into its turn."""
    if held.status == BookingStatus.HELD:
        return None
    if held.status == BookingStatus.EXPIRED:
        return Status.EXPIRED
    if held.status == BookingStatus.CANCELLED:
        return Status.WAITING if held.cancelled_by == Booking.Side.DEPOT else Status.WITHDRAWN
    return Status.ACCEPTED
