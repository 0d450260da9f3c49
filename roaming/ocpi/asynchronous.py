"""What partners send around asynchronous requests, Commands and ChargingProfiles alike: an answer at once, a result later."""

from __future__ import annotations

from typing import Any

from roaming.ocpi.wire_object import Notes

USUAL_TIMEOUT_S = 30


def with_timeout(shaped: Any, kind: str, notes: Notes) -> Any:
    """An answer that names no time is given that of most."""
    if isinstance(shaped, dict) and "timeout" not in shaped:
        notes.add(f"{kind}.timeout_missing")
        return {**shaped, "timeout": USUAL_TIMEOUT_S}
    return shaped


def bare(raw: Any, kind: str, notes: Notes) -> Any:
    """A result, taken out of the envelope that some wrap it in (ocpi/ocpi issue 437)."""
    if isinstance(raw, dict) and "result" not in raw and isinstance(raw.get("data"), dict):
        notes.add(f"{kind}.enveloped")
        return raw["data"]
    return raw
