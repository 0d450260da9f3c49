"""OCPP 1.6: its messages in our words, and our commands in its messages."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from ocpp.v16.enums import AuthorizationStatus, ChargePointStatus, MessageTrigger

from depots import operations
from depots.cards import card_ending, without_cards
from depots.gate import Answer
from depots.models import ChargerCommand, Evse
from depots.ocpp import redaction, sampled_values
from depots.ocpp.connection import ChargerConnection, InvalidCommand
from depots.ocpp.times import write_time
from depots.ocpp.wire import CallRefused, Wire
from depots.operations import Start, Stop

logger = logging.getLogger(__name__)

VERSION = "1.6"

LONGEST_TAG = 20
LONGEST_KEY_PART = 28
LONGEST_SETTING = 500

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

# Why the gate refuses, as the driver's display may word it.
REFUSAL = {
    "unknown_token": AuthorizationStatus.invalid,
    "blocked": AuthorizationStatus.blocked,
    "booked_by_another": AuthorizationStatus.blocked,
    "not_yet": AuthorizationStatus.blocked,
    "elsewhere": AuthorizationStatus.blocked,
    "": AuthorizationStatus.invalid,
}

ANSWERS_TO_COMMANDS = {
    "Accepted": "accepted",
    "Rejected": "rejected",
    "Occupied": "occupied",
    "Faulted": "faulted",
    "Unavailable": "unavailable",
    "Scheduled": "scheduled",
    "Unlocked": "unlocked",
    "UnlockFailed": "unlock_failed",
    "NotSupported": "not_supported",
    "NotImplemented": "not_supported",
    "OngoingAuthorizedTransaction": "ongoing_authorized_transaction",
    "UnknownConnector": "unknown_connector",
}

# Messages that a charger can be asked to send (TriggerMessage).
TRIGGERS = frozenset(each.value for each in MessageTrigger)

# Asked in portions: some chargers hold few answers in their buffer (GetConfigurationMaxKeys).
CAPABILITY_KEYS = (
    (
        "SupportedFeatureProfiles",
        "ReserveConnectorZeroSupported",
        "NumberOfConnectors",
        "AuthorizeRemoteTxRequests",
        "AuthorizationCacheEnabled",
        "StopTransactionOnInvalidId",
    ),
    (
        "LocalAuthListEnabled",
        "LocalPreAuthorize",
        "ConnectionTimeOut",
        "MeterValueSampleInterval",
        "ChargeProfileMaxStackLevel",
        "ChargingScheduleAllowedChargingRateUnit",
    ),
)


async def boot(connection: ChargerConnection, message: dict[str, Any]) -> dict[str, Any]:
    await connection.do(
        operations.record_boot,
        vendor=message.get("chargePointVendor") or "",
        model=message.get("chargePointModel") or "",
        serial_number=message.get("chargePointSerialNumber") or message.get("chargeBoxSerialNumber") or "",
        firmware_version=message.get("firmwareVersion") or "",
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
    """A status or connector that cannot be read changes nothing. The time may be missing."""
    moment = connection.moment(message.get("timestamp"))
    told, connector = message.get("status"), message.get("connectorId")
    if told is None or connector is None:
        return {}
    error_code = message.get("errorCode") or ""
    is_news = await connection.do(
        operations.report_status,
        evse_number=connector,
        status=STATUS[ChargePointStatus(told)],
        error_code="" if error_code == "NoError" else error_code,
        at=moment.at,
        now=connection.now(),
    )
    await connection.check_clock_by_status(moment, is_news=is_news)
    return {}


async def authorize(connection: ChargerConnection, message: dict[str, Any]) -> dict[str, Any]:
    tag = (message.get("idTag") or "").strip()
    if not tag:  # nobody asks for nobody; the gate would answer for a start without a card
        return {"idTagInfo": {"status": AuthorizationStatus.invalid.value}}
    answer = await connection.do(operations.authorize, token_uid=tag, now=connection.now())
    return {"idTagInfo": tag_info(answer, connection)}


async def start_transaction(connection: ChargerConnection, message: dict[str, Any]) -> dict[str, Any]:
    """Energy flows already: whatever is missing, it is recorded."""
    connection.on_transaction_message()
    moment = connection.moment(message.get("timestamp"))
    tag = (message.get("idTag") or "").strip()
    outcome = await connection.do(
        operations.start_session,
        start=Start(
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
        ),
        now=connection.now(),
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
    sampled = await sampled_values.read_all(message.get("meterValue") or [], connection.moment)
    now = connection.now()
    session = await connection.do(
        operations.add_readings,
        evse_number=message.get("connectorId"),
        transaction_id=str(message.get("transactionId") or ""),
        readings=sampled.readings,
        flags=_flags(message, tuple(sampled.flags)),
        now=now,
    )
    connection.follow_meter(session, now)
    return {}


async def data_transfer(connection: ChargerConnection, message: dict[str, Any]) -> dict[str, Any]:
    return {"status": "UnknownVendorId"}


async def security_event(connection: ChargerConnection, message: dict[str, Any]) -> dict[str, Any]:
    logger.warning(
        "Charger %s reports a security event: %s", connection.identity, message.get("type", "")[:50]
    )
    return {}


async def refuse_certificate(connection: ChargerConnection, message: dict[str, Any]) -> dict[str, Any]:
    """Certificates of chargers are issued elsewhere."""
    return {"status": "Rejected"}


async def take_note(connection: ChargerConnection, message: dict[str, Any]) -> dict[str, Any]:
    """Nothing follows from it here; the message log keeps it."""
    return {}


ANSWERS: dict[str, Callable[[ChargerConnection, dict[str, Any]], Awaitable[dict[str, Any]]]] = {
    "Authorize": authorize,
    "BootNotification": boot,
    "DataTransfer": data_transfer,
    "DiagnosticsStatusNotification": take_note,
    "FirmwareStatusNotification": take_note,
    "Heartbeat": heartbeat,
    "LogStatusNotification": take_note,
    "MeterValues": meter_values,
    "SecurityEventNotification": security_event,
    "SignCertificate": refuse_certificate,
    "SignedFirmwareStatusNotification": take_note,
    "StartTransaction": start_transaction,
    "StatusNotification": status,
    "StopTransaction": stop_transaction,
}


def request(command: ChargerCommand) -> tuple[str, dict[str, Any]]:
    """The CALL for a command. Raises InvalidCommand."""
    return _REQUESTS[ChargerCommand.Action(command.action)](command.payload)


def read_answer(payload: dict[str, Any]) -> tuple[str, str]:
    """Our word for a charger's answer, and what it adds; an answer outside the protocol is kept as text.

    Settings are read without a status: their values are the text, as JSON.
    """
    if "configurationKey" in payload or "unknownKey" in payload:
        keys = [entry for entry in payload.get("configurationKey") or [] if isinstance(entry, dict)]
        values = {key: _shown(key, entry.get("value")) for entry in keys if (key := str(entry.get("key")))}
        unknown = {str(key): None for key in payload.get("unknownKey") or []}
        return "accepted", json.dumps({**values, **unknown})
    told = payload.get("status")
    word = ANSWERS_TO_COMMANDS.get(told) if isinstance(told, str) else None
    return (word, "") if word else ("error", without_cards(f"an answer outside the protocol: {payload}"))


async def ask_capabilities(wire: Wire) -> dict[str, Any]:
    """GetConfiguration by key. An absent key is "no"; a charger that will not say tells nothing."""
    configuration: dict[str, Any] = {}
    for keys in CAPABILITY_KEYS:
        try:
            answer = await wire.call("GetConfiguration", {"key": list(keys)})
        except CallRefused as refusal:
            return {"refused": str(refusal), "configuration": configuration}
        asked = {key.lower(): key for key in keys}
        for entry in answer.get("configurationKey") or []:  # some tell all they have, whatever was asked
            if isinstance(entry, dict) and (key := asked.get(str(entry.get("key")).lower())):
                configuration[key] = bounded(entry.get("value"))
    profiles = {
        name.strip().lower() for name in str(configuration.get("SupportedFeatureProfiles") or "").split(",")
    }
    return {
        "reservation": "reservation" in profiles,
        "reservation_anywhere": _is_true(configuration.get("ReserveConnectorZeroSupported")),
        "smart_charging": "smartcharging" in profiles,
        "local_list": "localauthlistmanagement" in profiles,
        "stops_refused": _is_true(configuration.get("StopTransactionOnInvalidId")),
        "caches_tokens": _is_true(configuration.get("AuthorizationCacheEnabled")),
        "configuration": configuration,
    }


def _shown(key: str, value: Any) -> Any:
    return redaction.WITHHELD if redaction.is_named_in(key) else value


def bounded(value: Any) -> str | None:
    """A setting's value, None where the charger tells none."""
    return None if value is None else str(value)[:LONGEST_SETTING]


def tag_info(answer: Answer, connection: ChargerConnection) -> dict[str, Any]:
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


def _reserve(payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    group = payload.get("group") or ""
    return "ReserveNow", {
        "connectorId": payload["evse"],
        "expiryDate": write_time(datetime.fromisoformat(payload["expires_at"])),
        "idTag": _tag(payload["token"]),
        "reservationId": payload["reservation_id"],
        **({"parentIdTag": _tag(group)} if group else {}),
    }


def _cancel(payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return "CancelReservation", {"reservationId": payload["reservation_id"]}


def _remote_start(payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return "RemoteStartTransaction", {"connectorId": payload["evse"], "idTag": _tag(payload["token"])}


def _remote_stop(payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    if not re.fullmatch(r"\d{1,9}", payload["transaction"]):
        raise InvalidCommand(
            f"OCPP 1.6 numbers its transactions; {payload['transaction']!r} is not one of ours."
        )
    return "RemoteStopTransaction", {"transactionId": int(payload["transaction"])}


def _unlock(payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return "UnlockConnector", {"connectorId": payload["evse"]}


def _reset(payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    if payload.get("evse"):
        raise InvalidCommand("OCPP 1.6 restarts a charger as a whole.")
    return "Reset", {"type": "Hard" if payload["hard"] else "Soft"}


def _trigger(payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    message, evse = trigger_of(payload["message"], TRIGGERS), payload.get("evse")
    return "TriggerMessage", {"requestedMessage": message, **({"connectorId": evse} if evse else {})}


def trigger_of(name: str, known: frozenset[str]) -> str:
    """The message's name as the protocol spells it. Raises InvalidCommand."""
    found = next((each for each in known if each.lower() == name.lower()), None)
    if found is None:
        raise InvalidCommand(
            f"This charger can be asked for {', '.join(sorted(known))}; not for {name[:50]!r}."
        )
    return found


def _availability(payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    kind = "Operative" if payload["operative"] else "Inoperative"
    return "ChangeAvailability", {"connectorId": payload.get("evse") or 0, "type": kind}


def _clear_cache(payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return "ClearCache", {}


def _get_configuration(payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return "GetConfiguration", {"key": payload["keys"]} if payload["keys"] else {}


def _tag(token: str) -> str:
    if not 0 < len(token) <= LONGEST_TAG:
        raise InvalidCommand(
            f"OCPP 1.6 takes tokens of 1 to {LONGEST_TAG} characters; {card_ending(token)} has {len(token)}."
        )
    return token


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
