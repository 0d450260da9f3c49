"""Settings of OCPP 2.x: variables of its device model, read and changed by name, and all of them in a report."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

from ocpp.v201.enums import GetVariableStatusEnumType, SetVariableStatusEnumType

from depots.commissioning import add_report_part
from depots.ocpp import redaction
from depots.ocpp.command_words import bounded
from depots.ocpp.dialect import InvalidCommand
from depots.ocpp.v2x.status_info import reason_in

if TYPE_CHECKING:
    from depots.ocpp.connection import ChargerConnection

logger = logging.getLogger(__name__)

READ = {
    GetVariableStatusEnumType.accepted: "",
    GetVariableStatusEnumType.rejected: "rejected",
    GetVariableStatusEnumType.unknown_component: "unknown",
    GetVariableStatusEnumType.unknown_variable: "unknown",
    GetVariableStatusEnumType.not_supported_attribute_type: "unknown",
}
CHANGED = {
    SetVariableStatusEnumType.accepted: "accepted",
    SetVariableStatusEnumType.rejected: "rejected",
    SetVariableStatusEnumType.unknown_component: "unknown",
    SetVariableStatusEnumType.unknown_variable: "unknown",
    SetVariableStatusEnumType.not_supported_attribute_type: "not_supported",
    SetVariableStatusEnumType.reboot_required: "reboot_required",
}


def read(payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return "GetVariables", {"getVariableData": [named(key) for key in payload["keys"]]}


def change(payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    wanted = [{**named(key), "attributeValue": value} for key, value in payload["settings"].items()]
    return "SetVariables", {"setVariableData": wanted}


def report(payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return "GetBaseReport", {"requestId": payload["request"], "reportBase": "FullInventory"}


def named(key: str) -> dict[str, Any]:
    """`Component.Variable` or `Component.Variable[instance]` as it is on the wire. Raises InvalidCommand."""
    component, dot, variable = key.partition(".")
    variable, _, instance = variable.partition("[")
    if not (component and dot and variable):
        raise InvalidCommand(f"A setting of OCPP 2.x is called Component.Variable; {key[:50]!r} is not.")
    instance = instance.removesuffix("]")
    return {
        "component": {"name": component},
        "variable": {"name": variable, **({"instance": instance} if instance else {})},
    }


def read_values(payload: dict[str, Any]) -> tuple[str, str]:
    """Accepted, and as JSON what it told: {key: {"value", "is_readonly", "status"}} with `status` empty where it told one.

    Accepted without a value tells nothing.
    """
    told = {}
    for result in _objects(payload.get("getVariableResult")):
        status = _word(READ, GetVariableStatusEnumType, result.get("attributeStatus"))
        if key := _key(result):
            value = bounded(result.get("attributeValue")) if not status else None
            told[key] = {"value": redaction.shown_setting(key, value), "is_readonly": False, "status": status}
    return "accepted", json.dumps(told)


def read_changes(payload: dict[str, Any]) -> tuple[str, str]:
    """Accepted, and as JSON each setting's own answer: {key: [word, reason]}."""
    answers = {}
    for result in _objects(payload.get("setVariableResult")):
        word = _word(CHANGED, SetVariableStatusEnumType, result.get("attributeStatus"))
        if key := _key(result):
            answers[key] = [word, reason_in(result.get("attributeStatusInfo"))]
    return "accepted", json.dumps(answers)


async def notify_report(connection: ChargerConnection, message: dict[str, Any]) -> dict[str, Any]:
    """A part of the report of all it has."""
    values = {}
    for entry in message.get("reportData") or []:
        if key := _key(entry):
            attributes = _objects(entry.get("variableAttribute"))
            actual = next((each for each in attributes if each.get("type", "Actual") == "Actual"), {})
            values[key] = [
                redaction.shown_setting(key, bounded(actual.get("value"))),
                actual.get("mutability") == "ReadOnly",
            ]
    is_taken = await connection.do(
        add_report_part,
        request=message.get("requestId"),
        part=message.get("seqNo") or 0,
        values=values,
        is_last=not message.get("tbc"),
        now=connection.now(),
    )
    if not is_taken:
        logger.info("Charger %s reports what it was not asked for", connection.identity)
    return {}


def _key(result: dict[str, Any]) -> str:
    """`Component.Variable[instance]`; of a component of an EVSE `EVSE:1.Variable`, of a connector `Connector:1:1.…`."""
    component, variable = result.get("component"), result.get("variable")
    if not isinstance(component, dict) or not isinstance(variable, dict):
        return ""
    evse = component.get("evse")
    numbers = [evse.get("id"), evse.get("connectorId")] if isinstance(evse, dict) else []
    place = "".join(f":{number}" for number in numbers if number is not None)
    name = f"{component.get('name', '')}{place}.{variable.get('name', '')}"
    return f"{name}[{variable['instance']}]" if variable.get("instance") else name


def _word(words: Any, kind: Any, told: Any) -> str:
    try:
        return str(words[kind(told)])
    except ValueError:
        return "error"


def _objects(told: Any) -> list[dict[str, Any]]:
    return [each for each in told if isinstance(each, dict)] if isinstance(told, list) else []
