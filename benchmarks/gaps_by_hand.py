"""What a search answers of place, fit, gaps and power, as one statement by hand, for truth and for time.

It knows what `search_world` holds: grid limits and no cabinets, each above the least of its EVSEs; terms by default; no
partners. Prices, hours and terms are not asked about. Moments are read as seconds, as the shipped statements read them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from bookings.search.slots import SlotOffer, SlotSearch


class Gap(NamedTuple):
    """Free time of an EVSE that fits, in seconds; `promised_w` where the wanted period lies in it and enough is left."""

    option_id: int
    code: str
    evse_id: int
    uid: str
    depot_id: int
    depot: str
    km: float
    starts_at: float
    ends_at: float
    promised_w: int | None


def gaps_by_hand(search: SlotSearch) -> list[Gap]:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(_GAPS, _asked(search))
        return [Gap(*row) for row in cursor.fetchall()]


def differences(gaps: Iterable[Gap], offers: Iterable[SlotOffer]) -> list[str]:
    """Where the two answers to a search contradict each other."""
    by_evse: dict[int, list[Gap]] = {}
    for gap in gaps:
        by_evse.setdefault(gap.evse_id, []).append(gap)
    offered = {offer.evse.pk: offer for offer in offers if offer.evse}
    found = [f"EVSE {pk} is named by one alone" for pk in by_evse.keys() ^ offered.keys()]
    for pk in by_evse.keys() & offered.keys():
        offer, nearest = offered[pk], offered[pk].nearest
        promised = [gap.promised_w for gap in by_evse[pk] if gap.promised_w is not None]
        if promised != ([offer.power_w] if offer.is_free else []):
            found.append(f"EVSE {pk}: {promised} W by hand, {offer.power_w} W if {offer.is_free}")
        if nearest and not any(
            gap.starts_at <= nearest.starts_at.timestamp() and nearest.ends_at.timestamp() <= gap.ends_at
            for gap in by_evse[pk]
        ):
            found.append(f"EVSE {pk}: the nearest slot lies in no gap")
    return found


def _asked(search: SlotSearch) -> dict[str, Any]:
    from bookings.rules.terms import Terms
    from bookings.search.availability import FAR

    near, period, needs = search.near, search.periods, search.wanted
    assert near is not None
    box, terms = near.bounding_box(), Terms()
    ((west, east),) = box.meridians
    return {
        "latitude": near.latitude, "longitude": near.longitude, "km": near.radius_km,
        "south": box.south, "north": box.north, "west": west, "east": east,
        "fleet": search.fleet.pk, "now": search.now,
        "starts_at": period.starts_at, "ends_at": period.ends_at,  # type: ignore[union-attr]
        "since": period.starts_at - FAR, "until": period.ends_at + FAR,  # type: ignore[union-attr]
        "early": terms.early_start, "tail": terms.tail,
        "plugs": sorted(needs.connector_standards), "length": needs.length_cm, "height": needs.height_cm,
        "weight": needs.weight_kg, "least_w": search.min_power_w, "vehicle_w": needs.max_power_w,
    }  # fmt: skip


# The power (docs/decisions/0033): at each moment at which a floor at the depot begins or ends, `spare` is what holders and
# leasts leave, and `levels` fills the free EVSEs with it equally, like vessels: over n sorted by size, the water stands at
# the highest of (spare - the k smallest) / (n - k). The lowest moment of the occupied time counts.
_GAPS = """
WITH place AS (
    SELECT d.id, d.name, d.grid_limit_w,
           6371 * 2 * asin(sqrt(sin(radians(d.latitude - %(latitude)s) / 2) ^ 2 + cos(radians(d.latitude))
             * cos(radians(%(latitude)s)) * sin(radians(d.longitude - %(longitude)s) / 2) ^ 2)) AS km
    FROM depots_depot d
    WHERE d.latitude BETWEEN %(south)s::numeric AND %(north)s::numeric
      AND d.longitude BETWEEN %(west)s::numeric AND %(east)s::numeric
      AND NOT d.is_withdrawn
      AND (d.operator_id = %(fleet)s OR EXISTS (
          SELECT FROM depots_agreement a
          WHERE a.depot_id = d.id AND (a.guest_id IS NULL OR a.guest_id = %(fleet)s)
            AND a.starts_at <= %(now)s AND (a.ends_at IS NULL OR a.ends_at > %(now)s)
      ))
), gaps AS MATERIALIZED (
    SELECT o.id AS option_id, o.code, e.id, e.uid, p.id AS depot_id, p.name, p.km, gap, e.max_power_w,
           gap @> tstzrange(%(starts_at)s, %(ends_at)s + %(tail)s) AS is_wide_enough
    FROM place p
    JOIN depots_evse e ON e.depot_id = p.id AND NOT e.is_withdrawn
    JOIN bookings_bookingoption_evses oe ON oe.evse_id = e.id
    JOIN bookings_bookingoption o ON o.id = oe.bookingoption_id AND NOT o.is_withdrawn
    CROSS JOIN LATERAL (
        SELECT range_agg(o.span) AS spans FROM bookings_occupancy o
        WHERE o.evse_id = e.id AND o.span && tstzrange(%(since)s, %(until)s)
          AND o.holder NOT IN (SELECT id FROM bookings_booking WHERE status = 'held' AND held_until <= %(now)s)
    ) taken
    CROSS JOIN LATERAL unnest(
        tstzmultirange(tstzrange(%(since)s, %(until)s)) - coalesce(taken.spans, '{}')
    ) gap
    WHERE p.km <= %(km)s
      AND (e.max_vehicle_length_cm IS NULL OR e.max_vehicle_length_cm >= %(length)s)
      AND (e.max_vehicle_height_cm IS NULL OR e.max_vehicle_height_cm >= %(height)s)
      AND (e.max_vehicle_weight_kg IS NULL OR e.max_vehicle_weight_kg >= %(weight)s)
      AND e.max_power_w >= %(least_w)s
      AND EXISTS (
          SELECT FROM depots_connector c WHERE c.evse_id = e.id AND c.standard = ANY(%(plugs)s)
      )
), fed AS (
    SELECT p.id AS depot_id, p.grid_limit_w, e.id, e.max_power_w, least(50000, e.max_power_w) AS least_w
    FROM place p
    JOIN depots_evse e ON e.depot_id = p.id AND NOT e.is_withdrawn
    WHERE p.grid_limit_w IS NOT NULL AND p.km <= %(km)s
), floors AS MATERIALIZED (
    SELECT fed.depot_id, o.evse_id, o.span, o.power_w
    FROM fed
    JOIN bookings_occupancy o ON o.evse_id = fed.id
    WHERE o.span && tstzrange(%(starts_at)s - %(early)s, %(ends_at)s + %(tail)s) AND o.kind <> 'closure'
      AND o.holder NOT IN (SELECT id FROM bookings_booking WHERE status = 'held' AND held_until <= %(now)s)
), moments AS (
    SELECT depot_id, %(starts_at)s - %(early)s AS at FROM fed
    UNION SELECT depot_id, lower(span) FROM floors
    UNION SELECT depot_id, upper(span) FROM floors
), state AS (
    SELECT depot_id, at, fed.grid_limit_w, least_w, fed.max_power_w - least_w AS room,
           (SELECT max(power_w) FROM floors f WHERE f.evse_id = fed.id AND f.span @> at) AS taken_w
    FROM moments
    JOIN fed USING (depot_id)
    WHERE at >= %(starts_at)s - %(early)s AND at < %(ends_at)s + %(tail)s
), spare AS (
    SELECT depot_id, at, grid_limit_w - sum(greatest(least_w, taken_w)) AS spare_w
    FROM state
    GROUP BY depot_id, at, grid_limit_w
), levels AS MATERIALIZED (
    SELECT depot_id, at, spare_w,
           CASE WHEN spare_w >= sum(room) THEN max(room) ELSE floor(max(level) / 1000) * 1000 END AS rise_w
    FROM (
        SELECT depot_id, at, spare_w, room,
               (spare_w - sum(room) OVER smaller + room) / (count(*) OVER free - row_number() OVER smaller + 1) AS level
        FROM state
        JOIN spare USING (depot_id, at)
        WHERE taken_w IS NULL
        WINDOW free AS (PARTITION BY depot_id, at),
               smaller AS (PARTITION BY depot_id, at ORDER BY room ROWS UNBOUNDED PRECEDING)
    ) AS vessels
    GROUP BY depot_id, at, spare_w
)
SELECT g.option_id, g.code, g.id, g.uid, g.depot_id, g.name, g.km,
       extract(epoch FROM lower(gap))::float8, extract(epoch FROM upper(gap))::float8,
       CASE WHEN is_wide_enough AND coalesce(most_w, max_power_w) >= %(least_w)s
            THEN least(max_power_w, default_w, %(vehicle_w)s)::int8 END
FROM gaps g
LEFT JOIN LATERAL (
    SELECT min(least(50000, g.max_power_w) + rise_w) AS default_w,
           min(least(50000, g.max_power_w) + spare_w) AS most_w
    FROM levels
    WHERE is_wide_enough AND levels.depot_id = g.depot_id AND at >= lower(gap)
) AS power ON true
"""
