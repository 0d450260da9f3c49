"""OCPP 2.0.1: what it has of its own beside 2.x."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ocpp.v201.enums import ReservationUpdateStatusEnumType

from depots.ocpp import v2x
from depots.ocpp.connection import ChargerConnection
from depots.ocpp.dialect import Answerer
from depots.ocpp.v2x_commands import ask_capabilities, read_answer, request

__all__ = ["ANSWERS", "VERSION", "ask_capabilities", "read_answer", "request"]

VERSION = "2.0.1"

RESERVATION_OUTCOME = {
    ReservationUpdateStatusEnumType.expired.value: "expired",
    ReservationUpdateStatusEnumType.removed.value: "removed",
}


async def reservation_status(connection: ChargerConnection, message: dict[str, Any]) -> dict[str, Any]:
    await v2x.end_reservation(connection, message, RESERVATION_OUTCOME)
    return {}


ANSWERS: Mapping[str, Answerer] = {
    **v2x.ANSWERS,
    "ReservationStatusUpdate": reservation_status,
}
