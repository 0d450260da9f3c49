"""What a decision about free time rests on, read by one statement once the places are locked."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from bookings.models import Occupancy
from bookings.rules.power_profile import Floor
from depots import round_trips
from depots.periods import Period

# One row even where nothing is occupied: the version of the depot's configuration stands in each. Only as bigint do the
# ids use the constraint's index together with the span; psycopg alone would send small ones as smallint. Times come as
# microseconds: an EVSE has dozens of spans within reach, and each end would be parsed as text.
_STANDING = """
SELECT c.version, o.evse_id,
       (extract(epoch FROM lower(o.span)) * 1000000)::bigint, (extract(epoch FROM upper(o.span)) * 1000000)::bigint,
       o.holder, o.power_w, o.kind,
       o.holder IN (SELECT b.id FROM bookings_booking b WHERE b.status = 'held' AND b.held_until <= %(now)s),
       EXISTS (SELECT FROM bookings_booking b WHERE b.armed_evse_id = ANY(%(evses)s::bigint[]))
FROM (VALUES (1)) AS one_row
LEFT JOIN depots_configurationversion c ON c.depot_id = %(depot)s
LEFT JOIN bookings_occupancy o
    ON {which}
"""
_IN_SPAN = "o.evse_id = ANY(%(evses)s::bigint[]) AND o.span && tstzrange(%(starts_at)s, %(ends_at)s)"
_STANDING_IN_SPAN = round_trips.Prepared(_STANDING.format(which=_IN_SPAN))
_STANDING_OR_ITS_OWN = round_trips.Prepared(_STANDING.format(which=f"({_IN_SPAN}) OR o.holder = %(own)s"))
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Taken(NamedTuple):
    """What takes an EVSE; `kind` is of Occupancy.Kind. `is_overdue` is a hold that ran out and was not swept away yet."""

    evse_id: int
    span: Period
    holder: int
    power_w: int
    kind: str
    is_overdue: bool


@dataclass(frozen=True)
class Standing:
    """`version` is that of the depot's configuration at the same moment, for `configuration.under`; `is_armed` says whether a
    charger keeps a reservation at one of the EVSEs."""

    version: int | None
    taken: tuple[Taken, ...]
    is_armed: bool

    def by_evse(self) -> dict[int, list[Taken]]:
        """What keeps others out, by EVSE id: holds that ran out do not."""
        found: dict[int, list[Taken]] = {}
        for row in self.taken:
            if not row.is_overdue:
                found.setdefault(row.evse_id, []).append(row)
        return found

    def floors(self, within: Period, *, without: int | None = None) -> list[Floor]:
        """The power that is promised in a span; `without` is a booking whose own does not count."""
        return [
            Floor(row.evse_id, row.span, row.power_w)
            for row in self.taken
            if not row.is_overdue and row.kind != Occupancy.Kind.CLOSURE and row.holder != without
            and row.span.overlaps(within)
        ]  # fmt: skip

    def overdue(self) -> set[int]:
        """The EVSEs of holds that ran out, by id."""
        return {row.evse_id for row in self.taken if row.is_overdue}

    def of(self, holder: int, kind: str = Occupancy.Kind.BOOKING) -> Taken | None:
        """What one booking occupies, or has kept for a change that waits."""
        return next((row for row in self.taken if (row.holder, row.kind) == (holder, kind)), None)


def standing(
    depot_id: int, evse_ids: Collection[int], within: Period, *, own: int | None = None, now: datetime
) -> Standing:
    """What takes these EVSEs of one depot in a span, and wherever it is what the booking `own` occupies."""
    told: dict[str, Any] = {
        "depot": depot_id,
        "evses": round_trips.bigints(evse_ids),
        "starts_at": within.starts_at,
        "ends_at": within.ends_at,
        "now": now,
        "own": own,
    }
    rows = round_trips.rows(_STANDING_IN_SPAN if own is None else _STANDING_OR_ITS_OWN, told)
    taken = [
        Taken(evse, Period(_time(start), _time(end)), holder, watts, kind, overdue)
        for _, evse, start, end, holder, watts, kind, overdue, _ in rows
        if evse is not None
    ]
    return Standing(rows[0][0], tuple(taken), rows[0][-1])


def _time(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)
