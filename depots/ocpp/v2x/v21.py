"""OCPP 2.1: what it has of its own beside 2.x."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from depots.ocpp.connection import ChargerConnection
from depots.ocpp.dialect import Answerer, take_note
from depots.ocpp.v2x import messages
from depots.ocpp.v2x.alerts import der_alarm
from depots.ocpp.v2x.commands import ask_capabilities, read_answer, request
from depots.ocpp.v2x.contracts import certificate_chain_status

__all__ = ["ANSWERS", "VERSION", "ask_capabilities", "read_answer", "request"]

VERSION = "2.1"


async def vat_number(connection: ChargerConnection, message: dict[str, Any]) -> dict[str, Any]:
    return {"vatNumber": message.get("vatNumber") or "", "status": "Rejected"}


ANSWERS: Mapping[str, Answerer] = {
    **messages.ANSWERS,
    "BatterySwap": take_note,
    "ClosePeriodicEventStream": take_note,
    "GetCertificateChainStatus": certificate_chain_status,
    "NotifyDERAlarm": der_alarm,
    "NotifyDERStartStop": take_note,
    "NotifyPeriodicEventStream": take_note,
    "NotifyPriorityCharging": take_note,
    "NotifySettlement": take_note,
    "NotifyWebPaymentStarted": take_note,
    "OpenPeriodicEventStream": messages.refuse,
    "PullDynamicScheduleUpdate": messages.refuse,
    "ReportDERControl": take_note,
    "VatNumberValidation": vat_number,
}
