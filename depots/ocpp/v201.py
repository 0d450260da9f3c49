"""OCPP 2.0.1: its messages in our words, and our commands in its messages."""

from __future__ import annotations

import hashlib
import json
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any

from ocpp.v201.enums import (
    AuthorizationStatusEnumType,
    ChargingStateEnumType,
    ConnectorStatusEnumType,
    IdTokenEnumType,
    MessageTriggerEnumType,
    ReservationUpdateStatusEnumType,
    TransactionEventEnumType,
)

from depots import operations
from depots.cards import card_ending, without_cards
from depots.gate import Answer
from depots.models import ChargerCommand, Evse
from depots.ocpp import redaction, sampled_values, v16
from depots.ocpp.connection import ChargerConnection, InvalidCommand
from depots.ocpp.times import write_time
from depots.ocpp.v16 import ANSWERS_TO_COMMANDS, take_note
from depots.ocpp.wire import CallRefused, Wire
from depots.operations import BIGGEST, TransactionReport

logger = logging.getLogger(__name__)

__all__ = [
    "ANSWERS",
    "ANSWERS_TO_COMMANDS",
    "VERSION",
    "ask_capabilities",
    "read_answer",
    "request",
]

VERSION = "2.0.1"

LONGEST_TOKEN = 36

# Messages that a charger can be asked to send (TriggerMessage).
TRIGGERS = frozenset(each.value for each in MessageTriggerEnumType)
LONGEST_TRANSACTION = 64

STATUS = {
    ConnectorStatusEnumType.available: Evse.Status.AVAILABLE,
    ConnectorStatusEnumType.occupied: Evse.Status.OCCUPIED,
    ConnectorStatusEnumType.reserved: Evse.Status.RESERVED,
    ConnectorStatusEnumType.unavailable: Evse.Status.UNAVAILABLE,
    ConnectorStatusEnumType.faulted: Evse.Status.FAULTED,
}

# One connector of an EVSE is used at a time: the first of these that any of them shows is the EVSE's.
STRONGEST_FIRST = (
    Evse.Status.OCCUPIED,
    Evse.Status.RESERVED,
    Evse.Status.AVAILABLE,
    Evse.Status.UNAVAILABLE,
    Evse.Status.FAULTED,
)

MOST_CONNECTORS = 500

# A token's type, as OCPI names them, which is how ours are kept.
TOKEN_TYPE = {
    IdTokenEnumType.iso14443: "RFID",
    IdTokenEnumType.iso15693: "RFID",
    IdTokenEnumType.e_maid: "EMAID",
    IdTokenEnumType.central: "APP_USER",
    IdTokenEnumType.key_code: "OTHER",
    IdTokenEnumType.local: "OTHER",
    IdTokenEnumType.mac_address: "OTHER",
    IdTokenEnumType.no_authorization: "",
}

# The type a charger will read when the driver comes: a reservation holds only for it.
WIRE_TYPE = {
    "RFID": IdTokenEnumType.iso14443,
    "EMAID": IdTokenEnumType.e_maid,
    "APP_USER": IdTokenEnumType.central,
    "AD_HOC_USER": IdTokenEnumType.central,
    "OTHER": IdTokenEnumType.central,
    "": IdTokenEnumType.iso14443,
}

REFUSAL = {
    "unknown_token": AuthorizationStatusEnumType.unknown,
    "blocked": AuthorizationStatusEnumType.blocked,
    "booked_by_another": AuthorizationStatusEnumType.not_at_this_time,
    "not_yet": AuthorizationStatusEnumType.not_at_this_time,
    "elsewhere": AuthorizationStatusEnumType.not_at_this_location,
    "": AuthorizationStatusEnumType.invalid,
}

KIND = {
    TransactionEventEnumType.started: "started",
    TransactionEventEnumType.updated: "updated",
    TransactionEventEnumType.ended: "ended",
}

CHARGES = {
    ChargingStateEnumType.charging: True,
    ChargingStateEnumType.ev_connected: False,
    ChargingStateEnumType.suspended_ev: True,
    ChargingStateEnumType.suspended_evse: True,
    ChargingStateEnumType.idle: False,
}

RESERVATION_OUTCOME = {
    ReservationUpdateStatusEnumType.expired.value: "expired",
    ReservationUpdateStatusEnumType.removed.value: "removed",
}

# Asked in portions (ItemsPerMessageGetVariables).
CAPABILITY_VARIABLES = (
    (
        ("ReservationCtrlr", "Available"),
        ("ReservationCtrlr", "Enabled"),
        ("ReservationCtrlr", "NonEvseSpecific"),
        ("LocalAuthListCtrlr", "Enabled"),
    ),
    (
        ("SmartChargingCtrlr", "Enabled"),
        ("TxCtrlr", "TxStartPoint"),
        ("TxCtrlr", "StopTxOnInvalidId"),
        ("AuthCacheCtrlr", "Enabled"),
    ),
)


async def boot(connection: ChargerConnection, message: dict[str, Any]) -> dict[str, Any]:
    station = message.get("chargingStation") or {}
    await connection.do(
        operations.record_boot,
        vendor=station.get("vendorName") or "",
        model=station.get("model") or "",
        serial_number=station.get("serialNumber") or "",
        firmware_version=station.get("firmwareVersion") or "",
        now=connection.now(),
    )
    connection.on_boot()
    return {
        "status": "Accepted",
        "currentTime": write_time(connection.now()),
        "interval": connection.timings.heartbeat_s,
    }


async def heartbeat(connection: ChargerConnection, message: dict[str, Any]) -> dict[str, Any]:
    return {"currentTime": write_time(connection.now())}


async def status(connection: ChargerConnection, message: dict[str, Any]) -> dict[str, Any]:
    moment = connection.moment(message.get("timestamp"))
    told = message.get("connectorStatus")
    is_news = await _report(connection, message.get("evseId"), message.get("connectorId"), told, moment.at)
    await connection.check_clock_by_status(moment, is_news=is_news)
    return {}


async def notify_event(connection: ChargerConnection, message: dict[str, Any]) -> dict[str, Any]:
    """Newer chargers report their connectors' states as events of the device model."""
    latest: dict[tuple[Any, Any], tuple[datetime, Any]] = {}
    for event in message.get("eventData") or []:
        component, variable = event.get("component") or {}, event.get("variable") or {}
        if (component.get("name"), variable.get("name")) == ("Connector", "AvailabilityState"):
            evse = component.get("evse") or {}
            place, at = (
                (evse.get("id"), evse.get("connectorId")),
                connection.moment(event.get("timestamp")).at,
            )
            if place not in latest or at >= latest[place][0]:
                latest[place] = at, event.get("actualValue")
    # What a connector was before is of no interest; a report may hold thousands of events.
    for (evse_id, connector_id), (at, told) in latest.items():
        await _report(connection, evse_id, connector_id, told, at)
    return {}


async def authorize(connection: ChargerConnection, message: dict[str, Any]) -> dict[str, Any]:
    token = message.get("idToken") or {}
    uid = _uid(token)
    if not uid and token_type(
        token
    ):  # nobody asks for nobody; the gate would answer for a start without a card
        return {"idTokenInfo": {"status": AuthorizationStatusEnumType.invalid.value}}
    answer = await connection.do(
        operations.authorize, token_uid=uid, token_type=token_type(token), now=connection.now()
    )
    return {"idTokenInfo": token_info(answer, connection)}


async def transaction_event(connection: ChargerConnection, message: dict[str, Any]) -> dict[str, Any]:
    connection.on_transaction_message()
    moment = connection.moment(message.get("timestamp"))
    report = await read_transaction(connection, message)
    now = connection.now()
    outcome = await connection.do(operations.record_transaction, report=report, now=now)
    connection.follow_meter(outcome.session, now)
    if not message.get("offline"):
        await connection.check_clock(moment)
    return {"idTokenInfo": token_info(outcome.answer, connection)} if outcome.answer is not None else {}


async def meter_values(connection: ChargerConnection, message: dict[str, Any]) -> dict[str, Any]:
    sampled = await sampled_values.read_all(message.get("meterValue") or [], connection.moment)
    now = connection.now()
    session = await connection.do(
        operations.add_readings,
        evse_number=message.get("evseId"),
        transaction_id="",
        readings=sampled.readings,
        flags=(*sampled.flags, *_malformed(message)),
        now=now,
    )
    connection.follow_meter(session, now)
    return {}


async def reservation_status(connection: ChargerConnection, message: dict[str, Any]) -> dict[str, Any]:
    await end_reservation(connection, message, RESERVATION_OUTCOME)
    return {}


async def end_reservation(
    connection: ChargerConnection, message: dict[str, Any], outcomes: Mapping[str, str]
) -> None:
    """An outcome that cannot be read says nothing: what stands is told again at the next connection."""
    outcome = outcomes.get(message.get("reservationUpdateStatus") or "")
    if outcome is not None and (reservation_id := message.get("reservationId")) is not None:
        await connection.do(
            operations.report_reservation_ended,
            reservation_id=reservation_id,
            outcome=outcome,
            now=connection.now(),
        )


async def data_transfer(connection: ChargerConnection, message: dict[str, Any]) -> dict[str, Any]:
    return {"status": "UnknownVendorId"}


async def security_event(connection: ChargerConnection, message: dict[str, Any]) -> dict[str, Any]:
    logger.warning(
        "Charger %s reports a security event: %s", connection.identity, message.get("type", "")[:50]
    )
    return {}


async def refuse(connection: ChargerConnection, message: dict[str, Any]) -> dict[str, Any]:
    """Done elsewhere or not at all: certificates, schedules of vehicles."""
    return {"status": "Rejected"}


async def fail_certificate(connection: ChargerConnection, message: dict[str, Any]) -> dict[str, Any]:
    return {"status": "Failed", "exiResponse": ""}


async def fail(connection: ChargerConnection, message: dict[str, Any]) -> dict[str, Any]:
    return {"status": "Failed"}


Answerer = Callable[[ChargerConnection, dict[str, Any]], Awaitable[dict[str, Any]]]

ANSWERS: Mapping[str, Answerer] = {
    "Authorize": authorize,
    "BootNotification": boot,
    "ClearedChargingLimit": take_note,
    "DataTransfer": data_transfer,
    "FirmwareStatusNotification": take_note,
    "Get15118EVCertificate": fail_certificate,
    "GetCertificateStatus": fail,
    "Heartbeat": heartbeat,
    "LogStatusNotification": take_note,
    "MeterValues": meter_values,
    "NotifyChargingLimit": take_note,
    "NotifyCustomerInformation": take_note,
    "NotifyDisplayMessages": take_note,
    "NotifyEVChargingNeeds": refuse,
    "NotifyEVChargingSchedule": refuse,
    "NotifyEvent": notify_event,
    "NotifyMonitoringReport": take_note,
    "NotifyReport": take_note,
    "PublishFirmwareStatusNotification": take_note,
    "ReportChargingProfiles": take_note,
    "ReservationStatusUpdate": reservation_status,
    "SecurityEventNotification": security_event,
    "SignCertificate": refuse,
    "StatusNotification": status,
    "TransactionEvent": transaction_event,
}


def request(command: ChargerCommand) -> tuple[str, dict[str, Any]]:
    """The CALL for a command. Raises InvalidCommand."""
    return _REQUESTS[ChargerCommand.Action(command.action)](command.payload)


def read_answer(payload: dict[str, Any]) -> tuple[str, str]:
    """Our word for a charger's answer, and what it adds: its reason, or the values of settings as JSON."""
    results = payload.get("getVariableResult")
    if isinstance(results, list):
        values: dict[str, Any] = {}
        for result in results:
            values.update(_variable(result, others=True))
        return "accepted", json.dumps(values)
    word, text = v16.read_answer(payload)
    info = payload.get("statusInfo")
    if not text and isinstance(info, dict):
        told = [info.get("reasonCode"), info.get("additionalInfo")]
        text = without_cards(" ".join(part for part in told if isinstance(part, str)))
    return word, text


async def ask_capabilities(wire: Wire) -> dict[str, Any]:
    """GetVariables. Accepted without a value is "unknown"; an unknown component is "no"."""
    variables: dict[str, Any] = {}
    for portion in CAPABILITY_VARIABLES:
        wanted = [{"component": {"name": c}, "variable": {"name": v}} for c, v in portion]
        try:
            answer = await wire.call("GetVariables", {"getVariableData": wanted})
        except CallRefused as refusal:
            return {"refused": str(refusal), "variables": variables}
        asked = {f"{component}.{variable}" for component, variable in portion}
        for result in answer.get("getVariableResult") or []:
            told = _variable(result)
            variables.update({name: v16.bounded(told[name]) for name in asked & told.keys()})
    can_reserve, is_on = (
        variables.get("ReservationCtrlr.Available"),
        variables.get("ReservationCtrlr.Enabled"),
    )
    return {
        "reservation": _is_true(can_reserve if is_on is None else is_on),
        "reservation_anywhere": _is_true(variables.get("ReservationCtrlr.NonEvseSpecific")),
        "smart_charging": _is_true(variables.get("SmartChargingCtrlr.Enabled")),
        "local_list": _is_true(variables.get("LocalAuthListCtrlr.Enabled")),
        "stops_refused": _is_true(variables.get("TxCtrlr.StopTxOnInvalidId")),
        "caches_tokens": _is_true(variables.get("AuthCacheCtrlr.Enabled")),
        "variables": variables,
    }


def token_type(token: Mapping[str, Any]) -> str:
    """OCPI's name for the type of an idToken; types of later or vendors' own lists are "OTHER"."""
    try:
        return TOKEN_TYPE[IdTokenEnumType(str(token.get("type")))]
    except ValueError:
        return "OTHER"


def token_info(answer: Answer, connection: ChargerConnection) -> dict[str, Any]:
    """idTokenInfo. `evseId` tells a walk-in which EVSEs are not booked for others; a cache may let nobody in for longer
    than the answer holds."""
    info: dict[str, Any] = {"status": AuthorizationStatusEnumType.accepted.value}
    if not answer.allowed:
        info["status"] = REFUSAL.get(answer.reason, AuthorizationStatusEnumType.invalid).value
    if answer.holds_until is not None:
        info["cacheExpiryDateTime"] = write_time(
            connection.by_its_clock(max(answer.holds_until, connection.now()))
        )
    if answer.evse_numbers:
        info["evseId"] = answer.evse_numbers
    if answer.allowed and 0 < len(answer.group) <= LONGEST_TOKEN:
        info["groupIdToken"] = _group(answer.group)
    return info


async def read_transaction(connection: ChargerConnection, message: dict[str, Any]) -> TransactionReport:
    """Energy flows already: whatever is missing, it is recorded. A kind that cannot be read begins and ends nothing."""
    info = message.get("transactionInfo") or {}
    moment = connection.moment(message.get("timestamp"))
    token = message.get("idToken")
    uid = _uid(token) if token else ""
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
        is_charging=CHARGES.get(ChargingStateEnumType(state), False) if state else False,
        stop_reason=info.get("stoppedReason") or "",
        readings=sampled.readings,
        flags=[*flags, *sampled.flags],
        payload=payload,
    )


def _uid(token: Mapping[str, Any]) -> str:
    return str(token.get("idToken") or "").strip()


def _malformed(message: Mapping[str, Any]) -> list[str]:
    return ["malformed"] if "_malformed" in message else []


def _transaction_id(told: str) -> str:
    """Ids are kept whole; one that no column holds goes by its digest."""
    if len(told) <= LONGEST_TRANSACTION:
        return told
    return hashlib.sha256(told.encode()).hexdigest()[:LONGEST_TRANSACTION]


def _seq_no(message: Mapping[str, Any]) -> int:
    """Where none was told, one that a repeated message has again, below all that are counted."""
    told = message.get("seqNo")
    if told is not None:
        return max(-BIGGEST, min(BIGGEST, int(told)))
    text = json.dumps(message, sort_keys=True).encode()
    return -1 - int.from_bytes(hashlib.sha256(text).digest()[:7])


async def _report(
    connection: ChargerConnection, evse_id: int | None, connector_id: int | None, told: Any, at: datetime
) -> bool:
    """Whether it was news. A status or EVSE that cannot be read changes nothing."""
    try:
        status = STATUS[ConnectorStatusEnumType(told)]
    except ValueError:
        return False
    if evse_id is None:
        return False
    if evse_id != 0:
        status = _of_all_connectors(connection, evse_id, 1 if connector_id is None else connector_id, status)
    is_news: bool = await connection.do(
        operations.report_status,
        evse_number=evse_id,
        status=status,
        at=at,
        is_coarse=True,
        now=connection.now(),
    )
    return is_news


def _of_all_connectors(
    connection: ChargerConnection, evse_id: int, connector_id: int, status: Evse.Status
) -> Evse.Status:
    """The EVSE's state now that this connector's is known."""
    if len(connection.connectors) >= MOST_CONNECTORS:  # no charger has as many; it makes up numbers
        connection.connectors.clear()
    connection.connectors[evse_id, connector_id] = status
    known = {each for (evse, _), each in connection.connectors.items() if evse == evse_id}
    return next(each for each in STRONGEST_FIRST if each in known)


def _variable(result: Any, *, others: bool = False) -> dict[str, Any]:
    """{"Component.Variable": value} of one answer, nothing of one that is not understood.

    `others` keeps those the charger would not tell as well, as null.
    """
    try:
        name = f"{result['component']['name']}.{result['variable']['name']}"
        if result["attributeStatus"] == "Accepted":
            is_secret = redaction.is_named_in(name)
            return {name: redaction.WITHHELD if is_secret else result.get("attributeValue")}
        return {name: None} if others else {}
    except (KeyError, TypeError, AttributeError):
        return {}


def _reserve(payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    group = payload.get("group") or ""
    return "ReserveNow", {
        "id": payload["reservation_id"],
        "expiryDateTime": write_time(datetime.fromisoformat(payload["expires_at"])),
        "idToken": _token(payload),
        "evseId": payload["evse"],
        **({"groupIdToken": _group(group)} if group else {}),
    }


def _cancel(payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return "CancelReservation", {"reservationId": payload["reservation_id"]}


def _remote_start(payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    group = payload.get("group") or ""
    return "RequestStartTransaction", {
        "remoteStartId": payload.get("reservation_id") or secrets.randbelow(2**31),
        "idToken": _token(payload),
        "evseId": payload["evse"],
        **({"groupIdToken": _group(group)} if group else {}),
    }


def _remote_stop(payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return "RequestStopTransaction", {"transactionId": payload["transaction"]}


def _unlock(payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return "UnlockConnector", {"evseId": payload["evse"], "connectorId": 1}


def _reset(payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    evse = payload.get("evse")
    kind = "Immediate" if payload["hard"] else "OnIdle"
    return "Reset", {"type": kind, **({"evseId": evse} if evse else {})}


def _trigger(payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    message = v16.trigger_of(payload["message"], TRIGGERS)
    # A status is that of one connector (F06.FR.12).
    place = _place(payload) if message != "StatusNotification" else _place(payload, connector=1)
    return "TriggerMessage", {"requestedMessage": message, **place}


def _availability(payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    status = "Operative" if payload["operative"] else "Inoperative"
    return "ChangeAvailability", {"operationalStatus": status, **_place(payload)}


def _place(payload: dict[str, Any], **connector: int) -> dict[str, Any]:
    evse = payload.get("evse")
    numbers = {f"{name}Id": number for name, number in connector.items()}
    return {"evse": {"id": evse, **numbers}} if evse else {}


def _clear_cache(payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return "ClearCache", {}


def _get_configuration(payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """`Component.Variable` each. Raises InvalidCommand."""
    wanted = []
    for key in payload["keys"]:
        component, dot, variable = key.partition(".")
        if not (component and dot and variable):
            raise InvalidCommand(f"A setting of OCPP 2.x is called Component.Variable; {key[:50]!r} is not.")
        wanted.append({"component": {"name": component}, "variable": {"name": variable}})
    if not wanted:
        raise InvalidCommand("OCPP 2.x reads settings by name: Component.Variable, by comma.")
    return "GetVariables", {"getVariableData": wanted}


def _token(payload: dict[str, Any]) -> dict[str, Any]:
    token = payload["token"]
    if not 0 < len(token) <= LONGEST_TOKEN:
        raise InvalidCommand(
            f"OCPP takes tokens of 1 to {LONGEST_TOKEN} characters; {card_ending(token)} has {len(token)}."
        )
    return {"idToken": token, "type": WIRE_TYPE[payload.get("token_type") or ""].value}


def _group(group: str) -> dict[str, Any]:
    """Groups are ours alone, whatever medium their members use."""
    return {"idToken": group, "type": IdTokenEnumType.central.value}


def _is_true(value: Any) -> bool:
    return str(value or "").strip().lower() == "true"


_REQUESTS = {
    ChargerCommand.Action.RESERVE: _reserve,
    ChargerCommand.Action.CANCEL_RESERVATION: _cancel,
    ChargerCommand.Action.REMOTE_START: _remote_start,
    ChargerCommand.Action.REMOTE_STOP: _remote_stop,
    ChargerCommand.Action.UNLOCK: _unlock,
    ChargerCommand.Action.RESET: _reset,
    ChargerCommand.Action.TRIGGER: _trigger,
    ChargerCommand.Action.AVAILABILITY: _availability,
    ChargerCommand.Action.CLEAR_CACHE: _clear_cache,
    ChargerCommand.Action.GET_CONFIGURATION: _get_configuration,
}
