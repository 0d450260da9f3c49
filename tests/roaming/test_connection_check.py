"""What the check of a connection finds, in words, over real sockets."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from django.utils import timezone

from roaming.connection_check import Step, check_address, check_partner
from roaming.models import Partner
from roaming.registration import connect
from tests.factories import make_fleet, make_operator
from tests.roaming.partners import authorization
from tests.roaming.peers import Asked, Reply, envelope
from tests.roaming.registering_peer import RegisteringPeer, ask, credentials_url, invite

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def peer(platform: str) -> Iterator[RegisteringPeer]:
    make_operator(cpo_party_id="LPK")
    make_fleet(emsp_party_id="NFE")
    with RegisteringPeer() as running:
        token = invite("ABC", ["EMSP"]).token_a
        ask("POST", credentials_url(token, platform), token, running.credentials)
        running.server.asked.clear()
        running.replies["/credentials/SENDER"] = envelope(running.credentials)
        running.replies["/Booking/SENDER"] = envelope([])
        running.replies["/bookings/RECEIVER/NL/LPK/berth-connection-test"] = envelope(
            status_code=2003, status=404
        )
        yield running


def checked(partner: Partner | None = None) -> dict[str, Step]:
    steps = check_partner(partner or Partner.objects.get(), now=timezone.now())
    return {step.what: step for step in steps}


def test_all_that_a_partner_offers_is_tried(peer: RegisteringPeer) -> None:
    steps = checked()

    assert all(step.is_ok for step in steps.values()), steps
    assert list(steps)[:2] == ["Address", "Versions"]
    assert {"Version", "Version details", "Credentials", "Booking sender", "bookings receiver"} <= set(steps)
    assert {asked.method for asked in peer.server.asked} == {"GET"}, "nothing is changed there"
    sender = next(asked for asked in peer.server.asked if asked.path == "/Booking/SENDER")
    assert sender.query["limit"] == "1"
    assert sender.headers["ocpi-from-party-id"] == "NFE"


@pytest.mark.parametrize(
    ("path", "reply", "step", "advice"),
    [
        ("/versions", Reply(body=b"<html>"), "Versions", "versions endpoint"),
        ("/versions", envelope(status=401, status_code=2000), "Versions", "new token A"),
        ("/versions", envelope([{"version": "2.2.1", "url": "http://127.0.0.1/x"}]), "Version", "2.2.1"),
        ("/2.3.0", Reply(status=500), "Version details", "must list"),
        ("/credentials/SENDER", envelope({"token": "another-one", "url": "http://127.0.0.1/v", "roles": [
            {"role": "EMSP", "country_code": "SE", "party_id": "ABC"}]}), "Credentials", "Change the tokens"),
        ("/Booking/SENDER", Reply(status=502), "Booking sender", "look into"),
        ("/Booking/SENDER", envelope(status=401, status_code=2000), "Booking sender", "let us in"),
        ("/Booking/SENDER", Reply(cut=True), "Booking sender", "has to answer"),
    ],
)  # fmt: skip
def test_what_fails_is_told_with_what_to_do(
    peer: RegisteringPeer, path: str, reply: Reply, step: str, advice: str
) -> None:
    peer.replies[path] = reply

    found = checked()[step]

    assert not found.is_ok
    assert found.found
    assert advice in found.advice


def test_a_clock_that_is_wrong_and_endpoints_that_have_changed_are_told(peer: RegisteringPeer) -> None:
    ahead = format_datetime(timezone.now() + timedelta(seconds=90))
    versions = envelope([{"version": "2.3.0", "url": f"{peer.server.url}/2.3.0"}])
    peer.replies["/versions"] = Reply(body=versions.body, headers={"Date": ahead})
    peer.endpoints = [("credentials", "SENDER"), ("bookings", "RECEIVER")]

    steps = checked()

    assert "90 s ahead" in steps["Clock"].found
    assert "not those of the registration" in steps["Version details"].advice


def test_nobody_home_ends_the_check(peer: RegisteringPeer) -> None:
    Partner.objects.update(versions_url="http://127.0.0.1:1/versions")

    assert [(step.what, step.is_ok) for step in checked().values()] == [("Address", False)]


def test_a_private_address_is_not_tried(platform: str, settings: Any) -> None:
    settings.BERTH_ALLOW_PRIVATE_PARTNERS = False

    steps = check_address("https://10.0.0.1/versions", "token", now=timezone.now())

    assert [step.is_ok for step in steps] == [False]
    assert "private" in steps[0].found


def test_a_token_taken_only_as_it_is_needs_a_switch_and_gets_it_when_we_register(
    platform: str, peer: RegisteringPeer
) -> None:
    with RegisteringPeer("RAW") as raw:

        def answer(asked: Asked) -> Reply:
            if asked.headers["authorization"] not in ("Token token-a", f"Token {raw.token}"):
                return envelope(status_code=2000, status=401)
            if asked.path == "/credentials/SENDER":
                return envelope(raw.credentials)
            return raw._answer(asked)

        raw.server.answer = answer
        url = f"{raw.server.url}/versions"
        advice = check_address(url, "token-a", now=timezone.now())[-1].advice
        partner = connect(
            name="Raw", country_code="SE", party_id="RAW", roles=["EMSP"], versions_url=url, token_a="token-a",
            now=timezone.now(),
        )  # fmt: skip

    assert "as it is" in advice
    assert partner.switches["raw_token"] is True
    assert authorization("token-a") not in advice
