"""Certificates of chargers from Berth's own authority: asked for, given, used, renewed, revoked."""

from __future__ import annotations

import base64
import json
import random
import socket
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID

from bookings.pages.charger_security import security
from depots import certificate_authority, operations
from depots.certificate_authority import InvalidRequestError, new_root, read_request
from depots.certificates import ClientCertificate
from depots.models import (
    CertificateAuthority,
    Charger,
    ChargerCertificate,
    ChargerCommand,
    RefusedConnection,
    SecurityEvent,
)
from depots.ocpp.tls import ServerTls, TlsFiles
from depots.operations import security_events
from depots.operations.certificate_requests import (
    MOST_A_DAY,
    ask_for_renewals,
    create_authority,
    own_roots,
    sign_request,
)
from depots.operations.charger_certificates import accept_certificate
from depots.operations.security_events import record_security_event
from depots.plug_and_charge.v2g_certificates import NoV2gCertificate, v2g_signer
from depots.queries import describe_charger
from depots.secrets import decrypt
from simulators.charger.own_certificate import OwnCertificate
from tests.config.commands import refusal, run
from tests.factories import NOW, make_charger
from tests.scenarios.authority import client, issue
from tests.scenarios.bed import PASSWORD, Bed, eventually
from tests.scenarios.test_ocpp_security_profiles import refused

ALL = ("ocpp1.6", "ocpp2.0.1", "ocpp2.1")


@pytest.fixture(scope="module")
def papers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("papers")
    authority = issue(folder, "Server authority")
    return folder, authority, issue(folder, "localhost", by=authority)


@pytest.fixture
def secure(bed: Bed, papers, gate):
    """The bed's gateway with TLS, which trusts certificates of our own authority. TLS goes by the real clock."""
    _, authority, server = papers
    bed.clock.now = datetime.now(UTC)
    create_authority(name="Berth chargers", now=bed.clock())
    bed.stop_gateway()
    tls = ServerTls(TlsFiles(server.certificate, server.key), own_roots)
    bed.gateway = bed.start_gateway(tls=tls, tls_listener=socket.create_server(("127.0.0.1", 0)))

    def charger(row: Charger, protocol: str = "ocpp1.6", password: str = PASSWORD):
        made = bed.charger(row, protocol, password=password, tls=client(authority))
        made.sim.url = f"wss://127.0.0.1:{bed.gateway.tls_port}/ocpp"
        return made

    return charger


@pytest.mark.parametrize("protocol", ALL)
def test_a_charger_gets_a_certificate_uses_it_and_is_given_another_before_it_expires(
    bed: Bed, secure, protocol: str
):
    row = make_charger()
    charger = secure(row, protocol)
    charger.come_online()

    assert charger.ask_certificate(row.depot.operator.name) == {"status": "Accepted"}

    assert charger.closed() == ""
    first = row.certificates.get()
    assert (first.state, first.issued_at) == ("issued", bed.clock())
    row.security_profile = 3
    row.save(update_fields=["security_profile"])
    charger.sim.password = ""
    charger.come_online()
    first.refresh_from_db()
    assert first.state == "current"
    shown = describe_charger(row, now=bed.clock())["security"]
    assert (shown["profile"], [each["state"] for each in shown["certificates"]]) == (3, ["current"])
    assert ask_for_renewals(now=bed.clock()) == 0
    bed.clock.now = first.not_after - timedelta(days=20)
    assert [ask_for_renewals(now=bed.clock()) for _ in range(2)] == [1, 0]
    charger.closed()
    bed.clock.now = datetime.now(UTC)
    answers = ChargerCommand.objects.filter(
        charger=row, action__in=["certificate_signed", "renew_certificate"]
    )
    eventually(lambda: list(answers.values_list("answer", flat=True)) == ["accepted"] * 3)
    second = row.certificates.latest("pk")
    # By the moved clock it begins later than TLS would take it; how it replaces the first is another test's.
    assert (second.state, second.not_before > first.not_before) == ("issued", True)


def test_a_revoked_certificate_opens_no_more_and_the_next_replaces_the_one_before(bed: Bed, secure):
    row = make_charger(security_profile=3)
    for _ in range(2):
        row.security_profile = 2
        row.save(update_fields=["security_profile"])
        charger = secure(row)
        charger.come_online()
        charger.ask_certificate()
        charger.closed()
        row.security_profile = 3
        row.save(update_fields=["security_profile"])
        charger.sim.password = ""
        charger.come_online()
    states = dict(row.certificates.values_list("state", "serial_number"))
    assert states.keys() == {"replaced", "current"}

    run("charger_ca", "revoke", states["current"].lower())

    assert refused(charger) == (403, RefusedConnection.Reason.REVOKED.label)


@pytest.mark.parametrize("protocol", ALL)
def test_roots_are_installed_listed_and_deleted(bed: Bed, gate, papers, protocol: str):
    row = make_charger()
    charger = bed.charger(row, protocol)
    charger.come_online()

    def ask(action: str, **payload) -> ChargerCommand:
        command = operations.queue_command(charger=row, action=action, payload=payload, now=NOW)
        eventually(lambda: ChargerCommand.objects.filter(pk=command.pk, state="answered").exists())
        command.refresh_from_db()
        return command

    assert ask("installed_certificates").answer == "not_found"
    assert ask("install_certificate", certificate=papers[1].certificate.read_text()).answer == "accepted"
    [found] = json.loads(ask("installed_certificates").answer_text)
    assert ask("delete_certificate", hash=found).answer == "accepted"
    assert ask("delete_certificate", hash=found).answer == "not_found"


class Signer:
    """Signs what begins as a request does; what else it is asked is refused or breaks it."""

    async def sign(self, request: str, *, identity: str, is_iso_20: bool) -> str:
        if request == "break":
            raise RuntimeError
        if not request.startswith("-----BEGIN"):
            raise NoV2gCertificate("no request")
        return f"a chain for {identity}, {is_iso_20}"


@pytest.mark.parametrize(("protocol", "kind"), [
    ("ocpp2.0.1", "V2GCertificate"), ("ocpp2.1", "V2G20Certificate"),
])  # fmt: skip
def test_a_certificate_for_vehicles_is_signed_by_the_service_that_is_named(
    bed: Bed, gate, settings, protocol: str, kind: str
):
    settings.V2G_SIGNER = f"{__name__}.Signer"
    v2g_signer.cache_clear()
    row = make_charger()
    charger = bed.charger(row, protocol)
    charger.come_online()
    charger.will_answer("CertificateSigned", {"status": "Accepted"})
    asked = {"csr": OwnCertificate().request("SECC"), "certificateType": kind}

    answers = [charger.ask("SignCertificate", {**asked, "csr": csr}) for csr in (asked["csr"], "no", "break")]

    v2g_signer.cache_clear()
    assert [answer["status"] for answer in answers] == ["Accepted", "Rejected", "Rejected"]
    told = charger.heard("CertificateSigned")
    assert told["certificateType"] == kind
    assert told["certificateChain"] == f"a chain for {row.identity}, {kind == 'V2G20Certificate'}"


@pytest.mark.parametrize("protocol", ALL)
def test_a_request_that_does_not_hold_or_is_for_vehicles_is_rejected(bed: Bed, secure, protocol: str):
    row = make_charger()
    charger = secure(row, protocol)
    charger.come_online()

    assert charger.ask_certificate("Somebody else") == {"status": "Rejected"}
    assert charger.ask("SignCertificate", {"csr": "nonsense"}) == {"status": "Rejected"}
    if protocol != "ocpp1.6":
        csr = OwnCertificate().request(row.identity)
        asked = {"csr": csr, "certificateType": "V2GCertificate"}
        assert charger.ask("SignCertificate", asked) == {"status": "Rejected"}
    assert not row.certificates.exists()
    told = {"type": "TamperDetectionActivated", "timestamp": "2030-01-15T08:00:00Z", "techInfo": "door"}
    assert charger.ask("SecurityEventNotification", told) == {}
    assert SecurityEvent.objects.get().kind == "TamperDetectionActivated"


def test_what_a_request_must_be():
    private = OwnCertificate()
    good = private.request("CP-1", "Ladepark")

    assert read_request(good, identity="cp-1", organisations={"LADEPARK"})
    for csr, identity, why in (
        (good, "CP-2", "common name"),
        ("", "CP-1", "no certificate signing request"),
        (good.replace("A", "B", 3), "CP-1", "certificate signing request|signature"),
    ):
        with pytest.raises(InvalidRequestError, match=why):
            read_request(csr, identity=identity, organisations={"Ladepark"})
    with pytest.raises(InvalidRequestError, match="organisation"):
        read_request(good, identity="CP-1", organisations={"Nordfracht"})


def test_a_request_of_any_bytes_is_refused_and_breaks_nothing():
    """Signed by its own key: many parts of a request are read only when they are looked at."""
    key = ec.generate_private_key(ec.SECP256R1())
    names = [
        (NameOID.COMMON_NAME, "CP-1"),
        (NameOID.ORGANIZATION_NAME, "Ladepark"),
        (NameOID.COUNTRY_NAME, "DE"),
    ]
    subject = x509.Name([x509.NameAttribute(oid, value) for oid, value in names])
    good = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, SHA256())
    chance = random.Random(8)
    refused = 0
    for _ in range(1500):
        asked = bytearray(good.tbs_certrequest_bytes)
        asked[chance.randrange(len(asked))] = chance.choice([0, 3, 12, 19, 30, 255, chance.randrange(256)])
        try:
            read_request(_signed(bytes(asked), key), identity="CP-1", organisations={"Ladepark"})
        except InvalidRequestError:
            refused += 1

    assert 1000 < refused < 1500


def test_an_identity_that_no_certificate_can_name_is_refused_one(monkeypatch):
    identity = "é" * 48
    monkeypatch.setattr(certificate_authority, "common_name", lambda subject: identity)

    with pytest.raises(InvalidRequestError, match="too long"):
        read_request(OwnCertificate().request("x"), identity=identity, organisations=set())
    assert new_root("日" * 64, now=NOW).certificate


def _signed(asked: bytes, key: ec.EllipticCurvePrivateKey) -> str:
    """A certificate signing request around what is asked (RFC 2986)."""
    signature = key.sign(asked, ec.ECDSA(SHA256()))
    ecdsa_with_sha256 = bytes.fromhex("300a06082a8648ce3d040302")
    content = asked + ecdsa_with_sha256 + b"\x03" + bytes([len(signature) + 1, 0]) + signature
    length = len(content).to_bytes(2) if len(content) > 255 else bytes([len(content)])
    whole = b"\x30" + bytes([0x80 + len(length)]) + length + content
    begin, end = (f"-----{word} CERTIFICATE REQUEST-----\n" for word in ("BEGIN", "END"))
    return begin + base64.encodebytes(whole).decode() + end


@pytest.mark.django_db
def test_of_two_certificates_of_one_second_the_unused_one_still_opens():
    charger = make_charger()
    certificates = [_seen(number) for number in ("A", "B")]
    for each in certificates:
        ChargerCertificate.objects.create(
            charger=charger, issuer=each.issuer, issuer_name="", serial_number=each.serial_number,
            not_before=each.not_before, not_after=each.not_after, state="issued", issued_at=NOW,
        )  # fmt: skip

    answers = [
        accept_certificate(charger_id=charger.pk, certificate=certificates[which], now=NOW)
        for which in (0, 1, 1, 0)
    ]

    assert answers == ["", "", "", "replaced"]


def _seen(serial_number: str) -> ClientCertificate:
    return ClientCertificate("CP-1", "ab" * 32, "", serial_number, NOW, NOW + timedelta(days=365))


@pytest.mark.django_db
def test_the_authoritys_key_is_kept_encrypted_and_a_charger_that_asks_all_the_time_is_not_given_all():
    [shown] = run("charger_ca", "create")
    assert shown["certificates"] == 0
    kept = CertificateAuthority.objects.get()
    assert "PRIVATE" not in kept.key
    assert "PRIVATE KEY" in decrypt(kept.key)
    charger = make_charger()
    answers = [
        sign_request(charger_id=charger.pk, csr=OwnCertificate().request(charger.identity), now=NOW)
        for _ in range(MOST_A_DAY + 1)
    ]
    assert [answer.is_accepted for answer in answers] == [True] * MOST_A_DAY + [False]
    assert "No charger has come" in refusal("charger_ca", "revoke", "AB")


@pytest.mark.django_db
def test_security_events_are_a_row_a_kind_however_often_and_told_twice_are_one(monkeypatch):
    monkeypatch.setattr(security_events, "MOST_KINDS", 2)
    charger = make_charger()

    for kind, minute in (("X", 0), ("Y", 1), ("Z", 2), ("Y", 3), ("Y", 3), ("Y", 4), ("X", 5)):
        at = NOW + timedelta(minutes=minute)
        record_security_event(charger_id=charger.pk, kind=kind, info="", at=at, now=at)

    kept = charger.security_events.order_by("at").values_list("kind", "at", "count")
    assert list(kept) == [("Y", NOW + timedelta(minutes=4), 3), ("X", NOW + timedelta(minutes=5), 1)]


@pytest.mark.django_db
def test_an_event_of_a_clock_that_is_wrong_hides_none_that_comes_later(monkeypatch):
    monkeypatch.setattr(security_events, "MOST_KINDS", 3)
    charger = make_charger()

    for year in (2099, 2098, 2097, 2030):
        at = NOW.replace(year=year)
        record_security_event(charger_id=charger.pk, kind=str(year), info="", at=at, now=NOW)

    shown = [event.kind for event in security(charger, NOW)["security_events"]]
    assert shown == ["2030", "2097", "2098"]
