"""New tokens from our side: what holds while the answer is missing, and what ends the doubt."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from depots.secrets import hash_token
from roaming import tasks, token_rotation
from roaming.models import Partner, PartnerToken
from roaming.ocpi.call_failures import Refused, Unreachable
from roaming.registration import peer_of
from roaming.token_rotation import TokenLost, rotate
from simulators.partner import SimulatedPartner
from tests.factories import make_operator
from tests.roaming.partners import authorization
from tests.roaming.peers import Asked, Reply, envelope
from tests.roaming.registering_peer import RegisteringPeer, ask, code, credentials_url, invite

pytestmark = pytest.mark.django_db(transaction=True)
OLD, NEW = "token-b-of-the-partner", "token-after-rotation"


class Peer(RegisteringPeer):
    """It takes a PUT of our credentials as it is told to, and remembers which of its tokens it takes."""

    loses_its_answer = False
    takes: frozenset[str] = frozenset({OLD})
    our_token = ""

    def _answer(self, asked: Asked) -> Reply:
        if asked.path != "/credentials/SENDER":
            return super()._answer(asked)
        if asked.headers["authorization"] not in {authorization(token) for token in self.takes}:
            return envelope(status_code=2000, status=401)
        if asked.method == "PUT":
            self.our_token, self.token = asked.body["token"], NEW
            self.takes |= {NEW}
            if self.loses_its_answer:
                return Reply(cut=True)
        return envelope(self.credentials)


@pytest.fixture
def peer(platform: str) -> Iterator[Peer]:
    make_operator(cpo_party_id="LPK")
    with Peer() as running:
        yield running


@pytest.fixture
def ours(peer: Peer, platform: str) -> str:
    """The token the registered partner calls us with."""
    token = invite("ABC", ["EMSP"]).token_a
    token = ask("POST", credentials_url(token, platform), token, peer.credentials).json()["data"]["token"]
    peer.server.asked.clear()
    return token


def test_both_tokens_change_and_ours_overlaps(peer: Peer, ours: str, platform: str, clock: Any) -> None:
    partner = rotate(partner=Partner.objects.get(), now=timezone.now())

    assert peer_of(partner).token == NEW
    assert [asked.method for asked in peer.server.asked] == ["GET", "GET", "PUT"], "endpoints are read again"
    assert code(ask("GET", platform, ours)) == (200, 1000)
    clock.shift(timedelta(minutes=15, seconds=1))
    assert code(ask("GET", platform, ours)) == (401, 2000)
    assert code(ask("GET", platform, peer.our_token)) == (200, 1000)


def test_a_no_leaves_everything_as_it_was(peer: Peer, ours: str, platform: str) -> None:
    peer.replies["/credentials/SENDER"] = envelope(status_code=3001)
    peer._answer = lambda asked: RegisteringPeer._answer(peer, asked)  # type: ignore[method-assign]
    peer.server.answer = peer._answer

    with pytest.raises(Refused):
        rotate(partner=Partner.objects.get(), now=timezone.now())

    assert [token.kind for token in PartnerToken.objects.all()] == ["current"]
    assert code(ask("GET", platform, ours)) == (200, 1000)


def test_while_an_answer_is_missing_both_tokens_are_taken_and_then_the_new_one_is_adopted(
    peer: Peer, ours: str, platform: str
) -> None:
    peer.loses_its_answer = True
    with pytest.raises(Unreachable):
        rotate(partner=Partner.objects.get(), now=timezone.now())
    assert code(ask("GET", platform, ours)) == (200, 1000)
    functional = platform.replace("versions", "cpo/2.3.0/locations")
    assert code(ask("GET", functional, peer.our_token)) == (200, 1000), "it may have changed already"
    peer.server.asked.clear()

    partner = rotate(partner=Partner.objects.get(), now=timezone.now())

    assert [(asked.method, asked.path) for asked in peer.server.asked] == [("GET", "/credentials/SENDER")]
    assert peer_of(partner).token == NEW
    assert PartnerToken.objects.get(kind="current").token_hash == hash_token(peer.our_token)


def test_a_put_that_never_arrived_is_made_again_with_the_same_token(peer: Peer, ours: str) -> None:
    with_answer = peer.server.answer
    offered: list[str] = []

    def lose_it(asked: Asked) -> Reply:
        if asked.method == "PUT":
            offered.append(asked.body["token"])
            return Reply(cut=True)
        return with_answer(asked)

    peer.server.answer = lose_it
    with pytest.raises(Unreachable):
        rotate(partner=Partner.objects.get(), now=timezone.now())
    peer.server.answer = with_answer

    partner = rotate(partner=Partner.objects.get(), now=timezone.now())

    assert [peer.our_token] == offered
    assert peer_of(partner).token == NEW


def test_a_partner_that_takes_no_token_of_ours_any_more_has_to_register_again(peer: Peer, ours: str) -> None:
    peer.loses_its_answer = True
    with pytest.raises(Unreachable):
        rotate(partner=Partner.objects.get(), now=timezone.now())
    peer.takes = frozenset({NEW})

    with pytest.raises(TokenLost, match="register again"):
        rotate(partner=Partner.objects.get(), now=timezone.now())

    assert PartnerToken.objects.filter(kind="pending").exists(), "what it calls us with is taken"


def test_tokens_are_changed_once_a_month(peer: Peer, ours: str, clock: Any, monkeypatch: Any) -> None:
    started: list[int] = []
    monkeypatch.setattr(tasks.rotate_tokens, "send", started.append)
    tasks.start_rotations(now=timezone.now())
    partner = Partner.objects.get()

    clock.shift(timedelta(days=29))
    tasks.start_rotations(now=timezone.now())
    assert not started
    clock.shift(timedelta(days=4))
    tasks.start_rotations(now=timezone.now())
    tasks.start_rotations(now=timezone.now())
    assert started == [partner.pk], "by one worker"

    assert token_rotation.rotate_due(partner_id=partner.pk, now=timezone.now())
    partner.refresh_from_db()
    assert partner.next_rotation_at is not None
    assert partner.next_rotation_at >= timezone.now() + timedelta(days=30)


def test_a_partner_that_is_not_to_be_rotated_is_left_alone(peer: Peer, ours: str, monkeypatch: Any) -> None:
    monkeypatch.setattr(tasks.rotate_tokens, "send", lambda _: pytest.fail("started"))
    Partner.objects.update(switches={"monthly_rotation": False}, next_rotation_at=timezone.now())

    tasks.start_rotations(now=timezone.now())

    assert Partner.objects.get().next_rotation_at == timezone.now() + token_rotation.EVERY


def test_the_simulated_network_takes_new_tokens(network: SimulatedPartner, platform: str) -> None:
    make_operator(cpo_party_id="LPK")
    network.registration.register(platform, invite("SIM", ["CPO", "EMSP"], country="FR").token_a)
    before = peer_of(Partner.objects.get()).token

    partner = rotate(partner=Partner.objects.get(), now=timezone.now())

    assert peer_of(partner).token != before
    network.registration.renew()
