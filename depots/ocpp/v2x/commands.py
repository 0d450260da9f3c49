"""Our commands as calls of OCPP 2.x, and what a charger answers to them."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from typing import Any

from ocpp.v201.enums import MessageTriggerEnumType

from depots.models import ChargerCommand
from depots.ocpp import common_commands, installed_certificates, redaction
from depots.ocpp.command_words import bounded, is_true, trigger_of
from depots.ocpp.dialect import InvalidCommand
from depots.ocpp.times import rewrite_time
from depots.ocpp.v2x import (
    certificates,
    charging_profiles,
    diagnostics,
    local_list,
    passwords,
    security_profile,
    settings,
)
from depots.ocpp.v2x.status_info import read_status_and_reason
from depots.ocpp.v2x.tokens import LONGEST_TOKEN, WIRE_TYPE, group_token
from depots.ocpp.wire import CallRefused, Wire

# Messages that a charger can be asked to send (TriggerMessage).
TRIGGERS = frozenset(each.value for each in MessageTriggerEnumType)

# Asked in portions (ItemsPerMessageGetVariables).
CAPABILITY_VARIABLES = (
    (
        ("ReservationCtrlr", "Available"),
        ("ReservationCtrlr", "Enabled"),
        ("ReservationCtrlr", "NonEvseSpecific"),
        ("LocalAuthListCtrlr", "Enabled"),
        ("LocalAuthListCtrlr", "ItemsPerMessage"),
    ),
    (
        ("SmartChargingCtrlr", "Enabled"),
        ("SmartChargingCtrlr", "RateUnit"),
        ("SmartChargingCtrlr", "ProfileStackLevel"),
        ("SmartChargingCtrlr", "PeriodsPerSchedule"),
        ("TxCtrlr", "TxStartPoint"),
        ("TxCtrlr", "StopTxOnInvalidId"),
        ("AuthCacheCtrlr", "Enabled"),
    ),
)


def request(command: ChargerCommand) -> tuple[str, dict[str, Any]]:
    """The CALL for a command. Raises InvalidCommand."""
    return _REQUESTS[ChargerCommand.Action(command.action)](command.payload)


def read_answer(payload: dict[str, Any], action: str) -> tuple[str, str]:
    """Our word for a charger's answer to a command of this action, and what it adds: its reason, or what it was asked for."""
    if reads := _ANSWERS.get(action):
        return reads(payload)
    return read_status_and_reason(payload)


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
            variables.update({name: bounded(told[name]) for name in asked & told.keys()})
    can_reserve, is_on = (
        variables.get("ReservationCtrlr.Available"),
        variables.get("ReservationCtrlr.Enabled"),
    )
    return {
        "reservation": is_true(can_reserve if is_on is None else is_on),
        "reservation_anywhere": is_true(variables.get("ReservationCtrlr.NonEvseSpecific")),
        "smart_charging": is_true(variables.get("SmartChargingCtrlr.Enabled")),
        "local_list": is_true(variables.get("LocalAuthListCtrlr.Enabled")),
        "stops_refused": is_true(variables.get("TxCtrlr.StopTxOnInvalidId")),
        "caches_tokens": is_true(variables.get("AuthCacheCtrlr.Enabled")),
        "variables": variables,
    }


def _read_variables(payload: dict[str, Any]) -> tuple[str, str]:
    """Accepted, and as JSON {"Component.Variable": value}, null where it told none; there is no status of them all."""
    results = payload.get("getVariableResult")
    if not isinstance(results, list):
        return read_status_and_reason(payload)
    values: dict[str, Any] = {}
    for result in results:
        values.update(_variable(result, others=True))
    return "accepted", json.dumps(values)


def _variable(result: Any, *, others: bool = False) -> dict[str, Any]:
    """{"Component.Variable": value} of one answer, nothing of one that is not understood.

    `others` keeps those the charger would not tell as well, as null.
    """
    try:
        name = f"{result['component']['name']}.{result['variable']['name']}"
        if result["attributeStatus"] == "Accepted":
            return {name: redaction.shown_setting(name, result.get("attributeValue"))}
        return {name: None} if others else {}
    except (KeyError, TypeError, AttributeError):
        return {}


def _reserve(payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    group = payload.get("group") or ""
    return "ReserveNow", {
        "id": payload["reservation_id"],
        "expiryDateTime": rewrite_time(payload["expires_at"]),
        "idToken": _token(payload),
        "evseId": payload["evse"],
        **({"groupIdToken": group_token(group)} if group else {}),
    }


def _remote_start(payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    group = payload.get("group") or ""
    return "RequestStartTransaction", {
        "remoteStartId": payload.get("reservation_id") or secrets.randbelow(2**31),
        "idToken": _token(payload),
        "evseId": payload["evse"],
        **({"groupIdToken": group_token(group)} if group else {}),
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
    message = trigger_of(payload["message"], TRIGGERS)
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


def _get_configuration(payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """`Component.Variable` each. Raises InvalidCommand."""
    wanted = [settings.named(key) for key in payload["keys"]]
    if not wanted:
        raise InvalidCommand("OCPP 2.x reads settings by name: Component.Variable, by comma.")
    return "GetVariables", {"getVariableData": wanted}


def _token(payload: dict[str, Any]) -> dict[str, Any]:
    token = common_commands.fitting_token(payload["token"], longest=LONGEST_TOKEN, protocol="OCPP")
    return {"idToken": token, "type": WIRE_TYPE[payload.get("token_type") or ""].value}


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
    ChargerCommand.Action.ASK_INVENTORY: settings.report,
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

# Answers that are not one status.
_ANSWERS: dict[str, Callable[[dict[str, Any]], tuple[str, str]]] = {
    ChargerCommand.Action.GET_CONFIGURATION: _read_variables,
    ChargerCommand.Action.GET_COMPOSITE_SCHEDULE: charging_profiles.read_composite,
    ChargerCommand.Action.READ_SETTINGS: settings.read_values,
    ChargerCommand.Action.CHANGE_SETTINGS: settings.read_changes,
    ChargerCommand.Action.GET_DIAGNOSTICS: diagnostics.read_status_and_file,
    ChargerCommand.Action.INSTALLED_CERTIFICATES: installed_certificates.read_installed,
    ChargerCommand.Action.SET_PASSWORD: passwords.read_change,
    ChargerCommand.Action.SET_NETWORK_PRIORITY: security_profile.read_priority,
}
