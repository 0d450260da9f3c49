"""Locks in the one order that everything keeps: depot, EVSEs by key, then the charger, its sessions and commands.

Receivers of what we tell lock EVSEs and then bookings; taken first here, their locks are held already. A truck may
use its booking at another EVSE of the depot than the booked one, so what begins and ends charging locks them all, and where
they share a limit of power the depot before them: less may be promised there.
"""

from __future__ import annotations

from depots import round_trips
from depots.models import Evse

_LOCK_DEPOT_OF_LIMITS = """
SELECT FROM "depots_depot" AS d
WHERE id = (SELECT depot_id FROM "depots_charger" WHERE id = %s) AND (
    grid_limit_w IS NOT NULL
    OR EXISTS (SELECT FROM "depots_charger" AS c WHERE c.depot_id = d.id AND c.cabinet_limit_w IS NOT NULL)
)
FOR NO KEY UPDATE OF d
"""
_LOCK_ALL_EVSES = """
SELECT FROM "depots_evse" WHERE depot_id = (SELECT depot_id FROM "depots_charger" WHERE id = %s)
ORDER BY id FOR NO KEY UPDATE
"""


def lock_evses_of(charger_id: int) -> dict[int, Evse]:
    """The EVSEs of one charger by their number, locked."""
    rows = Evse.objects.select_for_update(no_key=True).filter(charger=charger_id).order_by("pk")
    return {evse.number: evse for evse in rows}


def lock_evses_beside(charger_id: int) -> dict[int, Evse]:
    """All EVSEs of the charger's depot are locked; the charger's own by their number, read once they are."""
    round_trips.send(_LOCK_DEPOT_OF_LIMITS, [charger_id])
    round_trips.send(_LOCK_ALL_EVSES, [charger_id])
    return {evse.number: evse for evse in Evse.objects.filter(charger=charger_id).order_by("pk")}
