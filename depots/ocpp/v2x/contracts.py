"""Plug & Charge in OCPP 2.x: contract certificates of vehicles, what is known of their revocation, and new ones."""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from ocpp.v21.enums import CertificateStatusEnumType
from ocpp.v201.enums import AuthorizationStatusEnumType

from depots import operations
from depots.gate import Authorization
from depots.ocpp import owner_asking
from depots.ocpp.connection import ChargerConnection
from depots.ocpp.times import write_time
from depots.ocpp.v2x.tokens import token_info, token_type, token_uid
from depots.plug_and_charge.chain import CertificateHash, CertificateStatus
from depots.plug_and_charge.ev_certificates import (
    EvCertificateRequest,
    NoEvCertificate,
    ev_certificate_provider,
)
from depots.plug_and_charge.revocation import (
    NotAnswered,
    RevocationAnswer,
    RevocationQuestion,
    Verdict,
    is_any_revoked,
    questions_of,
    revocation_service,
)

logger = logging.getLogger(__name__)

# A charger waits 30 s for an answer.
PATIENCE_S = 20
LONGEST_OCSP_RESULT = {"2.0.1": 5500, "2.1": 18000}
# So many has a request of the schema; each may be a call to a server outside.
MOST_OF_A_CHAIN = 4
LONGEST_EXI = {"2.0.1": 7500, "2.1": 17000}

CHAIN_STATUS = {
    Verdict.GOOD: CertificateStatusEnumType.good,
    Verdict.REVOKED: CertificateStatusEnumType.revoked,
    Verdict.UNKNOWN: CertificateStatusEnumType.unknown,
}


def shows_contract(message: Mapping[str, Any]) -> bool:
    """Whether an Authorize brings a certificate, or what names one."""
    return "certificate" in message or "iso15118CertificateHashData" in message


async def authorize_contract(connection: ChargerConnection, message: dict[str, Any]) -> dict[str, Any]:
    """Authorize with a contract: it charges where both the certificate and its number may. Responders are waited for here, in
    no thread and in nobody's way."""
    token = message.get("idToken") or {}
    told = [_question(each) for each in message.get("iso15118CertificateHashData") or []]
    checked = await connection.do(
        operations.check_contract,
        chain=message.get("certificate") or "",
        emaid=token_uid(token),
        told=[question.certificate for question in told],
        now=connection.now(),
    )
    status = checked.status
    if status == CertificateStatus.ACCEPTED and await is_any_revoked(
        questions_of(checked.links, told), now=connection.now()
    ):
        status = CertificateStatus.REVOKED
    answer = await authorized(connection, token)
    return _answer(status, answer, connection)


async def authorized(connection: ChargerConnection, token: Mapping[str, Any]) -> Authorization:
    """Whether its number may charge here, by its issuer's word where that has a say."""
    return await owner_asking.authorized(connection, token_uid=token_uid(token), token_type=token_type(token))


async def certificate_status(connection: ChargerConnection, message: dict[str, Any]) -> dict[str, Any]:
    """GetCertificateStatus: the responder's own answer, signed as it came."""
    told = await _asked(_question(message.get("ocspRequestData") or {}), connection)
    result = base64.b64encode(told.raw).decode() if told is not None else ""
    if not 0 < len(result) <= LONGEST_OCSP_RESULT[connection.dialect.VERSION]:
        return {"status": "Failed"}
    return {"status": "Accepted", "ocspResult": result}


async def certificate_chain_status(connection: ChargerConnection, message: dict[str, Any]) -> dict[str, Any]:
    """GetCertificateChainStatus (2.1), all of a chain at once. Lists of revoked certificates (CRL) are not fetched."""
    asked = message["certificateStatusRequests"][:MOST_OF_A_CHAIN]
    answers = await asyncio.gather(*(_chain_status(each, connection) for each in asked))
    return {"certificateStatus": answers}


async def ev_certificate(connection: ChargerConnection, message: dict[str, Any]) -> dict[str, Any]:
    """Get15118EVCertificate: passed on to the provider of contracts, where one is named."""
    failed = {"status": "Failed", "exiResponse": ""}
    provider = ev_certificate_provider()
    if provider is None:
        return failed
    request = EvCertificateRequest(
        schema_version=message.get("iso15118SchemaVersion") or "",
        action=message.get("action") or "",
        exi=message.get("exiRequest") or "",
        most_contracts=message.get("maximumContractCertificateChains"),
        emaids=tuple(message.get("prioritizedEMAIDs") or ()),
    )
    try:
        async with asyncio.timeout(PATIENCE_S):
            answer = await provider.certificate(request)
    except (NoEvCertificate, TimeoutError) as refusal:
        logger.info("No contract for a vehicle at %s: %s", connection.identity, refusal)
        return failed
    except Exception:
        logger.exception("The provider of contracts failed for a vehicle at %s", connection.identity)
        return failed
    if len(answer.exi) > LONGEST_EXI[connection.dialect.VERSION]:
        return failed
    told: dict[str, Any] = {"status": "Accepted", "exiResponse": answer.exi}
    if answer.remaining is not None and connection.dialect.VERSION == "2.1":
        told["remainingContracts"] = answer.remaining
    return told


def _answer(
    status: CertificateStatus, answer: Authorization, connection: ChargerConnection
) -> dict[str, Any]:
    if status == CertificateStatus.ACCEPTED and answer.reason == "blocked":
        status = CertificateStatus.CONTRACT_CANCELLED
    info = token_info(answer, connection)
    if status not in {CertificateStatus.ACCEPTED, CertificateStatus.CONTRACT_CANCELLED}:
        info = {"status": AuthorizationStatusEnumType.invalid.value}
    return {"idTokenInfo": info, "certificateStatus": status.value}


def _question(told: Mapping[str, Any]) -> RevocationQuestion:
    """Of OCSPRequestData."""
    url = told.get("responderURL") or ""
    return RevocationQuestion(_certificate(told), (url,) if url else ())


def _certificate(told: Mapping[str, Any]) -> CertificateHash:
    names = ("hashAlgorithm", "issuerNameHash", "issuerKeyHash", "serialNumber")
    return CertificateHash(*(str(told.get(name) or "") for name in names))


async def _asked(question: RevocationQuestion, connection: ChargerConnection) -> RevocationAnswer | None:
    try:
        async with asyncio.timeout(PATIENCE_S):
            return await revocation_service().ask(question, now=connection.now())
    except (NotAnswered, TimeoutError) as silence:
        logger.info("%s asked whether a certificate was revoked: %s", connection.identity, silence)
    except Exception:
        logger.exception("The revocation service failed for %s", connection.identity)
    return None


async def _chain_status(request: Mapping[str, Any], connection: ChargerConnection) -> dict[str, Any]:
    told = None
    if request["source"] == "OCSP":
        question = RevocationQuestion(_certificate(request["certificateHashData"]), tuple(request["urls"]))
        told = await _asked(question, connection)
    return {
        "certificateHashData": request["certificateHashData"],
        "source": request["source"],
        "status": (CHAIN_STATUS[told.verdict] if told else CertificateStatusEnumType.failed).value,
        "nextUpdate": write_time(told.next_update if told else connection.now() + timedelta(minutes=10)),
    }
