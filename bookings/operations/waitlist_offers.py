"""What came free is offered to who waits for it, the first in turn whom it fits.

Whatever frees a place at a depot of ours raises a calendar, and a partner tells its own; either leaves a mark (WaitlistMark)
where somebody waits. One worker at a time looks at a depot; each offer is a transaction of its own, and so is each look that
offers nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection, transaction

from bookings.actors import SCHEDULER
from bookings.core import calendars
from bookings.errors import BookingError
from bookings.models import BookingOption, WaitlistEntry, WaitlistMark
from bookings.operations.book import hold_slot
from bookings.operations.waitlist import Status, mark_waiting, wanted_of
from bookings.rules import configuration
from bookings.search import availability
from bookings.search.bookable import terms_for
from bookings.search.offers import find_slots
from bookings.search.slots import SlotSearch
from bookings.signals import waitlist_offered
from depots.periods import Period, spanning, united

_ONE_AT_A_TIME = "SELECT pg_try_advisory_xact_lock(hashtextextended('waitlist', %s))"
# So many who wait at a depot are looked at in one go, in turn, and so many are tried before others are served.
MOST_LOOKED_AT = 2000
MOST_TRIES = 10
# Time alone opens what was closed (hours kept for the own fleet), which no calendar tells.
LOOKED_AT_AGAIN = timedelta(minutes=5)


def mark_options(option_ids: Collection[int], *, at: datetime) -> None:
    """Leave a mark at the depots of these options where somebody waits; one query where nobody does."""
    concerned = BookingOption.objects.filter(pk__in=option_ids).values("depot")
    waiting = WaitlistEntry.objects.filter(status=Status.WAITING, depot__in=concerned)
    depot_ids = set(waiting.order_by().values_list("depot", flat=True).distinct())
    if depot_ids:
        WaitlistMark.objects.bulk_create(WaitlistMark(depot_id=pk, due_at=at) for pk in sorted(depot_ids))


def due_depots(now: datetime) -> list[int]:
    """Where somebody is to be looked at, by id."""
    return list(
        WaitlistMark.objects.filter(due_at__lte=now)
        .order_by("depot")
        .values_list("depot", flat=True)
        .distinct()
    )


def serve_depot(*, depot_id: int, now: datetime) -> list[WaitlistEntry]:
    """Offer what is free at a depot to who waits there, in turn; gives the entries that were offered something. What is left for
    the next tick keeps its marks."""
    offered = []
    for _ in range(MOST_TRIES):
        entry, is_done = _look(depot_id, now)
        if entry is not None:
            offered.append(entry)
        if is_done:
            break
    return offered


@dataclass(frozen=True)
class _Marks:
    ids: list[int]

    @classmethod
    def taken(cls, depot_id: int, now: datetime) -> _Marks | None:
        """None where another worker is at it, or nothing is marked."""
        with connection.cursor() as cursor:
            cursor.execute(_ONE_AT_A_TIME, [depot_id])
            if not cursor.fetchone()[0]:
                return None
        rows = WaitlistMark.objects.filter(depot=depot_id, due_at__lte=now)
        ids = list(rows.values_list("pk", flat=True))
        return cls(ids) if ids else None

    def drop(self) -> None:
        WaitlistMark.objects.filter(pk__in=self.ids).delete()


def _look(depot_id: int, now: datetime) -> tuple[WaitlistEntry | None, bool]:
    """One offer, or as many tries as there are in one go; and whether nothing is left to be tried."""
    with calendars.one_operation():
        marks = _Marks.taken(depot_id, now)
        if marks is None:
            return None, True
        newest, tries = max(marks.ids), 0
        for entry in _candidates(depot_id, newest, now):
            if tries == MOST_TRIES:
                return None, True  # the marks stay
            tries += 1
            if (locked := _lock(entry.pk)) is None:
                continue
            if _offer(locked, now):
                return locked, False
            WaitlistEntry.objects.filter(pk=locked.pk).update(tried_mark=newest)
        marks.drop()
        _look_again(depot_id, now)
    return None, True


def _candidates(depot_id: int, newest: int, now: datetime) -> list[WaitlistEntry]:
    """Those in turn that something free could suit and that were not tried for the newest mark."""
    rows = WaitlistEntry.objects.filter(depot=depot_id, status=Status.WAITING, waits_until__gt=now).exclude(
        tried_mark=newest
    )
    waiting = list(rows.select_related("option").order_by("asked_at", "pk")[:MOST_LOOKED_AT])
    own = [entry for entry in waiting if not entry.option.is_mirror]
    possible = _with_free_time(depot_id, own, now) if own else set()
    return [entry for entry in waiting if entry.option.is_mirror or entry.pk in possible]


def _with_free_time(depot_id: int, entries: Collection[WaitlistEntry], now: datetime) -> set[int]:
    """Those at whose every moment some EVSE is free that could serve them, perhaps after moves; in one query. Without that
    nothing can be had, whatever the terms."""
    there = configuration.current(depot_id)
    within = spanning(entry.period for entry in entries)
    pools = {
        option_id: there.interchangeable({bay.pk for bay in there.offers.get(option_id, ())})
        for option_id in {entry.option_id for entry in entries}
    }
    evse_ids = set[int]().union(*pools.values())
    if within is None or not evse_ids:
        return set()
    gaps = availability.free_periods(evse_ids, within.in_utc(), now=now)
    free = {option_id: _united(gaps[pk] for pk in pool) for option_id, pool in pools.items()}
    return {entry.pk for entry in entries if any(span.covers(entry.period) for span in free[entry.option_id])}


def _united(gaps: Iterable[list[Period]]) -> list[Period]:
    return united([gap for found in gaps for gap in found])


def _lock(entry_id: int) -> WaitlistEntry | None:
    """None where somebody has it just now, or it waits no more."""
    rows = WaitlistEntry.objects.select_for_update(no_key=True, of=("self",), skip_locked=True)
    rows = rows.select_related("fleet", "option__depot__operator", "vehicle", "trailer", "evse")
    return rows.filter(pk=entry_id, status=Status.WAITING).first()


def _offer(entry: WaitlistEntry, now: datetime) -> bool:
    """Whether something could be offered."""
    until = now + terms_for(entry.option, entry.fleet, now=now).offer_time
    if entry.option.is_mirror:
        found = _told_free(entry, now)
        if found is None:
            return False
        entry.offered_starts_at, entry.offered_ends_at = found.starts_at, found.ends_at
    else:
        try:
            with transaction.atomic():
                entry.held = hold_slot(wanted_of(entry), until=until, actor=SCHEDULER, now=now)
        except BookingError:
            return False
    entry.status, entry.offered_until = Status.OFFERED, until
    entry.save(update_fields=["status", "held", "offered_until", "offered_starts_at", "offered_ends_at"])
    waitlist_offered.send(sender=WaitlistEntry, entry=entry, at=now)
    return True


def _told_free(entry: WaitlistEntry, now: datetime) -> Period | None:
    """The slot, where the partner's calendar shows it free and nobody else is asked about the same time just now."""
    asked = WaitlistEntry.objects.filter(option=entry.option, status=Status.OFFERED)
    if asked.filter(offered_starts_at__lt=entry.ends_at, offered_ends_at__gt=entry.starts_at).exists():
        return None
    wanted = wanted_of(entry)
    search = SlotSearch(
        entry.fleet, entry.period, now, depot=entry.option.depot, vehicle=entry.vehicle, trailer=entry.trailer,
        min_power_w=wanted.power_w, energy=wanted.energy if entry.ends_when_charged else None, every_option=True,
    )  # fmt: skip
    found = (offer for offer in find_slots(search) if offer.option.pk == entry.option_id and offer.is_free)
    return next((offer.period for offer in found), None)


def _look_again(depot_id: int, now: datetime) -> None:
    """As long as somebody waits there."""
    ahead = WaitlistMark.objects.filter(depot=depot_id, due_at__gt=now)
    waiting = WaitlistEntry.objects.filter(depot=depot_id, status=Status.WAITING)
    if waiting.exists() and not ahead.exists():
        mark_waiting(depot_id, due_at=now + LOOKED_AT_AGAIN)
