"""What came free is offered to who waits for it, the first in turn whom it fits.

Whatever frees a place at a depot of ours raises a calendar, and a partner tells its own; either leaves a mark (WaitlistMark)
where somebody waits. One worker at a time looks at a depot; each offer is a transaction of its own, and so is each look that
offers nothing.

Only those are tried whose time is free. Of these the first in turn come first, and after them those whose last try is longest
ago, so that many ahead who cannot be served (their fleet has all it may have, their power is not there) keep nobody from a try,
however often something changes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import Max, Min

from bookings.actors import SCHEDULER
from bookings.core import calendars
from bookings.errors import (
    BookingError,
    PriceChanged,
    TooManyBookings,
    TrailerUnknown,
    VehicleUnknown,
)
from bookings.models import BookingOption, WaitlistEntry, WaitlistMark
from bookings.operations.book import hold_slot
from bookings.operations.places import nearest_later
from bookings.operations.waitlist import Status, mark_waiting, settle, wanted_of
from bookings.rules import configuration
from bookings.search import availability
from bookings.search.bookable import terms_for
from bookings.search.offers import find_slots
from bookings.search.slots import SlotSearch
from bookings.signals import waitlist_offered
from depots.periods import Period, spanning, united

_ONE_AT_A_TIME = "SELECT pg_try_advisory_xact_lock(hashtextextended('waitlist', %s))"
# So many are tried at a depot before others are served: the first in turn, and as many whose last try is longest ago.
MOST_TRIES = 10
# Time alone opens what was closed (hours kept for the own fleet), which no calendar tells.
LOOKED_AT_AGAIN = timedelta(minutes=5)
# What no change of a calendar mends: the entry is over.
FOR_GOOD = (PriceChanged, VehicleUnknown, TrailerUnknown)
# Those at whose every moment something is free for their option. What a partner offers it tells only when asked.
_POSSIBLE = """
WITH possible AS MATERIALIZED (
    SELECT entry.id, entry.asked_at, entry.tried_mark FROM bookings_waitlistentry entry
    WHERE entry.depot_id = %(depot)s AND entry.status = 'waiting' AND entry.waits_until > %(now)s
      AND entry.tried_mark <> %(newest)s
      AND NOT EXISTS (
          SELECT FROM unnest(%(full_fleets)s::bigint[], %(full_options)s::bigint[]) AS full_ones(fleet_id, option_id)
          WHERE full_ones.fleet_id = entry.fleet_id AND full_ones.option_id = entry.option_id
      )
      AND (entry.option_id = ANY(%(told)s::bigint[]) OR EXISTS (
          SELECT FROM unnest(%(options)s::bigint[], %(starts)s::timestamptz[], %(ends)s::timestamptz[])
              AS free(option_id, starts_at, ends_at)
          WHERE free.option_id = entry.option_id
            AND free.starts_at <= entry.starts_at AND free.ends_at >= entry.ends_at
      ))
),
in_turn AS (SELECT id, row_number() OVER (ORDER BY asked_at, id) AS place FROM possible),
untried AS (SELECT id, row_number() OVER (ORDER BY tried_mark, asked_at, id) AS place FROM possible)
(SELECT id, 1 AS part, place FROM in_turn WHERE place <= %(most)s)
UNION ALL
(SELECT id, 2 AS part, place FROM untried WHERE place <= 2 * %(most)s)
ORDER BY part, place
"""


def mark_options(option_ids: Collection[int], *, at: datetime) -> None:
    """Leave a mark at the depots of these options where somebody waits; one query where nobody does."""
    concerned = BookingOption.objects.filter(pk__in=option_ids).values("depot")
    waiting = WaitlistEntry.objects.filter(status=Status.WAITING, depot__in=concerned)
    depot_ids = set(waiting.order_by().values_list("depot", flat=True).distinct())
    if depot_ids:
        WaitlistMark.objects.bulk_create(WaitlistMark(depot_id=pk, due_at=at) for pk in sorted(depot_ids))


def due_depots(now: datetime) -> list[int]:
    """Where somebody is to be looked at, by id, those first that were left longest."""
    due = WaitlistMark.objects.filter(due_at__lte=now).order_by().values("depot")
    return list(due.annotate(since=Min("due_at")).order_by("since", "depot").values_list("depot", flat=True))


def serve_depot(*, depot_id: int, now: datetime) -> list[WaitlistEntry]:
    """Offer what is free at a depot to who waits there, in turn; gives the entries that were offered something. What is left for
    the next tick keeps its marks."""
    offered: list[WaitlistEntry] = []
    tried = _Tried()
    while (entry := _look(depot_id, tried, now)) is not None:
        offered.append(entry)
    return offered


@dataclass
class _Tried:
    """At one depot in one go: how many, and who has all the bookings they may have there, by fleet and option: what else they
    wait for is as little to be had."""

    number: int = 0
    full: set[tuple[int, int]] = field(default_factory=set)

    @property
    def is_enough(self) -> bool:
        return self.number >= 2 * MOST_TRIES


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

    @property
    def newest(self) -> int:
        return max(self.ids)

    def drop(self) -> None:
        WaitlistMark.objects.filter(pk__in=self.ids).delete()

    def leave(self, now: datetime) -> None:
        """For a later go, behind depots that wait longer."""
        WaitlistMark.objects.filter(pk__in=self.ids).update(due_at=now)


def _look(depot_id: int, tried: _Tried, now: datetime) -> WaitlistEntry | None:
    """One offer; None where nothing more is to be had in this go."""
    with nearest_later(), calendars.one_operation():
        marks = _Marks.taken(depot_id, now)
        if marks is None:
            return None
        free = _FreeTime.at(depot_id, now)
        for entry_id in _in_turn(free, marks.newest, tried):
            if (entry := _lock(entry_id)) is not None and _try(entry, tried, marks.newest, now):
                return entry
        if free.possible(marks.newest, tried.full):
            marks.leave(now)
        else:
            marks.drop()
            _look_again(depot_id, now)
    return None


def _in_turn(free: _FreeTime, newest: int, tried: _Tried) -> Iterator[int]:
    """Entries that something free could suit and that were not tried for the newest mark, until enough were tried."""
    is_another = True
    while is_another:
        is_another, known = False, len(tried.full)
        for entry_id in free.possible(newest, tried.full):
            if tried.is_enough:
                return
            yield entry_id
            if len(tried.full) > known:  # others of the same fleet need no try
                is_another = True
                break


@dataclass(frozen=True)
class _FreeTime:
    """When some EVSE is free that could serve those who wait for an option at a depot, perhaps after moves; without that
    nothing can be had, whatever the terms. `told` are options of a partner, which tells what is free only when asked."""

    depot_id: int
    now: datetime
    told: list[int]
    spans: Mapping[int, Sequence[Period]]

    @classmethod
    def at(cls, depot_id: int, now: datetime) -> _FreeTime:
        rows = WaitlistEntry.objects.filter(depot=depot_id, status=Status.WAITING, waits_until__gt=now)
        waited = list(
            rows.order_by()
            .values("option_id", "option__is_mirror")
            .annotate(since=Min("starts_at"), until=Max("ends_at"))
        )
        own = {
            row["option_id"]: Period(row["since"], row["until"])
            for row in waited
            if not row["option__is_mirror"]
        }
        told = [row["option_id"] for row in waited if row["option__is_mirror"]]
        return cls(depot_id, now, told, _free_for(depot_id, own, now) if own else {})

    def possible(self, newest: int, full: Collection[tuple[int, int]]) -> list[int]:
        """By id, those to be tried first in front. Whoever is `full` is left out."""
        spans = [(pk, span.starts_at, span.ends_at) for pk, found in self.spans.items() for span in found]
        asked: dict[str, Any] = {
            "depot": self.depot_id, "now": self.now, "newest": newest, "told": self.told, "most": MOST_TRIES,
            "options": [pk for pk, _, _ in spans], "starts": [starts_at for _, starts_at, _ in spans],
            "ends": [ends_at for *_, ends_at in spans],
            "full_fleets": [fleet for fleet, _ in full], "full_options": [option for _, option in full],
        }  # fmt: skip
        with connection.cursor() as cursor:
            cursor.execute(_POSSIBLE, asked)
            return list(dict.fromkeys(pk for pk, *_ in cursor.fetchall()))


def _free_for(depot_id: int, waited: Mapping[int, Period], now: datetime) -> dict[int, list[Period]]:
    """By option, within what is waited for; in one query."""
    there = configuration.current(depot_id)
    pools = {
        option_id: there.interchangeable({bay.pk for bay in there.offers.get(option_id, ())})
        for option_id in waited
    }
    within = spanning(waited.values())
    evse_ids = set[int]().union(*pools.values())
    if within is None or not evse_ids:
        return {}
    gaps = availability.free_periods(evse_ids, within.in_utc(), now=now)
    return {option_id: united([gap for pk in pool for gap in gaps[pk]]) for option_id, pool in pools.items()}


def _lock(entry_id: int) -> WaitlistEntry | None:
    """None where somebody has it just now, or it waits no more."""
    rows = WaitlistEntry.objects.select_for_update(no_key=True, of=("self",), skip_locked=True)
    rows = rows.select_related("fleet", "option__depot__operator", "vehicle", "trailer", "evse")
    return rows.filter(pk=entry_id, status=Status.WAITING).first()


def _try(entry: WaitlistEntry, tried: _Tried, newest: int, now: datetime) -> bool:
    """Whether something could be offered."""
    tried.number += 1
    try:
        if _offer(entry, now):
            return True
    except FOR_GOOD as refusal:
        settle(entry, Status.EXPIRED, now, why=refusal.code)
        return False
    except TooManyBookings:
        tried.full.add((entry.fleet_id, entry.option_id))
    except BookingError:
        pass
    WaitlistEntry.objects.filter(pk=entry.pk).update(tried_mark=newest)
    return False


def _offer(entry: WaitlistEntry, now: datetime) -> bool:
    """Whether something could be offered. Raises a BookingError."""
    until = now + terms_for(entry.option, entry.fleet, now=now).offer_time
    if entry.option.is_mirror:
        found = _told_free(entry, now)
        if found is None:
            return False
        entry.offered_starts_at, entry.offered_ends_at = found.starts_at, found.ends_at
    else:
        with transaction.atomic():
            entry.held = hold_slot(wanted_of(entry), until=until, is_counted=False, actor=SCHEDULER, now=now)
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
