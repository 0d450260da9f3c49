"""Who gets in, and which of two sockets counts."""

import base64
import json
from ipaddress import ip_network
from urllib.request import urlopen

import pytest
from websockets.exceptions import InvalidStatus

from depots import secrets
from depots.models import Charger
from depots.ocpp import credentials
from depots.queries import is_online
from depots.secrets import hash_charger_password
from tests.factories import make_charger, make_evse
from tests.scenarios.bed import Bed, eventually

pytestmark = pytest.mark.usefixtures("gate")


def refusal_of(charger) -> int:
    with pytest.raises(InvalidStatus) as refused:
        charger.connect()
    return refused.value.response.status_code


def test_an_unknown_charger_is_refused_before_the_upgrade(bed: Bed):
    stranger = bed.charger(make_charger())
    stranger.sim.identity = "NOBODY"

    assert refusal_of(stranger) == 401


@pytest.mark.parametrize(
    "path", ["/", "/ocpp", "/ocpp/", "/ocpp/a/b", "/other/CP", f"/ocpp/{'x' * 49}", "//[/ocpp/x"]
)
def test_other_addresses_are_not_chargers(bed: Bed, path: str):
    charger = bed.charger(make_charger())
    charger.sim.url = bed.gateway.url.removesuffix("/ocpp") + path.rpartition("/")[0]
    charger.sim.identity = path.rpartition("/")[2]

    assert refusal_of(charger) == 404


def test_no_identity_has_a_nul_in_it():
    assert credentials.identity_in("/ocpp/%00") is None
    assert credentials.identity_in("/ocpp/CP%201/?x=1") == "CP 1"


def test_a_monitor_can_ask_whether_the_gateway_lives(bed: Bed):
    address = bed.gateway.url.replace("ws://", "http://").removesuffix("/ocpp")

    assert urlopen(f"{address}/healthz", timeout=10).read() == b"ok\n"


def test_a_wrong_password_is_refused(bed: Bed):
    charger = bed.charger(make_charger(), password="wrong")

    assert refusal_of(charger) == 401


def test_the_user_name_must_be_the_identity(bed: Bed):
    row, other = make_charger(), make_charger()
    charger = bed.charger(row)
    other.password_salt, other.password_hash = row.password_salt, row.password_hash
    other.save()
    credentials = base64.b64encode(f"{other.identity}:{charger.password}".encode()).decode()

    status = bed.loop.run(_status_with(f"{bed.gateway.url}/{row.identity}", f"Basic {credentials}"))

    assert status == 401


@pytest.mark.parametrize(
    "header", ["", "Basic", "Basic !!!", "Bearer abc", "Basic " + base64.b64encode(b"x").decode()]
)
def test_credentials_that_cannot_be_read_are_refused(bed: Bed, header: str):
    row = make_charger()
    bed.charger(row)

    assert bed.loop.run(_status_with(f"{bed.gateway.url}/{row.identity}", header)) == 401


def test_two_headers_of_credentials_are_none(bed: Bed):
    charger = bed.charger(make_charger())
    right = base64.b64encode(f"{charger.sim.identity}:{charger.password}".encode()).decode()
    twice = [("Authorization", f"Basic {right}"), ("Authorization", f"Basic {right}")]

    assert bed.loop.run(_status_of(f"{bed.gateway.url}/{charger.sim.identity}", twice)) == 401


def test_a_password_may_be_bytes_that_are_not_text(bed: Bed):
    salt, hashed = hash_charger_password(b"\xff\xfe\x00:\x80")
    row = make_charger(password_salt=salt, password_hash=hashed)
    credentials = base64.b64encode(row.identity.encode() + b":\xff\xfe\x00:\x80").decode()

    assert bed.loop.run(_status_with(f"{bed.gateway.url}/{row.identity}", f"Basic {credentials}")) == 101


def test_a_password_under_an_older_storage_key_moves_under_the_newest_as_the_charger_connects(
    bed: Bed, settings
):
    new, old = "n" * 50, "o" * 50
    settings.BERTH_STORAGE_KEYS = [old]
    row = make_charger()
    charger = bed.charger(row)
    settings.BERTH_STORAGE_KEYS = [new, old]

    charger.connect()

    row.refresh_from_db()
    settings.BERTH_STORAGE_KEYS = [new]
    assert secrets.is_under_newest_key(row.password_salt)
    assert secrets.charger_password_matches(
        charger.password, salt=row.password_salt, hashed=row.password_hash
    )


def test_guessing_is_throttled_and_the_right_password_never(bed: Bed):
    row, other = make_charger(), make_charger()
    guesser = bed.charger(row, password="wrong")
    statuses = [refusal_of(guesser) for _ in range(11)]

    assert statuses == [401] * 10 + [429]

    bed.charger(other).connect()
    bed.charger(row).connect()
    assert refusal_of(guesser) == 429
    bed.clock.advance(seconds=61)
    assert refusal_of(guesser) == 401


def test_identities_that_exist_and_those_that_do_not_are_answered_alike(bed: Bed):
    row = make_charger()
    known = bed.charger(row, password="wrong")
    unknown = bed.charger(make_charger(), password="wrong")
    unknown.sim.identity = "NOBODY"

    answers = []
    for charger in (known, unknown):
        with pytest.raises(InvalidStatus) as refused:
            charger.connect()
        response = refused.value.response
        headers = {name: value for name, value in response.headers.raw_items() if name != "Date"}
        answers.append((response.status_code, headers, response.body))
        assert [refusal_of(charger) for _ in range(10)] == [401] * 9 + [429]

    assert answers[0] == answers[1]


def test_an_unknown_identity_takes_as_much_work_as_a_known_one(bed: Bed, monkeypatch):
    worked: list[str] = []
    matches = secrets.charger_password_matches

    def work(password: bytes, *, salt: str, hashed: str) -> bool:
        worked.append(salt)
        return matches(password, salt=salt, hashed=hashed)

    monkeypatch.setattr(credentials.secrets, "charger_password_matches", work)
    known, unknown = (bed.charger(make_charger(), password="wrong") for _ in range(2))
    unknown.sim.identity = "NOBODY"

    refusal_of(known)
    refusal_of(unknown)

    assert [len(salt) for salt in worked] == [32, 32] * 2


def test_behind_a_trusted_proxy_each_address_has_its_own_tries(bed: Bed, settings):
    row = make_charger()
    bed.charger(row)
    credentials = base64.b64encode(f"{row.identity}:wrong".encode()).decode()

    def guess(forwarded_for: str) -> int:
        headers = {"Authorization": f"Basic {credentials}", "X-Forwarded-For": forwarded_for}
        return bed.loop.run(_status_of(f"{bed.gateway.url}/{row.identity}", headers))

    assert [guess(f"198.51.100.{number}") for number in range(11)][-1] == 429
    bed.clock.advance(seconds=61)
    settings.BERTH_TRUSTED_PROXIES = [ip_network("127.0.0.1")]
    assert {guess(f"198.51.100.{number}") for number in range(11)} == {401}
    assert [guess("192.0.2.1, 198.51.100.50") for _ in range(11)][-1] == 429
    assert [guess(f"2001:db8::{number}") for number in range(11)][-1] == 429


def test_an_identity_is_found_without_regard_to_case_and_percent_encoding(bed: Bed):
    row = make_charger(identity="Bay 1 (north)")
    charger = bed.charger(row)
    charger.sim.identity = charger.identity.upper()

    charger.connect()

    eventually(lambda: is_online(Charger.objects.get(pk=row.pk), now=bed.clock()))


def test_a_charger_that_offers_no_protocol_we_speak_is_refused(bed: Bed):
    charger = bed.charger(make_charger())
    charger.sim.protocol = "ocpp1.5"

    assert refusal_of(charger) == 400


@pytest.mark.parametrize("protocol", ["ocpp1.6", "ocpp2.0.1", "ocpp2.1"])
def test_a_charger_is_online_while_its_socket_is_open(bed: Bed, protocol: str):
    row = make_charger()
    charger = bed.charger(row, protocol)

    charger.come_online()

    row.refresh_from_db()
    assert is_online(row, now=bed.clock())
    assert (row.spoken_protocol, row.vendor) == (protocol, "Berth")
    charger.disconnect()
    eventually(lambda: not is_online(Charger.objects.get(pk=row.pk), now=bed.clock()))


def test_the_newest_socket_wins_and_the_old_ones_end_does_not_take_it_offline(bed: Bed):
    row = make_charger()
    old, new = bed.charger(row), bed.charger(row)
    old.come_online()

    new.come_online()

    assert old.closed() == "replaced by a newer connection"
    eventually(lambda: len(bed.gateway._servers[0].connections) == 1)
    assert is_online(Charger.objects.get(pk=row.pk), now=bed.clock())
    assert new.heartbeat()["currentTime"] == "2030-01-15T08:00:00.000Z"


def test_a_socket_at_another_gateway_wins_as_well(bed: Bed):
    row = make_charger()
    other = bed.start_gateway()
    old, new = bed.charger(row), bed.charger(row, gateway=other)
    old.come_online()

    new.come_online()

    assert old.closed() == "replaced by a newer connection"
    eventually(lambda: not bed.gateway.connections)
    row.refresh_from_db()
    assert row.lease_holder.startswith(other.name)
    bed.stop_gateway(other)


def test_a_killed_gateways_chargers_are_offline_when_its_leases_run_out(bed: Bed):
    row = make_charger()
    bed.charger(row).come_online()
    bed.kill_gateway()
    assert is_online(Charger.objects.get(pk=row.pk), now=bed.clock())

    bed.clock.advance(seconds=46)
    bed.restart_gateway(lease_s=0.1)

    eventually(lambda: Charger.objects.get(pk=row.pk).lease_holder == "")


def test_a_lease_is_renewed_as_long_as_the_socket_lives(bed: Bed):
    row = make_charger()
    bed.stop_gateway()
    bed.restart_gateway(lease_s=0.3)
    bed.charger(row).come_online()

    bed.clock.advance(minutes=10)

    eventually(lambda: is_online(Charger.objects.get(pk=row.pk), now=bed.clock()))


def test_a_charger_that_is_silent_in_every_way_is_let_go(bed: Bed):
    row = make_charger()
    bed.stop_gateway()
    bed.restart_gateway(lease_s=0.1, heartbeat_s=0)
    charger = bed.charger(row)

    charger.connect()

    assert charger.closed() == "nothing was heard for too long"


def test_a_stopped_gateway_says_good_bye_and_leaves_nobody_online(bed: Bed):
    row = make_charger()
    make_evse(charger=row)
    charger = bed.charger(row)
    charger.come_online()

    bed.stop_gateway()

    assert charger.closed() == "the gateway stops"
    assert not is_online(Charger.objects.get(pk=row.pk), now=bed.clock())
    bed.restart_gateway()


async def _status_with(url: str, authorization: str) -> int:
    """The status of a handshake with this Authorization header."""
    return await _status_of(url, {"Authorization": authorization} if authorization else {})


async def _status_of(url: str, headers: dict[str, str] | list[tuple[str, str]]) -> int:
    from websockets.asyncio.client import connect

    try:
        async with connect(url, subprotocols=["ocpp1.6"], additional_headers=headers) as socket:
            await socket.send(json.dumps([2, "1", "Heartbeat", {}]))
            await socket.recv()
            return 101
    except InvalidStatus as refused:
        return refused.response.status_code
