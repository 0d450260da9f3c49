"""Partner networks are asked whether a token of theirs may charge."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from threading import Event
from typing import Any

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext

from bookings.gate import may_charge
from bookings.models import OwnerAnswer, OwnerCheck, Token
from depots import operations
from depots.gate import OwnerHeard, OwnerMustBeAsked, OwnerQuestion
from depots.models import Agreement, Evse
from depots.signals import token_presented
from roaming.models import Partner, PartnerMessage
from roaming.outbound import token_owners
from roaming.outbound.owner_calls import OwnerCall, calls_about
from roaming.outbound.token_owners import PartnerNetworks
from tests.bookings.enforcement.online_chargers import TERMS, evse_online
from tests.factories import NOW, make_depot
from tests.roaming.partners import make_partner
from tests.roaming.peers import Reply, ScriptedPeer, envelope

pytestmark = pytest.mark.django_db(transaction=True)
CARD = "04A1B2C3D4E5F6"
ALLOWED = {"allowed": "ALLOWED", "authorization_reference": "REF-7"}


@pytest.fixture(autouse=True)
def _private(settings: Any) -> None:
    settings.BERTH_ALLOW_PRIVATE_PARTNERS = True


@pytest.fixture
def evse() -> Evse:
    return evse_online(make_depot(terms={**TERMS, "walk_in": "known"}))


@pytest.fixture
def peer() -> Iterator[ScriptedPeer]:
    with ScriptedPeer(lambda asked: envelope(ALLOWED)) as peer:
        yield peer


def network(peer: ScriptedPeer, party: str = "FLT", **fields: Any) -> Partner:
    endpoint = {"identifier": "tokens", "role": "SENDER", "url": f"{peer.url}/{party}/tokens"}
    return make_partner(party, endpoints=[endpoint], **fields)


def token(partner: Partner, **fields: Any) -> Token:
    told = {"country_code": "SE", "party_id": "FLT", "told": {}, "told_at": NOW, "heard_at": NOW}
    return Token.objects.create(**{"fleet": partner.organisation, "uid": CARD, **told, **fields})


def question(evse: Evse, *owners: Partner, uid: str = CARD, kind: str = "") -> OwnerQuestion:
    ids = tuple(partner.organisation_id for partner in owners)
    return OwnerQuestion(evse.charger_id, None, uid, kind, uid, ids)


def ask(*questions: OwnerQuestion, **options: Any) -> PartnerNetworks:
    """All at once, and until the answers are written and what is written beside them."""
    return learnt(*questions, **options)[0]


def learnt(
    *questions: OwnerQuestion, is_written: bool = True, **options: Any
) -> tuple[PartnerNetworks, list[OwnerHeard]]:
    """The same, and what was heard of each."""

    async def run() -> tuple[PartnerNetworks, list[OwnerHeard]]:
        networks = PartnerNetworks(**options)
        found = await asyncio.gather(*(networks.ask(each, now=NOW) for each in questions))
        for each in found if is_written else ():
            await networks._in_thread(each.record)
        if networks._writing is not None:
            await networks._writing
        return networks, found

    try:
        return asyncio.run(run())
    finally:
        connections.close_all()


def heard() -> tuple[str, str]:
    answer = OwnerAnswer.objects.get()
    return answer.outcome, answer.reference


def test_the_owner_is_asked_for_its_token_and_its_word_lets_in(evse: Evse, peer: ScriptedPeer) -> None:
    """Checklist 88, from the other side: the reference goes into the start that follows."""
    partner = network(peer)
    token(partner, owner_check=OwnerCheck.MUST, type="OTHER")

    ask(question(evse, partner))

    (asked,) = peer.asked
    assert (asked.method, asked.path, asked.query) == (
        "POST",
        f"/FLT/tokens/{CARD}/authorize",
        {"type": "OTHER"},
    )
    assert asked.body == {"location_id": evse.depot.location_id, "evse_uids": [evse.uid]}
    assert (asked.headers["ocpi-to-party-id"], asked.headers["ocpi-from-party-id"]) == (
        "FLT",
        evse.depot.operator.cpo_party_id,
    )
    assert heard() == ("allowed", "REF-7")
    assert OwnerAnswer.objects.get().owner == partner.organisation
    started = may_charge(charger=evse.charger, evse=evse, token_uid=CARD, now=NOW + timedelta(minutes=1))
    assert (started.allowed, started.reference) == (True, "REF-7")
    assert PartnerMessage.objects.get().http_status == 200


def test_who_booked_without_tokens_is_asked_about_a_card_nobody_knows(evse: Evse, peer: ScriptedPeer) -> None:
    partner, stranger = network(peer), network(peer, "OTH", country_code="FR")
    asked_of = replace(question(evse), holders=((partner.organisation_id, "SE", "FLT"),))
    Token.objects.create(fleet=partner.organisation, uid="04FF", told={}, told_at=NOW, heard_at=NOW)
    Token.objects.create(fleet=stranger.organisation, uid="04FE", told={}, told_at=NOW, heard_at=NOW)

    _, (word,) = learnt(asked_of)

    assert [asked.path for asked in peer.asked] == [f"/FLT/tokens/{CARD}/authorize"]
    assert peer.asked[0].headers["ocpi-to-party-id"] == "FLT"
    said = word.word
    assert (said.reference, *said.holders[0]) == ("REF-7", partner.organisation_id, "SE", "FLT")


def test_for_a_booking_alone_nobody_but_its_holder_is_asked(evse: Evse, peer: ScriptedPeer) -> None:
    """Networks that may know an unknown card are asked where that lets it charge, not because somebody has booked."""
    holder = network(peer)
    network(peer, "AAA")
    asked_of = replace(question(evse), holders=((holder.organisation_id, "SE", "FLT"),))

    for is_for_booking, asked in ((True, {"FLT"}), (False, {"FLT", "AAA"})):
        calls = calls_about(replace(asked_of, is_for_booking=is_for_booking), now=NOW)
        assert {call.party[1] for call in calls} == asked


UNKNOWN = envelope(status_code=2004, status=404)
ALLOWED_ELSE = envelope({"allowed": "ALLOWED", "authorization_reference": "OTHER-1"})


@pytest.mark.parametrize(
    ("by_holder", "by_other", "counts"),
    [
        (envelope(ALLOWED), ALLOWED_ELSE, ("allowed", "REF-7")),
        (UNKNOWN, ALLOWED_ELSE, ("allowed", "OTHER-1")),
        (Reply(500, b""), ALLOWED_ELSE, ("allowed", "OTHER-1")),
        (UNKNOWN, UNKNOWN, ("unknown", "")),
        (Reply(500, b""), UNKNOWN, ("silent", "")),
        (UNKNOWN, Reply(500, b""), ("unknown", "")),
    ],
)
def test_another_networks_word_waits_for_that_of_who_booked(
    evse: Evse, peer: ScriptedPeer, by_holder: Reply, by_other: Reply, counts: tuple[str, str]
) -> None:
    holder = network(peer)
    network(peer, "AAA")
    party = (holder.organisation_id, "SE", "FLT")
    asked_of = replace(question(evse), holders=(party,), references=frozenset({(*party, "REF-7")}))
    is_other_heard = Event()
    by_holder = replace(by_holder, wait_for=is_other_heard)
    read = token_owners.PartnerNetworks._one

    async def one(self: PartnerNetworks, call: OwnerCall) -> Any:
        said = await read(self, call)
        if call.party[1] == "AAA":
            is_other_heard.set()
        return said

    peer.answer = lambda asked: by_holder if asked.path.startswith("/FLT") else by_other
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PartnerNetworks, "_one", one)
        ask(asked_of)

    assert heard() == counts


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (envelope({"allowed": "NO_CREDIT"}), "no_credit"),
        (envelope({"allowed": "expired", "token": {"uid": 7}}), "expired"),
        (envelope(status_code=2004, status=404), "unknown"),
        (envelope(status_code=3000), "silent"),
        (envelope({"allowed": "PERHAPS"}), "silent"),
        (Reply(500, b"<html>"), "silent"),
        (Reply(cut=True), "silent"),
    ],
)
def test_what_each_answer_means(evse: Evse, peer: ScriptedPeer, reply: Reply, outcome: str) -> None:
    partner = network(peer)
    token(partner)
    peer.answer = lambda asked: reply

    ask(question(evse, partner))
    assert heard()[0] == outcome


TOLD = {
    "country_code": "SE", "party_id": "FLT", "uid": CARD, "type": "RFID", "contract_id": "SEFLT1", "issuer": "F",
    "valid": True, "whitelist": "NEVER", "last_updated": "2030-01-15T07:00:00Z",
}  # fmt: skip


@pytest.mark.parametrize(
    ("named", "is_judged_anew"), [(TOLD, False), ({**TOLD, "valid": False}, True), (None, False)]
)
def test_what_was_found_before_the_owner_was_asked_holds_unless_the_token_is_another_now(
    evse: Evse, peer: ScriptedPeer, named: Any, is_judged_anew: bool
) -> None:
    partner = network(peer)
    token(partner, owner_check=OwnerCheck.MUST, told=TOLD, told_at=NOW - timedelta(days=365))
    peer.answer = lambda asked: envelope({**ALLOWED, **({"token": named} if named else {})})
    with pytest.raises(OwnerMustBeAsked) as unheard:
        operations.authorize(charger_id=evse.charger_id, token_uid=CARD, may_ask=True, now=NOW)
    assert unheard.value.answer is not None
    assert unheard.value.answer.by_word is not None

    (heard,) = learnt(unheard.value.question)[1]

    assert heard.is_more_known is is_judged_anew
    assert Token.objects.get().is_blocked is is_judged_anew
    whole = operations.authorize(charger_id=evse.charger_id, token_uid=CARD, now=NOW)
    with CaptureQueriesContext(connection) as queries:
        by_word = unheard.value.answer.by_word(heard.word)
    assert len(queries) == 0
    assert whole.allowed is not is_judged_anew
    assert is_judged_anew or by_word == whole


def test_what_the_word_leaves_behind_is_written_before_others_hear_that_the_card_was_shown(
    evse: Evse, peer: ScriptedPeer
) -> None:
    partner = network(peer)
    token(partner, owner_check=OwnerCheck.MUST)
    seen: list[tuple[str, str]] = []

    def hear(token_uid: str, **_: Any) -> None:
        seen.append((token_uid, OwnerAnswer.objects.get().outcome))

    token_presented.connect(hear)
    try:
        with pytest.raises(OwnerMustBeAsked) as unheard:
            operations.authorize(charger_id=evse.charger_id, token_uid=CARD, may_ask=True, now=NOW)
        (heard,) = learnt(unheard.value.question, is_written=False)[1]
        assert not OwnerAnswer.objects.exists()
        operations.follow_authorize(charger_id=evse.charger_id, heard=heard, token_uid=CARD, now=NOW)
    finally:
        token_presented.disconnect(hear)
    assert seen == [(CARD, "allowed")]


@pytest.mark.parametrize("is_anybody_asked", [True, False])
def test_of_a_card_nobody_knows_a_no_or_silence_is_judged_without_another_look(
    evse: Evse, peer: ScriptedPeer, is_anybody_asked: bool
) -> None:
    if is_anybody_asked:
        network(peer)
    peer.answer = lambda asked: envelope(status_code=2004, status=404)
    with pytest.raises(OwnerMustBeAsked) as unheard:
        operations.authorize(charger_id=evse.charger_id, token_uid=CARD, may_ask=True, now=NOW)
    assert unheard.value.answer is not None
    assert unheard.value.answer.by_word is not None

    (heard,) = learnt(unheard.value.question)[1]

    by_word = unheard.value.answer.by_word(heard.word)
    whole = operations.authorize(charger_id=evse.charger_id, token_uid=CARD, now=NOW)
    assert (by_word.allowed, by_word.reason) == (whole.allowed, whole.reason) == (False, "unknown_token")
    assert OwnerAnswer.objects.exists() is is_anybody_asked


def test_a_partner_whose_token_we_cannot_read_any_more_is_as_silent(evse: Evse, peer: ScriptedPeer) -> None:
    """A storage key that is gone keeps no charger without its answer."""
    token(network(peer, outbound_token_encrypted="altered"), owner_check=OwnerCheck.SHOULD)

    with pytest.raises(OwnerMustBeAsked) as unheard:
        operations.authorize(charger_id=evse.charger_id, token_uid=CARD, may_ask=True, now=NOW)
    assert unheard.value.whom is None


def test_a_card_nobody_knows_is_asked_of_those_that_may_know_it(evse: Evse, peer: ScriptedPeer) -> None:
    """The token it is told of is kept, so that session and record name it."""
    silent, telling = network(peer, "AAA"), network(peer, "TEL")
    token(telling, uid="04FFFFFF")
    network(peer, "NOT", switches={"asked_about_unknown_tokens": "never"})
    network(peer, "CPO", roles=[{"role": "CPO", "country_code": "SE", "party_id": "CPO", "name": "C"}])
    told = {
        "country_code": "SE", "party_id": "AAA", "uid": CARD, "type": "RFID", "contract_id": "SEAAA1", "issuer": "A",
        "valid": True, "whitelist": "NEVER", "last_updated": "2030-01-15T07:00:00Z",
    }  # fmt: skip
    peer.answer = lambda asked: envelope({**ALLOWED, "token": told})

    ask(question(evse))

    assert [asked.path.split("/")[1] for asked in peer.asked] == ["AAA"]
    kept = Token.objects.get(uid=CARD)
    assert (kept.fleet, kept.owner_check, kept.contract_id) == (silent.organisation, "must", "SEAAA1")
    answer = may_charge(charger=evse.charger, evse=None, token_uid=CARD, now=NOW)
    assert (answer.allowed, answer.question, answer.reference) == (True, None, "REF-7")

    Agreement.objects.filter(depot=evse.depot).delete()
    ask(question(evse, uid="04EEEEEE"))
    assert len(peer.asked) == 1  # the depot is open to none of them any more


def test_of_several_that_may_know_it_the_first_yes_counts(evse: Evse, peer: ScriptedPeer) -> None:
    for party in ("AAA", "BBB", "CCC"):
        network(peer, party)
    never = Event()
    said = {
        "AAA": envelope(status_code=2004, status=404),
        "BBB": envelope(ALLOWED),
        "CCC": envelope(ALLOWED, wait_for=never),
    }
    peer.answer = lambda asked: said[asked.path.split("/")[1]]

    ask(question(evse))
    never.set()
    assert heard() == ("allowed", "REF-7")


def test_a_network_that_stays_silent_delays_its_own_drivers_only_and_not_for_long(
    evse: Evse, peer: ScriptedPeer
) -> None:
    away, there = network(peer, "AWY"), network(peer)
    never = Event()
    peer.answer = lambda a: envelope(ALLOWED, wait_for=never if a.path.startswith("/AWY") else None)
    for partner, uid in ((away, "04AA"), (there, "04BB")):
        token(partner, uid=uid)

    networks = ask(
        *(question(evse, away, uid="04AA") for _ in range(token_owners.OPEN_AT_ONCE + 5)),
        question(evse, there, uid="04BB"),
        answers_within_s=0.5,
    )

    never.set()
    by_number = dict(OwnerAnswer.objects.values_list("number", "outcome"))
    assert by_number == {"04AA": "silent", "04BB": "allowed"}
    assert sum(1 for asked in peer.asked if asked.path.startswith("/AWY")) <= token_owners.OPEN_AT_ONCE
    assert networks._silence[away.pk]._in_a_row >= token_owners.SILENT_IN_A_ROW


def test_one_whose_circuit_is_open_is_not_asked(evse: Evse, peer: ScriptedPeer) -> None:
    partner = network(peer, closed_until=NOW + timedelta(minutes=1))
    token(partner, owner_check=OwnerCheck.SHOULD)

    ask(question(evse, partner))
    assert (peer.asked, heard()[0]) == ([], "silent")
