"""The WaitlistEntry that the JSON API gives, and that `waitlist.offered` tells."""

from __future__ import annotations

from typing import Any

from bookings.models import WaitlistEntry
from bookings.operations.waitlist import entry_version
from depots.periods import utc_text


def waitlist_object(entry: WaitlistEntry) -> dict[str, Any]:
    """Reads option, depot, EVSE, vehicle and hold as they were read."""
    return {
        "id": entry.pk,
        "version": entry_version(entry),
        "status": entry.status,
        "offer": _offer(entry),
        "depot": entry.depot.code,
        "option": entry.option.code,
        "evse": entry.evse.uid if entry.evse else None,
        "vehicle": entry.vehicle.plate if entry.vehicle else None,
        "starts_at": utc_text(entry.starts_at),
        "ends_at": None if entry.ends_when_charged else utc_text(entry.ends_at),
        "booking": entry.held_id if entry.status == WaitlistEntry.Status.ACCEPTED else None,
        "waits_until": utc_text(entry.waits_until),
        "created_at": utc_text(entry.asked_at, timespec="milliseconds"),
    }


def _offer(entry: WaitlistEntry) -> dict[str, Any] | None:
    """`evse` is the one that is held; None at a partner that assigns it later."""
    offered = entry.offered
    if offered is None or entry.offered_until is None:
        return None
    evse = entry.held.evse if entry.held is not None else entry.evse
    return {
        "option": entry.option.code,
        "evse": evse.uid if evse else None,
        "starts_at": utc_text(offered.starts_at),
        "ends_at": utc_text(offered.ends_at),
        "until": utc_text(entry.offered_until),
    }
