"""What a charger was seen to do, kept beside what it says of itself: each with when, and by which evidence."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from depots import round_trips
from depots.models import Charger, ChargingSession

# A restart is what this is about; all else is seen anew after one.
OVER_REBOOT = "over_reboot"

_MEASURE = """
    UPDATE depots_charger AS charger SET measured = charger.measured || told.seen
    FROM unnest(%s::bigint[], %s::jsonb[]) AS told (charger_id, seen) WHERE charger.id = told.charger_id
"""


def measure(charger: Charger, name: str, seen: Any, *, evidence: str, now: datetime) -> None:
    """Keep what was seen if it is news. `evidence` is a few words: a command, a session, a restart."""
    if charger.measured.get(name) == seen:
        return
    row = Charger.objects.select_for_update(no_key=True).only("measured").get(pk=charger.pk)
    told = {name: seen, f"{name}_at": now.isoformat(), f"{name}_by": evidence}
    row.measured = {**row.measured, **told}
    row.save(update_fields=["measured"])
    charger.measured = row.measured


def measure_together(evidence: Mapping[Charger, str], name: str, seen: Any, *, now: datetime) -> None:
    """The same of locked chargers, each by its own evidence; one statement."""
    news = {charger: why for charger, why in evidence.items() if charger.measured.get(name) != seen}
    if not news:
        return
    told = {c: {name: seen, f"{name}_at": now.isoformat(), f"{name}_by": why} for c, why in news.items()}
    columns: list[Any] = [[charger.pk for charger in told], [json.dumps(each) for each in told.values()]]
    round_trips.send(_MEASURE, columns)
    for charger, each in told.items():
        charger.measured = {**charger.measured, **each}


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
