"""OCPP 2.x: what the messages say that 2.0.1 and 2.1 share, in our words. Fields that both have mean the same in both."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ocpp.v21.enums import ReservationUpdateStatusEnumType
from ocpp.v201.enums import ConnectorStatusEnumType

from depots import operations
from depots.models import Evse
from depots.ocpp.charger_security import security_event, sign_certificate
from depots.ocpp.connection import ChargerConnection
from depots.ocpp.dialect import Answerer, accept_boot, data_transfer, heartbeat, take_note
from depots.ocpp.v2x.alerts import CONNECTOR_STATE, record_events
from depots.ocpp.v2x.contracts import certificate_status, ev_certificate
from depots.ocpp.v2x.diagnostics import firmware_progress, log_progress
from depots.ocpp.v2x.settings import notify_report
from depots.ocpp.v2x.transactions import authorize, meter_values, transaction_event

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

RESERVATION_OUTCOME = {
    ReservationUpdateStatusEnumType.expired.value: "expired",
    ReservationUpdateStatusEnumType.removed.value: "removed",
    # The holder identified, and left without plugging in. 2.0.1 has no word for it.
    ReservationUpdateStatusEnumType.no_transaction.value: "no_transaction",
}

MOST_CONNECTORS = 500


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
    return accept_boot(connection)


async def status(connection: ChargerConnection, message: dict[str, Any]) -> dict[str, Any]:
    moment = connection.moment(message.get("timestamp"))
    told = message.get("connectorStatus")
    is_news = await _report(connection, message.get("evseId"), message.get("connectorId"), told, moment.at)
    await connection.check_clock_by_status(moment, is_news=is_news)
    return {}


async def notify_event(connection: ChargerConnection, message: dict[str, Any]) -> dict[str, Any]:
    """Newer chargers report their connectors' states as events of the device model; and what is wrong with their parts."""
    events = message.get("eventData") or []
    latest: dict[tuple[Any, Any], tuple[datetime, Any, str]] = {}
    for event in events:
        component, variable = event.get("component") or {}, event.get("variable") or {}
        if (component.get("name"), variable.get("name")) == CONNECTOR_STATE:
            evse = component.get("evse") or {}
            place, at = (
                (evse.get("id"), evse.get("connectorId")),
                connection.moment(event.get("timestamp")).at,
            )
            if place not in latest or at >= latest[place][0]:
                latest[place] = at, event.get("actualValue"), str(event.get("techCode") or "")
    # What a connector was before is of no interest; a report may hold thousands of events.
    for (evse_id, connector_id), (at, told, code) in latest.items():
        await _report(connection, evse_id, connector_id, told, at, code)
    await record_events(connection, events)
    return {}


async def reservation_status(connection: ChargerConnection, message: dict[str, Any]) -> dict[str, Any]:
    """An outcome that cannot be read says nothing: what stands is told again at the next connection."""
    outcome = RESERVATION_OUTCOME.get(message.get("reservationUpdateStatus") or "")
    if outcome is not None and (reservation_id := message.get("reservationId")) is not None:
        await connection.do(
            operations.report_reservation_ended,
            reservation_id=reservation_id,
            outcome=outcome,
            now=connection.now(),
        )
    return {}


async def refuse(connection: ChargerConnection, message: dict[str, Any]) -> dict[str, Any]:
    """Done elsewhere or not at all, as schedules of vehicles."""
    return {"status": "Rejected"}


ANSWERS: Mapping[str, Answerer] = {
    "Authorize": authorize,
    "BootNotification": boot,
    "ClearedChargingLimit": take_note,
    "DataTransfer": data_transfer,
    "FirmwareStatusNotification": firmware_progress,
    "Get15118EVCertificate": ev_certificate,
    "GetCertificateStatus": certificate_status,
    "Heartbeat": heartbeat,
    "LogStatusNotification": log_progress,
    "MeterValues": meter_values,
    "NotifyChargingLimit": take_note,
    "NotifyCustomerInformation": take_note,
    "NotifyDisplayMessages": take_note,
    "NotifyEVChargingNeeds": refuse,
    "NotifyEVChargingSchedule": refuse,
    "NotifyEvent": notify_event,
    "NotifyMonitoringReport": take_note,
    "NotifyReport": notify_report,
    "PublishFirmwareStatusNotification": take_note,
    "ReportChargingProfiles": take_note,
    "ReservationStatusUpdate": reservation_status,
    "SecurityEventNotification": security_event,
    "SignCertificate": sign_certificate,
    "StatusNotification": status,
    "TransactionEvent": transaction_event,
}


async def _report(
    connection: ChargerConnection,
    evse_id: int | None,
    connector_id: int | None,
    told: Any,
    at: datetime,
    code: str = "",
) -> bool:
    """Whether it was news. A status or EVSE that cannot be read changes nothing. `code`: the maker's word for a fault."""
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
        error_code=code if status == Evse.Status.FAULTED else "",
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
