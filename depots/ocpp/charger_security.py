"""What chargers tell and ask about their security, alike in all versions: events, and certificates to be signed."""

from __future__ import annotations

import logging
from typing import Any

from depots.ocpp.connection import ChargerConnection
from depots.operations.certificate_requests import sign_request
from depots.operations.security_events import record_security_event

logger = logging.getLogger(__name__)

CHARGING_STATION = "ChargingStationCertificate"


async def security_event(connection: ChargerConnection, message: dict[str, Any]) -> dict[str, Any]:
    kind = str(message.get("type") or "")
    logger.warning("Charger %s reports a security event: %s", connection.identity, kind[:50])
    await connection.do(
        record_security_event,
        kind=kind,
        info=str(message.get("techInfo") or ""),
        at=connection.moment(message.get("timestamp")).at,
        now=connection.now(),
    )
    return {}


async def sign_certificate(connection: ChargerConnection, message: dict[str, Any]) -> dict[str, Any]:
    """Accepted, and the certificate follows as CertificateSigned. Those for vehicles (V2G) are signed by others."""
    kind = message.get("certificateType") or CHARGING_STATION
    if kind != CHARGING_STATION:
        logger.warning("Charger %s asks for a certificate of %s", connection.identity, str(kind)[:50])
        return {"status": "Rejected"}
    answer = await connection.do(
        sign_request,
        csr=str(message.get("csr") or ""),
        request_id=message.get("requestId"),
        now=connection.now(),
    )
    if not answer.is_accepted:
        logger.warning("Charger %s is given no certificate: %s", connection.identity, answer.why)
    return {"status": "Accepted" if answer.is_accepted else "Rejected"}
