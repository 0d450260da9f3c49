"""OCPP 1.6: what its messages say, in our words."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ocpp.v16.enums import AuthorizationStatus, ChargePointStatus

from depots import operations
from depots.gate import Authorization
from depots.models import ChargingState, Evse
from depots.ocpp import sampled_values
from depots.ocpp.charger_security import security_event, sign_certificate
from depots.ocpp.connection import ChargerConnection
from depots.ocpp.dialect import Answerer, accept_boot, data_transfer, heartbeat
from depots.ocpp.meter_values import take_meter_values
from depots.ocpp.owner_asking import authorized, with_owner_asked
from depots.ocpp.times import write_time
from depots.ocpp.v16.diagnostics import firmware_progress, log_progress
from depots.operations import Start, Stop
from depots.token_numbers import LONGEST_TAG

LONGEST_KEY_PART = 28

STATUS = {
    ChargePointStatus.available: Evse.Status.AVAILABLE,
    ChargePointStatus.preparing: Evse.Status.OCCUPIED,
    ChargePointStatus.charging: Evse.Status.CHARGING,
    ChargePointStatus.suspended_evse: Evse.Status.CHARGING,
    ChargePointStatus.suspended_ev: Evse.Status.CHARGING,
    ChargePointStatus.finishing: Evse.Status.OCCUPIED,
    ChargePointStatus.reserved: Evse.Status.RESERVED,
    ChargePointStatus.unavailable: Evse.Status.UNAVAILABLE,
    ChargePointStatus.faulted: Evse.Status.FAULTED,
}

# What a status says of a charging that is under way.
CHARGING_STATE = {
    ChargePointStatus.available: ChargingState.UNPLUGGED,
    ChargePointStatus.preparing: ChargingState.PLUGGED,
    ChargePointStatus.charging: ChargingState.CHARGING,
    ChargePointStatus.suspended_evse: ChargingState.NO_OFFER,
    ChargePointStatus.suspended_ev: ChargingState.NO_DEMAND,
    ChargePointStatus.finishing: ChargingState.PLUGGED,
    ChargePointStatus.reserved: ChargingState.UNPLUGGED,
    ChargePointStatus.unavailable: ChargingState.OUT_OF_ORDER,
    ChargePointStatus.faulted: ChargingState.OUT_OF_ORDER,
}

# Why the gate refuses, as the driver's display may word it.
REFUSAL = {
    "unknown_token": AuthorizationStatus.invalid,
    "blocked": AuthorizationStatus.blocked,
    "booked_by_another": AuthorizationStatus.blocked,
    "not_yet": AuthorizationStatus.blocked,
    "elsewhere": AuthorizationStatus.blocked,
    "expired": AuthorizationStatus.expired,
    "no_credit": AuthorizationStatus.blocked,
    "not_confirmed": AuthorizationStatus.blocked,
    "": AuthorizationStatus.invalid,
}


async def boot(connection: ChargerConnection, message: dict[str, Any]) -> dict[str, Any]:
    await connection.do(
        operations.record_boot,
        vendor=message.get("chargePointVendor") or "",
        model=message.get("chargePointModel") or "",
        serial_number=message.get("chargePointSerialNumber") or message.get("chargeBoxSerialNumber") or "",
        firmware_version=message.get("firmwareVersion") or "",
        now=connection.now(),
    )
    return accept_boot(connection)


async def status(connection: ChargerConnection, message: dict[str, Any]) -> dict[str, Any]:
    """A status or connector that cannot be read changes nothing. The time may be missing."""
    moment = connection.moment(message.get("timestamp"))
    told, connector = message.get("status"), message.get("connectorId")
    if told is None or connector is None:
        return {}
    is_news = await connection.do(
        operations.report_status,
        evse_number=connector,
        status=STATUS[ChargePointStatus(told)],
        charging_state=CHARGING_STATE[ChargePointStatus(told)],
        error_code=_error(message),
        at=moment.at,
        now=connection.now(),
    )
    await connection.check_clock_by_status(moment, is_news=is_news)
    return {}


def _error(message: dict[str, Any]) -> str:
    """With the maker's own code, by which a fault is found in its manual."""
    code = message.get("errorCode") or ""
    return "" if code in {"", "NoError"} else f"{code} {message.get('vendorErrorCode') or ''}".rstrip()


async def authorize(connection: ChargerConnection, message: dict[str, Any]) -> dict[str, Any]:
    tag = (message.get("idTag") or "").strip()
    if not tag:  # nobody asks for nobody; the gate would answer for a start without a card
        return {"idTagInfo": {"status": AuthorizationStatus.invalid.value}}
    answer = await authorized(connection, token_uid=tag)
    return {"idTagInfo": tag_info(answer, connection)}


async def start_transaction(connection: ChargerConnection, message: dict[str, Any]) -> dict[str, Any]:
    """Energy flows already: whatever is missing, it is recorded."""
    connection.on_transaction_message()
    moment = connection.moment(message.get("timestamp"))
    tag = (message.get("idTag") or "").strip()
    now = connection.now()
    start = Start(
        evse_number=message.get("connectorId"),
        token_uid=tag,
        key=_key(message, "connectorId", "idTag", "timestamp", "meterStart"),
        at=moment.at,
        meter_wh=message.get("meterStart"),
        reservation_id=message.get("reservationId") or None,
        flags=(
            *_flags(message, moment.flags),
            *(() if "meterStart" in message else ("no_meter_start",)),
            *(() if tag else ("no_token",)),
        ),
    )
    outcome = await with_owner_asked(
        connection,
        lambda may_ask: connection.do(
            operations.start_session, start=replace(start, may_ask=may_ask), now=now
        ),
    )
    await connection.check_clock(moment)
    return {
        "transactionId": int(outcome.session.transaction),
        "idTagInfo": tag_info(outcome.answer, connection),
    }


async def stop_transaction(connection: ChargerConnection, message: dict[str, Any]) -> dict[str, Any]:
    connection.on_transaction_message()
    moment = connection.moment(message.get("timestamp"))
    sampled = await sampled_values.read_all(message.get("transactionData") or [], connection.moment)
    outcome = await connection.do(
        operations.stop_session,
        stop=Stop(
            transaction=str(message.get("transactionId") or ""),
            key="stop:" + _key(message, "transactionId", "timestamp", "meterStop", "idTag"),
            at=moment.at,
            meter_wh=message.get("meterStop"),
            reason=message.get("reason") or _reason_not_told(message),
            token_uid=(message.get("idTag") or "").strip(),
            readings=sampled.readings,
            flags=(*_flags(message, moment.flags), *sampled.flags),
        ),
        now=connection.now(),
    )
    return {"idTagInfo": tag_info(outcome.answer, connection)} if outcome.answer else {}


async def meter_values(connection: ChargerConnection, message: dict[str, Any]) -> dict[str, Any]:
    connection.on_transaction_message()
    transaction = str(message.get("transactionId") or "")
    await take_meter_values(
        connection, message, evse_number=message.get("connectorId"), transaction=transaction
    )
    return {}


ANSWERS: Mapping[str, Answerer] = {
    "Authorize": authorize,
    "BootNotification": boot,
    "DataTransfer": data_transfer,
    "DiagnosticsStatusNotification": log_progress,
    "FirmwareStatusNotification": firmware_progress,
    "Heartbeat": heartbeat,
    "LogStatusNotification": log_progress,
    "MeterValues": meter_values,
    "SecurityEventNotification": security_event,
    "SignCertificate": sign_certificate,
    "SignedFirmwareStatusNotification": firmware_progress,
    "StartTransaction": start_transaction,
    "StatusNotification": status,
    "StopTransaction": stop_transaction,
}


def tag_info(answer: Authorization, connection: ChargerConnection) -> dict[str, Any]:
    """idTagInfo. The group lets the charger compare a token with the reservation's parentIdTag; a cache may let nobody in
    for longer than the answer holds."""
    info = {"status": AuthorizationStatus.accepted.value}
    if not answer.allowed:
        info["status"] = REFUSAL.get(answer.reason, AuthorizationStatus.invalid).value
    elif 0 < len(answer.group) <= LONGEST_TAG:
        info["parentIdTag"] = answer.group
    if answer.holds_until is not None:
        info["expiryDate"] = write_time(connection.by_its_clock(max(answer.holds_until, connection.now())))
    return info


def _key(message: dict[str, Any], *names: str) -> str:
    """What makes a repeated message the same. What is missing differs from what could not be read."""
    odd = message.get("_malformed") or ()
    parts = [str(message.get(name, "?" if name in odd else "")).upper() for name in names]
    return ":".join(part if len(part) <= LONGEST_KEY_PART else _digest(part) for part in parts)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:LONGEST_KEY_PART]


def _reason_not_told(message: dict[str, Any]) -> str:
    """Left out, it was Local (OCPP 1.6 §6.49); a word that nobody knows is not."""
    return "" if "reason" in (message.get("_malformed") or ()) else "Local"


def _flags(message: dict[str, Any], flags: tuple[str, ...]) -> tuple[str, ...]:
    return (*flags, "malformed") if "_malformed" in message else flags
