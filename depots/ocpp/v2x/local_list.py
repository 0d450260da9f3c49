"""SendLocalList of OCPP 2.x."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from depots.ocpp.times import write_time
from depots.ocpp.v2x.tokens import LONGEST_TOKEN, WIRE_TYPE, group_token


def send(payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    put = [_entry(entry) for entry in payload["put"] if len(entry["uid"]) <= LONGEST_TOKEN]
    removed = [
        {"idToken": _token(entry)} for entry in payload["remove"] if len(entry["uid"]) <= LONGEST_TOKEN
    ]
    entries = [*removed, *put]
    return "SendLocalList", {
        "versionNumber": payload["version"],
        "updateType": "Full" if payload["full"] else "Differential",
        **({"localAuthorizationList": entries} if entries else {}),
    }


def _entry(entry: dict[str, Any]) -> dict[str, Any]:
    group = entry.get("group") or ""
    info = {"status": "Accepted", "cacheExpiryDateTime": write_time(datetime.fromisoformat(entry["until"]))}
    return {
        "idToken": _token(entry),
        "idTokenInfo": {**info, **({"groupIdToken": group_token(group)} if group else {})},
    }


def _token(entry: dict[str, Any]) -> dict[str, Any]:
    return {"idToken": entry["uid"], "type": WIRE_TYPE[entry["type"]].value}
