"""What stands at an EVSE right now, where it is in the way of a slot that is about to start."""

from __future__ import annotations

from datetime import datetime, timedelta

from bookings.models import ENFORCEMENT_WHY
from depots.models import Evse
from depots.periods import Period
from depots.queries import is_online

# What is wrong now is mostly mended later; a slot further ahead is not judged by it.
SOON = timedelta(hours=1)

IN_THE_WAY = {
    Evse.Status.OCCUPIED: "occupied",
    Evse.Status.CHARGING: "occupied",
    Evse.Status.FAULTED: "faulted",
    Evse.Status.UNAVAILABLE: "unavailable",
}


def is_soon(period: Period, *, now: datetime) -> bool:
    return period.starts_at - now <= SOON


def trouble_of(evse: Evse | None, period: Period, *, now: datetime) -> str:
    """Why the EVSE may not be ready for a slot in the next hour, by a code of ENFORCEMENT_WHY; empty when nothing is
    known against it. The EVSE comes with its charger; of a partner's, which has none here, its network has told."""
    if evse is None or not is_soon(period, now=now):
        return ""
    if evse.charger is not None and not is_online(evse.charger, now=now):
        return "offline"
    return "" if evse.is_kept else IN_THE_WAY.get(Evse.Status(evse.status), "")


def sentence(trouble: str) -> str:
    return ENFORCEMENT_WHY.get(trouble, "")
