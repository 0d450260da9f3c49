"""Plug & Charge over real sockets: a truck is let in by its contract's certificate, and kept out where that is worth nothing."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pytest
from pytest_django import Settings

from depots.gate import Authorization
from depots.models import Charger
from depots.operations.trusted_roots import trust_root
from depots.plug_and_charge import ev_certificates, revocation
from depots.plug_and_charge.chain import hash_of
from depots.plug_and_charge.ev_certificates import EvCertificateAnswer, EvCertificateRequest, NoEvCertificate
from tests.contract_certificates import EMAID, Responder, authorities, issue, ocsp_answer, running_responder
from tests.factories import NOW, make_charger, make_evse
from tests.scenarios.bed import Bed, ScriptedCharger, ScriptedGate

ALL_2X = ["ocpp2.0.1", "ocpp2.1"]
ROOT, SUB = authorities()
CONTRACT = issue(EMAID, SUB, is_authority=False)
TOKEN = {"idToken": EMAID, "type": "eMAID"}


class Provider:
    """A provider of contracts: the vehicle's request sent back."""

    async def certificate(self, request: EvCertificateRequest) -> EvCertificateAnswer:
        if request.action == "Update":
            raise NoEvCertificate("the contract has ended")
        return EvCertificateAnswer(request.exi[::-1], remaining=2)


@pytest.fixture
def responder(settings: Settings) -> Iterator[Responder]:
    settings.BERTH_ALLOW_PRIVATE_PARTNERS = True
    settings.EV_CERTIFICATE_PROVIDER = "tests.scenarios.test_ocpp_contracts.Provider"
    revocation.revocation_service.cache_clear()
    ev_certificates.ev_certificate_provider.cache_clear()
    with running_responder() as responder:
        yield responder
    ev_certificates.ev_certificate_provider.cache_clear()


@pytest.fixture(params=ALL_2X)
def charger(request: Any, bed: Bed, gate: ScriptedGate, responder: Responder) -> ScriptedCharger:
    row = make_charger()
    make_evse(charger=row)
    trust_root(operator=row.depot.operator, pem=ROOT.pem, now=NOW)
    made = bed.charger(row, request.param)
    made.come_online()
    return made


def hash_data(responder: Responder) -> dict[str, str]:
    named = hash_of(CONTRACT.certificate, SUB.certificate, "SHA256")
    return {
        "hashAlgorithm": named.algorithm,
        "issuerNameHash": named.issuer_name_hash,
        "issuerKeyHash": named.issuer_key_hash,
        "serialNumber": named.serial_number,
        "responderURL": responder.url,
    }


def test_a_contract_is_checked_up_to_its_root_and_asked_about(
    charger: ScriptedCharger, gate: ScriptedGate, responder: Responder
) -> None:
    gate.answers[EMAID] = Authorization(allowed=True, group="G7", reservation_id=7)
    shown = {
        "idToken": TOKEN,
        "certificate": CONTRACT.pem + SUB.pem,
        "iso15118CertificateHashData": [hash_data(responder)],
    }

    silent = charger.ask("Authorize", shown)  # the responder is down: the contract's own state decides
    responder.answers[CONTRACT.certificate.serial_number] = ocsp_answer(CONTRACT, SUB, is_revoked=True)
    revoked = charger.ask("Authorize", shown)
    unproven = charger.ask("Authorize", {"idToken": TOKEN, "certificate": CONTRACT.pem})
    gate.answers[EMAID] = Authorization(allowed=False, reason="blocked")
    blocked = charger.ask("Authorize", {"idToken": TOKEN, "certificate": CONTRACT.pem + SUB.pem})

    assert (silent["certificateStatus"], silent["idTokenInfo"]["status"]) == ("Accepted", "Accepted")
    assert silent["idTokenInfo"]["groupIdToken"]["idToken"] == "G7"
    assert (revoked["certificateStatus"], revoked["idTokenInfo"]) == (
        "CertificateRevoked",
        {"status": "Invalid"},
    )
    assert (unproven["certificateStatus"], unproven["idTokenInfo"]) == (
        "CertChainError",
        {"status": "Invalid"},
    )
    assert (blocked["certificateStatus"], blocked["idTokenInfo"]["status"]) == (
        "ContractCancelled",
        "Blocked",
    )


def test_what_a_responder_says_reaches_the_charger_signed_as_it_came(
    charger: ScriptedCharger, responder: Responder
) -> None:
    asked = hash_data(responder)
    assert charger.ask("GetCertificateStatus", {"ocspRequestData": asked}) == {"status": "Failed"}

    responder.answers[CONTRACT.certificate.serial_number] = raw = ocsp_answer(CONTRACT, SUB)
    answer = charger.ask("GetCertificateStatus", {"ocspRequestData": asked})

    assert (answer["status"], base64.b64decode(answer["ocspResult"])) == ("Accepted", raw)
    if Charger.objects.get().spoken_protocol == "ocpp2.1":
        certificate = {name: told for name, told in asked.items() if name != "responderURL"}
        asks = [
            {"certificateHashData": certificate, "source": source, "urls": [responder.url]}
            for source in ("OCSP", "CRL")
        ]
        answer = charger.ask("GetCertificateChainStatus", {"certificateStatusRequests": asks})
        assert [each["status"] for each in answer["certificateStatus"]] == ["Good", "Failed"]
        assert answer["certificateStatus"][0]["nextUpdate"] == "2030-01-15T09:00:00.000Z"


def test_a_vehicles_new_contract_comes_from_the_provider(charger: ScriptedCharger) -> None:
    asked = {
        "iso15118SchemaVersion": "urn:iso:15118:2:2013:MsgDef",
        "action": "Install",
        "exiRequest": "ABC=",
    }

    made = charger.ask("Get15118EVCertificate", asked)
    refused = charger.ask("Get15118EVCertificate", {**asked, "action": "Update"})
    ev_certificates.ev_certificate_provider.cache_clear()

    assert (made["status"], made["exiResponse"]) == ("Accepted", "=CBA")
    assert made.get("remainingContracts") == (
        2 if Charger.objects.get().spoken_protocol == "ocpp2.1" else None
    )
    assert refused == {"status": "Failed", "exiResponse": ""}
