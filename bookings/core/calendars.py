"""Changed calendars: an operation marks the EVSEs whose free time it changed, and a tick turns all marks into raised versions.

A mark is a row of the operation's transaction that nobody else writes or waits for; what is offered is not even looked at.
The tick takes marks and raises versions in one transaction, so that none is lost with a process. It takes whatever it
finds: marks become visible in another order than they were numbered.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime

from django.db import connection, transaction

from bookings.models import BookingOption, CalendarMark
from bookings.rules import configuration, power, quotas
from bookings.signals import calendars_raised, free_time_changed
from depots import round_trips
from depots.models import Evse

# EVSEs whose calendars the operation under way has changed, with the moment; None outside of one.
_gathered: ContextVar[dict[int, datetime] | None] = ContextVar("gathered", default=None)

MARK_EVSES = round_trips.Prepared("INSERT INTO bookings_calendarmark (evse_id) SELECT unnest(%s::bigint[])")
_MARK_DEPOT = "INSERT INTO bookings_calendarmark (depot_id) VALUES (%s)"
# Marks that another tick is just taking are its own.
_TAKE = """
DELETE FROM bookings_calendarmark
WHERE id = ANY(ARRAY(SELECT id FROM bookings_calendarmark LIMIT 20000 FOR UPDATE SKIP LOCKED))
RETURNING evse_id, depot_id
"""
_CONCERNED = """
SELECT e.bookingoption_id FROM bookings_bookingoption_evses e WHERE e.evse_id = ANY(%(evses)s)
UNION
SELECT o.id FROM bookings_bookingoption o WHERE o.depot_id = ANY(%(depots)s)
"""
_RAISE = f"""
WITH concerned AS (
    SELECT id FROM bookings_bookingoption
    WHERE NOT is_mirror AND id IN ({_CONCERNED})
    ORDER BY id
    FOR NO KEY UPDATE
)
UPDATE bookings_bookingoption o
SET calendar_version = o.calendar_version + 1, updated_at = greatest(o.updated_at, %(now)s)
FROM concerned WHERE o.id = concerned.id
RETURNING o.id
"""  # noqa: S608 - made of constants


@dataclass(frozen=True)
class _Marked:
    """What is marked, by key."""

    evses: frozenset[int]
    depots: frozenset[int]

    @classmethod
    def of(cls, rows: Collection[tuple[int | None, int | None]]) -> _Marked:
        return cls(frozenset(e for e, _ in rows if e), frozenset(d for _, d in rows if d))

    def __bool__(self) -> bool:
        return bool(self.evses or self.depots)

    def fed_too(self) -> frozenset[int]:
        """The EVSEs, and those that share a limit of power or a quota with one: what is taken here cannot be had there."""
        if not self.evses:
            return self.evses
        return self.evses | power.fed_together(self.evses) | quotas.counted_together(self.evses)

    def parameters(self) -> dict[str, list[int]]:
        return {"evses": sorted(self.fed_too()), "depots": sorted(self.depots)}


@contextmanager
def one_operation() -> Iterator[None]:
    """A transaction that marks all calendars it changes with one statement, at its end, and shares round trips."""
    with round_trips.atomic():
        if _gathered.get() is not None:
            yield
            return
        evses: dict[int, datetime] = {}
        gathering = _gathered.set(evses)
        try:
            yield
        finally:
            _gathered.reset(gathering)
        if evses:
            _mark(sorted(evses), at=max(evses.values()))


def mark_changed(evse_ids: Iterable[int | None], *, at: datetime) -> None:
    """Have the calendars of all offers of these EVSEs raised, and of those that share a limit of power with them.

    Within `one_operation` that is written at its end.
    """
    evses = sorted({evse_id for evse_id in evse_ids if evse_id})
    gathered = _gathered.get()
    if gathered is not None:
        gathered.update({evse_id: max(at, gathered.get(evse_id, at)) for evse_id in evses})
    elif evses:
        _mark(evses, at=at)


def mark_depot_changed(depot_id: int, *, at: datetime) -> None:
    """The same for all that a depot offers, where terms, agreements or the offers themselves are different."""
    round_trips.send(_MARK_DEPOT, [depot_id])
    evses = list(Evse.objects.filter(depot=depot_id).values_list("pk", flat=True))
    free_time_changed.send(sender=CalendarMark, evse_ids=evses, at=at)


def raise_marked(clock: Callable[[], datetime]) -> list[int]:
    """Raise the version of every calendar marked by now, once however many marks it has; gives the options, by id.

    The clock is read after the marks: a partner that asked for changes before one of them was visible asks next for what
    changed since then, and `updated_at` must not lie before that.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_TAKE)
        marked = _Marked.of(cursor.fetchall())
        if not marked:
            return []
        now = clock()
        cursor.execute(_RAISE, {**marked.parameters(), "now": now})
        option_ids = sorted(option_id for (option_id,) in cursor.fetchall())
        if option_ids:
            calendars_raised.send(sender=BookingOption, option_ids=option_ids, at=now)
    return option_ids


def is_any_marked() -> bool:
    return CalendarMark.objects.exists()


def marked_options() -> set[int]:
    """The options whose calendars have changed and will be raised with the next tick, by id."""
    marked = _standing()
    if not marked:
        return set()
    with connection.cursor() as cursor:
        cursor.execute(_CONCERNED, marked.parameters())
        return {option_id for (option_id,) in cursor.fetchall()}


def marked_among(options: Collection[BookingOption]) -> set[int]:
    """Those of these options of ours (with their EVSEs), by id; one query while nothing is marked, else two."""
    marked = _standing()
    if not marked:
        return set()
    depots = configuration.current_all({option.depot_id for option in options}).values()
    evses = marked.evses.union(*(depot.fed_together(marked.evses) for depot in depots))
    return {
        option.pk
        for option in options
        if option.depot_id in marked.depots or any(evse.pk in evses for evse in option.evses.all())
    }


def _standing() -> _Marked:
    return _Marked.of(list(CalendarMark.objects.values_list("evse_id", "depot_id")))


def _mark(evses: list[int], *, at: datetime) -> None:
    round_trips.send(MARK_EVSES, [round_trips.bigints(evses)])
    free_time_changed.send(sender=CalendarMark, evse_ids=evses, at=at)
