"""Logs and firmware of OCPP 1.6, with the calls of its security extension where they are the only way."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from depots.ocpp.dialect import InvalidCommand
from depots.ocpp.times import rewrite_time, write_time
from depots.ocpp.v2x import diagnostics as diagnostics_2x
from depots.ocpp.v2x.diagnostics import firmware_progress, log_progress

__all__ = [
    "firmware_progress",
    "log_progress",
    "read_file_name",
    "read_nothing",
    "send_log",
    "update_firmware",
]


def send_log(payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """A log of security events is asked for by GetLog, which only chargers with the extension have."""
    if payload["is_security"]:
        return diagnostics_2x.send_log(payload)
    since = payload.get("since")
    start = {"startTime": rewrite_time(since)} if since else {}
    return "GetDiagnostics", {"location": payload["location"], "retries": 1, "retryInterval": 60, **start}


def update_firmware(payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """What is signed is told with its signature; what is not is installed as soon as it was fetched."""
    if payload["signature"]:
        action, call = diagnostics_2x.update_firmware(payload)
        return f"Signed{action}", call
    at = datetime.fromisoformat(payload["retrieve_at"])
    if payload["install_at"] is not None and datetime.fromisoformat(payload["install_at"]) != at:
        raise InvalidCommand("OCPP 1.6 installs what it has fetched: it can be told no other time.")
    return "UpdateFirmware", {
        "location": payload["location"],
        "retrieveDate": write_time(at),
        "retries": 2,
        "retryInterval": 120,
    }


def read_file_name(payload: dict[str, Any]) -> tuple[str, str]:
    """It answers with the name of the file, or with nothing where it has none (OCPP 1.6 §6.28)."""
    if "status" in payload:
        return diagnostics_2x.read_status_and_file(payload)
    name = payload.get("fileName")
    return ("accepted", str(name)[:255]) if name else ("nothing_to_send", "")


def read_nothing(payload: dict[str, Any]) -> tuple[str, str]:
    """UpdateFirmware is answered with nothing at all; the signed one with a status."""
    return diagnostics_2x.read_status_and_file(payload) if "status" in payload else ("accepted", "")
