from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from bookings.actors import Actor
from bookings.core import calendars, occupancy
from bookings.core.locking import lock_bookings, lock_depot, lock_evses, lock_ids
from bookings.errors import ChangedMeanwhile, EvseUnknown, InThePast, WrongStatus
from bookings.models import Booking, BookingOption, BookingStatus, CancelReason, Closure, Occupancy
from bookings.operations import request_log
from bookings.operations.cancel import write_off
from bookings.operations.places import free_places
from bookings.operations.relocation import best_first, relocate, would_do
from bookings.rules import content_version, power
from bookings.rules.fit import Needs
from bookings.rules.power import Supply
from bookings.rules.power_profile import Floor, Limit
from bookings.search import availability
from bookings.search.bookable import evses_with_bays
from bookings.signals import closures_changed
from depots.models import Evse
from depots.periods import Period


@dataclass(frozen=True)
class Proposal:
    """What would become of a booking in a closure: moved to an EVSE that fits and is free, cancelled, or left alone."""

    booking: Booking
    move_to: Evse | None
    stays: bool = False


def close_evse(*, evse: Evse, period: Period, reason: str = "", actor: Actor, now: datetime) -> Closure:
    """Take an EVSE out of use. New bookings are refused in the whole span at once; what stands in it stays until
    `clear_closure` or a manager moves or cancels it. Raises InThePast or EvseUnknown."""
    if period.ends_at <= now:
        raise InThePast("The closure lies in the past.")
    with calendars.one_operation():
        if lock_evses([evse.pk])[evse.pk].is_withdrawn:
            raise EvseUnknown(f"{evse} is not there any more.")
        closure = Closure.objects.create(
            evse=evse, starts_at=period.starts_at, ends_at=period.ends_at, reason=reason[:200],
            created_at=now, **actor.columns("created_by"),
        )  # fmt: skip
        occupancy.fill_closures(evse.pk, closure.period)
        _tell(closure, now)
    return closure


def affected(closure: Closure, *, now: datetime) -> list[Proposal]:
    """The bookings a closure runs into, in order of time, each with what would become of it; in as many queries for one
    as for hundreds."""
    standing = _standing(closure)
    if not standing:
        return []
    alternatives = _Alternatives.to(closure, standing)
    return [
        Proposal(booking, None, stays=True)
        if booking.status == BookingStatus.CHARGING
        else Proposal(booking, alternatives.best_for(booking, now=now))
        for booking in standing
    ]


def version_of(proposals: Sequence[Proposal]) -> int:
    """For the form of a page that shows them: the same for the same bookings at the same times that would go to the same
    places."""
    return content_version.version_of(
        [
            [p.booking.pk, str(p.booking.period), p.stays, p.move_to.pk if p.move_to else None]
            for p in proposals
        ]
    )


def clear_closure(
    *, closure_id: int, seen_version: int | None = None, actor: Actor, now: datetime
) -> list[Proposal]:
    """Move what can be moved and cancel the rest, as `affected` proposes, in one transaction.

    A vehicle that charges already is left alone. Returns what was done. Raises ChangedMeanwhile when that would be
    something else than what `seen_version` (of `version_of`) stands for.
    """
    with calendars.one_operation():
        closure, proposals = _lock_proposals(closure_id, now)
        if closure.lifted_at is not None:
            raise WrongStatus("lifted", "cleared", "The closure was lifted already.")
        if seen_version is not None and seen_version != version_of(proposals):
            raise ChangedMeanwhile("What stands in the closure has changed since you looked. Look again.")
        occupancy.queue_for([proposal.booking for proposal in proposals])
        return [_carry_out(proposal, closure, actor, now) for proposal in proposals]


def lift_closure(*, closure_id: int, seen_version: int | None = None, now: datetime) -> Closure:
    """Put the EVSE back into use before its time. Raises WrongStatus when that was done already, ChangedMeanwhile when it
    is another closure than was seen (`content_version.version_of`)."""
    evse_id = Closure.objects.values_list("evse_id", flat=True).get(pk=closure_id)
    with calendars.one_operation():
        lock_evses([evse_id])
        closure = Closure.objects.select_for_update(of=("self",)).select_related("evse").get(pk=closure_id)
        if closure.lifted_at is not None:
            raise WrongStatus("lifted", "lifted", "The closure was lifted already.")
        if seen_version is not None and seen_version != content_version.version_of(closure):
            raise ChangedMeanwhile("The closure has changed since you looked. Look again.")
        closure.lifted_at = now
        closure.save(update_fields=["lifted_at"])
        occupancy.lift(closure)
        _tell(closure, now)
    return closure


def _lock_proposals(closure_id: int, now: datetime) -> tuple[Closure, list[Proposal]]:
    """Lock what clearing a closure touches, and no more, and propose once it is locked.

    That is the EVSE, those that bookings would go to or have a place kept at, and the bookings; the depot only where a
    limit of power can bind. Where it turns out to be others under the locks, all is done again.
    """
    while True:
        closure = Closure.objects.select_related("evse__depot").get(pk=closure_id)
        reach, binds = _reach(closure, affected(closure, now=now)), power.can_bind(closure.evse.depot)
        with transaction.atomic():
            # A savepoint: locks taken under it are given back when it is rolled back.
            if binds:
                lock_depot(closure.evse.depot_id)
            lock_ids(reach)
            lock_bookings([booking.pk for booking in _standing(closure)])
            closure = Closure.objects.select_related("evse__depot").get(pk=closure_id)
            proposals = affected(closure, now=now)
            if reach >= _reach(closure, proposals) and (binds or not power.can_bind(closure.evse.depot)):
                return closure, proposals
            transaction.set_rollback(True)


def _reach(closure: Closure, proposals: Sequence[Proposal]) -> set[int]:
    kept = Occupancy.objects.filter(
        holder__in=[proposal.booking.pk for proposal in proposals], kind=Occupancy.Kind.PENDING
    )
    targets = {proposal.move_to.pk for proposal in proposals if proposal.move_to is not None}
    return {closure.evse_id, *targets, *kept.values_list("evse_id", flat=True)}


def _standing(closure: Closure) -> list[Booking]:
    rows = Booking.objects.live().filter(evse=closure.evse_id).overlapping(closure.period)
    rows = rows.select_related("depot__operator", "option", "vehicle", "fleet", "evse").prefetch_related(
        "tokens"
    )
    return list(rows.order_by("starts_at"))


@dataclass(frozen=True)
class _Alternatives:
    """Where the bookings of a closed EVSE could go, read once for all of them. `taken` grows with what is proposed."""

    evses: list[Evse]
    closed: Evse
    taken: dict[int, list[Occupancy]]
    needs: dict[int, Needs]
    evses_of_option: dict[int, set[int]]
    limits: list[Limit]

    @classmethod
    def to(cls, closure: Closure, standing: Sequence[Booking]) -> _Alternatives:
        rows = evses_with_bays().filter(depot=closure.evse.depot_id, is_withdrawn=False)
        evses = {evse.pk: evse for evse in rows}
        closed = evses.pop(closure.evse_id, closure.evse)
        span = Period(standing[0].starts_at, max(booking.ends_at for booking in standing))
        in_options = BookingOption.evses.through.objects.filter(
            bookingoption__in={booking.option_id for booking in standing}
        )
        evses_of_option: dict[int, set[int]] = {}
        for option_id, evse_id in in_options.values_list("bookingoption_id", "evse_id"):
            evses_of_option.setdefault(option_id, set()).add(evse_id)
        return cls(
            list(evses.values()),
            closed,
            availability.occupied(list(evses), span.widened(availability.FAR, availability.FAR)),
            request_log.needs_by_booking(standing),
            evses_of_option,
            power.limits_at([closure.evse.depot_id]),
        )

    def best_for(self, booking: Booking, *, now: datetime) -> Evse | None:
        """Another EVSE of the depot that fits and is free; see `relocation.best_first`."""
        needs, terms = self.needs[booking.pk], booking.terms
        pool = [evse for evse in self.evses if would_do(evse, booking, needs, self.closed)]
        free = free_places(pool, needs, booking.period, terms, now=now, holder=booking.pk, taken=self.taken)
        spans = {place.evse.pk: place.span for place in free}
        in_option = self.evses_of_option.get(booking.option_id, set())
        ranked = best_first([place.evse for place in free], booking, self._supply(booking), in_option)
        if not ranked:
            return None
        best = ranked[0]
        kept = Occupancy(evse=best, span=spans[best.pk], holder=booking.pk, power_w=booking.promised_power_w)
        self.taken[best.pk].append(kept)
        return best

    def _supply(self, booking: Booking) -> Supply:
        """What the others leave; on the closed EVSE nothing will be promised to anybody."""
        rows = [row for taken in self.taken.values() for row in taken] if self.limits else []
        counted = [row for row in rows if row.kind != Occupancy.Kind.CLOSURE and row.holder != booking.pk]
        return Supply(self.limits, [Floor(row.evse_id, row.span, row.power_w) for row in counted])


def _carry_out(proposal: Proposal, closure: Closure, actor: Actor, now: datetime) -> Proposal:
    booking = proposal.booking
    if proposal.stays:
        return proposal
    reason = closure.reason or "The EVSE is closed."
    if proposal.move_to is not None:
        needs = request_log.needs_of(booking)
        if relocate(booking, proposal.move_to, needs, actor=actor, now=now):
            return proposal
    request_log.decline_pending(booking, reason, actor=actor, now=now)
    write_off(booking, CancelReason.BROKEN_CHARGER, Booking.Side.DEPOT, note=reason, actor=actor, now=now)
    return Proposal(booking, None)


def _tell(closure: Closure, now: datetime) -> None:
    closures_changed.send(sender=Closure, depot_id=closure.evse.depot_id, evse_ids=[closure.evse_id], at=now)
    calendars.mark_changed([closure.evse_id], at=now)
