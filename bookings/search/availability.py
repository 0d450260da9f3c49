"""Free time, computed and never stored: the gaps between occupied spans, cut by hours and terms, then by power."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from django.db import connection

from bookings.models import Booking, BookingOption, Occupancy
from bookings.rules import periods, power
from bookings.rules.allowance import UNBOUND, Allowance
from bookings.rules.configuration import Bay
from bookings.rules.power import Supply
from bookings.rules.power_profile import Limit, Power
from bookings.rules.quotas import Allotted
from bookings.rules.terms import LONGEST_EARLY_START, LONGEST_TAIL, Terms
from bookings.search import timeslots
from bookings.search.allotments import Allotments
from bookings.search.timeslots import Timeslot
from depots.models import Evse
from depots.periods import Period, gaps, united

# What is occupied reaches no further past a booked period; also how far around a wish the nearest slot is looked for.
FAR = max(LONGEST_EARLY_START, LONGEST_TAIL)


def occupied(
    evse_ids: Collection[int], within: Period, *, now: datetime | None = None
) -> dict[int, list[Occupancy]]:
    """What takes these EVSEs in a span, in order, in one query. Holds that ran out by `now` count as free."""
    rows = Occupancy.objects.filter(evse_id__in=list(evse_ids), span__overlap=within).order_by("span")
    if now is not None:
        rows = rows.exclude(holder__in=Booking.objects.overdue_holds(now).values("pk"))
    found: dict[int, list[Occupancy]] = defaultdict(list)
    for row in rows:
        found[row.evse_id].append(row)
    return found


def free_periods(
    evse_ids: Collection[int], within: Period, *, now: datetime | None = None
) -> dict[int, list[Period]]:
    """The gaps of many EVSEs at once, by EVSE id, in order. Holds that ran out by `now` count as free."""
    return free_in(dict.fromkeys(evse_ids, within), now=now)


def free_in(spans: Mapping[int, Period], *, now: datetime | None = None) -> dict[int, list[Period]]:
    """The same where each EVSE is asked about in a span of its own; one query."""
    found: dict[int, list[Period]] = {evse_id: [] for evse_id in spans}
    if not spans:
        return found
    starts, ends = [span.starts_at for span in spans.values()], [span.ends_at for span in spans.values()]
    with connection.cursor() as cursor:
        cursor.execute(_GAPS, [list(spans), starts, ends, now])
        for evse_id, starts_at, ends_at in cursor.fetchall():
            found[evse_id].append(
                Period(datetime.fromtimestamp(starts_at, UTC), datetime.fromtimestamp(ends_at, UTC))
            )
    return found


# LATERAL asks the constraint's own index (EVSE and span) once for each EVSE, so what is occupied outside the spans costs
# nothing. The holds that ran out are few and found once. A null `now` is later than no hold: then all of them count.
# Moments as seconds: parsing them as text took longer than finding them.
_GAPS = """
    SELECT asked.evse_id, extract(epoch FROM lower(gap))::float8, extract(epoch FROM upper(gap))::float8
    FROM unnest(%s::bigint[], %s::timestamptz[], %s::timestamptz[]) AS asked(evse_id, starts_at, ends_at)
    CROSS JOIN LATERAL (
        SELECT range_agg(span) AS spans
        FROM bookings_occupancy
        WHERE evse_id = asked.evse_id
          AND span && tstzrange(asked.starts_at, asked.ends_at)
          AND holder NOT IN (
              SELECT id FROM bookings_booking WHERE status = 'held' AND held_until <= %s::timestamptz
          )
    ) AS taken
    CROSS JOIN LATERAL unnest(
        tstzmultirange(tstzrange(asked.starts_at, asked.ends_at)) - coalesce(taken.spans, '{}')
    ) AS gap
    ORDER BY asked.evse_id, gap
"""


def calendar(
    options: Collection[BookingOption],
    within: Period,
    terms: dict[int, Terms],
    *,
    allowances: Mapping[int, Allowance] | None = None,
    limits: Sequence[Limit] | None = None,
    now: datetime,
) -> dict[int, list[Timeslot]]:
    """The free timeslots of several options by option id, in order, as `timeslots` cuts them. Constant number of queries.

    `terms` holds the resolved terms by option id, `allowances` what the asker may have of each depot, by its id, `limits`
    those of power there, where they are known. Any period on the step that fits in a timeslot can be booked; of a pooled
    option without a change of EVSE.
    """
    allowed = allowances or {}
    wanted = {(option, terms[option.pk], allowed.get(option.depot_id, UNBOUND)) for option in options}
    found = calendars(wanted, within, limits=limits, now=now)
    return {option_id: slots for (option_id, *_), slots in found.items()}


def calendars(
    wanted: Collection[tuple[BookingOption, Terms, Allowance]],
    within: Period,
    *,
    limits: Sequence[Limit] | None = None,
    now: datetime,
) -> dict[tuple[int, Terms, Allowance], list[Timeslot]]:
    """The same of options on several terms each, for whom different things are allowed, all read at once."""
    evses = {option.pk: list(option.evses.all()) for option, *_ in wanted}
    time = _Time(
        {e.pk: e for group in evses.values() for e in group}.values(), within, limits=limits,
        counting={option.depot_id for option, _, allowed in wanted if allowed.quotas}, now=now,
    )  # fmt: skip
    return {
        (option.pk, terms, allowed): time.slots(evses[option.pk], terms, allowed)
        for option, terms, allowed in wanted
    }


def shown_power(
    evses: Sequence[Evse | Bay],
    period: Period,
    terms: Terms,
    *,
    allowance: Allowance = UNBOUND,
    limits: Sequence[Limit],
    now: datetime,
) -> int:
    """What the calendar of a pool of these EVSEs shows for a period now: the lowest of its timeslots', in watts."""
    ahead = Period(now, now + timedelta(days=terms.horizon_days + 1))
    counting = {evse.depot_id for evse in evses} if allowance.quotas else set()
    slots = _Time(evses, ahead, limits=limits, counting=counting, now=now).slots(evses, terms, allowance)
    return min((slot.min_power_w for slot in slots if slot.period.overlaps(period)), default=0)


@dataclass(frozen=True)
class Supposed:
    """What is looked at otherwise than it stands: the id of a booking that does not count towards quotas, and by EVSE id the
    times that count as taken too."""

    without: int | None = None
    taken_too: Mapping[int, Sequence[Period]] = field(default_factory=dict)


def nearest(
    terms: Terms,
    evses: Collection[Evse | Bay],
    wanted: Period,
    *,
    allowance: Allowance = UNBOUND,
    limits: Sequence[Limit],
    now: datetime,
    wish_w: int | None = None,
    supposed: Supposed,
) -> Period | None:
    """The free period of the same length on one of these EVSEs whose start is closest to the wanted one, that the allowance
    has room for, and in which the wish, or at least something, can be promised. `limits` are those of power at their depot."""
    if not evses:
        return None
    reach = wanted.widened(FAR, FAR)
    free = free_periods([evse.pk for evse in evses], reach, now=now)
    for evse_id, spans in supposed.taken_too.items():
        free[evse_id] = [part for gap in free.get(evse_id, ()) for part in gaps(gap, list(spans))]
    counting = {evse.depot_id for evse in evses} if allowance.quotas else set()
    supply = Supply.behind(limits, reach, now=now)
    allotments = Allotments(supply, counting, reach, without=supposed.without, now=now)
    return nearest_in(
        terms, [(evse, free[evse.pk]) for evse in evses], wanted, allowance=allowance,
        supply=allotments.left_to(allowance, next(iter(evses))), wish_w=wish_w, now=now,
    )  # fmt: skip


def nearest_in(
    terms: Terms,
    free: Collection[tuple[Evse | Bay, list[Period]]],
    wanted: Period,
    *,
    allowance: Allowance = UNBOUND,
    supply: Supply | Allotted,
    wish_w: int | None = None,
    now: datetime,
    not_before: datetime | None = None,
) -> Period | None:
    """The same among free periods and limits that were read already; only what begins no earlier than `not_before`."""
    earliest = max(now, not_before) if not_before else now
    wide = [(evse, gap) for evse, periods in free for gap in periods if gap.duration >= wanted.duration]
    best: tuple[timedelta, int, Period] | None = None
    # Of two that are as close the first counts, in whichever order they are looked at.
    for apart, number, (evse, gap) in sorted(
        ((_apart(gap, wanted), number, (evse, gap)) for number, (evse, gap) in enumerate(wide)),
        key=lambda candidate: candidate[:2],
    ):
        if best is not None and apart > best[0]:
            break
        for span in _promising(terms, evse, [gap], allowance, supply, wish_w, now, earliest):
            if (found := _closest(terms, evse, span, wanted)) is not None:
                one = (abs(found.starts_at - wanted.starts_at), number, found)
                best = one if best is None else min(best, one)
    return best[2] if best else None


def _apart(gap: Period, wanted: Period) -> timedelta:
    """No start in a gap is closer to the wanted one."""
    latest = gap.ends_at - wanted.duration
    return max(gap.starts_at - wanted.starts_at, wanted.starts_at - latest, timedelta())


class _Time:
    """The free time of some EVSEs in a span, with its power, read once (three queries) for all their options."""

    def __init__(
        self,
        evses: Collection[Evse | Bay],
        within: Period,
        *,
        limits: Sequence[Limit] | None = None,
        counting: Collection[int] = (),
        now: datetime,
    ) -> None:
        """`counting` names the depots at which somebody's quotas count, by id: one query more."""
        # What is occupied reaches past the span that is asked for.
        reach = within.widened(FAR, FAR)
        self._free = free_periods({evse.pk for evse in evses}, reach, now=now)
        if limits is None:
            limits = power.limits_at({evse.depot_id for evse in evses})
        self._allotments = Allotments(Supply.behind(limits, reach, now=now), counting, reach, now=now)
        self._within, self._now = within, now

    def slots(
        self, evses: Sequence[Evse | Bay], terms: Terms, allowance: Allowance = UNBOUND
    ) -> list[Timeslot]:
        runs = [list(self._runs(terms, evse, allowance)) for evse in evses]
        if len(runs) == 1:
            return [slot for run in runs[0] for slot in run]
        return timeslots.pooled(runs, terms, evses[0].depot) if evses else []

    def _runs(self, terms: Terms, evse: Evse | Bay, allowance: Allowance) -> Iterator[timeslots.Run]:
        """An EVSE's time that can be booked, in the parts of it that steps count through."""
        pieces = self._allotments.left_to(allowance, evse).pieces(evse)
        shortest = timedelta(minutes=terms.min_duration_min)
        for gap, span in _bookable(terms, evse, self._free[evse.pk], allowance, now=self._now):
            cut = span.intersection(self._within)
            for part in periods.on_step(cut, terms.slot_step_min, evse.depot) if cut else []:
                if part.duration >= shortest:
                    yield from timeslots.with_power(part, gap, pieces, terms, evse.depot)


def _promising(
    terms: Terms,
    evse: Evse | Bay,
    free: Iterable[Period],
    allowance: Allowance,
    supply: Supply | Allotted,
    wish_w: int | None,
    now: datetime,
    earliest: datetime,
) -> Iterator[Period]:
    """The bookable spans of an EVSE in which the wish, or at least something, can be promised throughout."""
    if not supply.is_limited(evse):
        if wish_w is None or wish_w <= min(evse.max_power_w, terms.max_promise_w or evse.max_power_w):
            yield from (
                span for _, span in _bookable(terms, evse, free, allowance, now=now, not_before=earliest)
            )
        return
    for gap, span in _bookable(terms, evse, free, allowance, now=now, not_before=earliest):
        if _suffices(supply.lowest(evse, gap), terms, wish_w):
            yield span
            continue
        for run in timeslots.with_power(span, gap, supply.pieces(evse), terms, evse.depot):
            yield from united([slot.period for slot in run if slot.max_power_w >= (wish_w or 1)])


def _suffices(power: Power, terms: Terms, wish_w: int | None) -> bool:
    """Whether a wish, or at least something, can be promised where no less than this power is left."""
    most_w = min(power.most_w, terms.max_promise_w or power.most_w)
    return power.default_w > 0 and most_w >= (wish_w or 1)


def _bookable(
    terms: Terms,
    evse: Evse | Bay,
    free: Iterable[Period],
    allowance: Allowance = UNBOUND,
    *,
    now: datetime,
    not_before: datetime | None = None,
) -> Iterator[tuple[Period, Period]]:
    """What of an EVSE's free time a booking may fill, each with the gap it lies in: on the step, after the lead time (and
    `not_before`), within the horizon, while open to who asks, and ending early enough for late stop or turnaround; at least
    the shortest slot."""
    step, depot = terms.slot_step_min, evse.depot
    earliest = periods.first_start(terms, depot, now)
    earliest = max(earliest, not_before) if not_before else earliest
    latest = now + timedelta(days=terms.horizon_days)
    for gap in free:
        starts_at = periods.aligned_up(max(gap.starts_at, earliest), step, depot)
        ends_at = periods.aligned_down(min(gap.ends_at - terms.tail, latest), step, depot)
        if ends_at - starts_at < timedelta(minutes=terms.min_duration_min):
            continue
        since = max(gap.starts_at, min(now, starts_at))
        for span in _while_open(terms, evse, Period(starts_at, ends_at), allowance, now):
            yield Period(since, gap.ends_at), span


def _while_open(
    terms: Terms, evse: Evse | Bay, span: Period, allowance: Allowance, now: datetime
) -> list[Period]:
    """Each stretch of opening hours by itself: a slot that bridges a closed night can be booked where the depot charges
    when closed, but not every period in such a stretch could, so it is no timeslot."""
    spans = evse.depot.open_spans(span)
    if not allowance.is_always:
        zone = evse.depot.zone
        spans = [part for one in spans for part in allowance.open_spans(one, zone, now=now)]
    return spans if spans == [span] else _trimmed(terms, evse, spans)


def _trimmed(terms: Terms, evse: Evse | Bay, spans: Iterable[Period]) -> list[Period]:
    found = []
    for span in spans:
        starts_at = periods.aligned_up(span.starts_at, terms.slot_step_min, evse.depot)
        ends_at = periods.aligned_down(span.ends_at, terms.slot_step_min, evse.depot)
        if ends_at - starts_at >= timedelta(minutes=terms.min_duration_min):
            found.append(Period(starts_at, ends_at))
    return found


def _closest(terms: Terms, evse: Evse | Bay, span: Period, wanted: Period) -> Period | None:
    """The period in the span, as long as the wanted one, whose start is closest to its start."""
    step, depot = terms.slot_step_min, evse.depot
    latest = span.ends_at - wanted.duration
    start = periods.aligned_down(
        min(max(wanted.starts_at, span.starts_at), max(latest, span.starts_at)), step, depot
    )
    found = periods.fitted(terms, depot, max(start, span.starts_at), wanted.duration)
    return found if found is not None and found.duration >= wanted.duration and span.covers(found) else None
