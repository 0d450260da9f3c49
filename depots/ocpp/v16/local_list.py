"""SendLocalList of OCPP 1.6."""

from __future__ import annotations

from typing import Any

from depots.ocpp.common_commands import local_list_update
from depots.ocpp.times import rewrite_time
from depots.token_numbers import LONGEST_TAG


def send(payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return "SendLocalList", {
        "listVersion": payload["version"],
        **local_list_update(payload, longest=LONGEST_TAG, put=_entry, removed=_tag),
    }


def _entry(entry: dict[str, Any]) -> dict[str, Any]:
    group = entry.get("group") or ""
    info = {"status": "Accepted", "expiryDate": rewrite_time(entry["until"])}
    return {**_tag(entry), "idTagInfo": {**info, **({"parentIdTag": group} if group else {})}}


def _tag(entry: dict[str, Any]) -> dict[str, Any]:
    return {"idTag": entry["uid"]}
