"""What chargers tell and ask about their security, alike in all versions: events, and certificates to be signed."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from depots.ocpp.connection import ChargerConnection
from depots.operations.certificate_requests import may_ask_for_v2g, send_v2g_certificate, sign_request
from depots.operations.security_events import record_security_event
from depots.plug_and_charge.v2g_certificates import NoV2gCertificate, v2g_signer

logger = logging.getLogger(__name__)

CHARGING_STATION = "ChargingStationCertificate"
# Those that are shown to vehicles, in our words (ChargerCommand).
V2G = {"V2GCertificate": "v2g", "V2G20Certificate": "v2g20"}
# A charger waits 30 s for an answer.
PATIENCE_S = 20
LONGEST_CHAIN = 10_000


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
        is_signed = kind in V2G and await _signed_by_others(connection, message, V2G[kind])
        if not is_signed:
            logger.warning("Charger %s is given no %s", connection.identity, str(kind)[:50])
        return {"status": "Accepted" if is_signed else "Rejected"}
    answer = await connection.do(
        sign_request,
        csr=str(message.get("csr") or ""),
        request_id=message.get("requestId"),
        now=connection.now(),
    )
    if not answer.is_accepted:
        logger.warning("Charger %s is given no certificate: %s", connection.identity, answer.why)
    return {"status": "Accepted" if answer.is_accepted else "Rejected"}


async def _signed_by_others(connection: ChargerConnection, message: dict[str, Any], kind: str) -> bool:
    """Whether the service that settings name has signed it; the certificate is queued."""
    signer = v2g_signer()
    if signer is None or not await connection.do(may_ask_for_v2g, now=connection.now()):
        return False
    try:
        async with asyncio.timeout(PATIENCE_S):
            chain = await signer.sign(
                str(message.get("csr") or ""), identity=connection.identity, is_iso_20=kind == "v2g20"
            )
    except (NoV2gCertificate, TimeoutError) as refusal:
        logger.info("No certificate for vehicles for %s: %s", connection.identity, refusal)
        return False
    except Exception:
        logger.exception(
            "The service that signs certificates for vehicles failed for %s", connection.identity
        )
        return False
    if not 0 < len(chain) <= LONGEST_CHAIN:
        return False
    await connection.do(
        send_v2g_certificate,
        chain=chain,
        kind=kind,
        request_id=message.get("requestId"),
        now=connection.now(),
    )
    return True
