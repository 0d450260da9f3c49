"""statusInfo: why a charger of OCPP 2.x answers as it does."""

from __future__ import annotations

from typing import Any

from depots.cards import without_cards
from depots.ocpp.command_words import read_status


def read_status_and_reason(payload: dict[str, Any]) -> tuple[str, str]:
    word, text = read_status(payload)
    return word, text or reason_in(payload.get("statusInfo"))


def reason_in(info: Any) -> str:
    """reasonCode and additionalInfo; empty where nothing readable is told."""
    told = [info.get("reasonCode"), info.get("additionalInfo")] if isinstance(info, dict) else []
    return without_cards(" ".join(part for part in told if isinstance(part, str)))
