"""What a charger has to show before it is let in, over real TLS."""

from __future__ import annotations

import asyncio
import base64
import shutil
import socket
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from urllib.parse import quote

import pytest
from cryptography import x509
from django.urls import reverse
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidHandshake, InvalidStatus

from bookings.pages.charger_security import handshake_words
from depots.models import Charger, ChargerCertificate, FailedHandshake, Membership, RefusedConnection
from depots.ocpp.tls import ServerTls, TlsFiles
from depots.operations.charger_certificates import revoke_certificate
from tests.bookings.people import client_of
from tests.factories import make_charger, make_depot, make_evse, make_operator, make_user
from tests.scenarios.authority import KeyPair, client, issue
from tests.scenarios.bed import PASSWORD, Bed, ScriptedCharger, eventually

pytestmark = pytest.mark.usefixtures("gate")

ALL = ("ocpp1.6", "ocpp2.0.1", "ocpp2.1")


@dataclass
class Site:
    """A gateway that listens with and without TLS, and the authority that certificates are of."""

    bed: Bed
    folder: Path
    authority: KeyPair
    server: KeyPair
    tls: ServerTls

    def own(self, name: str, **terms) -> KeyPair:
        return issue(self.folder, name, by=self.authority, **terms)

    def charger(
        self,
        row: Charger,
        protocol: str = "ocpp1.6",
        *,
        secure: bool = True,
        shows: KeyPair | None = None,
        password: str = PASSWORD,
    ) -> ScriptedCharger:
        made = self.bed.charger(row, protocol, password=password, tls=client(self.authority, shows))
        if secure:
            port = self.bed.gateway.tls_port
            made.sim.url = f"wss://127.0.0.1:{port}/ocpp"
        return made


@pytest.fixture(scope="module")
def papers(tmp_path_factory) -> tuple[Path, KeyPair, KeyPair]:
    folder = tmp_path_factory.mktemp("papers")
    authority = issue(folder, "Authority")
    return folder, authority, issue(folder, "localhost", by=authority)


@pytest.fixture
def site(bed: Bed, papers) -> Site:
    folder, authority, server = papers
    bed.clock.now = datetime.now(UTC)  # TLS goes by the real clock
    tls = ServerTls(TlsFiles(server.certificate, server.key, authority.certificate))
    bed.stop_gateway()
    bed.gateway = bed.start_gateway(tls=tls, tls_listener=socket.create_server(("127.0.0.1", 0)))
    return Site(bed, folder, authority, server, tls)


def refused(charger: ScriptedCharger) -> tuple[int, str]:
    """(status, sentence)"""
    with pytest.raises(InvalidStatus) as refusal:
        charger.connect()
    response = refusal.value.response
    return response.status_code, (response.body or b"").decode().strip()


def reason_of(row: Charger) -> str:
    return eventually(lambda: RefusedConnection.objects.filter(identity__iexact=row.identity).first()).reason


@pytest.mark.parametrize("protocol", ALL)
def test_a_charger_shows_what_its_profile_asks_for_or_more(site: Site, protocol: str):
    one, two, three = (make_charger(security_profile=profile) for profile in (1, 2, 3))
    paper, unneeded = site.own(three.identity), site.own(one.identity)

    site.charger(one, protocol, secure=False).come_online()
    site.charger(one, protocol).come_online()
    site.charger(one, protocol, shows=unneeded, password="").come_online()
    site.charger(two, protocol).come_online()
    site.charger(three, protocol, shows=paper, password="").come_online()

    certificate = three.certificates.get()
    assert (certificate.state, certificate.first_used_at) == ("current", site.bed.clock())
    assert refused(site.charger(two, protocol, secure=False)) == (403, RefusedConnection.Reason.NO_TLS.label)
    assert refused(site.charger(three, protocol)) == (403, RefusedConnection.Reason.NO_CERTIFICATE.label)
    assert reason_of(three) == "no_certificate"
    assert reason_of(two) == "no_tls"


def test_nothing_at_all_is_for_ocpp_16_and_the_charger_whose_profile_is_0(site: Site, caplog):
    zero, other = make_charger(security_profile=0), make_charger()

    site.charger(zero, secure=False, password="").come_online()

    assert "WITHOUT ANY PROOF" in caplog.text
    assert refused(site.charger(zero, "ocpp2.0.1", secure=False, password=""))[0] == 401
    assert reason_of(zero) == "not_16"
    assert refused(site.charger(other, secure=False, password=""))[0] == 401


def test_a_certificate_opens_to_its_own_name_until_it_is_revoked_or_replaced(site: Site):
    row, other = make_charger(security_profile=3), make_charger(security_profile=3)
    old, new = site.own(row.identity, days=(-2, 30)), site.own(row.identity)

    stranger = site.charger(other, shows=old, password="wrong")
    assert refused(stranger)[0] == 401
    assert reason_of(other) == "other_name"
    site.charger(row, shows=old, password="").come_online()
    site.charger(row, shows=new, password="").come_online()
    assert refused(site.charger(row, shows=old)) == (403, RefusedConnection.Reason.REPLACED.label)
    revoke_certificate(certificate=row.certificates.get(state="current"), now=site.bed.clock())
    assert refused(site.charger(row, shows=new)) == (403, RefusedConnection.Reason.REVOKED.label)


def test_a_certificate_that_ended_since_tls_looked_at_it_opens_no_more(site: Site):
    row = make_charger(security_profile=3)
    paper = site.own(row.identity, days=(-1, 2))
    held = site.charger(row, shows=paper, password="")
    held.come_online()

    site.bed.clock.now += timedelta(days=3)  # a resumed session is not verified anew

    assert refused(site.charger(row, shows=paper, password="")) == (
        403,
        RefusedConnection.Reason.EXPIRED.label,
    )
    assert reason_of(row) == "expired"


@pytest.mark.parametrize("fault", ["expired", "of another authority"])
def test_tls_itself_refuses_a_certificate_that_does_not_hold(site: Site, caplog, fault: str):
    row = make_charger(security_profile=3)
    if fault == "expired":
        shown = site.own(row.identity, days=(-3, -1))
    else:
        shown = issue(site.folder, row.identity, by=issue(site.folder, "Another"))

    with pytest.raises((OSError, EOFError, InvalidHandshake)):
        site.charger(row, shows=shown).connect()

    failed = eventually(FailedHandshake.objects.first)
    assert (failed.address, failed.tries, failed.first_at) == ("127.0.0.1", 1, site.bed.clock())
    assert failed.reason in {"certificate has expired", "unable to get local issuer certificate"}
    assert failed.reason in caplog.text
    assert not ChargerCertificate.objects.exists()
    make_evse(row.depot)
    manager = client_of(make_user(row.depot.operator, Membership.Role.DEPOT_MANAGER))
    url = reverse("bookings:new_chargers", args=[row.depot.code])
    assert handshake_words(failed.reason) in manager.get(url).content.decode()
    make_depot(make_operator("Another"))
    assert not manager.get(url).context["failed_handshakes"]


def test_another_certificate_of_the_gateway_counts_from_the_next_handshake(site: Site):
    row = make_charger()
    held = site.charger(row)
    held.come_online()
    newer = issue(site.folder, "localhost", by=site.authority)

    for made, used in ((newer.certificate, site.server.certificate), (newer.key, site.server.key)):
        shutil.copy(made, used)
    assert site.tls.reload()

    assert site.bed.loop.run(_served(site)) == newer.x509.serial_number
    assert held.heartbeat()["currentTime"]
    site.server.key.write_text("half a key")
    assert not site.tls.reload()
    assert site.bed.loop.run(_served(site)) == newer.x509.serial_number
    shutil.copy(newer.key, site.server.key)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_old_versions_of_tls_are_refused(site: Site):
    context = client(site.authority).context()
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")

    with (
        socket.create_connection(("127.0.0.1", site.bed.gateway.tls_port)) as plain,
        pytest.raises(ssl.SSLError),
    ):
        context.wrap_socket(plain, server_hostname="127.0.0.1")


def test_a_trusted_proxy_says_that_it_spoke_tls_and_whose_certificate_it_checked(site: Site, settings):
    two, three = make_charger(security_profile=2), make_charger(security_profile=3)
    site.charger(two), site.charger(three)
    paper = site.own(three.identity)
    passed = {
        "X-Forwarded-Proto": "https",
        "X-Client": quote(paper.certificate.read_text()),
    }

    def comes(row: Charger, **headers: str) -> int:
        return site.bed.loop.run(_status(site, row, headers))

    assert [comes(two, **passed), comes(three, **passed)] == [403, 403]
    settings.BERTH_TRUSTED_PROXIES = [ip_network("127.0.0.1")]
    assert [comes(two, **passed), comes(three, **passed)] == [101, 403]
    assert comes(two, **{"X-Forwarded-Proto": "https, http"}) == 403
    settings.BERTH_OCPP_CLIENT_CERT_HEADER = "X-Client"
    assert comes(three, **passed) == 101


async def _served(site: Site) -> int:
    """The serial number of the gateway's certificate."""
    context = client(site.authority).context()
    _, writer = await asyncio.open_connection("127.0.0.1", site.bed.gateway.tls_port, ssl=context)
    shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return x509.load_der_x509_certificate(shown).serial_number


async def _status(site: Site, row: Charger, headers: dict[str, str]) -> int:
    basic = base64.b64encode(f"{row.identity}:{PASSWORD}".encode()).decode()
    url = f"ws://127.0.0.1:{site.bed.gateway.port}/ocpp/{row.identity}"
    try:
        async with connect(
            url, subprotocols=["ocpp1.6"], additional_headers={"Authorization": f"Basic {basic}", **headers}
        ):
            return 101
    except InvalidStatus as refusal:
        return refusal.response.status_code
