from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from django.db import transaction

from bookings import fitting, lifecycle, occupancy, queries
from bookings.errors import (
    BookingError,
    ChangedMeanwhile,
    EndsBeforeStart,
    EvseUnknown,
    InThePast,
    WrongStatus,
)
from bookings.locking import lock_bookings, lock_depot, lock_evses
from bookings.models import LIVE, Booking, BookingStatus, Closure
from bookings.operations import changing, requests
from bookings.operations.cancelling import write_off
from bookings.operations.making import assign
from bookings.signals import closures_changed
from depots.models import Evse
from depots.periods import Period


@dataclass(frozen=True)
class Proposal:
    """What would become of a booking in a closure: moved to an EVSE that fits and is free, cancelled, or left alone."""

    booking: Booking
    move_to: Evse | None
    stays: bool = False


def close_evse(*, evse: Evse, period: Period, reason: str = "", actor: str, now: datetime) -> Closure:
    """Take an EVSE out of use. New bookings are refused in the whole span at once; what stands in it stays until
    `clear_closure` or a manager moves or cancels it. Raises InThePast or EvseUnknown."""
    if period.ends_at <= now:
        raise InThePast("The closure lies in the past.")
    with lifecycle.one_operation():
        if lock_evses([evse.pk])[evse.pk].is_withdrawn:
            raise EvseUnknown(f"{evse} is not there any more.")
        closure = Closure.objects.create(
            evse=evse, starts_at=period.starts_at, ends_at=period.ends_at, reason=reason[:200], created_by=actor,
            created_at=now,
        )  # fmt: skip
        occupancy.fill_closures(evse.pk, closure.period)
        _tell(closure, now)
    return closure


def affected(closure: Closure, *, now: datetime) -> list[Proposal]:
    """The bookings a closure runs into, in order of time, each with what would become of it."""
    proposals: list[Proposal] = []
    promised: list[tuple[int, Period]] = []
    for booking in _standing(closure):
        target = None if booking.status == BookingStatus.CHARGING else _elsewhere(booking, now, promised)
        if target is not None:
            promised.append((target.pk, booking.period.widened(after=booking.terms.tail)))
        proposals.append(Proposal(booking, target, stays=booking.status == BookingStatus.CHARGING))
    return proposals


def version_of(proposals: Sequence[Proposal]) -> str:
    """What a page shows of proposals, in a few letters that its form sends back: the same for the same bookings at the
    same times that would go to the same places."""
    told = [
        f"{p.booking.pk} {p.booking.period} {p.stays} {p.move_to.pk if p.move_to else ''}" for p in proposals
    ]
    return sha256("\n".join(told).encode()).hexdigest()[:16]


def clear_closure(
    *, closure_id: int, seen_version: str | None = None, actor: str, now: datetime
) -> list[Proposal]:
    """Move what can be moved and cancel the rest, as `affected` proposes, in one transaction.

    A vehicle that charges already is left alone. Returns what was done. Raises ChangedMeanwhile when that would be
    something else than what `seen_version` (of `version_of`) stands for.
    """
    evse = Evse.objects.get(closures=closure_id)
    with lifecycle.one_operation():
        lock_depot(evse.depot_id)
        lock_evses(list(Evse.objects.filter(depot=evse.depot_id).values_list("pk", flat=True)))
        closure = Closure.objects.select_related("evse__depot").get(pk=closure_id)
        if closure.lifted_at is not None:
            raise WrongStatus("lifted", "cleared", "The closure was lifted already.")
        lock_bookings([booking.pk for booking in _standing(closure)])
        proposals = affected(closure, now=now)
        if seen_version is not None and seen_version != version_of(proposals):
            raise ChangedMeanwhile("What stands in the closure has changed since you looked. Look again.")
        return [_carry_out(proposal, closure, actor, now) for proposal in proposals]


def lift_closure(*, closure_id: int, actor: str, now: datetime) -> Closure:
    """Put the EVSE back into use before its time. Raises WrongStatus when that was done already."""
    evse_id = Closure.objects.values_list("evse_id", flat=True).get(pk=closure_id)
    with lifecycle.one_operation():
        lock_evses([evse_id])
        closure = Closure.objects.select_for_update(of=("self",)).select_related("evse").get(pk=closure_id)
        if closure.lifted_at is not None:
            raise WrongStatus("lifted", "lifted", "The closure was lifted already.")
        closure.lifted_at = now
        closure.save(update_fields=["lifted_at"])
        occupancy.lift(closure)
        _tell(closure, now)
    return closure


def read_span(starts_at: datetime, ends_at: datetime) -> Period:
    """Raises EndsBeforeStart."""
    if ends_at <= starts_at:
        raise EndsBeforeStart("The end lies before the start.")
    return Period(starts_at, ends_at)


def _standing(closure: Closure) -> list[Booking]:
    rows = Booking.objects.filter(
        evse=closure.evse_id, status__in=LIVE, starts_at__lt=closure.ends_at, ends_at__gt=closure.starts_at
    )
    return list(
        rows.select_related("depot__operator", "option", "vehicle", "fleet", "evse").order_by("starts_at")
    )


def _elsewhere(booking: Booking, now: datetime, promised: list[tuple[int, Period]]) -> Evse | None:
    """Another EVSE of the depot that fits, can give what was promised and is free, its own option's first."""
    needs = requests.needs_of(booking)
    rows = (
        queries.evses_with_bays()
        .filter(depot=booking.depot_id, is_withdrawn=False)
        .exclude(pk__in=[booking.evse_id])
    )
    pool = [
        evse
        for evse in rows
        if not fitting.misfits(needs, evse)
        and evse.max_power_w >= booking.promised_power_w
        and (booking.vehicle is not None or _is_like(evse, booking.evse))
        and not any(pk == evse.pk and span.overlaps(booking.period) for pk, span in promised)
    ]
    in_option = set(booking.option.evses.values_list("pk", flat=True))
    free = assign(pool, needs, booking.period, booking.terms, now=now, holder=booking.pk)
    return min(free, key=lambda evse: evse.pk not in in_option, default=None)


def _is_like(evse: Evse, booked: Evse | None) -> bool:
    """Without a vehicle to measure, only an EVSE with the same plug takes the place of the booked one."""
    return booked is None or bool(fitting.standards(evse) & fitting.standards(booked))


def _carry_out(proposal: Proposal, closure: Closure, actor: str, now: datetime) -> Proposal:
    booking = proposal.booking
    if proposal.stays:
        return proposal
    reason = closure.reason or "The EVSE is closed."
    if proposal.move_to is not None:
        try:
            with transaction.atomic():
                _move(booking, proposal.move_to, actor, now)
        except BookingError:
            booking.refresh_from_db()
        else:
            return proposal
    requests.decline_pending(booking, reason, actor=actor, now=now)
    write_off(booking, "BROKEN_CHARGER", Booking.Side.DEPOT, note=reason, actor=actor, now=now)
    return Proposal(booking, None)


def _move(booking: Booking, target: Evse, actor: str, now: datetime) -> None:
    change = changing.Change(
        period=booking.period, evse=target, vehicle=booking.vehicle, tokens=None, power_w=booking.promised_power_w,
        evse_asked=True, needs=requests.needs_of(booking),
    )  # fmt: skip
    changing.apply(booking, change, target, by=Booking.Side.DEPOT, actor=actor, now=now)


def _tell(closure: Closure, now: datetime) -> None:
    closures_changed.send(sender=Closure, depot_id=closure.evse.depot_id, evse_ids=[closure.evse_id], at=now)
    lifecycle.tell_calendars([closure.evse_id], at=now)
