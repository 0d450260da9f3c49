"""What chargers that speak OCPP 2.x say of transactions and meters, in our words."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from ocpp.v201.enums import AuthorizationStatusEnumType, ChargingStateEnumType, TransactionEventEnumType

from depots import operations
from depots.models import ChargingState
from depots.ocpp import sampled_values
from depots.ocpp.connection import ChargerConnection
from depots.ocpp.meter_values import take_meter_values
from depots.ocpp.owner_asking import with_owner_asked
from depots.ocpp.v2x.contracts import authorize_contract, authorized, shows_contract
from depots.ocpp.v2x.tokens import token_info, token_type, token_uid
from depots.operations import BIGGEST, TransactionReport
from depots.operations.transaction_reports import ReportResult

LONGEST_KEPT_ID = 64

KIND = {
    TransactionEventEnumType.started: "started",
    TransactionEventEnumType.updated: "updated",
    TransactionEventEnumType.ended: "ended",
}

CHARGING_STATE = {
    ChargingStateEnumType.charging: ChargingState.CHARGING,
    ChargingStateEnumType.ev_connected: ChargingState.PLUGGED,
    ChargingStateEnumType.suspended_ev: ChargingState.NO_DEMAND,
    ChargingStateEnumType.suspended_evse: ChargingState.NO_OFFER,
    ChargingStateEnumType.idle: ChargingState.UNPLUGGED,
}


async def authorize(connection: ChargerConnection, message: dict[str, Any]) -> dict[str, Any]:
    token = message.get("idToken") or {}
    uid = token_uid(token)
    if not uid and token_type(
        token
    ):  # nobody asks for nobody; the gate would answer for a start without a card
        return {"idTokenInfo": {"status": AuthorizationStatusEnumType.invalid.value}}
    if shows_contract(message):
        return await authorize_contract(connection, message)
    answer = await authorized(connection, token)
    return {"idTokenInfo": token_info(answer, connection)}


async def transaction_event(connection: ChargerConnection, message: dict[str, Any]) -> dict[str, Any]:
    connection.on_transaction_message()
    moment = connection.moment(message.get("timestamp"))
    report = await read_transaction(connection, message)
    now = connection.now()
    outcome = await _record(connection, report, now)
    connection.follow_meter(outcome.session)
    if not message.get("offline"):
        await connection.check_clock(moment)
    return {"idTokenInfo": token_info(outcome.answer, connection)} if outcome.answer is not None else {}


async def _record(connection: ChargerConnection, report: TransactionReport, now: datetime) -> ReportResult:
    def carry_out(may_ask: bool) -> Awaitable[ReportResult]:
        told = replace(report, may_ask=True) if may_ask else report
        return connection.do(operations.record_transaction, report=told, now=now)

    return await (with_owner_asked(connection, carry_out) if report.token_uid else carry_out(False))


async def meter_values(connection: ChargerConnection, message: dict[str, Any]) -> dict[str, Any]:
    await take_meter_values(connection, message, evse_number=message.get("evseId"), transaction="")
    return {}


async def read_transaction(connection: ChargerConnection, message: dict[str, Any]) -> TransactionReport:
    """Energy flows already: whatever is missing, it is recorded. A kind that cannot be read begins and ends nothing."""
    info = message.get("transactionInfo") or {}
    moment = connection.moment(message.get("timestamp"))
    token = message.get("idToken")
    uid = token_uid(token) if token else ""
    sampled = await sampled_values.read_all(message.get("meterValue") or [], connection.moment)
    flags = [*moment.flags, *(["offline"] if message.get("offline") else []), *_malformed(message)]
    payload = {name: told for name, told in message.items() if name != "_malformed"}
    state, kind = info.get("chargingState"), message.get("eventType")
    return TransactionReport(
        transaction=_transaction_id(info.get("transactionId") or ""),
        seq_no=_seq_no(payload),
        kind=KIND[TransactionEventEnumType(kind)] if kind else "updated",
        at=moment.at,
        evse_number=(message.get("evse") or {}).get("id"),
        token_uid=uid if token and (uid or not token_type(token)) else None,
        token_type=token_type(token) if token else "",
        reservation_id=message.get("reservationId") or None,
        charging_state=CHARGING_STATE[ChargingStateEnumType(state)] if state else "",
        stop_reason=info.get("stoppedReason") or "",
        readings=sampled.readings,
        flags=[*flags, *sampled.flags],
        payload=payload,
    )


def _malformed(message: Mapping[str, Any]) -> list[str]:
    return ["malformed"] if "_malformed" in message else []


def _transaction_id(told: str) -> str:
    """Ids are kept whole; one that no column holds goes by its digest."""
    if len(told) <= LONGEST_KEPT_ID:
        return told
    return hashlib.sha256(told.encode()).hexdigest()[:LONGEST_KEPT_ID]


def _seq_no(message: Mapping[str, Any]) -> int:
    """Where none was told, one that a repeated message has again, below all that are counted."""
    told = message.get("seqNo")
    if told is not None:
        return max(-BIGGEST, min(BIGGEST, int(told)))
    text = json.dumps(message, sort_keys=True).encode()
    return -1 - int.from_bytes(hashlib.sha256(text).digest()[:7])
