"""Our commands as OCPP 1.6's calls, and what a charger answers to them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from ocpp.v16.enums import MessageTrigger

from depots.cards import card_ending
from depots.models import ChargerCommand
from depots.ocpp import charging_schedules, installed_certificates, redaction
from depots.ocpp.command_words import bounded, is_true, read_status, trigger_of
from depots.ocpp.dialect import InvalidCommand
from depots.ocpp.times import write_time
from depots.ocpp.v16 import (
    certificates,
    charging_profiles,
    diagnostics,
    local_list,
    passwords,
    security_profile,
    settings,
)
from depots.ocpp.wire import CallRefused, Wire
from depots.secrets import names_password_setting
from depots.token_numbers import LONGEST_TAG

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
        "ChargingScheduleMaxPeriods",
        "SendLocalListMaxLength",
    ),
)


def request(command: ChargerCommand) -> tuple[str, dict[str, Any]]:
    """The CALL for a command. Raises InvalidCommand."""
    return _REQUESTS[ChargerCommand.Action(command.action)](command.payload)


def read_answer(payload: dict[str, Any], action: str = "") -> tuple[str, str]:
    """Our word for a charger's answer, and what it adds; an answer outside the protocol is kept as text.

    Settings are read without a status: their values are the text, as JSON. `action` is the command's.
    """
    if reads := _ANSWERS.get(action):
        return reads(payload)
    if "configurationKey" in payload or "unknownKey" in payload:
        keys = [entry for entry in payload.get("configurationKey") or [] if isinstance(entry, dict)]
        values = {key: _shown(key, entry.get("value")) for entry in keys if (key := str(entry.get("key")))}
        unknown = {str(key): None for key in payload.get("unknownKey") or []}
        return "accepted", json.dumps({**values, **unknown})
    if "chargingSchedule" in payload and payload.get("status") == "Accepted":
        return "accepted", charging_schedules.read_composite(payload["chargingSchedule"])
    return read_status(payload)


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
        "reservation_anywhere": is_true(configuration.get("ReserveConnectorZeroSupported")),
        "smart_charging": "smartcharging" in profiles,
        "local_list": "localauthlistmanagement" in profiles,
        "stops_refused": is_true(configuration.get("StopTransactionOnInvalidId")),
        "caches_tokens": is_true(configuration.get("AuthorizationCacheEnabled")),
        "configuration": configuration,
    }


def _shown(key: str, value: Any) -> Any:
    return redaction.WITHHELD if names_password_setting(key) else value


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


def _availability(payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    kind = "Operative" if payload["operative"] else "Inoperative"
    return "ChangeAvailability", {"connectorId": payload.get("evse") or 0, "type": kind}


def _clear_cache(payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return "ClearCache", {}


def _get_configuration(payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return "GetConfiguration", {"key": payload["keys"]} if payload["keys"] else {}


def _ask_inventory(payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """All settings there are: 1.6 has no report of its own."""
    return "GetConfiguration", {}


def _tag(token: str) -> str:
    if not 0 < len(token) <= LONGEST_TAG:
        raise InvalidCommand(
            f"OCPP 1.6 takes tokens of 1 to {LONGEST_TAG} characters; {card_ending(token)} has {len(token)}."
        )
    return token


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
    ChargerCommand.Action.SET_CHARGING_PROFILE: charging_profiles.set_profile,
    ChargerCommand.Action.CLEAR_CHARGING_PROFILE: charging_profiles.clear_profile,
    ChargerCommand.Action.GET_COMPOSITE_SCHEDULE: charging_profiles.composite_schedule,
    ChargerCommand.Action.SEND_LOCAL_LIST: local_list.send,
    ChargerCommand.Action.READ_SETTINGS: settings.read,
    ChargerCommand.Action.CHANGE_SETTINGS: settings.change,
    ChargerCommand.Action.ASK_INVENTORY: _ask_inventory,
    ChargerCommand.Action.GET_DIAGNOSTICS: diagnostics.send_log,
    ChargerCommand.Action.UPDATE_FIRMWARE: diagnostics.update_firmware,
    ChargerCommand.Action.SET_PASSWORD: passwords.set_password,
    ChargerCommand.Action.SET_SECURITY_PROFILE: security_profile.set_profile,
    ChargerCommand.Action.SET_NETWORK_PRIORITY: security_profile.set_priority,
    ChargerCommand.Action.CERTIFICATE_SIGNED: certificates.signed,
    ChargerCommand.Action.RENEW_CERTIFICATE: certificates.renew,
    ChargerCommand.Action.INSTALLED_CERTIFICATES: certificates.installed,
    ChargerCommand.Action.INSTALL_CERTIFICATE: certificates.install,
    ChargerCommand.Action.DELETE_CERTIFICATE: certificates.delete,
}

# Answers that are not a status.
_ANSWERS: dict[str, Callable[[dict[str, Any]], tuple[str, str]]] = {
    ChargerCommand.Action.READ_SETTINGS: settings.read_values,
    ChargerCommand.Action.ASK_INVENTORY: settings.read_values,
    ChargerCommand.Action.GET_DIAGNOSTICS: diagnostics.read_file_name,
    ChargerCommand.Action.INSTALLED_CERTIFICATES: installed_certificates.read_installed,
    ChargerCommand.Action.UPDATE_FIRMWARE: diagnostics.read_nothing,
}
