"""A hub: whom it speaks for, which of its parties are told what, and what it says of their being there."""

from __future__ import annotations

from datetime import timedelta
from itertools import product
from typing import Any

import pytest

from roaming.hubs import clients
from roaming.hubs.clients import ToldClient, find_client, keep_client
from roaming.models import Delivery, Partner, PartnerPull
from roaming.ocpi.call_failures import Refused, Unreachable
from roaming.ocpi.client import Peer
from roaming.ocpi.times import time_out
from roaming.outbound import deliveries, pulls
from roaming.outbound.pull_plan import plan
from roaming.outbound.pulled_lists import Page, PulledList
from roaming.outbound.pushes import Push
from roaming.outbound.writers.bookings import bookings_written
from roaming.outbound.writers.locations import locations_written
from tests.factories import NOW, make_depot, make_evse, make_operator, option_of, slot
from tests.roaming.invoicing import RECORDS, told_record
from tests.roaming.partners import (
    BOOKINGS,
    LOCATIONS,
    VERSIONS,
    Caller,
    booking_request,
    code,
    data,
    make_partner,
)
from tests.roaming.told_charging import CDRS, cdr

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]
INFO = "/ocpi/2.3.0/hubclientinfo"
MODULES = [
    ("hubclientinfo", "SENDER"), ("locations", "RECEIVER"), ("bookings", "RECEIVER"), ("locations", "SENDER"),
]  # fmt: skip


def make_hub(version: str = "2.2.1", **fields: Any) -> Partner:
    role = {"role": "HUB", "country_code": "NL", "party_id": "HUB", "name": "Hub"}
    endpoints = [{"identifier": m, "role": r, "url": f"https://hub.example/{m}/{r}"} for m, r in MODULES]
    switches = {"hub_party_id": "NLHUB", "bookings_under_2_2_1": True}
    made = {"roles": [role], "version": version, "switches": switches, "endpoints": endpoints, **fields}
    return make_partner("HUB", country_code="NL", **made)


def info(party: str, status: str = "CONNECTED", role: str = "EMSP", **fields: Any) -> dict[str, Any]:
    told = {"country_code": "SE", "party_id": party, "role": role, "status": status}
    return {**told, "last_updated": time_out(NOW), **fields}


def put(caller: Caller, party: str, *arguments: Any, **fields: Any) -> tuple[int, int]:
    return code(caller.send("PUT", f"{INFO}/SE/{party}", info(party, *arguments, **fields)))


def routed(party: str, country: str = "SE") -> dict[str, str]:
    return {"OCPI-from-country-code": country, "OCPI-from-party-id": party}


@pytest.mark.parametrize("version", VERSIONS)
def test_a_hub_tells_who_is_behind_it_and_reads_that_back(version: str) -> None:
    caller = Caller(make_hub(version))

    assert put(caller, "AAA", "PLANNED", note="unknown field") == (201, 1000)
    assert put(caller, "aaa", last_updated=time_out(NOW + timedelta(minutes=1))) == (200, 1000)
    assert put(caller, "AAA", "OFFLINE", last_updated=time_out(NOW - timedelta(minutes=1))) == (200, 1000)

    kept = caller.get(f"{INFO}/se/aaa", **routed("HUB", "NL"))
    assert data(kept)["status"] == "CONNECTED", "what is older changes nothing"
    assert "OCPI-to-party-id" not in kept, "a configuration module"
    assert caller.partner.hub_clients.count() == 1
    listed = data(caller.get("/ocpi/2.3.0"))["endpoints"]
    assert [e["role"] for e in listed if e["identifier"] == "hubclientinfo"] == ["RECEIVER"]


def test_what_is_wrong_about_a_client_is_named_and_changes_nothing() -> None:
    hub, other = Caller(make_hub()), Caller(make_partner())

    assert code(hub.send("PUT", f"{INFO}/SE/BBB", info("AAA"))) == (200, 2001)
    assert put(hub, "AAA", "ASLEEP") == (200, 2001)
    assert code(hub.get(f"{INFO}/SE/AAA")) == (404, 2000)
    assert put(other, "AAA") == (404, 2000), "to who is no hub there is nothing here"
    assert "hubclientinfo" not in {e["identifier"] for e in data(other.get("/ocpi/2.3.0"))["endpoints"]}
    assert not hub.partner.hub_clients.exists()


def test_a_hub_tells_of_as_many_parties_as_credentials_may_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "MOST_CLIENTS", 2)
    hub = Caller(make_hub())

    assert [put(hub, party) for party in ("AAA", "BBB", "CCC")] == [(201, 1000), (201, 1000), (200, 2001)]
    assert put(hub, "AAA", "OFFLINE") == (200, 1000)
    assert hub.partner.hub_clients.count() == 2


def test_a_hub_speaks_for_those_it_tells_of_and_for_itself() -> None:
    make_evse(make_depot(make_operator()))
    caller = Caller(make_hub())
    assert code(caller.get(LOCATIONS, **routed("AAA"))) == (404, 2001)

    put(caller, "AAA")

    assert code(caller.get(LOCATIONS, **routed("aaa"))) == (200, 1000)
    assert code(caller.get(LOCATIONS, **routed("HUB", "NL"))) == (200, 1000)
    assert code(caller.get(LOCATIONS, **routed("BBB"))) == (404, 2001)


def test_parties_behind_a_hub_tell_of_their_own_alone_and_the_hub_of_all() -> None:
    hub = Caller(make_hub("2.3.0"))
    for party, role in product(("AAA", "BBB"), ("CPO", "EMSP")):
        put(hub, party, role=role)
    kept = [
        "/ocpi/emsp/2.3.0/locations/SE/AAA/X", "/ocpi/emsp/2.3.0/tariffs/SE/AAA/X", "/ocpi/emsp/2.3.0/sessions/SE/AAA/X",
        "/ocpi/emsp/2.3.0/cdrs/SE/AAA/X", "/ocpi/emsp/2.3.0/bookings/SE/AAA/X", "/ocpi/cpo/2.3.0/tokens/SE/AAA/X",
        "/ocpi/emsp/2.3.0/bookings/SE/AAA/booking_locations/X", f"{RECORDS}/SE/AAA/X",
    ]  # fmt: skip
    said = {
        sender: {code(hub.get(path, **headers)) for path in kept}
        for sender, headers in {
            "own": routed("aaa"), "hub": routed("HUB", "NL"), "nobody": {}, "other": routed("BBB"),
        }.items()
    }  # fmt: skip

    no_object, not_yours = (404, 2000), (404, 2001)
    assert said == {"own": {no_object}, "hub": {no_object}, "nobody": {no_object}, "other": {not_yours}}
    for path, body in ((CDRS, cdr()), (RECORDS, told_record())):
        theirs = {**body, "country_code": "SE", "party_id": "AAA"}
        assert code(hub.post(path, theirs, **routed("BBB"))) == (200, 2001)
        assert code(hub.post(path, theirs, **routed("AAA"))) == (201, 1000)


def test_a_hub_cannot_take_the_party_of_another_partner() -> None:
    direct = make_partner("ABC")
    caller = Caller(make_hub())

    put(caller, "ABC")

    caller.partner.refresh_from_db()
    assert [role["role"] for role in caller.partner.roles] == ["HUB"]
    direct.refresh_from_db()
    assert direct.has_role("EMSP")


def booked_by(caller: Caller, *parties: str) -> None:
    evse = make_evse(make_depot(make_operator()))
    for hour, party in enumerate(parties):
        body = booking_request(("SE", party), option_of(evse), slot(10 + hour, 11 + hour))
        assert code(caller.post(BOOKINGS, body, **routed(party))) == (201, 1000)


def pushes(now: Any) -> list[Push]:
    return bookings_written(deliveries.claim(room=10, kinds=["booking"], now=now), now=now)


def test_what_is_for_a_party_that_is_offline_waits_and_nothing_else_does() -> None:
    """Checklist 90."""
    caller = Caller(make_hub())
    put(caller, "AAA")
    put(caller, "BBB")
    booked_by(caller, "AAA", "BBB")
    later = NOW + timedelta(minutes=1)
    put(caller, "AAA", "OFFLINE", last_updated=time_out(later))

    sent = pushes(later)

    assert [push.peer.to_party for push in sent] == [("SE", "BBB")]
    waiting = Delivery.objects.get(kind="booking", leased_until=None)
    assert waiting.last_error == "The hub cannot reach SE*AAA."
    assert waiting.attempts == 0, "nobody is to blame"
    caller.partner.refresh_from_db()
    assert caller.partner.failures == 0
    assert not pushes(later)

    put(caller, "AAA", last_updated=time_out(later + timedelta(minutes=1)))
    assert [push.peer.to_party for push in pushes(later)] == [("SE", "AAA")]


@pytest.mark.parametrize("status_code", [4001, 4002, 4003])
def test_a_party_the_hub_cannot_reach_does_not_close_the_hub(status_code: int) -> None:
    caller = Caller(make_hub())
    put(caller, "AAA")
    booked_by(caller, *["AAA"] * 5)
    now = NOW

    for _ in range(3):
        while leases := deliveries.claim(room=10, kinds=["booking"], now=now):
            for lease in leases:
                deliveries.failed(lease, Refused(200, status_code, "not connected"), now=now)
        now += timedelta(minutes=5)

    caller.partner.refresh_from_db()
    assert (caller.partner.failures, caller.partner.closed_until) == (0, None)
    assert Delivery.objects.filter(kind="booking", attempts=3).count() == 5, "each is tried again by itself"


def test_a_list_or_command_that_cannot_be_passed_on_does_not_count_against_the_hub() -> None:
    hub = make_hub()
    keep_client(hub, ToldClient("SE", "AAA", "CPO", "CONNECTED", NOW), {}, now=NOW)

    for failure in (Refused(200, 4003, "away"), Unreachable("4002: no answer", is_behind_hub=True)):
        pulls.broke_off(hub.pk, "location", failure, now=NOW)
        deliveries.record_failure(hub.pk, failure, now=NOW)

    hub.refresh_from_db()
    assert hub.failures == 0
    deliveries.record_failure(hub.pk, Refused(200, 4000, "the hub itself"), now=NOW)
    hub.refresh_from_db()
    assert hub.failures == 1


def test_depots_are_broadcast_under_the_name_of_their_owner() -> None:
    operator = make_operator()
    depot = make_evse(make_depot(operator)).depot
    hub = make_hub()
    keep_client(hub, ToldClient("SE", "AAA", "EMSP", "CONNECTED", NOW), {}, now=NOW)

    [push] = locations_written(deliveries.claim(room=10, kinds=["location"], now=NOW), now=NOW)

    assert push.peer.to_party == ("NL", "HUB")
    owner = (operator.country_code, operator.cpo_party_id)
    assert push.peer.from_party == owner
    assert push.url.endswith("/".join([*owner, depot.location_id]))


def test_a_list_of_a_hub_is_read_at_once_and_kept_by_owner(monkeypatch: Any) -> None:
    hub = make_hub()
    for party, status in (("AAA", "CONNECTED"), ("BBB", "CONNECTED"), ("CCC", "OFFLINE")):
        keep_client(hub, ToldClient("SE", party, "CPO", status, NOW), {}, now=NOW)
    kept: list[tuple[str, list[str]]] = []
    gone: list[tuple[str, set[str]]] = []

    def keep(page: Page) -> list[str]:
        page.seen.update(raw["id"] for raw in page.objects)
        kept.append((page.party[1], [raw["id"] for raw in page.objects]))
        return []

    of = PulledList(
        "location",
        lambda partner: partner.endpoint("locations", "SENDER"),
        keep,
        withdraw=lambda partner, party, seen, before: gone.append((party[1], set(seen))),
    )
    monkeypatch.setitem(pulls.LISTS, "location", of)
    assert PartnerPull.objects.filter(partner=hub, module="location", next_at__lte=NOW).exists()

    pull = pulls.begin(hub.pk, "location", now=NOW)
    assert pull is not None
    [crawl] = pull.crawls
    objects = [
        {"country_code": "SE", "party_id": party, "id": name}
        for party, name in (("AAA", "1"), ("bbb", "1"), ("AAA", "2"), ("XXX", "9"))
    ]
    pulls.keep_page(pull, crawl, [*objects, "nonsense"], now=NOW)
    pulls.finished(pull, now=NOW)

    assert crawl.peer.to_party == ("NL", "HUB")
    assert kept == [("AAA", ["1", "2"]), ("BBB", ["1"])]
    assert sorted(gone) == [("AAA", {"1", "2"}), ("BBB", {"1"})], "of who is offline nothing is known"
    assert hub.deviations["location.of_another_party"] == 2


def test_the_list_of_clients_is_read_when_a_hub_registers() -> None:
    hub = make_hub()
    plan([hub], now=NOW)
    assert hub.pulls.filter(module="hub_client", next_at=NOW).exists()
    pull = pulls.Pull(hub.pk, pulls.LISTS["hub_client"], NOW, is_complete=True)
    crawl = pulls.Crawl(Peer("t"), "https://hub.example", {}, ("NL", "HUB"))

    pulls.keep_page(pull, crawl, [info("AAA"), info("BBB", "SUSPENDED", "CPO"), {"party_id": "x"}], now=NOW)

    found = find_client(hub, ("SE", "BBB"))
    assert found is not None
    assert found.status == "SUSPENDED"
    assert hub.deviations == {"hub_client.unreadable": 1}
    hub.refresh_from_db()
    assert {(role["role"], role["party_id"]) for role in hub.roles} == {
        ("HUB", "HUB"), ("EMSP", "AAA"), ("CPO", "BBB"),
    }  # fmt: skip
