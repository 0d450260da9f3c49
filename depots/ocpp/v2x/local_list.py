"""SendLocalList of OCPP 2.x."""

from __future__ import annotations

from typing import Any

from depots.ocpp.common_commands import local_list_update
from depots.ocpp.times import rewrite_time
from depots.ocpp.v2x.tokens import LONGEST_TOKEN, WIRE_TYPE, group_token


def send(payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return "SendLocalList", {
        "versionNumber": payload["version"],
        **local_list_update(payload, longest=LONGEST_TOKEN, put=_entry, removed=_token),
    }


def _entry(entry: dict[str, Any]) -> dict[str, Any]:
    group = entry.get("group") or ""
    info = {"status": "Accepted", "cacheExpiryDateTime": rewrite_time(entry["until"])}
    return {
        **_token(entry),
        "idTokenInfo": {**info, **({"groupIdToken": group_token(group)} if group else {})},
    }


def _token(entry: dict[str, Any]) -> dict[str, Any]:
    return {"idToken": {"idToken": entry["uid"], "type": WIRE_TYPE[entry["type"]].value}}
