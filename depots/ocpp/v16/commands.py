"""Our commands as OCPP 1.6's calls, and what a charger answers to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ocpp.v16.enums import MessageTrigger

from depots.models import ChargerCommand
from depots.ocpp import common_commands, installed_certificates
from depots.ocpp.command_words import bounded, is_true, read_status, trigger_of
from depots.ocpp.dialect import InvalidCommand
from depots.ocpp.times import rewrite_time
from depots.ocpp.v16 import (
    certificates,
    charging_profiles,
    diagnostics,
    local_list,
    passwords,
    security_profile,
    settings,
)
from depots.ocpp.v16.transaction_numbers import transaction_number
from depots.ocpp.wire import CallRefused, Wire
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


def read_answer(payload: dict[str, Any], action: str) -> tuple[str, str]:
    """Our word for a charger's answer to a command of this action, and what it adds; an answer outside the protocol is kept
    as text."""
    if reads := _ANSWERS.get(action):
        return reads(payload)
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


def _reserve(payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    group = payload.get("group") or ""
    return "ReserveNow", {
        "connectorId": payload["evse"],
        "expiryDate": rewrite_time(payload["expires_at"]),
        "idTag": _tag(payload["token"]),
        "reservationId": payload["reservation_id"],
        **({"parentIdTag": _tag(group)} if group else {}),
    }


def _remote_start(payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return "RemoteStartTransaction", {"connectorId": payload["evse"], "idTag": _tag(payload["token"])}


def _remote_stop(payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return "RemoteStopTransaction", {"transactionId": transaction_number(payload["transaction"])}


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


def _get_configuration(payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return "GetConfiguration", {"key": payload["keys"]} if payload["keys"] else {}


def _ask_inventory(payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """All settings there are: 1.6 has no report of its own."""
    return "GetConfiguration", {}


def _tag(token: str) -> str:
    return common_commands.fitting_token(token, longest=LONGEST_TAG, protocol="OCPP 1.6")


_REQUESTS = {
    **common_commands.REQUESTS,
    ChargerCommand.Action.RESERVE: _reserve,
    ChargerCommand.Action.REMOTE_START: _remote_start,
    ChargerCommand.Action.REMOTE_STOP: _remote_stop,
    ChargerCommand.Action.UNLOCK: _unlock,
    ChargerCommand.Action.RESET: _reset,
    ChargerCommand.Action.TRIGGER: _trigger,
    ChargerCommand.Action.AVAILABILITY: _availability,
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
}

# Answers that are not a status.
_ANSWERS: dict[str, Callable[[dict[str, Any]], tuple[str, str]]] = {
    ChargerCommand.Action.GET_CONFIGURATION: settings.read_configuration,
    ChargerCommand.Action.GET_COMPOSITE_SCHEDULE: charging_profiles.read_composite,
    ChargerCommand.Action.READ_SETTINGS: settings.read_values,
    ChargerCommand.Action.ASK_INVENTORY: settings.read_values,
    ChargerCommand.Action.GET_DIAGNOSTICS: diagnostics.read_file_name,
    ChargerCommand.Action.INSTALLED_CERTIFICATES: installed_certificates.read_installed,
    ChargerCommand.Action.UPDATE_FIRMWARE: diagnostics.read_nothing,
}
