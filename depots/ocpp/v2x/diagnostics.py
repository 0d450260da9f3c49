"""Logs and firmware of OCPP 2.x, and what a charger tells of their progress."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from depots import operations
from depots.models import ChargerCommand
from depots.ocpp.command_words import read_status
from depots.ocpp.times import rewrite_time

if TYPE_CHECKING:
    from depots.ocpp.connection import ChargerConnection


def send_log(payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    since = payload.get("since")
    oldest = {"oldestTimestamp": rewrite_time(since)} if since else {}
    return "GetLog", {
        "logType": "SecurityLog" if payload["is_security"] else "DiagnosticsLog",
        "requestId": payload["request"],
        "retries": 1,
        "retryInterval": 60,
        "log": {"remoteLocation": payload["location"], **oldest},
    }


def update_firmware(payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    install_at = payload["install_at"]
    signed = {"signingCertificate": payload["certificate"], "signature": payload["signature"]}
    return "UpdateFirmware", {
        "requestId": payload["request"],
        "retries": 2,
        "retryInterval": 120,
        "firmware": {
            "location": payload["location"],
            "retrieveDateTime": rewrite_time(payload["retrieve_at"]),
            **({"installDateTime": rewrite_time(install_at)} if install_at else {}),
            **(signed if payload["signature"] else {}),
        },
    }


def read_status_and_file(payload: dict[str, Any]) -> tuple[str, str]:
    word, text = read_status(payload)
    name = payload.get("filename")
    return word, str(name)[:255] if name and not text else text


async def log_progress(connection: ChargerConnection, message: dict[str, Any]) -> dict[str, Any]:
    """DiagnosticsStatusNotification and LogStatusNotification."""
    await _progress(connection, ChargerCommand.Action.GET_DIAGNOSTICS, message)
    return {}


async def firmware_progress(connection: ChargerConnection, message: dict[str, Any]) -> dict[str, Any]:
    """FirmwareStatusNotification and SignedFirmwareStatusNotification."""
    await _progress(connection, ChargerCommand.Action.UPDATE_FIRMWARE, message)
    return {}


async def _progress(connection: ChargerConnection, action: str, message: dict[str, Any]) -> None:
    """A status that cannot be read tells nothing; what was asked by nobody here is noted by the message log."""
    if status := message.get("status"):
        await connection.do(
            operations.record_progress,
            action=action,
            progress=str(status),
            request=message.get("requestId"),
            now=connection.now(),
        )
