"""Parts of a charger that are not as they should be: what of NotifyEvent, and of 2.1's NotifyDERAlarm, a person has to know.

OCPP 2.0.1 part 2, N07 and part 2 appendix "Problem"; severities by N.01 of OCPP 2.1.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from depots.ocpp.connection import ChargerConnection
from depots.operations.charger_alerts import MOST_OF_ONE, ToldAlert, record_alerts

# From 7 on it is a notice, information, or for developers.
WARNING = 6
MOST_EVSES = 10_000  # whatever it says
FAULTED = "faulted"
# The component and variable that say how a connector is: its EVSE's status.
CONNECTOR_STATE = ("Connector", "AvailabilityState")


async def record_events(connection: ChargerConnection, events: list[dict[str, Any]]) -> None:
    """Those that are alerts, or the end of one; most of what a charger reports is neither."""
    told = list(_alerts(connection, events))[-10 * MOST_OF_ONE :]
    if told:
        await connection.do(record_alerts, told=told, now=connection.now())


async def der_alarm(connection: ChargerConnection, message: dict[str, Any]) -> dict[str, Any]:
    """The grid is not as a charger that feeds into it, or follows it, needs it."""
    alarm = ToldAlert(
        component="DERCtrlr",
        variable=str(message.get("controlType") or ""),
        value=str(message.get("gridEventFault") or ""),
        info=str(message.get("extraInfo") or ""),
        is_over=bool(message.get("alarmEnded")),
        at=connection.moment(message.get("timestamp")).at,
    )
    await connection.do(record_alerts, told=[alarm], now=connection.now())
    return {}


def _alerts(connection: ChargerConnection, events: list[dict[str, Any]]) -> Iterator[ToldAlert]:
    for event in events:
        component, variable = event.get("component") or {}, event.get("variable") or {}
        if (component.get("name"), variable.get("name")) == CONNECTOR_STATE:
            continue
        value, severity = str(event.get("actualValue") or ""), event.get("severity")
        is_wrong = _says_wrong(str(variable.get("name")), value)
        if is_wrong is None and event.get("trigger") != "Alerting":
            continue
        if severity is not None and not 0 <= severity <= WARNING:
            continue
        yield ToldAlert(
            component=_name(component),
            variable=_name(variable),
            evse_number=_evse_of(component),
            value=value,
            code=str(event.get("techCode") or ""),
            info=str(event.get("techInfo") or ""),
            severity=severity,
            is_over=bool(event.get("cleared")) or is_wrong is False,
            at=connection.moment(event.get("timestamp")).at,
        )


def _says_wrong(variable: str, value: str) -> bool | None:
    """Variables that say by themselves whether something is wrong; None for all others."""
    match variable:
        case "Problem":
            return value.casefold() == "true"
        case "AvailabilityState":
            return value.casefold() == FAULTED
    return None


def _evse_of(component: dict[str, Any]) -> int | None:
    """0 is the whole station."""
    number = (component.get("evse") or {}).get("id") or 0
    return number if 0 < number <= MOST_EVSES else None


def _name(part: dict[str, Any]) -> str:
    return " ".join(filter(None, [str(part.get("name") or ""), str(part.get("instance") or "")]))
