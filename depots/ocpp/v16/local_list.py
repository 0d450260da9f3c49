"""SendLocalList of OCPP 1.6."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from depots.ocpp.times import write_time
from depots.token_numbers import LONGEST_TAG


def send(payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """What does not fit an idTag is left out: no reader of such a charger gives it."""
    put = [_entry(entry) for entry in payload["put"] if len(entry["uid"]) <= LONGEST_TAG]
    removed = [{"idTag": entry["uid"]} for entry in payload["remove"] if len(entry["uid"]) <= LONGEST_TAG]
    entries = [*removed, *put]
    return "SendLocalList", {
        "listVersion": payload["version"],
        "updateType": "Full" if payload["full"] else "Differential",
        **({"localAuthorizationList": entries} if entries else {}),
    }


def _entry(entry: dict[str, Any]) -> dict[str, Any]:
    group = entry.get("group") or ""
    info = {"status": "Accepted", "expiryDate": write_time(datetime.fromisoformat(entry["until"]))}
    return {"idTag": entry["uid"], "idTagInfo": {**info, **({"parentIdTag": group} if group else {})}}
