"""What a charger answers to which certificates it has: their hashes, with which they can be deleted."""

from __future__ import annotations

import json
from typing import Any

from depots.ocpp.command_words import read_status

MOST_LISTED = 50


def read_installed(payload: dict[str, Any]) -> tuple[str, str]:
    """(answer, JSON list of hash data). 1.6 tells the hashes, 2.x each with its kind around them."""
    word, text = read_status(payload)
    told = payload.get("certificateHashData") or payload.get("certificateHashDataChain") or []
    hashes = [
        entry.get("certificateHashData", entry) for entry in told[:MOST_LISTED] if isinstance(entry, dict)
    ]
    return word, json.dumps(hashes) if hashes else text
