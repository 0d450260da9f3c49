"""How much of a depot is left for one customer at each moment, by what stands there: pure functions, and the reading of it.

A booking counts as long as it keeps its EVSE, from early start to turnaround, and so does one that is held or asked for, and the
place that is kept for a change: of all that one booking keeps at a moment the most counts, once. Holds that ran out do not
count. Who takes a place looks at this under the depot's lock; what is offered is cut by the same function.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple
from zoneinfo import ZoneInfo

from django.db import connection

from bookings.errors import BookingError, KeptForWalkIns, QuotaReached
from bookings.models import AccessRule
from bookings.rules.allowance import Allowance, Counted, Quota
from bookings.rules.power_profile import LEAST_W, Power
from depots.models import Evse
from depots.periods import Period, gaps

if TYPE_CHECKING:
    from bookings.rules.configuration import Bay
    from bookings.rules.power import Supply


class CountedPlace(NamedTuple):
    """What takes an EVSE, and whose it is; nobody's a closure."""

    evse_id: int
    span: Period
    holder: int
    power_w: int
    fleet_id: int | None


class Cap(NamedTuple):
    """So many watts at most may be promised to the customer in some time, by a quota; 0 is a quota that is used up."""

    period: Period
    watts: int
    quota: Quota


class Held(NamedTuple):
    """What a booking that is to be changed has already: it stays its own whatever became of the quotas since."""

    evse_id: int
    span: Period
    power_w: int


def caps_of(
    allowance: Allowance,
    places: Iterable[CountedPlace],
    within: Period,
    zone: ZoneInfo,
    *,
    held: Held | None = None,
) -> list[Cap]:
    """What the quotas leave inside a span, in order of time for each quota; time that a quota leaves free has no cap."""
    rows = list(places)
    found: list[Cap] = []
    for quota in allowance.quotas:
        mine = [row for row in rows if quota.counts(row.fleet_id, row.evse_id)]
        for span in quota.hours.spans(within, zone):
            found += _levels(quota, [row for row in mine if row.span.overlaps(span)], span)
    return [cap for one in found for cap in _beside(one, held)] if held is not None else found


class Allotted:
    """The power of some EVSEs as far as one customer may have it: what limits and other bookings leave, capped by its quotas.

    Is asked as `Supply` is.
    """

    def __init__(self, supply: Supply, caps: Sequence[Cap]) -> None:
        self._supply, self._caps = supply, caps
        self._pieces: dict[object, list[tuple[datetime | None, Power]]] = {}

    def is_limited(self, evse: Evse | Bay) -> bool:
        return self._supply.is_limited(evse) or any(True for _ in self._of(evse))

    def is_fed_with(self, evse: Evse | Bay, other: Evse | Bay) -> bool:
        return self._supply.is_fed_with(evse, other)

    def lowest(self, evse: Evse | Bay, span: Period) -> Power:
        power = self._supply.lowest(evse, span)
        for cap in self._of(evse):
            if cap.period.overlaps(span):
                power = power.lower(_power(cap, evse))
        return power

    def promise(
        self,
        evse: Evse | Bay,
        span: Period,
        wish_w: int | None,
        vehicle_max_w: int | None,
        *,
        most_w: int | None = None,
    ) -> int:
        """See `Supply.promise`. Raises PowerUnavailable, QuotaReached or KeptForWalkIns."""
        caps = [cap for cap in self._of(evse) if cap.period.overlaps(span)]
        if caps:
            least = min(caps, key=lambda cap: _power(cap, evse).most_w)
            left_w = _power(least, evse).most_w
            if left_w == 0 or (wish_w is not None and wish_w > left_w):
                raise _refusal(least, left_w)
            most_w = min(most_w or left_w, left_w)
        return self._supply.promise(evse, span, wish_w, vehicle_max_w, most_w=most_w)

    def pieces(self, evse: Evse | Bay) -> list[tuple[datetime | None, Power]]:
        caps = list(self._of(evse))
        pieces = self._supply.pieces(evse)
        key = (id(pieces), evse.max_power_w, *map(id, caps))
        if key not in self._pieces:
            self._pieces[key] = list(capped(pieces, caps, evse))
        return self._pieces[key]

    def _of(self, evse: Evse | Bay) -> Iterator[Cap]:
        return (cap for cap in self._caps if cap.quota.concerns(evse.pk))


def capped(
    pieces: Sequence[tuple[datetime | None, Power]], caps: Sequence[Cap], evse: Evse | Bay
) -> Iterator[tuple[datetime | None, Power]]:
    """Pieces of power with each cap in its time; the first from before all time on."""
    edges = sorted(
        [(cap.period.ends_at, _ENDS, number) for number, cap in enumerate(caps)]
        + [(cap.period.starts_at, _BEGINS, number) for number, cap in enumerate(caps)]
        + [(since, _CHANGES, number) for number, (since, _) in enumerate(pieces) if since is not None]
    )
    power, standing, last = pieces[0][1], dict[int, Power](), pieces[0][1]
    yield None, power
    for position, (moment, kind, number) in enumerate(edges):
        if kind == _ENDS:
            del standing[number]
        elif kind == _BEGINS:
            standing[number] = _power(caps[number], evse)
        else:
            power = pieces[number][1]
        if position + 1 < len(edges) and edges[position + 1][0] == moment:
            continue
        lowest = power
        for other in standing.values():
            lowest = lowest.lower(other)
        if lowest != last:
            yield moment, lowest
        last = lowest


_ENDS, _BEGINS, _CHANGES = range(3)

# As bigint the ids are what the constraint's index holds (bookings/rules/power.py). Moments as seconds, as there.
_PLACES = """
    SELECT e.depot_id, o.evse_id, extract(epoch FROM lower(o.span))::float8, extract(epoch FROM upper(o.span))::float8,
           o.holder, o.power_w, b.fleet_id
    FROM depots_evse e
    JOIN bookings_occupancy o ON o.evse_id = e.id AND o.span && tstzrange(%s, %s)
    LEFT JOIN bookings_booking b ON b.id = o.holder
    WHERE e.depot_id = ANY (%s::bigint[]) AND (b.status IS DISTINCT FROM 'held' OR b.held_until > %s)
      AND o.holder IS DISTINCT FROM %s::bigint
"""


def places_at(
    depot_ids: Collection[int], within: Period, *, without: int | None = None, now: datetime
) -> dict[int, list[CountedPlace]]:
    """What takes the EVSEs of some depots in a span, by depot; one query, and none without depots. `without` is a booking that
    does not count."""
    found: dict[int, list[CountedPlace]] = {depot_id: [] for depot_id in depot_ids}
    if not found:
        return found
    with connection.cursor() as cursor:
        cursor.execute(_PLACES, [within.starts_at, within.ends_at, list(depot_ids), now, without])
        for depot_id, evse_id, starts_at, ends_at, holder, power_w, fleet_id in cursor.fetchall():
            span = Period(datetime.fromtimestamp(starts_at, UTC), datetime.fromtimestamp(ends_at, UTC))
            found[depot_id].append(CountedPlace(evse_id, span, holder, power_w, fleet_id))
    return found


def counted_together(evse_ids: Collection[int]) -> set[int]:
    """The EVSEs at depots with a quota, or with EVSEs kept free, where one of these is, by id."""
    counting = AccessRule.objects.filter(
        kind__in=[AccessRule.Kind.QUOTA, AccessRule.Kind.WALK_IN], depot__evses__in=list(evse_ids)
    )
    return set(Evse.objects.filter(depot__in=counting.values("depot")).values_list("pk", flat=True))


def fleets_of(holders: Collection[int]) -> Mapping[int, int]:
    """Whose bookings these are, by id; a closure is nobody's. One query."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, fleet_id FROM bookings_booking WHERE id = ANY (%s::bigint[])", [list(holders)]
        )
        return dict(cursor.fetchall())


def _levels(quota: Quota, rows: Sequence[CountedPlace], span: Period) -> Iterator[Cap]:
    """A sweep over the beginnings and ends of what counts, clipped to hours of the quota."""
    edges = sorted(
        [(max(row.span.starts_at, span.starts_at), _BEGINS, number) for number, row in enumerate(rows)]
        + [(min(row.span.ends_at, span.ends_at), _ENDS, number) for number, row in enumerate(rows)]
    )
    used, since, left = _Used(), span.starts_at, _left(quota, 0, 0)
    for moment, kind, number in edges:
        row = rows[number]
        used.change(
            row.evse_id if quota.counted == Counted.EVERYBODY else row.holder,
            number,
            row.power_w,
            kind == _BEGINS,
        )
        now_left = _left(quota, len(used), used.watts)
        if now_left == left:
            continue
        if left is not None and since < moment:
            yield Cap(Period(since, moment), left, quota)
        since, left = moment, now_left
    if left is not None and since < span.ends_at:
        yield Cap(Period(since, span.ends_at), left, quota)


class _Used:
    """What is used at one moment of the sweep: of the places of one holder (or of one EVSE) the one with most power counts."""

    def __init__(self) -> None:
        self._by_key: dict[int, dict[int, int]] = {}
        self.watts = 0

    def __len__(self) -> int:
        return len(self._by_key)

    def change(self, key: int, number: int, watts: int, begins: bool) -> None:
        places = self._by_key.setdefault(key, {})
        self.watts -= max(places.values(), default=0)
        if begins:
            places[number] = watts
        else:
            del places[number]
        self.watts += max(places.values(), default=0)
        if not places:
            del self._by_key[key]


def _left(quota: Quota, places: int, watts: int) -> int | None:
    """The watts that may be promised beside what is used; None: the quota leaves all."""
    if quota.places is not None:
        return 0 if places >= quota.places else None
    return max((quota.watts or 0) - watts, 0)


def _beside(cap: Cap, held: Held | None) -> Iterator[Cap]:
    """A cap as it binds a booking that has something already: in that time it may have as much as it has."""
    if held is None or not cap.period.overlaps(held.span):
        yield cap
        return
    if cap.quota.counted == Counted.EVERYBODY and not cap.quota.concerns(held.evse_id):
        yield cap
        return
    for part in gaps(cap.period, [held.span]):
        yield cap._replace(period=part)
    inside = cap.period.intersection(held.span)
    if inside is not None and cap.quota.watts is not None:
        yield cap._replace(period=inside, watts=max(cap.watts, held.power_w))


def _power(cap: Cap, evse: Evse | Bay) -> Power:
    """Below the least that an EVSE is worth being booked with, nothing is left."""
    watts = cap.watts if cap.watts >= min(LEAST_W, evse.max_power_w) else 0
    return Power(watts, watts)


def _refusal(cap: Cap, left_w: int) -> BookingError:
    quota, hours = cap.quota, cap.quota.hours
    if quota.counted == Counted.EVERYBODY:
        return KeptForWalkIns(f"The EVSEs left then are kept for trucks without a booking ({hours}).")
    whose = "Your quota here" if quota.counted == Counted.CUSTOMER else "What guests together may have here"
    if quota.watts is None:
        most = f"{quota.places} EVSE{'' if quota.places == 1 else 's'}"
    else:
        most = f"{quota.watts // 1000} kW"
    if not left_w:
        left = "and it is used up then"
    elif quota.counted == Counted.CUSTOMER:
        left = f"of which {left_w // 1000} kW are left then"
    else:  # how much is left would tell what others have
        left = "of which too little is left then"
    return QuotaReached(f"{whose} is {most} at the same time ({hours}), {left}.")
