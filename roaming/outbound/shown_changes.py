"""Depots, EVSEs and tariffs that look otherwise than before: found by comparing, and wanted where they are seen.

Many things decide how a depot looks: a charger's status, a booking that is about to begin, a closure, an agreement or a tariff
whose time has come. Every two seconds what decides is put into words by the database and compared with what it was (ShownState);
whatever differs is wanted by all partners that see it. So nothing of a booking, a status or a page has to tell of it, none is
missed, and changes that follow one another within the moment are one (docs/decisions/0114).
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from roaming.models import Delivery
from roaming.outbound.waking import wake_sender
from roaming.published import reserved_evses

Kind = Delivery.Kind

# Each gives the key of an object, the depot (of a tariff: the operator) by which it is seen, and its state in words.
_EVSES = """
SELECT e.id, e.depot_id AS seen_by,
    concat_ws(' ', e.status, e.kept_for, e.is_withdrawn, e.id = ANY(%(reserved)s::bigint[]), c.closures,
        ch.measured->>'reservation' IN ('refuses', 'lies'), ch.measured->'unsupported') AS state
FROM depots_evse e JOIN depots_depot d ON d.id = e.depot_id AND NOT d.is_mirror
LEFT JOIN depots_charger ch ON ch.id = e.charger_id
LEFT JOIN (
    SELECT evse_id, string_agg(id || (CASE WHEN starts_at <= %(now)s THEN ' now' ELSE ' later' END), ',' ORDER BY id) AS closures
    FROM bookings_closure WHERE lifted_at IS NULL AND ends_at > %(now)s GROUP BY evse_id
) c ON c.evse_id = e.id
"""
_DEPOTS = """
SELECT d.id, d.id AS seen_by, concat_ws(' ', v.version, d.updated_at, o.name, o.website, a.agreed, t.bound) AS state
FROM depots_depot d JOIN depots_organisation o ON o.id = d.operator_id
LEFT JOIN depots_configurationversion v ON v.depot_id = d.id
LEFT JOIN (
    SELECT depot_id, string_agg(id::text, ',' ORDER BY id) AS agreed
    FROM depots_agreement WHERE starts_at <= %(now)s AND (ends_at IS NULL OR ends_at > %(now)s) GROUP BY depot_id
) a ON a.depot_id = d.id
LEFT JOIN (
    SELECT coalesce(b.depot_id, p.depot_id, e.depot_id, g.depot_id) AS depot_id,
        string_agg(b.id::text, ',' ORDER BY b.id) AS bound
    FROM bookings_tariffbinding b
    LEFT JOIN bookings_bookingoption p ON p.id = b.option_id
    LEFT JOIN depots_evse e ON e.id = b.evse_id
    LEFT JOIN depots_agreement g ON g.id = b.agreement_id
    WHERE b.valid @> %(now)s::timestamptz GROUP BY 1
) t ON t.depot_id = d.id
WHERE NOT d.is_mirror
"""
# Which tariffs a partner sees changes with what holds at any depot of their operator.
_TARIFFS = f"""
SELECT t.id, t.operator_id AS seen_by, concat_ws(' ', t.is_withdrawn, t.updated_at, v.versions, w.depots) AS state
FROM bookings_tariff t JOIN depots_organisation o ON o.id = t.operator_id AND NOT o.is_partner
LEFT JOIN (
    SELECT tariff_id, string_agg(id::text, ',' ORDER BY id) AS versions FROM bookings_tariffversion
    WHERE (starts_at IS NULL OR starts_at <= %(now)s) AND (ends_at IS NULL OR ends_at > %(now)s) GROUP BY tariff_id
) v ON v.tariff_id = t.id
LEFT JOIN (
    SELECT operator_id, md5(string_agg(s.state, ',' ORDER BY s.id)) AS depots
    FROM ({_DEPOTS}) s JOIN depots_depot USING (id) GROUP BY operator_id
) w ON w.operator_id = t.operator_id
"""  # noqa: S608 - made of constants
# `is_new`: it was never compared before.
_COMPARE = """
WITH seen AS ({states}), changed AS (
    SELECT s.id, s.seen_by, s.state, k.object_id IS NULL AS is_new
    FROM seen s LEFT JOIN roaming_shownstate k ON k.kind = '{kind}' AND k.object_id = s.id
    WHERE k.state IS DISTINCT FROM s.state
), kept AS (
    INSERT INTO roaming_shownstate (kind, object_id, state) SELECT '{kind}', id, state FROM changed ORDER BY id
    ON CONFLICT (kind, object_id) DO UPDATE SET state = EXCLUDED.state
)
SELECT id, seen_by, is_new FROM changed
"""
_TAKES = """jsonb_path_exists(p.endpoints, '$[*] ? (@.identifier like_regex "^({modules})$" flag "i" && @.role == "RECEIVER")')"""
_ANYBODY = f"""
SELECT 1 FROM roaming_partner p WHERE p.state = 'registered' AND p.roles @> '[{{"role": "EMSP"}}]'
AND {_TAKES.format(modules="locations|tariffs")} LIMIT 1
"""  # noqa: S608 - made of constants
# Whoever takes them, sees the depot (or one of the operator) by an agreement, or was told of the object before. What a partner
# said no to keeps its pause where it is only another status.
_WANT = """
INSERT INTO roaming_delivery
    (partner_id, kind, object_id, wanted_version, delivered_version, next_try_at, attempts, last_error, was_refused)
SELECT p.id, '{kind}', w.object_id, 1, 0, %(now)s, 0, '', false
FROM unnest(%(objects)s::bigint[], %(seen_by)s::bigint[]) AS w(object_id, seen_by)
CROSS JOIN roaming_partner p
WHERE p.state = 'registered' AND p.roles @> '[{{"role": "EMSP"}}]'
  AND {takes}
  AND (
    EXISTS (
        SELECT FROM depots_agreement a JOIN depots_depot d ON d.id = a.depot_id
        WHERE d.{seen_by} = w.seen_by AND (a.guest_id IS NULL OR a.guest_id = p.organisation_id)
          AND a.starts_at <= %(now)s AND (a.ends_at IS NULL OR a.ends_at > %(now)s)
    ) OR EXISTS (
        SELECT FROM roaming_delivery t
        WHERE t.partner_id = p.id AND t.kind = '{kind}' AND t.object_id = w.object_id AND t.delivered_version > 0
    )
  )
ORDER BY p.id, w.object_id
ON CONFLICT (partner_id, kind, object_id) DO UPDATE
SET wanted_version = roaming_delivery.wanted_version + 1,
    next_try_at = CASE WHEN {keeps_pause} AND roaming_delivery.was_refused
        THEN coalesce(roaming_delivery.next_try_at, EXCLUDED.next_try_at) ELSE EXCLUDED.next_try_at END
"""


def is_anybody_told() -> bool:
    """Whether any partner takes depots or tariffs of ours."""
    with connection.cursor() as cursor:
        cursor.execute(_ANYBODY)
        return cursor.fetchone() is not None


def want_changed(*, now: datetime) -> None:
    """Have everything that looks otherwise than at the last time sent to all who see it.

    Each kind in a transaction of its own, as rows are locked in the order of partners first (deliveries.py).
    """
    asked: dict[str, Any] = {"now": now, "reserved": sorted(reserved_evses(now=now))}
    for kind, states in _STATES.items():
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(_COMPARE.format(kind=kind, states=states), asked)
            # A new EVSE comes with its depot, whose configuration is another by that.
            found = [(pk, by) for pk, by, is_new in cursor.fetchall() if not (is_new and kind == Kind.EVSE)]
            if want(kind, found, now=now):
                wake_sender()


def want(kind: Kind, objects: Collection[tuple[int, int]], *, now: datetime) -> int:
    """All partners that see these objects are to get them as they are: by key and what they are seen by."""
    if not objects:
        return 0
    keys, seen_by = zip(*objects, strict=True)
    with connection.cursor() as cursor:
        cursor.execute(_WANTS[kind], {"now": now, "objects": list(keys), "seen_by": list(seen_by)})
        return int(cursor.rowcount)


_STATES = {Kind.TARIFF: _TARIFFS, Kind.LOCATION: _DEPOTS, Kind.EVSE: _EVSES}


def _wants(kind: Kind, module: str, seen_by: str, keeps_pause: str = "false") -> str:
    takes = _TAKES.format(modules=module)
    return _WANT.format(kind=kind, takes=takes, seen_by=seen_by, keeps_pause=keeps_pause)


_WANTS = {
    Kind.TARIFF: _wants(Kind.TARIFF, "tariffs", "operator_id"),
    Kind.LOCATION: _wants(Kind.LOCATION, "locations", "id"),
    Kind.EVSE: _wants(Kind.EVSE, "locations", "id", "true"),
}
