"""Plug & Charge over real sockets: a truck is let in by its contract's certificate, and kept out where that is worth nothing."""

from __future__ import annotations

import base64
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from bookings import enforcement
from bookings.models import Booking, Token
from depots.gate import Authorization
from depots.models import Charger, Evse
from depots.ocpp.tls import ServerTls, TlsFiles
from depots.operations.trusted_roots import trust_root
from depots.plug_and_charge import ev_certificates, revocation
from depots.plug_and_charge.chain import hash_of
from depots.plug_and_charge.ev_certificates import EvCertificateAnswer, EvCertificateRequest, NoEvCertificate
from simulators.charger import IdToken
from tests.bookings.enforcement.online_chargers import TERMS
from tests.contract_certificates import EMAID, Responder, authorities, issue, ocsp_answer, running_responder
from tests.factories import (
    NOW,
    at,
    book_slot,
    make_charger,
    make_depot,
    make_evse,
    make_vehicle,
    option_of,
    slot,
)
from tests.scenarios.authority import client
from tests.scenarios.authority import issue as server_authority
from tests.scenarios.bed import Bed, ScriptedCharger, ScriptedGate, eventually

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


@pytest.mark.parametrize("protocol", ALL_2X)
def test_a_booked_truck_is_let_in_by_its_contract_over_tls_and_not_by_one_that_was_revoked(
    bed: Bed, responder: Responder, tmp_path: Path, protocol: str
) -> None:
    authority = server_authority(tmp_path, "Server authority")
    server = server_authority(tmp_path, "localhost", by=authority)
    bed.stop_gateway()
    bed.gateway = bed.start_gateway(
        tls=ServerTls(TlsFiles(server.certificate, server.key), list),
        tls_listener=socket.create_server(("127.0.0.1", 0)),
    )
    row = make_charger(make_depot(terms=TERMS), security_profile=2)
    trust_root(operator=row.depot.operator, pem=ROOT.pem, now=NOW)
    emaids = {EMAID: False, "DE83DUIEN83QGY": True}
    trucks = {}
    for number, (emaid, is_revoked) in enumerate(emaids.items(), 1):
        contract = issue(emaid, SUB, is_authority=False, ocsp_url=responder.url)
        valid = {"at": at(9), "next_update": at(11)}
        answer = ocsp_answer(contract, SUB, is_revoked=is_revoked, **valid)
        responder.answers[contract.certificate.serial_number] = answer
        vehicle = make_vehicle(token=None)
        Token.objects.create(fleet=vehicle.fleet, vehicle=vehicle, uid=emaid, type="EMAID")
        evse = make_evse(charger=row, status=Evse.Status.AVAILABLE)
        booking = book_slot(
            fleet=vehicle.fleet, vehicle=vehicle, option=option_of(evse), evse=evse, period=slot(10, 11)
        )
        trucks[number] = booking, IdToken(emaid, "eMAID", contract.pem + SUB.pem)
    bed.clock.now = at(9, 50)
    charger = bed.charger(row, protocol, tls=client(authority))
    charger.sim.url = f"wss://127.0.0.1:{bed.gateway.tls_port}/ocpp"
    charger.come_online()
    eventually(lambda: Charger.objects.get().told.get("asked_at"))
    enforcement.arm_due(now=bed.clock.now)
    eventually(lambda: Booking.objects.filter(enforcement="armed").count() == 2)

    started = {number: charger.tap(number, token) for number, (_, token) in trucks.items()}

    assert (started[1] is not None, started[2]) == (True, None)
    eventually(lambda: Booking.objects.filter(pk=trucks[1][0].pk, status="charging", enforcement="used"))
    assert Booking.objects.get(pk=trucks[2][0].pk).status == "confirmed"
    revoked = trucks[2][1]
    told = charger.ask("Authorize", {
        "idToken": {"idToken": revoked.uid, "type": "eMAID"}, "certificate": revoked.certificate,
    })  # fmt: skip
    assert (told["certificateStatus"], told["idTokenInfo"]["status"]) == ("CertificateRevoked", "Invalid")
    assert len(responder.asked) == 2  # what was answered holds until its next update
