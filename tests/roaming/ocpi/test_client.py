"""Calls to partners: what counts as yes, what is logged, and which addresses are never called."""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import json
import socket
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from depots import url_guard
from depots.http_connection import HttpConnection
from roaming.ocpi import client, logged_text
from roaming.ocpi.call_failures import Refused, Unreachable
from roaming.ocpi.client import Answer, Exchange, Http, Peer, Target
from tests.roaming.peers import Asked, Reply, ScriptedPeer, envelope

PEER = Peer("secret-token", from_party=("DE", "NFR"), to_party=("FR", "SIM"))


@pytest.fixture(autouse=True)
def _private_partners(settings: Any) -> None:
    settings.BERTH_ALLOW_PRIVATE_PARTNERS = True


def converse(conversation: Callable[[Http], Awaitable[Any]]) -> tuple[Any, list[Exchange]]:
    said: list[Exchange] = []
    return client.in_thread(conversation, said.append), said


def fetch(url: str, **options: Any) -> Any:
    return converse(lambda http: http.call(PEER, "GET", url, **options))[0]


def test_the_token_travels_as_base64_without_a_line_break() -> None:
    """Checklist 12."""
    with ScriptedPeer() as peer:
        fetch(peer.url)

    scheme, encoded = peer.asked[0].headers["authorization"].split(" ")
    assert scheme == "Token"
    assert base64.b64decode(encoded, validate=True) == b"secret-token"


def test_a_name_is_looked_up_and_its_certificate_checked_as_the_url_spells_it() -> None:
    """Decoded, "straße" would be encoded again by the older rules, and lead to the "strasse" of somebody else."""
    assert Target.of("https://xn--strae-oqa.example/ocpi").origin.host == "xn--strae-oqa.example"


def test_a_partner_that_wants_raw_tokens_gets_them() -> None:
    with ScriptedPeer() as peer:
        converse(lambda http: http.call(Peer("abc", sends_raw_token=True), "GET", peer.url))

    assert peer.asked[0].headers["authorization"] == "Token abc"


def test_routing_headers_and_message_ids_are_sent_and_logged() -> None:
    with ScriptedPeer() as peer:
        _, said = converse(lambda http: http.call(PEER, "PUT", peer.url, body={"a": 1}))

    headers = peer.asked[0].headers
    assert headers["ocpi-from-country-code"] + headers["ocpi-from-party-id"] == "DENFR"
    assert headers["ocpi-to-country-code"] + headers["ocpi-to-party-id"] == "FRSIM"
    assert headers["content-type"] == "application/json"
    assert said[0].request_id == headers["x-request-id"]
    assert said[0].correlation_id == headers["x-correlation-id"]
    assert (said[0].http_status, said[0].error) == (200, "")


def test_configuration_modules_carry_no_routing_headers() -> None:
    with ScriptedPeer() as peer:
        converse(lambda http: http.call(Peer("abc"), "GET", peer.url))

    assert not [name for name in peer.asked[0].headers if name.startswith("ocpi-")]


@pytest.mark.parametrize("status_code", [1000, 1900, "1000"])
def test_yes_is_http_2xx_and_ocpi_1xxx(status_code: Any) -> None:
    with ScriptedPeer(lambda asked: envelope([1], status_code=status_code, status=201)) as peer:
        answer = fetch(peer.url)

    assert (answer.data, answer.http_status) == ([1], 201)


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (envelope(status_code=2001, message="no period"), "2001: no period"),
        (envelope(status_code=3000, status=200), "3000: without a reason"),
        (envelope(status_code=1000, status=500), "1000"),
        (Reply(status=404, body=b"<html>not here</html>"), "HTTP 404"),
        (Reply(status=302, body=b"", headers={"Location": "http://127.0.0.1:1/elsewhere"}), "HTTP 302"),
    ],
)
def test_anything_else_that_can_be_read_is_a_no(reply: Reply, said: str) -> None:
    with ScriptedPeer(lambda asked: reply) as peer, pytest.raises(Refused, match=said):
        fetch(peer.url)

    assert len(peer.asked) == 1, "a redirect is not followed"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"{",
        b'"1000"',
        b'{"data": []}',
        b'{"status_code": true}',
        b'{"status_code": 1e3}',
        b"[" * 100_000,
        b'{"status_code": ' + b"9" * 5000 + b"}",
        b"\xff\xfe\x00",
        b'{"status_code": 1000, "data": NaN}',
        b'{"status_code": 1000, "data": 1e999}',
    ],
)
def test_garbage_is_neither_yes_nor_no(body: bytes) -> None:
    with ScriptedPeer(lambda asked: Reply(body=body)) as peer, pytest.raises(Unreachable) as failure:
        fetch(peer.url)

    assert failure.value.maybe_received


@pytest.mark.parametrize("reason", [b"\\ud800 full\\u0000", b"\xed\xa0\x80 full"])
def test_what_a_partner_says_can_be_written_down(reason: bytes) -> None:
    body = b'{"status_code": 2001, "status_message": "%b", "data": {"%b": ["%b"]}}' % (reason, reason, reason)

    with ScriptedPeer(lambda asked: Reply(body=body)) as peer, pytest.raises(Refused) as refusal:
        fetch(peer.url)

    assert refusal.value.message.endswith(" full")
    for said in [str(refusal.value), json.dumps(refusal.value.data, ensure_ascii=False)]:
        assert b"\x00" not in said.encode()


def test_a_huge_answer_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "MAX_ANSWER", 50_000)
    with (
        ScriptedPeer(lambda asked: envelope("x" * 200_000)) as peer,
        pytest.raises(Unreachable, match="longer than"),
    ):
        fetch(peer.url)


def test_a_partner_that_is_not_there_got_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]

    with pytest.raises(Unreachable) as failure:
        fetch(f"http://127.0.0.1:{port}")

    assert not failure.value.maybe_received


def test_what_never_went_out_got_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """A place without a name, a name nobody can look up, addresses that take until the end, a connection that is gone."""
    monkeypatch.setattr(client, "CONNECT_TIMEOUT_S", 0.1)
    failures = []

    def try_to_reach(url: str, **options: Any) -> None:
        with pytest.raises(Unreachable) as failure:
            fetch(url, **options)
        failures.append((failure.value.maybe_received, failure.value.public))

    try_to_reach("http://127.0.0.1:x")
    try_to_reach(f"http://{'a' * 64}.example")
    with socket.create_server(("0.0.0.0", 0)) as silent:
        port = silent.getsockname()[1]
        addresses = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"127.0.0.{n}", port)) for n in range(1, 5)]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: addresses)
        try_to_reach(f"https://partner.example:{port}", time_limit_s=0.05)
    monkeypatch.setattr(url_guard, "connect", _gone_at_once)
    try_to_reach("http://partner.example")

    assert failures == [(False, client.NO_CONNECTION)] * 4


async def _gone_at_once(protocol: Callable[[], HttpConnection], *_: Any, **__: Any) -> HttpConnection:
    return protocol()


def test_a_partner_that_hangs_up_or_hangs_may_have_got_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedPeer(lambda asked: Reply(cut=True)) as peer, pytest.raises(Unreachable) as failure:
        fetch(peer.url)
    assert failure.value.maybe_received

    monkeypatch.setattr(client, "CONNECT_TIMEOUT_S", 0.1)
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        pytest.raises(Unreachable, match="in time") as failure,
    ):
        fetch(f"http://127.0.0.1:{silent.getsockname()[1]}", time_limit_s=0.1)
    assert failure.value.maybe_received


def test_the_log_holds_no_token_and_no_more_than_fits() -> None:
    credentials = {"token": "very-secret", "roles": [], "tokens": [{"uid": "04AA"}], "long": "x" * 50_000}
    with ScriptedPeer(lambda asked: envelope({"token": "also-secret"})) as peer:
        _, said = converse(lambda http: http.call(PEER, "POST", peer.url, body=credentials))

    assert peer.asked[0].body["token"] == "very-secret"
    assert "secret" not in said[0].request_body + said[0].response_body
    assert "04AA" in said[0].request_body
    assert len(said[0].request_body) == 20_000


def test_a_token_that_the_partner_quotes_is_not_passed_on() -> None:
    def answer(asked: Asked) -> Reply:
        spelled = asked.headers["authorization"].removeprefix("Token ")
        return envelope(status_code=2000, message=f"unknown token our-token or {spelled}", status=401)

    with ScriptedPeer(answer) as server:
        said: list[Exchange] = []
        with pytest.raises(Refused) as failure:
            client.in_thread(lambda http: http.call(Peer("our-token"), "GET", server.url), said.append)

    assert str(failure.value) == "2000: unknown token … or …"
    assert "our-token" not in said[0].response_body + said[0].error


def test_pages_are_followed_as_linked_and_to_the_end() -> None:
    """Checklist 22."""

    def answer(asked: Asked) -> Reply:
        offset = int(asked.query.get("offset", 0))
        link = (
            {"Link": f'<{peer.url}/list?offset={offset + 2}&date_from=x>; rel="next"'} if offset < 4 else {}
        )
        return envelope([offset, offset + 1], headers=link)

    async def crawl(http: Http) -> list[Any]:
        return [
            item async for page in http.pages(PEER, f"{peer.url}/list", {"date_from": "x"}) for item in page
        ]

    with ScriptedPeer(answer) as peer:
        found, _ = converse(crawl)

    assert found == [0, 1, 2, 3, 4, 5]
    assert all(asked.query["date_from"] == "x" for asked in peer.asked)


@pytest.mark.parametrize(
    "link",
    [
        '<https://elsewhere.example/list?offset=2>; rel="next"',
        '<http://127.0.0.1:1/list>; rel="next"',
        '</list>; rel="next"',
    ],
)
def test_pages_stay_on_the_host_and_come_to_an_end(link: str) -> None:
    """Checklist 22."""

    async def crawl(http: Http) -> list[Any]:
        return [page async for page in http.pages(PEER, f"{peer.url}/list")]

    with (
        ScriptedPeer(lambda asked: envelope([1], headers={"Link": link})) as peer,
        pytest.raises(Unreachable),
    ):
        converse(crawl)

    assert len(peer.asked) == 1


def test_pages_that_are_always_new_come_to_an_end_by_what_they_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "MAX_LISTED", 5)

    def answer(asked: Asked) -> Reply:
        offset = int(asked.query.get("offset", 0))
        return envelope([offset, offset + 1], headers={"Link": f'</list?offset={offset + 2}>; rel="next"'})

    async def crawl(http: Http) -> None:
        async for page in http.pages(PEER, f"{peer.url}/list"):
            assert len(page) == 2

    with ScriptedPeer(answer) as peer, pytest.raises(Unreachable, match="do not come to an end"):
        converse(crawl)

    assert len(peer.asked) == 3


def test_a_relative_link_among_others_is_followed() -> None:
    def answer(asked: Asked) -> Reply:
        link = '<first>; rel="first", <list?offset=1>; rel="next"'
        return envelope([asked.query], headers={} if asked.query else {"link": link})

    async def crawl(http: Http) -> list[Any]:
        return [page async for page in http.pages(PEER, f"{peer.url}/ocpi/list")]

    with ScriptedPeer(answer) as peer:
        assert converse(crawl)[0] == [[{}], [{"offset": "1"}]]


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
        "255.255.255.255", "::1", "::", "fe80::1", "fc00::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
        "64:ff9b::7f00:1", "2002:7f00:1::", "2001:db8::1", "240.0.0.1",
    ],
)  # fmt: skip
def test_private_addresses_are_never_called(address: str, settings: Any) -> None:
    settings.BERTH_ALLOW_PRIVATE_PARTNERS = False

    with pytest.raises(url_guard.HostileAddress):
        url_guard.check_address(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_public_addresses_are(address: str, settings: Any) -> None:
    settings.BERTH_ALLOW_PRIVATE_PARTNERS = False

    url_guard.check_address(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "url",
    [
        "http://partner.example/ocpi",  # no TLS
        "https://127.0.0.1/ocpi",
        "https://[::1]/ocpi",
        "https://user@partner.example/ocpi",
        "https:///ocpi",
        "file:///etc/passwd",
        "gopher://partner.example/",
        "https://partner.example:0/",
        "https://partner.example:99999/",
        "https://partner.example/" + "a" * 300,
        "https://partner.example/a b",
        "https://partnér.example/",
        "https://[bad",
        "",
    ],
)
def test_urls_that_are_not_called(url: str, settings: Any) -> None:
    settings.BERTH_ALLOW_PRIVATE_PARTNERS = False

    with pytest.raises(url_guard.HostileAddress):
        url_guard.check_url(url)


def test_a_name_that_leads_home_is_refused_where_it_is_connected_to(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check is made on the address that is connected to, so no later answer of a name server can differ."""
    settings.BERTH_ALLOW_PRIVATE_PARTNERS = False
    asked = []

    def rebound(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, port)) for a in ("8.8.8.8", "127.0.0.1")]

    monkeypatch.setattr(socket, "getaddrinfo", rebound)

    with pytest.raises(Unreachable, match="private address") as failure:
        fetch("https://partner.example/ocpi")

    assert asked == ["partner.example"]
    assert not failure.value.maybe_received


def test_names_that_hang_keep_nobody_else_from_being_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as several partners have messages under way at once, each for a name of its own."""
    over = threading.Event()

    def look_up(host: str, port: int, **_: Any) -> list[Any]:
        if host.startswith("hangs"):
            over.wait(60)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("8.8.8.8", port))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)

    async def ask() -> list[Any]:
        hanging = [asyncio.ensure_future(url_guard.resolve(f"hangs{n}.example", 443)) for n in range(32)]
        await asyncio.sleep(0)
        async with asyncio.timeout(30):
            found = await url_guard.resolve("partner.example", 443)
        over.set()
        await asyncio.gather(*hanging)
        return found

    assert [str(address) for address in asyncio.run(ask())] == ["8.8.8.8"]


def test_numbers_in_odd_notations_are_resolved_and_checked(settings: Any) -> None:
    settings.BERTH_ALLOW_PRIVATE_PARTNERS = False

    for host in ("2130706433", "0x7f000001", "127.1", "localhost"):
        with pytest.raises(Unreachable):
            fetch(f"https://{host}/")


def test_joined_urls_do_not_care_about_slashes_and_escape_ids() -> None:
    assert client.joined("https://p.example/b/", "DE", "a/b?c") == "https://p.example/b/DE/a%2Fb%3Fc"
    assert client.joined("https://p.example/b", "x") == "https://p.example/b/x"


def test_many_calls_share_a_loop() -> None:
    async def many(http: Http) -> list[Any]:
        calls = (http.call(PEER, "GET", f"{peer.url}/{n}") for n in range(30))
        return [json.dumps(answer.data) for answer in await asyncio.gather(*calls)]

    with ScriptedPeer(lambda asked: envelope(asked.path)) as peer:
        found, said = converse(many)

    assert found == [f'"/{n}"' for n in range(30)]
    assert len(said) == 30


def test_a_long_answer_is_parsed_beside_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: dict[int, bool] = {}
    parse = client._read

    def watched(status: int, headers: Any, content: bytes) -> Answer:
        threads[len(content) > client.PARSED_AT_ONCE] = threading.current_thread() is threading.main_thread()
        return parse(status, headers, content)

    monkeypatch.setattr(client, "_read", watched)
    with ScriptedPeer(lambda asked: envelope("x" * (100_000 if "long" in asked.path else 10))) as peer:
        fetch(f"{peer.url}/short")
        fetch(f"{peer.url}/long")

    assert threads == {False: True, True: False}


def test_of_a_long_answer_only_the_beginning_is_logged_and_looked_at() -> None:
    body = json.dumps({"data": [{"token": "very-secret", "x": "y" * 100}] * 50_000}).encode()

    text = logged_text.logged(body)

    assert len(text) <= logged_text.LOGGED
    assert "secret" not in text


@pytest.mark.parametrize("cut", range(1, 30))
def test_a_token_that_the_log_cuts_in_two_is_blotted_out_too(cut: int) -> None:
    secret = '"token": "0123456789"'

    assert not set("0123456789") & set(
        logged_text.logged(("x" * (logged_text.LOGGED - cut) + secret).encode())
    )


def test_a_page_may_be_longer_than_another_answer() -> None:
    with ScriptedPeer(lambda asked: envelope(["x" * (client.MAX_ANSWER + 1)])) as peer:
        pages, _ = converse(lambda http: _all(http.pages(PEER, peer.url)))
        with pytest.raises(Unreachable, match="longer than 1 MiB"):
            fetch(peer.url)

    assert len(pages[0][0]) == client.MAX_ANSWER + 1


async def _all(pages: Any) -> list[Any]:
    return [page async for page in pages]
