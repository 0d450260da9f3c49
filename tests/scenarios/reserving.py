"""What a charger is asked about reservations, and what becomes of it."""

from __future__ import annotations

from typing import Any

from depots.models import Charger, ChargerCommand
from depots.operations import queue_command
from tests.factories import NOW
from tests.scenarios.bed import Bed, ScriptedCharger, eventually

TOKEN = "04AABBCCDD10"


def reserve(row: Charger, reservation_id: int = 7, evse: int = 1, **fields: Any) -> ChargerCommand:
    payload = {
        "reservation_id": reservation_id,
        "evse": evse,
        "token": TOKEN,
        "token_type": "RFID",
        "group": f"B{reservation_id}",
        "expires_at": "2030-01-15T09:00:00Z",
        **fields.pop("payload", {}),
    }
    return queue_command(
        charger=row, action="reserve", payload=payload, reservation_id=reservation_id, now=NOW, **fields
    )


def cancel(row: Charger, reservation_id: int = 7) -> ChargerCommand:
    return queue_command(
        charger=row,
        action="cancel_reservation",
        payload={"reservation_id": reservation_id},
        reservation_id=reservation_id,
        now=NOW,
    )


def online(bed: Bed, row: Charger, protocol: str = "ocpp1.6", **options: Any) -> ScriptedCharger:
    charger = bed.charger(row, protocol, **options)
    charger.come_online()
    return charger


def becomes(command: ChargerCommand, state: str, answer: str = "") -> ChargerCommand:
    def look() -> bool:
        command.refresh_from_db()
        return command.state == state

    eventually(look)
    assert command.answer == answer
    return command
