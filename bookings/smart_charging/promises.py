"""Fleets are told of power: before a limit from outside takes some of a promise, when that is lifted, when a promise is not
kept, and when it is again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet

from bookings.actors import RULE
from bookings.core import lifecycle
from bookings.core.locking import lock_booking, lock_bookings
from bookings.core.one_by_one import each_by_itself
from bookings.models import Booking, BookingEvent, BookingStatus, EvsePower, ExternalLimit
from bookings.rules import configuration, power_shortage
from bookings.rules.configuration import Configuration
from bookings.smart_charging.allocation import Place, PowerLimit, allocate
from bookings.smart_charging.demand import order_of, rank_of
from depots.models import ChargingSession
from depots.periods import Period

# A charger that is only just told more has the time for it.
SHORT_AFTER = timedelta(seconds=20)
AT_ONCE = 200
TELLABLE = (BookingStatus.CONFIRMED, BookingStatus.CHARGING)


def tell_limit(limit: ExternalLimit, *, before: ExternalLimit | None = None, now: datetime) -> None:
    """Tell every booking whose promise a limit from outside reaches. In the transaction that sets it, which has locked the depot
    and its EVSEs: what its fee is waived by stands, whether a worker runs or not, and whoever is promised power later is promised
    it by the limit.

    `before` is what it takes the place of. Of one of as many watts only those are told who will have less than they were told,
    or were told nothing; those whom it reaches no more are told that."""
    expected = _expected(limit, now)
    was_told = _told_of(before, now) if before is not None else ()
    bookings = lock_bookings({*expected, *was_told})
    told = _events_of(bookings) if before is not None else {}
    for booking in bookings:
        earlier = _standing(told[booking.pk], before) if before is not None else None
        if booking.pk in expected:
            _tell_limited(booking, limit, expected[booking.pk], earlier, now)
        elif before is not None and not (before.pk == limit.pk and _is_within(booking, limit)):
            _tell_lifted(booking, told[booking.pk], before, now)


def tell_lifted(limits: Sequence[ExternalLimit], *, now: datetime) -> None:
    """Tell every booking that was told of limits of a depot, before its slot is over, that they were lifted. In the transaction
    that lifts them, which has locked the depot."""
    span = Period(min(limit.starts_at for limit in limits), max(limit.ends_at for limit in limits))
    bookings = lock_bookings(_limited(limits[0].depot_id, span, now))
    told = _events_of(bookings)
    for limit in limits:
        left = Period(max(limit.starts_at, now), limit.ends_at)
        for booking in bookings:
            if booking.starts_at < left.ends_at and left.starts_at < booking.ends_at:
                _tell_lifted(booking, told[booking.pk], limit, now)


def note_shortfalls(*, now: datetime) -> int:
    """Write into the history of who charges, or is awaited in its slot, that its promise is not kept, or is again: what a waiver
    rests on. How many."""
    began = EvsePower.objects.filter(short_since__lte=now - SHORT_AFTER, short_told_w__isnull=True)
    over = EvsePower.objects.filter(short_since__isnull=True, short_told_w__isnull=False)
    # Behind a stranger's session nobody can be told yet: those would keep others waiting, who wait for less long.
    is_free = ~Exists(ChargingSession.objects.filter(evse=OuterRef("pk"), ended_at__isnull=True))
    is_charging = [Exists(bookings) for bookings in _charging_at(OuterRef("pk"))]
    tellable = began.filter(is_free | is_charging[0] | is_charging[1]).order_by("short_since", "pk")
    ids = sorted({
        *tellable.values_list("pk", flat=True)[:AT_ONCE],
        *over.order_by("pk").values_list("pk", flat=True)[:AT_ONCE],
    })  # fmt: skip
    return each_by_itself(ids, partial(_note, now=now))


def _limited(depot_id: int, span: Period, now: datetime) -> QuerySet[Booking, int]:
    """Whoever was told of a limit in that time, by id, before its slot is over."""
    limited = BookingEvent.objects.filter(booking=OuterRef("pk"), kind="power_limited")
    reached = _promised(depot_id, span).filter(Exists(limited), ends_at__gt=now)
    return reached.values_list("pk", flat=True)


def _told_of(limit: ExternalLimit, now: datetime) -> Iterable[int]:
    """Who may have been told of it and not reached it yet, by id."""
    return list(_limited(limit.depot_id, Period(limit.starts_at, limit.ends_at), now))


def _events_of(bookings: Sequence[Booking]) -> dict[int, list[BookingEvent]]:
    """What each was told of limits, and promised, so far."""
    told: dict[int, list[BookingEvent]] = {booking.pk: [] for booking in bookings}
    events = BookingEvent.objects.filter(booking__in=bookings, kind__in=power_shortage.TOLD_BY)
    for event in events.order_by("id"):
        told[event.booking_id].append(event)
    return told


def _standing(told: list[BookingEvent], limit: ExternalLimit) -> BookingEvent | None:
    """What a booking was told of a limit, and not told otherwise since."""
    detail = power_shortage.detail_of(limit)
    standing = power_shortage.announcements(told).standing
    return next((event for event in standing if power_shortage.is_of(event, detail)), None)


def _is_within(booking: Booking, limit: ExternalLimit) -> bool:
    return booking.starts_at < limit.ends_at and limit.starts_at < booking.ends_at


def _tell_limited(
    booking: Booking, limit: ExternalLimit, expected_w: int, earlier: BookingEvent | None, now: datetime
) -> None:
    """`earlier` is what it was told of the limit that this one takes the place of."""
    if booking.status not in TELLABLE:
        return
    detail: dict[str, Any] = power_shortage.detail_of(limit)
    detail |= {"promised_w": booking.promised_power_w, "expected_w": expected_w}
    if earlier is not None:
        if limit.watts == earlier.detail["limit_w"] and expected_w >= earlier.detail["expected_w"]:
            return
        names = ("limit", "limit_w", "period")
        detail["instead_of"] = {name: earlier.detail[name] for name in names if name in earlier.detail}
    lifecycle.record(booking, kind="power_limited", actor=limit.set_by, at=now, detail=detail)


def _promised(depot_id: int, span: Period) -> QuerySet[Booking]:
    """Who is promised power of the depot in that time."""
    return (
        Booking.objects.here()
        .filter(depot=depot_id, starts_at__lt=span.ends_at, ends_at__gt=span.starts_at)
        .filter(status__in=TELLABLE)
        .order_by("pk")
    )


def _expected(limit: ExternalLimit, now: datetime) -> dict[int, int]:
    """What bookings will have at least in the time of a limit, by id, of those that will have less than promised."""
    depot = configuration.current(limit.depot_id)
    begins_at = max(limit.starts_at, now) if limit.ends_at > now else limit.starts_at
    span = Period(begins_at, limit.ends_at)
    bookings = list(_promised(limit.depot_id, span))
    moments = {span.starts_at, *(max(booking.starts_at, span.starts_at) for booking in bookings)}
    lowest: dict[int, int] = {}
    for moment in moments:
        here = [booking for booking in bookings if booking.starts_at <= moment < booking.ends_at]
        for booking_id, watts in _kept(depot, here, moment).items():
            lowest[booking_id] = min(watts, lowest.get(booking_id, watts))
    promised = {booking.pk: booking.promised_power_w for booking in bookings}
    return {pk: watts for pk, watts in lowest.items() if watts < promised[pk]}


def _kept(depot: Configuration, bookings: Iterable[Booking], moment: datetime) -> dict[int, int]:
    """How much of each promise is kept at a moment, by the depot's rule."""
    order = order_of(depot)
    limits = [PowerLimit(one.name, one.watts_at(moment), frozenset(one.feeds)) for one in depot.limits]
    by_evse = {booking.evse_id: booking for booking in bookings if booking.evse_id is not None}
    places = [
        Place(
            evse_id,
            booking.promised_power_w,
            rank_of(booking, order, depot, is_charging=booking.status == BookingStatus.CHARGING),
        )
        for evse_id, booking in by_evse.items()
    ]
    return {by_evse[evse_id].pk: watts for evse_id, watts in allocate(limits, places).items()}


def _tell_lifted(booking: Booking, told: list[BookingEvent], limit: ExternalLimit, now: datetime) -> None:
    """`told` are its events so far, to which this one is added."""
    detail = power_shortage.detail_of(limit)
    standing = power_shortage.announcements(told).standing
    if booking.status not in TELLABLE or not any(power_shortage.is_of(event, detail) for event in standing):
        return
    detail |= {"promised_w": booking.promised_power_w, "lifted_at": now.isoformat()}
    told.append(lifecycle.record(booking, kind="power_limit_lifted", actor=RULE, at=now, detail=detail))


def _note(evse_id: int, now: datetime) -> int:
    """Behind the booking's lock, as everywhere: answers of chargers lock EVSEs before these rows. What was missing at the slot's
    end was not given back: nothing is promised then."""
    promised = _charging_booking(evse_id) or _awaited_booking(evse_id, now)
    booking = lock_booking(promised) if promised is not None else None
    power = EvsePower.objects.select_for_update().get(pk=evse_id)
    is_short = power.short_since is not None
    if is_short == (power.short_told_w is not None):
        return 0
    if is_short and booking is None:
        return 0  # a stranger's session is still there: once the booking has the place it is told
    power.short_told_w = power.share_w if is_short else None
    power.save(update_fields=["short_told_w"])
    if booking is None or booking.status not in TELLABLE:
        return 0
    if not is_short and (booking.ends_at <= now or not _was_told_last(booking)):
        return 0  # over, or it was somebody else who had less here
    detail: dict[str, Any] = {"promised_w": booking.promised_power_w, "given_w": power.share_w}
    if power.short_since is not None:
        detail["since"] = power.short_since.isoformat()
    kind = "power_short" if is_short else "power_restored"
    lifecycle.record(booking, kind=kind, actor=RULE, at=now, detail=detail | {"power_why": power.why})
    return 1


def _was_told_last(booking: Booking) -> bool:
    """Whether the last that it was told is that its promise is not kept."""
    told = booking.events.filter(kind__in=["power_short", "power_restored"]).order_by("-id")
    return told.values_list("kind", flat=True).first() == "power_short"


def _charging_booking(evse_id: int) -> int | None:
    """Whose promise counts there, by id: of a slot in which the session of the booking before goes on its own."""
    stays, running = _charging_at(evse_id)
    for found in (stays, running.order_by("-visits__session__started_at")):
        if (pk := found.values_list("pk", flat=True).first()) is not None:
            return pk
    return None


def _charging_at(evse_id: int | OuterRef) -> tuple[QuerySet[Booking], QuerySet[Booking]]:
    """Bookings in whose slot the session of the booking before goes on there, and those with a session of their own there."""
    here = Booking.objects.here().filter(status=BookingStatus.CHARGING)
    stays = here.filter(evse=evse_id, session=None)
    return stays, here.filter(visits__session__evse=evse_id, visits__session__ended_at__isnull=True)


def _awaited_booking(evse_id: int, now: datetime) -> int | None:
    """Whose slot has begun there, while nobody charges."""
    if ChargingSession.objects.filter(evse=evse_id, ended_at__isnull=True).exists():
        return None
    begun = Booking.objects.filter(
        evse=evse_id, status=BookingStatus.CONFIRMED, starts_at__lte=now, ends_at__gt=now
    )
    return begun.order_by("-starts_at").values_list("pk", flat=True).first()
