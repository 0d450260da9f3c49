"""Ending an agreement, now or at a date: which bookings that touches, what becomes of each, and taking it back."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from bookings.actors import Actor
from bookings.core import calendars
from bookings.core.locking import lock_bookings, lock_depot, lock_ids
from bookings.errors import AgreementOver, BookingError, ChangedMeanwhile, InThePast
from bookings.models import AgreementEvent, Booking, CancelReason
from bookings.operations import request_log
from bookings.operations.cancel import write_off
from bookings.operations.undo import book_anew
from bookings.rules import content_version
from bookings.rules.permissions import CANCELLABLE
from bookings.signals import agreement_moved, booked_again, end_taken_back
from depots.models import Agreement, Evse

Kind = AgreementEvent.Kind
NOTE = "The agreement by which it was booked has ended."
# So long an end that has come can be taken back; one that is ahead, as long as it is.
TAKEN_BACK_FOR = timedelta(minutes=10)
MOMENT = timedelta(microseconds=1)


@dataclass(frozen=True)
class Ending:
    """What an end did: the bookings that were cancelled, and those that stand."""

    agreement: Agreement
    cancelled: list[Booking]
    kept: list[Booking]


@dataclass(frozen=True)
class Reopening:
    """What taking an end back did: what is booked again, with new references, and why the rest is not."""

    agreement: Agreement
    booked: list[Booking]
    refused: list[tuple[Booking, str]]

    @classmethod
    def of(cls, event: AgreementEvent) -> Reopening:
        again, lost = event.detail["again"].values(), event.detail["lost"]
        booked = Booking.objects.filter(pk__in=again).order_by("starts_at", "pk")
        refused = Booking.objects.filter(pk__in=lost).order_by("starts_at", "pk")
        return cls(event.agreement, list(booked), [(booking, lost[str(booking.pk)]) for booking in refused])


def touched(agreement: Agreement, ends_at: datetime, *, now: datetime) -> list[Booking]:
    """The live bookings that reach beyond this end and were made by no other agreement that lasts, in order of time."""
    rows = Booking.objects.live().filter(depot=agreement.depot_id, ends_at__gt=max(ends_at, now))
    if agreement.guest_id is not None:
        rows = rows.filter(fleet=agreement.guest_id)
    else:
        rows = rows.exclude(fleet=agreement.depot.operator_id)
    rows = rows.select_related("fleet", "evse", "depot__operator", "vehicle", "option")
    others = list(Agreement.objects.in_force(now).filter(depot=agreement.depot_id).exclude(pk=agreement.pk))
    return [
        booking for booking in rows.order_by("starts_at", "pk")
        if not any(
            other.admits(booking.fleet_id) and (other.ends_at is None or other.ends_at >= booking.ends_at)
            for other in others
        )
    ]  # fmt: skip


def ending_version(agreement: Agreement, found: Sequence[Booking]) -> int:
    """For the form that shows an agreement with the bookings that its end touches."""
    rows = [[booking.pk, booking.status, booking.period.as_json()] for booking in found]
    return content_version.version_of([agreement.pk, str(agreement.ends_at), rows])


def end_agreement(
    *,
    agreement_id: int,
    ends_at: datetime | None = None,
    cancel: Collection[int] = (),
    seen_version: int | None = None,
    actor: Actor,
    now: datetime,
) -> Ending:
    """Nobody books by it beyond its end (None: now). Of the bookings it touches those in `cancel` (ids) are cancelled by the
    depot; the others stand, as they were agreed. What charges already is left alone.

    Raises AgreementOver, InThePast, or ChangedMeanwhile where it touches others than `seen_version` (of `ending_version`).
    """
    depot_id = Agreement.objects.values_list("depot_id", flat=True).get(pk=agreement_id)
    with calendars.one_operation():
        agreement = _locked(agreement_id, depot_id)
        wanted = max(ends_at or now, agreement.starts_at + MOMENT)
        if agreement.ends_at is not None and agreement.ends_at <= now:
            raise AgreementOver("The agreement has ended already.")
        if ends_at is not None and ends_at < now:
            raise InThePast("That end is over already. Leave it blank to end the agreement now.")
        found = touched(agreement, wanted, now=now)
        if seen_version is not None and seen_version != ending_version(agreement, found):
            raise ChangedMeanwhile("The bookings that this touches have changed since you looked.")
        chosen = [booking.pk for booking in found if booking.pk in cancel and booking.status in CANCELLABLE]
        for booking in lock_bookings(chosen):
            request_log.decline_pending(booking, NOTE, actor=actor, now=now)
            write_off(booking, CancelReason.UNKNOWN, Booking.Side.DEPOT, note=NOTE, actor=actor, now=now)
        detail = {
            "ends_at": wanted.isoformat(),
            "ends_at_before": _text(agreement.ends_at),
            "cancelled": chosen,
        }
        _set_end(agreement, wanted, Kind.ENDED, detail, actor, now)
        agreement_moved.send(sender=Agreement, kind="agreement_ended", about=agreement, actor=actor, at=now)
    return Ending(
        agreement,
        cancelled=[booking for booking in found if booking.pk in chosen],
        kept=[booking for booking in found if booking.pk not in chosen],
    )


def last_end(agreement: Agreement, *, now: datetime) -> AgreementEvent | None:
    """The end that can still be taken back: nothing has happened to the agreement since."""
    event = agreement.events.exclude(kind=Kind.RULES).last()
    if event is None or event.kind != Kind.ENDED or agreement.ends_at is None:
        return None
    return event if now < max(agreement.ends_at, event.at + TAKEN_BACK_FOR) else None


def take_back_end(*, agreement_id: int, seen_version: int, actor: Actor, now: datetime) -> Reopening:
    """The agreement as it was before its end was set; a fleet's bookings that were cancelled with it are booked again, with new
    references, as far as their slots are free, at once and, whoever is killed, by a job. A partner network books its own again.

    Raises AgreementOver where it is too late, or ChangedMeanwhile.
    """
    depot_id = Agreement.objects.values_list("depot_id", flat=True).get(pk=agreement_id)
    with calendars.one_operation():
        agreement = _locked(agreement_id, depot_id)
        event = last_end(agreement, now=now)
        if event is None:
            raise AgreementOver("Its end can no longer be taken back. Offer a new agreement.")
        if content_version.version_of(agreement) != seen_version:
            raise ChangedMeanwhile("The agreement has changed since you looked.")
        before = event.detail["ends_at_before"]
        ends_at = datetime.fromisoformat(before) if before else None
        gone = Booking.objects.filter(pk__in=event.detail["cancelled"], fleet__is_partner=False)
        waiting = list(gone.order_by("starts_at", "pk").values_list("pk", flat=True))
        detail = {"waiting": waiting, "again": {}, "lost": {}}
        reopened = _set_end(agreement, ends_at, Kind.REOPENED, detail, actor, now)
        end_taken_back.send(sender=AgreementEvent, event=reopened, at=now)
    return book_again(event_id=reopened.pk, now=now)


def book_again(*, event_id: int, now: datetime) -> Reopening:
    """What an end that was taken back had cancelled, each in a transaction with what came of it: a job goes on where a process
    was killed, and of two at once the second leaves what is done. The fleets are told with the last of it."""
    while _books_next(event_id, now):
        pass
    rows = AgreementEvent.objects.select_related("agreement__depot__operator", "agreement__guest")
    return Reopening.of(rows.get(pk=event_id))


def _books_next(event_id: int, now: datetime) -> bool:
    """The event is locked before depots, EVSEs and bookings."""
    with calendars.one_operation():
        list(AgreementEvent.objects.select_for_update(no_key=True).filter(pk=event_id).values_list("pk"))
        event = AgreementEvent.objects.select_related("agreement__depot__operator").get(pk=event_id)
        if "waiting" not in event.detail:
            return False
        detail = {**event.detail}
        waiting = detail.pop("waiting")
        if waiting:
            _note_what_becomes(waiting[0], detail, event.by, now)
        if waiting[1:]:
            detail["waiting"] = waiting[1:]
        event.detail = detail
        event.save(update_fields=["detail"])
        if "waiting" not in detail:
            booked_again.send(sender=AgreementEvent, event=event, at=now)
    return "waiting" in detail


def _note_what_becomes(booking_id: int, detail: dict[str, Any], actor: Actor, now: datetime) -> None:
    try:
        with transaction.atomic():
            made = book_anew(booking_id, actor=actor, now=now)
        detail["again"] = {**detail["again"], str(booking_id): made.pk}
    except BookingError as refusal:
        detail["lost"] = {**detail["lost"], str(booking_id): str(refusal)[:300]}


def _locked(agreement_id: int, depot_id: int) -> Agreement:
    """With every EVSE of its depot: bookings under way hold theirs, so that none is made by it meanwhile."""
    lock_depot(depot_id)
    lock_ids(Evse.objects.filter(depot=depot_id).values_list("pk", flat=True))
    return Agreement.objects.select_related("depot__operator", "guest").get(pk=agreement_id)


def _set_end(
    agreement: Agreement,
    ends_at: datetime | None,
    kind: str,
    detail: dict[str, Any],
    actor: Actor,
    now: datetime,
) -> AgreementEvent:
    agreement.ends_at = ends_at
    agreement.save(update_fields=["ends_at"])
    calendars.mark_depot_changed(agreement.depot_id, at=now)
    return AgreementEvent.objects.create(
        agreement=agreement, kind=kind, at=now, detail=detail, **actor.columns("by")
    )


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
