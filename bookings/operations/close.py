"""One closure by itself: made, cleared of what stands in it, and lifted. Several at once, and undoing, are in closure_acts.py."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet

from bookings.actors import Actor
from bookings.core import calendars, occupancy
from bookings.core.locking import lock_bookings, lock_depot, lock_evses, lock_ids
from bookings.errors import ChangedMeanwhile, EvseUnknown, InThePast, WrongStatus
from bookings.models import Booking, CancelReason, Closure, Occupancy
from bookings.operations import request_log
from bookings.operations.cancel import write_off
from bookings.operations.closure_offers import lock_offered, offer_other_time, take_back
from bookings.operations.closure_plan import Outage, Outcome, Proposal, bookings_in, proposed, version_of
from bookings.operations.relocation import relocate
from bookings.rules import content_version, power
from bookings.signals import closures_changed
from depots.models import Depot, Evse
from depots.periods import Period

CLOSED = "The EVSE is closed."


def close_evse(*, evse: Evse, period: Period, reason: str = "", actor: Actor, now: datetime) -> Closure:
    """Take an EVSE out of use. New bookings are refused in the whole span at once; what stands in it stays until
    `clear_closure` or a manager moves or cancels it. Raises InThePast or EvseUnknown."""
    check_ahead(period, now)
    with calendars.one_operation():
        lock_present([evse.pk])
        closure = new_closure(evse, period, reason, actor, now)
        closure.save(force_insert=True)
        occupancy.fill_closures(evse.pk, closure.period)
        tell_closed([closure], at=now)
    return closure


def affected(closure: Closure, *, now: datetime) -> list[Proposal]:
    """The bookings a closure runs into, in order of time, each with what would become of it when it is cleared."""
    return proposed(Outage.of(closure), leaves_armed=True, offers=True, now=now)


def clear_closure(
    *, closure_id: int, seen_version: int | None = None, actor: Actor, now: datetime
) -> list[Proposal]:
    """Move what can be moved, offer another time to who can have one and cancel the rest, as `affected` proposes, in one
    transaction.

    A vehicle that charges already is left alone, and what its charger keeps. Returns what was done. Raises ChangedMeanwhile when
    that would be something else than what `seen_version` (of `version_of`) stands for.
    """
    with calendars.one_operation():
        closure = Closure.objects.select_related("evse__depot").get(pk=closure_id)
        outage = Outage.of(closure)
        proposals = lock_proposals(outage, leaves_armed=True, offers=True, now=now)
        closure.refresh_from_db(fields=["lifted_at"])
        if closure.lifted_at is not None:
            raise WrongStatus("lifted", "cleared", "The closure was lifted already.")
        if seen_version is not None and seen_version != version_of(proposals):
            raise ChangedMeanwhile("What stands in the closure has changed since you looked. Look again.")
        occupancy.queue_for([proposal.booking for proposal in proposals])
        done = {p.booking.pk: _carry_out(p, closure.reason, actor, now) for p in in_order(proposals)}
        return [done[proposal.booking.pk] for proposal in proposals]


def lift_closure(
    *,
    closure_id: int,
    following: bool = False,
    seen_version: int | None = None,
    actor: Actor,
    now: datetime,
) -> Closure:
    """Put the EVSE back into use before its time; whom it has offered another time keeps what is booked. With `following` of one
    that repeats all later ones as well. Raises WrongStatus when that was done already, ChangedMeanwhile when it is another
    closure than was seen (`content_version.version_of`)."""
    known = Closure.objects.get(pk=closure_id)
    later = list(later_of(known)) if following else []
    with calendars.one_operation():
        offered = lock_offered([known, *later])
        closure = Closure.objects.select_for_update(of=("self",)).select_related("evse").get(pk=closure_id)
        if closure.lifted_at is not None:
            raise WrongStatus("lifted", "lifted", "The closure was lifted already.")
        if seen_version is not None and seen_version != content_version.version_of(closure):
            raise ChangedMeanwhile("The closure has changed since you looked. Look again.")
        lift_locked([closure, *_in_force(later)], at=now)
        take_back(offered, actor=actor, now=now)
    return closure


def later_of(closure: Closure) -> QuerySet[Closure]:
    """The later days of one that repeats, at the same EVSE, in order."""
    rows = Closure.objects.filter(act=closure.act_id or 0, evse=closure.evse_id)
    return rows.filter(starts_at__gt=closure.starts_at).order_by("starts_at")


def _in_force(closures: Sequence[Closure]) -> list[Closure]:
    """Locked, in the order of their keys."""
    rows = Closure.objects.select_for_update(of=("self",)).select_related("evse").order_by("pk")
    return list(rows.filter(pk__in=[closure.pk for closure in closures], lifted_at=None))


def check_ahead(period: Period, now: datetime) -> None:
    """Raises InThePast."""
    if period.ends_at <= now:
        raise InThePast("The closure lies in the past.")


def lock_present(evse_ids: Collection[int]) -> dict[int, Evse]:
    """The EVSEs locked. Raises EvseUnknown where one was taken away."""
    found = lock_evses(evse_ids)
    gone = next((evse for evse in found.values() if evse.is_withdrawn), None)
    if gone is not None or len(found) < len(set(evse_ids)):
        raise EvseUnknown(f"{gone or 'An EVSE'} is not there any more.")
    return found


def new_closure(evse: Evse, period: Period, reason: str, actor: Actor, now: datetime) -> Closure:
    """Not saved yet."""
    return Closure(
        evse=evse, starts_at=period.starts_at, ends_at=period.ends_at, reason=reason[:200], created_at=now,
        **actor.columns("created_by"),
    )  # fmt: skip


def lift_locked(closures: Sequence[Closure], *, at: datetime) -> None:
    """Those whose rows and EVSEs the caller has locked; what they have offered is for it to take back."""
    for closure in closures:
        closure.lifted_at = at
        closure.save(update_fields=["lifted_at"])
        occupancy.lift(closure)
    tell_closed(closures, at=at)


def tell_closed(closures: Sequence[Closure], *, at: datetime) -> None:
    """Closures of one depot appeared or went."""
    if closures:
        evse_ids = [closure.evse_id for closure in closures]
        depot_id = closures[0].evse.depot_id
        closures_changed.send(sender=Closure, depot_id=depot_id, evse_ids=evse_ids, at=at)
        calendars.mark_changed(evse_ids, at=at)


def lock_proposals(
    outage: Outage,
    *,
    also: Collection[int] = (),
    leaves_armed: bool = False,
    offers: bool = False,
    now: datetime,
) -> list[Proposal]:
    """Lock what carrying out a plan touches, and no more, and propose once it is locked.

    That is the closed EVSEs, those that bookings would go to (or `also` may) or have a place kept at, and the bookings; the depot
    only where a limit of power can bind, or something is offered. Where it turns out to be others under the locks, all is done
    again.
    """
    depot = outage.depot
    while True:
        foreseen = proposed(outage, leaves_armed=leaves_armed, offers=offers, now=now)
        reach = _reach(outage, foreseen) | set(also)
        binds = _needs_depot(foreseen, depot)
        with transaction.atomic():
            # A savepoint: locks taken under it are given back when it is rolled back.
            if binds:
                lock_depot(depot.pk)
            lock_ids(reach)
            lock_bookings([booking.pk for booking in bookings_in(outage)])
            proposals = proposed(outage, leaves_armed=leaves_armed, offers=offers, now=now)
            if reach >= _reach(outage, proposals) and (binds or not _needs_depot(proposals, depot)):
                return proposals
            transaction.set_rollback(True)


def write_off_closed(booking: Booking, reason: str, *, actor: Actor, now: datetime) -> None:
    """Cancel at the depot's cost one that finds no other place, under its locks."""
    told = reason or CLOSED
    request_log.decline_pending(booking, told, actor=actor, now=now)
    write_off(booking, CancelReason.BROKEN_CHARGER, Booking.Side.DEPOT, note=told, actor=actor, now=now)


def in_order(proposals: Iterable[Proposal]) -> list[Proposal]:
    """In which they are carried out: what is cancelled makes room, and who is placed reaches back only as far as the one before
    lets it."""
    return sorted(proposals, key=lambda one: (one.outcome != Outcome.CANCELLED, one.period_then.starts_at))


def _needs_depot(proposals: Iterable[Proposal], depot: Depot) -> bool:
    return any(proposal.other is not None for proposal in proposals) or power.can_bind(depot)


def _reach(outage: Outage, proposals: Sequence[Proposal]) -> set[int]:
    kept = Occupancy.objects.filter(
        holder__in=[proposal.booking.pk for proposal in proposals], kind=Occupancy.Kind.PENDING
    )
    own = {proposal.booking.evse_id for proposal in proposals if proposal.booking.evse_id is not None}
    targets = {proposal.goes_to.pk for proposal in proposals if proposal.goes_to is not None}
    return {*outage.evse_ids, *own, *targets, *kept.values_list("evse_id", flat=True)}


def _carry_out(proposal: Proposal, reason: str, actor: Actor, now: datetime) -> Proposal:
    booking = proposal.booking
    if proposal.stays:
        return proposal
    if proposal.other is not None:
        why = reason or CLOSED
        if offer_other_time(booking, proposal.other, why=why, actor=actor, now=now) is not None:
            return proposal
    if proposal.move_to is not None:
        needs = request_log.needs_of(booking)
        if relocate(booking, proposal.move_to, needs, why=reason, actor=actor, now=now):
            return proposal
    write_off_closed(booking, reason, actor=actor, now=now)
    return Proposal(booking, Outcome.CANCELLED)
