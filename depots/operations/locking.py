"""Locks in the one order that everything keeps: EVSEs by key, then the charger, its sessions and commands.

Receivers of what we tell lock EVSEs and then bookings; taken first here, their locks are held already. A truck may
use its booking at another EVSE of the depot than the booked one, so what begins and ends charging locks them all.
"""

from __future__ import annotations

from depots.models import Evse


def lock_evses_of(charger_id: int) -> dict[int, Evse]:
    """The EVSEs of one charger by their number, locked."""
    rows = Evse.objects.select_for_update(no_key=True).filter(charger=charger_id).order_by("pk")
    return {evse.number: evse for evse in rows}


def lock_evses_beside(charger_id: int) -> dict[int, Evse]:
    """All EVSEs of the charger's depot are locked; the charger's own by their number."""
    beside = Evse.objects.filter(depot__chargers=charger_id).order_by("pk")
    rows = beside.select_for_update(no_key=True, of=("self",))
    return {evse.number: evse for evse in rows if evse.charger_id == charger_id}
