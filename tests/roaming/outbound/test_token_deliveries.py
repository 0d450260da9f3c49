"""Our fleets' tokens reach partners with depots, and partners' lists of theirs are kept here."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine

from bookings.models import OwnerCheck, Token
from bookings.operations import add_token, change_token, set_blocked, set_retired
from bookings.operations.tokens import TokenFacts
from bookings.rules.content_version import version_of
from depots.models import Organisation
from roaming.console.tokens_exchanged import TokensExchanged, tokens_exchanged
from roaming.mirror import network_tokens
from roaming.models import Delivery, Partner
from roaming.outbound import full_sets, pulls
from roaming.outbound.reader_table import LISTS
from roaming.outbound.writers import tokens as writer
from tests.factories import NOW, make_fleet, make_vehicle
from tests.roaming.ocpi.v2_3_0.tokens.test_tokens import token
from tests.roaming.partners import keep_listed, make_partner
from tests.roaming.peers import Asked, ScriptedPeer
from tests.roaming.running import RunningSender, eventually, fresh


@pytest.fixture
def fleet(db: Any) -> Organisation:
    return make_fleet(country_code="DE", emsp_party_id="FL1")


@pytest.fixture
def peer() -> Iterator[ScriptedPeer]:
    with ScriptedPeer() as peer:
        yield peer


def with_depots(peer: ScriptedPeer) -> Partner:
    role = {"role": "CPO", "country_code": "FR", "party_id": "CPO", "name": "Network"}
    endpoint = {"identifier": "tokens", "role": "RECEIVER", "url": f"{peer.url}/tokens"}
    return make_partner("CPO", country_code="FR", roles=[role], endpoints=[endpoint])


def put(asked: Asked) -> tuple[str, str, bool]:
    return asked.path, asked.query["type"], asked.body["valid"]


@pytest.mark.django_db(transaction=True)
def test_a_partner_with_depots_hears_of_every_change_of_a_token(
    platform: str, peer: ScriptedPeer, fleet: Organisation
) -> None:
    """What charges no more is invalid there and never deleted; one with another number is another one there."""
    with_depots(peer)
    make_partner("OTH")  # has no depots
    truck = make_vehicle(fleet=fleet, token=None)

    def facts(uid: str = "04AA", kind: str = "RFID") -> TokenFacts:
        return TokenFacts(uid=uid, type=kind, vehicle=truck)

    def shown(card: Token) -> int:
        return version_of(fresh(card))

    with RunningSender():
        card = add_token(fleet=fleet, facts=facts())
        peer.wait_for(lambda asked: len(asked) == 1)
        set_blocked(token_id=card.pk, is_blocked=True, seen_version=shown(card))
        peer.wait_for(lambda asked: len(asked) == 2)
        set_blocked(token_id=card.pk, is_blocked=False, seen_version=shown(card))
        peer.wait_for(lambda asked: len(asked) == 3)
        set_retired(vehicle_id=truck.pk, is_retired=True, seen_version=version_of(fresh(truck)))
        peer.wait_for(lambda asked: len(asked) == 4)
        set_retired(vehicle_id=truck.pk, is_retired=False, seen_version=version_of(fresh(truck)))
        peer.wait_for(lambda asked: len(asked) == 5)
        change_token(token_id=card.pk, facts=facts("04BB"), seen_version=shown(card))
        peer.wait_for(lambda asked: len(asked) == 7)
        change_token(token_id=card.pk, facts=facts("DE83DUIEN83QGZ", "EMAID"), seen_version=shown(card))
        peer.wait_for(lambda asked: len(asked) == 8)
        delivery = Delivery.objects.get()
        eventually(lambda: fresh(delivery).next_try_at is None)

    old, new = "/tokens/DE/FL1/04AA", "/tokens/DE/FL1/04BB"
    assert [put(asked) for asked in peer.asked] == [
        (old, "RFID", True),
        (old, "RFID", False),
        (old, "RFID", True),
        (old, "RFID", False),
        (old, "RFID", True),
        (old, "RFID", False),
        (new, "RFID", True),
        (new, "RFID", False),
    ]
    assert peer.asked[0].headers["ocpi-from-party-id"] == "FL1"


@pytest.mark.django_db
def test_all_its_tokens_are_among_what_a_partner_is_told_again(fleet: Organisation) -> None:
    partner = with_depots(ScriptedPeer())
    make_vehicle(fleet=fleet, token="04AA")
    Token.objects.create(fleet=fleet, uid="DE83DUIEN83QGZ", type="EMAID")

    full_sets.want_all(partner, anew=True, now=NOW)

    wanted = Delivery.objects.get(kind=Delivery.Kind.TOKEN)
    assert wanted.object_id == Token.objects.get(uid="04AA").pk
    assert writer.tokens_written([], now=NOW) == []


# Partners' lists


@pytest.fixture
def network(db: Any) -> Partner:
    return make_partner(
        "FLT", endpoints=[{"identifier": "tokens", "role": "SENDER", "url": "https://n.example/t"}]
    )


def kept() -> dict[str, bool]:
    return {t.uid: not t.is_blocked for t in Token.objects.filter(told__isnull=False)}


PARTY = ("SE", "FLT")


@time_machine.travel(NOW, tick=False)
def test_a_page_is_kept_at_once_and_what_is_odd_by_itself(
    network: Partner, django_assert_max_num_queries: Any
) -> None:
    """Checklist 21, 24, 29: an older state changes nothing, of two in one page the last one counts, others' are left."""
    page = [
        token(uid="04AA"),
        token(uid="04aa", contract_id="NEWER"),
        token(uid="04BB", whitelist="NEVER", group_id=None, x_more={"a": [1]}),
        token(uid="04CC", party_id="XXX"),
        token(uid="04DD", valid="maybe"),
        token(uid="04EE", valid="0"),
        "nonsense",
    ]
    many = [token(uid=f"05{n:06}") for n in range(300)]
    with django_assert_max_num_queries(16):
        keep_listed(network, "token", *page, *many, party=PARTY)

    assert len(kept()) == 303
    assert [kept().get(uid) for uid in ("04aa", "04BB", "04CC", "04DD", "04EE")] == [
        True,
        True,
        None,
        None,
        False,
    ]
    assert Token.objects.get(uid="04aa").contract_id == "NEWER"
    strict = Token.objects.get(uid="04BB")
    assert (strict.owner_check, strict.told["x_more"], strict.group_name) == (OwnerCheck.MUST, {"a": [1]}, "")
    network.refresh_from_db()
    assert {"token.unreadable", "token.of_another_party"} <= set(network.deviations)

    keep_listed(
        network, "token", token(uid="04BB", valid=False, last_updated="2030-01-15T05:59:59Z"), party=PARTY
    )
    assert kept()["04BB"] is True


@time_machine.travel(NOW, tick=False)
def test_a_long_page_of_which_only_the_first_is_new_changes_the_others_too(network: Partner) -> None:
    """One that is new as a whole is copied as it is; found out at the first that is known."""
    deep: Any = "bottom"
    for _ in range(300):
        deep = [deep]
    known = [token(uid=f"05{n:06}") for n in range(network_tokens.LONG_PAGE)]
    keep_listed(network, "token", token(uid="04AA", x_deep=deep), *known, party=PARTY)
    assert Token.objects.get(uid="04AA").told["x_deep"] == deep

    changed = [{**each, "valid": False, "last_updated": "2030-01-15T07:30:00Z"} for each in known]
    keep_listed(network, "token", token(uid="04BB"), *changed, party=PARTY)

    assert [uid for uid, is_valid in kept().items() if is_valid] == ["04AA", "04BB"]
    assert len(kept()) == 2 + len(known)


@time_machine.travel(NOW, tick=False)
def test_only_a_complete_list_makes_invalid_what_it_does_not_name(network: Partner) -> None:
    """Checklist 28: one that was listed and could not be read is there."""
    keep_listed(network, "token", token(uid="04AA"), token(uid="04BB"), token(uid="04CC"), party=PARTY)
    later = NOW + timedelta(hours=1)
    pull = pulls.Pull(network.pk, LISTS["token"], later, is_complete=True)
    crawl = pulls.Crawl(None, "", {}, PARTY)  # type: ignore[arg-type]
    pulls.keep_page(pull, crawl, [token(uid="04AA"), token(uid="04BB", valid="maybe")], now=later)
    assert kept() == {"04AA": True, "04BB": True, "04CC": True}

    network_tokens.withdraw_missing(network, PARTY, set(), later)
    assert kept() == {"04AA": True, "04BB": True, "04CC": False}
    Delivery.objects.create(
        partner=network,
        kind=Delivery.Kind.TOKEN,
        object_id=1,
        wanted_version=2,
        delivered_version=1,
        next_try_at=NOW,
    )
    assert tokens_exchanged(network) == TokensExchanged(theirs=2, theirs_invalid=1, ours=1, ours_waiting=1)
