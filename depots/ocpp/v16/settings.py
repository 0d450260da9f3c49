"""Settings of OCPP 1.6, read and changed by key."""

from __future__ import annotations

import json
from typing import Any

from depots.ocpp import redaction
from depots.ocpp.command_words import bounded, is_true, read_status
from depots.ocpp.dialect import InvalidCommand

LONGEST_VALUE = 500


def read(payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return "GetConfiguration", {"key": payload["keys"]}


def change(payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    if len(payload["settings"]) != 1:
        raise InvalidCommand("OCPP 1.6 changes one setting at a time.")
    [(key, value)] = payload["settings"].items()
    if len(value) > LONGEST_VALUE:
        raise InvalidCommand(f"A setting of OCPP 1.6 has at most {LONGEST_VALUE} characters.")
    return "ChangeConfiguration", {"key": key, "value": value}


def read_values(payload: dict[str, Any]) -> tuple[str, str]:
    """Accepted, and as JSON what it told: {key: {"value", "is_readonly", "status"}} with `status` empty where it told one.

    A key is told as the charger spells it.
    """
    entries = [entry for entry in payload.get("configurationKey") or [] if isinstance(entry, dict)]
    told = {str(entry.get("key")): _told(entry) for entry in entries}
    for key in payload.get("unknownKey") or []:
        told[str(key)] = {"value": None, "is_readonly": False, "status": "unknown"}
    return "accepted", json.dumps(told)


def read_configuration(payload: dict[str, Any]) -> tuple[str, str]:
    """Accepted, and as JSON {key: value}, null where it knows none; there is no status."""
    if "configurationKey" not in payload and "unknownKey" not in payload:
        return read_status(payload)
    keys = [entry for entry in payload.get("configurationKey") or [] if isinstance(entry, dict)]
    values = {
        key: redaction.shown_setting(key, entry.get("value"))
        for entry in keys
        if (key := str(entry.get("key")))
    }
    unknown = {str(key): None for key in payload.get("unknownKey") or []}
    return "accepted", json.dumps({**values, **unknown})


def _told(entry: dict[str, Any]) -> dict[str, Any]:
    value = redaction.shown_setting(str(entry.get("key")), bounded(entry.get("value")))
    return {"value": value, "is_readonly": is_true(entry.get("readonly")), "status": ""}
