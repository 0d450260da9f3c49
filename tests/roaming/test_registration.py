"""The handshake both ways, over real sockets: who is in, with which token, and what happens when it goes wrong."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.core.management import CommandError, call_command
from django.db import transaction
from django.utils import timezone

from bookings.models import BookingOption
from depots.models import Depot
from roaming import registering_places, registration
from roaming.models import Delivery, Partner, PartnerMessage, PartnerToken
from roaming.ocpi.dialect import dialect_of
from simulators.partner import PartnerSettings, PlatformError, SimulatedPartner
from tests.factories import make_depot, make_evse, make_fleet, make_operator
from tests.roaming.partners import authorization
from tests.roaming.peers import Asked, Reply, envelope
from tests.roaming.registering_peer import RegisteringPeer, ask, code, credentials_url, invite
from tests.roaming.running import eventually

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _parties(platform: str) -> None:
    make_operator("Ladepark", cpo_party_id="LPK")
    make_fleet("Nordfracht", emsp_party_id="NFE")


@pytest.fixture
def invitation() -> registration.Invitation:
    return invite("ABC", ["EMSP"])


@pytest.fixture
def peer() -> Iterator[RegisteringPeer]:
    with RegisteringPeer() as running:
        yield running


def test_a_partner_registers_with_token_a_and_is_called_back_first(
    peer: RegisteringPeer, invitation: registration.Invitation, platform: str
) -> None:
    """Checklist 4."""
    url = credentials_url(invitation.token_a, platform)

    answer = ask("POST", url, invitation.token_a, peer.credentials)

    assert code(answer) == (200, 1000)
    ours = answer.json()["data"]
    assert [asked.path for asked in peer.server.asked] == ["/versions", "/2.3.0"]
    assert peer.server.asked[0].headers["authorization"] == authorization("token-b-of-the-partner")
    assert ours["url"] == platform
    roles = {(r["role"], r["country_code"], r["party_id"]) for r in ours["roles"]}
    assert roles == {("CPO", "NL", "LPK"), ("EMSP", "DE", "NFE")}
    assert code(ask("GET", url, ours["token"])) == (200, 1000)
    partner = Partner.objects.get()
    assert partner.is_registered
    assert partner.endpoint("booking", "RECEIVER") == f"{peer.server.url}/bookings/RECEIVER"


def test_token_a_is_dead_afterwards(
    peer: RegisteringPeer, invitation: registration.Invitation, platform: str
) -> None:
    url = credentials_url(invitation.token_a, platform)
    ask("POST", url, invitation.token_a, peer.credentials)

    assert code(ask("GET", platform, invitation.token_a)) == (401, 2000)
    assert code(ask("POST", url, invitation.token_a, peer.credentials)) == (401, 2000)


def test_token_a_opens_nothing_but_the_way_in(invitation: registration.Invitation, platform: str) -> None:
    url = credentials_url(invitation.token_a, platform)
    bookings = url.replace("2.3.0/credentials", "cpo/2.3.0/bookings")

    assert code(ask("GET", bookings, invitation.token_a)) == (401, 2000)
    assert code(ask("GET", bookings.replace("cpo", "emsp"), invitation.token_a)) == (401, 2000)


def test_token_a_lives_for_thirty_days(
    peer: RegisteringPeer, invitation: registration.Invitation, platform: str, clock: Any
) -> None:
    url = credentials_url(invitation.token_a, platform)
    clock.shift(timedelta(days=30, seconds=1))

    assert code(ask("POST", url, invitation.token_a, peer.credentials)) == (401, 2000)


def test_a_new_invitation_replaces_the_old_one(platform: str) -> None:
    old, new = invite("ABC", ["EMSP"]), invite("ABC", ["EMSP"])

    assert old.partner == new.partner
    assert code(ask("GET", platform, old.token_a)) == (401, 2000)
    assert code(ask("GET", platform, new.token_a)) == (200, 1000)


@pytest.mark.parametrize(
    ("method", "state", "expected"),
    [
        ("POST", "registered", (405, 2000)),
        ("PUT", "invited", (405, 2000)),
        ("DELETE", "invited", (405, 2000)),
        ("PATCH", "registered", (405, 2000)),
    ],
)
def test_the_methods_out_of_turn_are_405(
    peer: RegisteringPeer, platform: str, method: str, state: str, expected: tuple[int, int]
) -> None:
    """Checklist 6."""
    token = invite("ABC", ["EMSP"]).token_a
    url = credentials_url(token, platform)
    if state == "registered":
        token = ask("POST", url, token, peer.credentials).json()["data"]["token"]

    assert code(ask(method, url, token, peer.credentials)) == expected


def test_a_call_back_that_fails_registers_nothing(
    peer: RegisteringPeer, invitation: registration.Invitation, platform: str
) -> None:
    """Checklist 5."""
    url = credentials_url(invitation.token_a, platform)
    for path, reply, expected in [
        ("/versions", Reply(status=500, body=b"oops"), 3001),
        ("/versions", envelope(status_code=2001), 3001),
        ("/versions", Reply(body=b"not json"), 3001),
        ("/versions", envelope({"version": "2.3.0"}), 3001),
        ("/versions", envelope([{"version": "2.1.1", "url": "http://127.0.0.1/x"}]), 3002),
        ("/versions", envelope([]), 3002),
        ("/2.3.0", Reply(cut=True), 3001),
        ("/2.3.0", details(), 3001),
        ("/2.3.0", details(("credentials", "SENDER")), 3003),
        ("/2.3.0", details(("Booking", "RECEIVER")), 3003),
    ]:
        peer.replies = {path: reply}

        answer = ask("POST", url, invitation.token_a, peer.credentials)

        assert code(answer) == (200, expected), reply
        assert "data" not in answer.json()
        assert not Partner.objects.get().is_registered
    peer.replies = {}
    assert code(ask("POST", url, invitation.token_a, peer.credentials)) == (200, 1000)


def test_bookings_under_a_name_that_was_agreed_are_enough_to_register(
    peer: RegisteringPeer, invitation: registration.Invitation, platform: str
) -> None:
    url = credentials_url(invitation.token_a, platform)
    peer.replies = {"/2.3.0": details(("credentials", "SENDER"), ("NLABC-Bookings", "RECEIVER"))}
    assert code(ask("POST", url, invitation.token_a, peer.credentials)) == (200, 3003)
    Partner.objects.update(switches={"booking_custom_identifier": "nlabc-bookings"})

    assert code(ask("POST", url, invitation.token_a, peer.credentials)) == (200, 1000)


def details(*endpoints: tuple[str, str]) -> Reply:
    rows = [{"identifier": i, "role": r, "url": "http://127.0.0.1/x"} for i, r in endpoints]
    return envelope({"version": "2.3.0", "endpoints": rows})


def test_private_addresses_are_not_called_back(
    peer: RegisteringPeer, invitation: registration.Invitation, platform: str, settings: Any
) -> None:
    settings.BERTH_ALLOW_PRIVATE_PARTNERS = False
    url = credentials_url(invitation.token_a, platform)

    assert code(ask("POST", url, invitation.token_a, peer.credentials)) == (200, 3001)
    assert not peer.server.asked


def test_credentials_that_break_a_rule_are_2001_and_call_nobody(
    peer: RegisteringPeer, invitation: registration.Invitation, platform: str
) -> None:
    url = credentials_url(invitation.token_a, platform)
    for broken in (
        {"token": None}, {"token": ""}, {"token": "x" * 65}, {"url": ""}, {"roles": []}, {"roles": [{"role": "EMSP"}]},
        {"roles": "EMSP"},
    ):  # fmt: skip
        assert code(ask("POST", url, invitation.token_a, {**peer.credentials, **broken})) == (200, 2001), (
            broken
        )
    assert not peer.server.asked


def test_roles_that_are_missing_or_somebody_elses_are_refused(
    peer: RegisteringPeer, invitation: registration.Invitation, platform: str
) -> None:
    invite("OTH", ["EMSP"])
    url = credentials_url(invitation.token_a, platform)
    for roles in (
        [("EMSP", "SE", "XYZ")],  # not the party that was invited
        [("CPO", "SE", "ABC")],  # not the role
        [("EMSP", "SE", "ABC"), ("CPO", "NL", "LPK")],  # ours
        [("EMSP", "SE", "ABC"), ("EMSP", "de", "nfe")],  # ours, spelled otherwise
        [("EMSP", "SE", "ABC"), ("EMSP", "SE", "OTH")],  # another partner's
    ):
        named = [
            {"role": r, "country_code": c, "party_id": p, "business_details": {"name": "N"}}
            for r, c, p in roles
        ]
        answer = ask("POST", url, invitation.token_a, {**peer.credentials, "roles": named})
        assert code(answer) == (200, 2001), roles
    assert not Partner.objects.filter(state="registered").exists()


def test_a_party_in_small_letters_is_the_same_party(
    peer: RegisteringPeer, invitation: registration.Invitation, platform: str
) -> None:
    peer.party = "abc"
    url = credentials_url(invitation.token_a, platform)

    assert code(ask("POST", url, invitation.token_a, peer.credentials)) == (200, 1000)


def test_many_posts_at_once_are_one_registration(
    peer: RegisteringPeer, invitation: registration.Invitation, platform: str
) -> None:
    url = credentials_url(invitation.token_a, platform)
    at_once = threading.Barrier(6)

    def post(_: int) -> httpx.Response:
        at_once.wait()
        return ask("POST", url, invitation.token_a, peer.credentials)

    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(post, range(6)))

    winners = [a.json()["data"]["token"] for a in answers if a.json()["status_code"] == 1000]
    assert len(winners) == 1
    assert {a.status_code for a in answers if a.json()["status_code"] != 1000} <= {401, 405}
    assert code(ask("GET", url, winners[0])) == (200, 1000)
    assert PartnerToken.objects.count() == 1


def test_no_lock_is_held_while_the_partner_is_called_back(
    peer: RegisteringPeer, invitation: registration.Invitation, platform: str
) -> None:
    """A partner may talk to us before it answers the call-back, and must not wait for its own registration."""
    seen = []

    def answer(asked: Asked) -> Reply:
        if asked.path == "/versions":
            with ThreadPoolExecutor(1) as other:
                other.submit(invite, "ABC", ["EMSP"]).result(timeout=10)  # takes the partner's row
            seen.append("free")
        return peer._answer(asked)

    peer.server.answer = answer
    url = credentials_url(invitation.token_a, platform)

    ask("POST", url, invitation.token_a, peer.credentials)

    assert seen == ["free"]


def test_put_reads_the_endpoints_again_and_gives_a_new_token(
    peer: RegisteringPeer, invitation: registration.Invitation, platform: str, clock: Any
) -> None:
    """Checklist 7."""
    url = credentials_url(invitation.token_a, platform)
    old = ask("POST", url, invitation.token_a, peer.credentials).json()["data"]["token"]
    peer.token, peer.endpoints = "another-token-b", [("credentials", "SENDER"), ("Booking", "RECEIVER")]
    peer.server.asked.clear()

    new = ask("PUT", url, old, peer.credentials).json()["data"]["token"]

    assert new != old
    assert {asked.headers["authorization"] for asked in peer.server.asked} == {
        authorization("another-token-b")
    }
    partner = Partner.objects.get()
    assert partner.endpoint("bookings", "RECEIVER").endswith("/Booking/RECEIVER")
    assert partner.endpoint("bookings", "SENDER") == ""
    assert code(ask("GET", url, old)) == (200, 1000), "the old token overlaps"
    clock.shift(timedelta(minutes=15, seconds=1))
    assert code(ask("GET", url, old)) == (401, 2000)
    assert code(ask("GET", url, new)) == (200, 1000)


def test_a_put_of_the_other_versions_credentials_changes_the_version(
    peer: RegisteringPeer, invitation: registration.Invitation, platform: str
) -> None:
    """Checklist 8: there and back, each time with the endpoints of that version."""
    peer.versions = ["2.2.1"]
    old_url = credentials_url(invitation.token_a, platform, "2.2.1")
    token = ask("POST", old_url, invitation.token_a, peer.credentials).json()["data"]["token"]
    partner = Partner.objects.get()
    assert (partner.version, dialect_of(partner).VERSION) == ("2.2.1", "2.2.1")
    assert partner.endpoint("bookings", "RECEIVER") == f"{peer.server.url}/2.2.1/bookings/RECEIVER"
    new_url = credentials_url(token, platform)
    assert code(ask("PUT", new_url, token, peer.credentials)) == (200, 3002), "it has no such version"

    peer.versions = ["2.2.1", "2.3.0"]
    answer = ask("PUT", new_url, token, peer.credentials)

    partner = Partner.objects.get()
    assert (code(answer), partner.version) == ((200, 1000), "2.3.0")
    assert partner.endpoint("bookings", "RECEIVER") == f"{peer.server.url}/bookings/RECEIVER"
    ask("PUT", old_url, answer.json()["data"]["token"], peer.credentials)
    assert Partner.objects.get().version == "2.2.1"


@pytest.mark.parametrize(
    ("endpoints", "said"),
    [([("tokens", "SENDER")], 1000), ([("cdrs", "RECEIVER")], 1000), ([("tokens", "RECEIVER")], 3003)],
)
def test_a_partner_of_2_2_1_needs_no_bookings_but_something_of_the_core(
    peer: RegisteringPeer,
    invitation: registration.Invitation,
    platform: str,
    endpoints: list[tuple[str, str]],
    said: int,
) -> None:
    """Checklist 5."""
    peer.versions, peer.endpoints = ["2.2.1"], [("credentials", "SENDER"), *endpoints]

    answer = ask(
        "POST", credentials_url(invitation.token_a, platform, "2.2.1"), invitation.token_a, peer.credentials
    )

    assert code(answer) == (200, said)


@pytest.mark.parametrize(
    ("offered", "agreed"), [(("2.2.1", "2.3.0", "2.4"), "2.3.0"), (("2.2.1", "2.1.1"), "2.2.1")]
)
def test_we_take_the_best_version_that_a_network_has(
    peer: RegisteringPeer, platform: str, offered: tuple[str, ...], agreed: str
) -> None:
    """Checklist 1: whatever the order it lists them in."""
    peer.versions = list(offered)
    base = peer.server.url if agreed == "2.3.0" else f"{peer.server.url}/{agreed}"
    peer.replies[f"{base.removeprefix(peer.server.url)}/credentials/SENDER"] = envelope(peer.credentials)

    registration.connect(
        name="Network", country_code="SE", party_id="ABC", roles=["EMSP"], token_a="A",
        versions_url=f"{peer.server.url}/versions", now=timezone.now(),
    )  # fmt: skip

    assert Partner.objects.get().version == agreed


def test_a_network_of_2_2_1_tells_of_its_locations_and_gets_ours(
    tmp_path: Path, platform: str, settings: Any
) -> None:
    """Checklist 8, 79: the simulated partner in 2.2.1, and the same one in 2.3.0 after it was changed."""
    settings.BERTH_BOOKINGS_UNDER_2_2_1 = True
    make_evse()
    old = PartnerSettings(tmp_path / "network.json", version="2.2.1")
    with SimulatedPartner(old) as network:
        network.registration.register(platform, invite("SIM", ["CPO", "EMSP"], country="FR").token_a)
        eventually(lambda: BookingOption.objects.filter(is_mirror=True, is_withdrawn=False).count() == 3)
        assert Depot.objects.filter(is_mirror=True, is_withdrawn=False).count() == 3
        assert Partner.objects.get().version == "2.2.1"
    with SimulatedPartner(replace(old, version="2.3.0")) as network:
        network.registration.renew()

    partner = Partner.objects.get()
    assert partner.version == "2.3.0"
    assert all("/2.3.0/" in endpoint["url"] for endpoint in partner.endpoints)


def test_the_old_token_dies_with_the_first_call_of_the_new_one(
    peer: RegisteringPeer, invitation: registration.Invitation, platform: str
) -> None:
    url = credentials_url(invitation.token_a, platform)
    old = ask("POST", url, invitation.token_a, peer.credentials).json()["data"]["token"]
    new = ask("PUT", url, old, peer.credentials).json()["data"]["token"]

    ask("GET", url, new)

    assert code(ask("GET", url, old)) == (401, 2000)


def test_a_put_that_fails_leaves_everything_as_it_was(
    peer: RegisteringPeer, invitation: registration.Invitation, platform: str
) -> None:
    url = credentials_url(invitation.token_a, platform)
    token = ask("POST", url, invitation.token_a, peer.credentials).json()["data"]["token"]
    before = Partner.objects.values().get()
    peer.replies["/versions"] = Reply(status=503, body=b"")

    assert code(ask("PUT", url, token, {**peer.credentials, "token": "never-to-be-used"})) == (200, 3001)

    assert Partner.objects.values().get() == before
    assert code(ask("GET", url, token)) == (200, 1000)


def test_delete_ends_the_registration_and_keeps_what_was_booked(
    peer: RegisteringPeer, invitation: registration.Invitation, platform: str
) -> None:
    make_evse(make_depot(make_operator(cpo_party_id="OPR")))
    url = credentials_url(invitation.token_a, platform)
    token = ask("POST", url, invitation.token_a, peer.credentials).json()["data"]["token"]
    assert Delivery.objects.filter(next_try_at__isnull=False).exists()

    assert code(ask("DELETE", url, token)) == (200, 1000)

    assert code(ask("GET", platform, token)) == (401, 2000)
    assert not Delivery.objects.filter(next_try_at__isnull=False).exists()
    assert Partner.objects.get().state == Partner.State.GONE


def test_who_has_left_registers_again_with_a_new_token_a(
    peer: RegisteringPeer, invitation: registration.Invitation, platform: str
) -> None:
    url = credentials_url(invitation.token_a, platform)
    token = ask("POST", url, invitation.token_a, peer.credentials).json()["data"]["token"]
    ask("DELETE", url, token)

    again = invite("ABC", ["EMSP"])

    assert code(ask("POST", url, again.token_a, peer.credentials)) == (200, 1000)
    assert Partner.objects.count() == 1


def test_the_full_set_of_offers_is_due_at_once(
    peer: RegisteringPeer, invitation: registration.Invitation, platform: str
) -> None:
    depot = make_depot(make_operator(cpo_party_id="OPR"))
    offered = {make_evse(depot).options.get().pk for _ in range(3)}
    make_evse(make_depot(open_to_all=False))
    url = credentials_url(invitation.token_a, platform)

    ask("POST", url, invitation.token_a, peer.credentials)

    due = Delivery.objects.filter(kind="booking_location", next_try_at__lte=timezone.now())
    assert set(due.values_list("object_id", flat=True)) == offered


def test_no_token_is_in_the_message_log(
    peer: RegisteringPeer, invitation: registration.Invitation, platform: str
) -> None:
    url = credentials_url(invitation.token_a, platform)
    token = ask("POST", url, invitation.token_a, peer.credentials).json()["data"]["token"]
    ask("GET", url, token)

    kept = "".join(f"{m.request_body}{m.response_body}{m.url}" for m in PartnerMessage.objects.all())
    assert PartnerMessage.objects.filter(is_incoming=False).count() == 2
    for secret in (token, invitation.token_a, peer.token):
        assert secret not in kept
    assert not PartnerToken.objects.filter(token_encrypted__contains=token).exists()


# We register with a partner that has invited us


def test_we_register_with_a_network_that_invited_us(network: SimulatedPartner, platform: str) -> None:
    printed = add_partner(
        "--name", "Simulated", "--country-code", "FR", "--party-id", "SIM", "--role", "CPO", "--role", "EMSP",
        "--connect", network.versions_url, "--token", network.registration.invite(),
    )  # fmt: skip

    assert printed[0]["state"] == "registered"
    assert {r["role"] for r in printed[0]["roles"]} == {"CPO", "EMSP"}
    assert network.peer.is_registered
    network.registration.renew()  # with the token we gave it
    assert PartnerToken.objects.filter(kind="current").count() == 1


def test_a_failed_connection_leaves_no_token_behind(network: SimulatedPartner, platform: str) -> None:
    with pytest.raises(CommandError, match=r"401|2000"):
        add_partner(
            "--name", "Simulated", "--country-code", "FR", "--party-id", "SIM", "--role", "CPO",
            "--connect", network.versions_url, "--token", "not-a-token",
        )  # fmt: skip

    assert not PartnerToken.objects.exists()
    assert not network.peer.is_registered


def test_a_network_that_is_not_who_was_expected_is_not_registered(
    network: SimulatedPartner, platform: str
) -> None:
    with pytest.raises(CommandError, match="not among your roles"):
        add_partner(
            "--name", "Somebody", "--country-code", "FR", "--party-id", "XXX", "--role", "CPO",
            "--connect", network.versions_url, "--token", network.registration.invite(),
        )  # fmt: skip

    assert not Partner.objects.filter(state="registered").exists()


def test_the_network_registers_with_us_and_leaves(network: SimulatedPartner, platform: str) -> None:
    invitation = invite("SIM", ["CPO", "EMSP"], country="FR")

    network.registration.register(platform, invitation.token_a)
    assert Partner.objects.get().is_registered
    network.registration.leave()
    assert Partner.objects.get().state == Partner.State.GONE
    with pytest.raises(PlatformError):
        network.registration.register(platform, invitation.token_a)


def test_we_leave_a_network(network: SimulatedPartner, platform: str) -> None:
    network.registration.register(platform, invite("SIM", ["CPO"], country="FR").token_a)

    registration.leave(partner=Partner.objects.get(), now=timezone.now())

    assert not network.peer.is_registered


# The command


def add_partner(*arguments: str) -> list[dict[str, Any]]:
    printed = StringIO()
    call_command("add_partner", *arguments, stdout=printed)
    return [json.loads(line) for line in printed.getvalue().splitlines()]


def test_the_command_prints_what_the_partner_needs(platform: str) -> None:
    printed = add_partner("--name", "Net", "--country-code", "se", "--party-id", "net", "--role", "EMSP")

    assert printed[0]["versions_url"] == platform
    assert printed[0]["partner"] == "Net"
    assert code(ask("GET", platform, printed[0]["token_a"])) == (200, 1000)


def test_many_partners_in_one_go(platform: str) -> None:
    printed = add_partner("--name", "Net", "--country-code", "SE", "--role", "EMSP", "--count", "30")

    assert [line["party_id"] for line in printed][:3] == ["AAA", "AAB", "AAC"]
    assert printed[-1]["party_id"] == "ABD"
    assert len({line["token_a"] for line in printed}) == 30
    assert (
        add_partner("--name", "More", "--country-code", "SE", "--role", "CPO", "--count", "1")[0]["party_id"]
        == "ABE"
    )


def test_what_the_command_refuses(platform: str) -> None:
    defaults = ["--name", "Net", "--country-code", "SE", "--role", "EMSP"]
    for arguments, said in (
        (["--party-id", "LPK", "--country-code", "NL"], "hosted here"),
        (["--party-id", "NEW", "--name", "Nordfracht"], "name Nordfracht is taken"),
        (["--party-id", "ABCD"], "--party-id"),
        (["--party-id", "NEW", "--country-code", "SWE"], "--country-code"),
        ([], "--party-id"),
        (["--party-id", "NEW", "--connect", "http://127.0.0.1:1/v"], "--token"),
        (["--count", "0"], "--count"),
    ):
        with pytest.raises(CommandError, match=said):
            add_partner(*defaults, *arguments)


# What nobody may learn or take


def test_a_token_that_was_replaced_is_never_answered_with_the_one_that_replaced_it(
    peer: RegisteringPeer, invitation: registration.Invitation, platform: str
) -> None:
    url = credentials_url(invitation.token_a, platform)
    assert ask("GET", url, invitation.token_a).json()["data"]["token"] == invitation.token_a
    old = ask("POST", url, invitation.token_a, peer.credentials).json()["data"]["token"]
    new = ask("PUT", url, old, peer.credentials).json()["data"]["token"]

    told = ask("GET", url, old).json()["data"]["token"]

    assert told == old != new


def test_a_refusal_does_not_tell_where_a_name_leads(
    peer: RegisteringPeer, invitation: registration.Invitation, platform: str, settings: Any
) -> None:
    settings.BERTH_ALLOW_PRIVATE_PARTNERS = False
    url = credentials_url(invitation.token_a, platform)

    said = [
        ask("POST", url, invitation.token_a, {**peer.credentials, "url": f"https://{name}/versions"}).json()
        for name in (f"localhost:{peer.server.port}", "nobody.invalid", "localhost:1")
    ]

    assert {answer["status_code"] for answer in said} == {3001}
    assert len({answer["status_message"] for answer in said}) == 1, (
        "a name that is here, and one that is nowhere"
    )
    assert "127.0.0.1" not in said[0]["status_message"]
    assert "private" in " ".join(PartnerMessage.objects.values_list("error", flat=True)), (
        "the operator reads more"
    )


def test_registrations_under_way_leave_threads_for_others(
    peer: RegisteringPeer, invitation: registration.Invitation, platform: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registering_places, "MOST_AT_ONCE", 1)
    go_on, url = threading.Event(), credentials_url(invitation.token_a, platform)
    other = invite("OTH", ["EMSP"])
    peer.replies["/versions"] = Reply(status=500, wait_for=go_on)

    with ThreadPoolExecutor(1) as threads:
        slow = threads.submit(ask, "POST", url, invitation.token_a, peer.credentials)
        peer.server.wait_for(lambda asked: len(asked) == 1)
        again = ask("POST", url, invitation.token_a, peer.credentials)
        else_ = ask("POST", url, other.token_a, peer.credentials)
        go_on.set()

    assert code(again) == (405, 2000)
    assert again.headers["Allow"] == "GET, HEAD, POST"
    assert (code(else_), else_.headers["Retry-After"]) == ((429, 2000), "5")
    assert code(slow.result()) == (200, 3001)
    del peer.replies["/versions"]
    assert code(ask("POST", url, invitation.token_a, peer.credentials)) == (200, 1000)


def test_a_registration_under_way_in_another_process_counts_too(
    peer: RegisteringPeer, invitation: registration.Invitation, platform: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever holds the places, it is a session of the database."""
    monkeypatch.setattr(registering_places, "MOST_AT_ONCE", 1)
    url = credentials_url(invitation.token_a, platform)

    with registering_places.taken(invitation.partner.pk):
        own = ask("POST", url, invitation.token_a, peer.credentials)
    with registering_places.taken(10**6):
        others = ask("POST", url, invitation.token_a, peer.credentials)

    assert (code(own), code(others)) == ((405, 2000), (429, 2000))
    assert not peer.server.asked, "nobody was called"
    assert code(ask("POST", url, invitation.token_a, peer.credentials)) == (200, 1000), "all was given back"


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (
            Reply(status=502, body=b"<html><h1>Bad\n gateway\x00</h1>"),
            "HTTP 502: <html><h1>Bad gateway?</h1>",
        ),
        (Reply(status=404, body=b"x" * 5000), "HTTP 404: " + "x" * 200 + "…"),
        (Reply(status=200, body=b"It works!"), "the answer is not JSON: It works!"),
        (envelope(status_code=2001, message="token unknown"), "2001: token unknown"),
    ],
)
def test_what_the_other_server_says_is_shown_to_who_registers(
    peer: RegisteringPeer, invitation: registration.Invitation, platform: str, reply: Reply, said: str
) -> None:
    """To a partner about its own server, and to our operator about a partner's."""
    peer.replies["/versions"] = reply
    url = credentials_url(invitation.token_a, platform)

    theirs = ask("POST", url, invitation.token_a, peer.credentials).json()
    with pytest.raises(CommandError) as ours:
        call_command(
            "add_partner", "--name", "Other", "--country-code", "SE", "--party-id", "OTH", "--role", "EMSP",
            "--connect", f"{peer.server.url}/versions", "--token", "token-a", stdout=StringIO(),
        )  # fmt: skip

    assert said in theirs["status_message"]
    assert said in str(ours.value)


def named(*roles: tuple[str, str]) -> list[dict[str, Any]]:
    return [
        {"role": role, "country_code": "SE", "party_id": party, "business_details": {"name": "N"}}
        for role, party in roles
    ]


def test_a_claimed_party_keeps_nobody_out_and_goes_to_who_is_invited_as_it(
    peer: RegisteringPeer, invitation: registration.Invitation, platform: str
) -> None:
    url = credentials_url(invitation.token_a, platform)
    claims = {**peer.credentials, "roles": named(("EMSP", "ABC"), ("EMSP", "XYZ"), ("CPO", "XYZ"))}
    assert code(ask("POST", url, invitation.token_a, claims)) == (200, 1000)
    squatter = invitation.partner
    squatter.refresh_from_db()
    assert len(squatter.roles) == 3

    owner = invite("XYZ", ["EMSP"])
    with RegisteringPeer("XYZ") as rightful:
        mine = {**rightful.credentials, "roles": named(("EMSP", "XYZ"), ("CPO", "XYZ"))}
        assert code(ask("POST", url, owner.token_a, mine)) == (200, 1000)

    squatter.refresh_from_db()
    owner.partner.refresh_from_db()
    assert [(r["role"], r["party_id"]) for r in squatter.roles] == [("EMSP", "ABC"), ("CPO", "XYZ")]
    # A claim of the newcomer, as CPO, that another made before: it is registered all the same.
    assert [(r["role"], r["party_id"]) for r in owner.partner.roles] == [("EMSP", "XYZ")]
    assert owner.partner.deviations == {"credentials.role_of_another": 1}


def test_a_depot_claimed_in_the_name_of_another_gives_way(platform: str) -> None:
    from depots.models import Depot
    from roaming.mirror import partner_places
    from tests.roaming.partners import make_partner

    role = {"role": "CPO", "country_code": "SE", "party_id": "XYZ", "name": ""}
    squatter, owner = make_partner("SQT"), make_partner("XYZ", roles=[role])
    taken = Depot.objects.create(
        operator=squatter.organisation, code="SE-XYZ-L1", location_id="L1", name="Not theirs", is_mirror=True
    )

    with transaction.atomic():
        depot = partner_places.locked_depot(owner, "SE", "XYZ", "L1")

    taken.refresh_from_db()
    assert depot.operator == owner.organisation
    assert taken.is_withdrawn
    assert taken.code != depot.code == "SE-XYZ-L1"


# Hubs


def test_a_hub_of_2_2_1_registers_with_nothing_but_its_role(platform: str) -> None:
    with RegisteringPeer("HUB", ("HUB",)) as hub:
        hub.versions, hub.endpoints = ["2.2.1"], [("credentials", "SENDER"), ("hubclientinfo", "SENDER")]
        token = invite("HUB", ["HUB"]).token_a

        answer = ask("POST", credentials_url(token, platform, "2.2.1"), token, hub.credentials)

    assert code(answer) == (200, 1000)
    partner = Partner.objects.get()
    assert partner.switches["hub_party_id"] == "SEHUB"
    assert partner.pulls.filter(module="hub_client", next_at__isnull=False).exists()


def test_a_hub_of_2_3_0_names_all_it_reaches_and_takes_none_from_others(
    peer: RegisteringPeer, platform: str
) -> None:
    direct = invite("ABC", ["EMSP"]).token_a
    ask("POST", credentials_url(direct, platform), direct, peer.credentials)
    with RegisteringPeer("HUB") as hub:
        hub.party = "AAA"
        told = {**hub.credentials, "hub_party_id": "SEHUB"}
        told["roles"] = [*told["roles"], *peer.credentials["roles"]]
        token = invite("HUB", ["HUB"]).token_a

        answer = ask("POST", credentials_url(token, platform), token, told)

    assert code(answer) == (200, 1000)
    by_party = {str(one.organisation): one for one in Partner.objects.all()}
    named = [(role["role"], role["party_id"]) for role in by_party["Network HUB"].roles]
    assert named == [("EMSP", "AAA"), ("HUB", "HUB")]
    assert by_party["Network ABC"].has_role("EMSP")
