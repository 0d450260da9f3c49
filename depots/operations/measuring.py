"""What a charger was seen to do, kept beside what it says of itself: each with when, and by which evidence."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from depots.models import Charger, ChargingSession

# A restart is what this is about; all else is seen anew after one.
OVER_REBOOT = "over_reboot"


def measure(charger: Charger, name: str, seen: Any, *, evidence: str, now: datetime) -> None:
    """Keep what was seen if it is news. `evidence` is a few words: a command, a session, a restart."""
    if charger.measured.get(name) == seen:
        return
    row = Charger.objects.select_for_update(no_key=True).only("measured").get(pk=charger.pk)
    told = {name: seen, f"{name}_at": now.isoformat(), f"{name}_by": evidence}
    row.measured = {**row.measured, **told}
    row.save(update_fields=["measured"])
    charger.measured = row.measured


def kept_over_reboot(measured: dict[str, Any]) -> dict[str, Any]:
    return {name: seen for name, seen in measured.items() if name.startswith(OVER_REBOOT)}


def measure_meter(session: ChargingSession, now: datetime) -> None:
    """By a session that has ended."""
    flags = set(session.flags)
    if "bad_meter" in flags:
        seen = "wrong"
    elif {"no_meter_stop", "no_meter_start"} & flags:
        seen = "missing"
    elif session.meter_stop_wh is None or session.energy_wh is None:
        return
    else:
        seen = "works"
    measure(session.charger, "meter", seen, evidence=f"session {session.transaction}", now=now)


def measure_refusal(session: ChargingSession, *, stops_by_itself: bool, now: datetime) -> None:
    """By a session that was refused and has ended: whether the charger heeds the answer, or has to be told to stop."""
    seen = "obeyed" if stops_by_itself else "ignored"
    measure(session.charger, "refusals", seen, evidence=f"session {session.transaction}", now=now)
