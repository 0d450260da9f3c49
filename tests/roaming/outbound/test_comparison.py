"""What differs between us and a partner is found by asking, and each difference has one repair."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from io import StringIO
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.core.management import call_command
from django.utils import timezone

from bookings.core.calendars import raise_marked
from bookings.models import ChargeDetailRecord
from depots.models import Depot
from roaming.models import Delivery, Partner
from roaming.outbound import comparison, fan_out, pull_plan, shown_changes
from roaming.outbound.comparison import Difference, What, differing
from roaming.outbound.our_objects import our_objects
from tests.factories import (
    NOW,
    at,
    make_depot,
    make_evse,
    make_fleet,
    make_operator,
    make_vehicle,
    option_of,
)
from tests.money_factories import make_bound, per_kwh
from tests.roaming.guests import begin, booked, end
from tests.roaming.partners import keep_listed, make_partner
from tests.roaming.peers import Asked, Reply, ScriptedPeer, envelope
from tests.roaming.pushed_objects import location, offer
from tests.roaming.running import RunningSender, eventually
from tests.roaming.told_charging import cdr, session
from tests.roaming.told_charging import token as told_token

pytestmark = pytest.mark.django_db(transaction=True)
LATE = "2030-01-15T09:00:00Z"


class Network:
    """A partner that keeps what is put to it and gives it back, and lists depots and offers of its own."""

    def __init__(self) -> None:
        self.held: dict[str, Any] = {}
        self.lists: dict[str, list[Any]] = {
            "/sender/locations": [],
            "/sender/bookings/booking_locations": [],
            "/sender/bookings": [],
        }
        self.server = ScriptedPeer(self._answer)

    def _answer(self, asked: Asked) -> Reply:
        if asked.method == "PUT":
            self.held[asked.path] = asked.body
            return envelope()
        found = self.lists.get(asked.path, self.held.get(asked.path))
        return envelope(found) if found is not None else envelope(status_code=2000, status=404)


@pytest.fixture
def network(platform: str) -> Iterator[Network]:
    running = Network()
    with running.server:
        yield running


@pytest.fixture
def partner(network: Network) -> Partner:
    url, role = network.server.url, {"country_code": "FR", "party_id": "CPO", "name": "Network"}
    names = {"locations": "locations", "tariffs": "tariffs", "Booking": "bookings"}
    endpoints = [
        {"identifier": name, "role": "RECEIVER", "url": f"{url}/{path}"} for name, path in names.items()
    ]
    endpoints += [
        {"identifier": name, "role": "SENDER", "url": f"{url}/sender/{names[name]}"}
        for name in ("locations", "Booking")
    ]
    return make_partner(
        "CPO", country_code="FR", roles=[{"role": "EMSP", **role}, {"role": "CPO", **role}], endpoints=endpoints,
        versions_url=f"{url}/versions",
    )  # fmt: skip


@pytest.fixture
def depot() -> Depot:
    found = make_depot(make_operator(country_code="NL", cpo_party_id="LPK"))
    make_bound(per_kwh("0.40"), depot=found)
    fan_out.want([option_of(make_evse(found)).pk], now=NOW)
    return found


def test_both_sides_are_compared_and_repaired(
    network: Network, partner: Partner, depot: Depot, clock: Any
) -> None:
    raise_marked(timezone.now)
    fan_out.want([depot.options.get().pk], now=timezone.now())
    shown_changes.want_changed(now=timezone.now())
    network.lists["/sender/locations"] = [location()]
    keep_listed(partner, "location", location())
    pull_plan.plan([partner], now=timezone.now())
    with RunningSender():
        eventually(
            lambda: len(network.held) == 3 and not Delivery.objects.filter(next_try_at__isnull=False).exists()
        )
        eventually(lambda: not partner.pulls.filter(read_at=None).exists())
        assert comparison.compare(partner_id=partner.pk, now=timezone.now()) == []

        place = next(path for path in network.held if "/locations/" in path)
        tariff = next(path for path in network.held if "/tariffs/" in path)
        network.held[place] = {**network.held[place], "name": "Elsewhere", "x_theirs": 1}
        del network.held[tariff]
        network.lists["/sender/locations"] = [location(name="Metz Gare"), location(id="LOC-2")]
        keep_listed(partner, "booking_location", offer())

        found = comparison.compare(partner_id=partner.pk, now=timezone.now())

        assert sorted((one.kind, one.what, one.repair) for one in found) == [
            ("booking_location", What.GONE_THERE, "read_again"),
            ("location", What.DIFFERS_HERE, "read_again"),
            ("location", What.DIFFERS_THERE, "send_again"),
            ("location", What.MISSING_HERE, "read_again"),
            ("tariff", What.MISSING_THERE, "send_again"),
        ]
        assert {one.fields for one in found if one.what in (What.DIFFERS_HERE, What.DIFFERS_THERE)} == {
            ("name",)
        }
        comparison.repair(partner_id=partner.pk, differences=found, now=timezone.now())
        clock.shift(timedelta(seconds=3))  # a depot is pushed at most every two
        eventually(lambda: network.held.get(tariff) and network.held[place]["name"] == depot.name)
        eventually(
            lambda: (
                Depot.objects.filter(name="Metz Gare").exists()
                and Depot.objects.filter(location_id="LOC-2").exists()
            )
        )

    left = comparison.compare(partner_id=partner.pk, now=timezone.now())
    assert [(one.kind, one.what) for one in left] == [("booking_location", What.GONE_THERE)]


def test_tokens_sessions_and_records_are_compared_both_ways(network: Network, clock: Any) -> None:
    url, role = network.server.url, {"country_code": "FR", "party_id": "CPO", "name": "Network"}
    endpoints = [
        {"identifier": name, "role": side, "url": f"{url}/{side.lower()}/{name}"}
        for name in ("tokens", "sessions", "cdrs")
        for side in ("RECEIVER", "SENDER")
    ]
    partner = make_partner(
        "CPO",
        country_code="FR",
        endpoints=endpoints,
        roles=[{"role": "EMSP", **role}, {"role": "CPO", **role}],
    )
    [card] = make_vehicle(make_fleet(country_code="DE", emsp_party_id="NFE")).tokens.all()
    charged = begin(booked(partner))
    end(charged)
    record = ChargeDetailRecord.objects.get()
    for kind, pk, kept_at in (
        ("token", card.pk, ""), ("session", charged.guest.pk, ""), ("cdr", record.pk, f"{url}/receiver/cdrs/1"),
    ):  # fmt: skip
        delivered = {"digest": "x"} | ({"location": kept_at} if kept_at else {})
        partner.deliveries.update_or_create(
            kind=kind,
            object_id=pk,
            defaults={
                "wanted_version": 9, "delivered_version": 9, "next_try_at": None, "delivered": delivered, "delivered_at": at(11),
            },
        )  # fmt: skip
    ours = our_objects(partner, now=at(11))
    assert sorted(one.kind for one in ours) == ["cdr", "session", "token"]
    network.held = {urlsplit(one.url).path: one.body for one in ours}
    theirs = told_token(uid="04THEIRS", issuer="Network", valid=True, whitelist="ALWAYS", last_updated=LATE)
    network.lists = {
        "/sender/sessions": [session(), session(id="S-2", status="COMPLETED")],
        "/sender/cdrs": [cdr()],
        "/sender/tokens": [{**theirs, "country_code": "FR", "party_id": "CPO"}],
    }

    def found() -> list[tuple[str, str, str]]:
        return sorted(
            (one.kind, one.name, one.what) for one in comparison.compare(partner_id=partner.pk, now=at(11))
        )

    missing = [
        ("cdr", "CDR-1", What.MISSING_HERE), ("session", "S-2", What.MISSING_HERE), ("token", "04THEIRS RFID", What.MISSING_HERE),
    ]  # fmt: skip
    assert found() == missing, "one that charges on is left out"

    kept_at, tokens = "/receiver/cdrs/1", [path for path in network.held if "/tokens/" in path]
    network.held[kept_at] = {**network.held[kept_at], "total_energy": 1}
    del network.held[tokens[0]]
    told = [("cdr", record.code, What.DIFFERS_THERE), ("token", card.uid, What.MISSING_THERE)]
    assert found() == sorted([*missing, *told])

    differences = comparison.compare(partner_id=partner.pk, now=at(11))
    comparison.repair(partner_id=partner.pk, differences=differences, now=at(11))
    due = partner.deliveries.filter(next_try_at__isnull=False).values_list("kind", flat=True)
    assert "token" in due
    assert "cdr" not in due, "a record that is there is not told a second time"
    assert partner.deliveries.get(kind="cdr").delivered["location"] == f"{url}/receiver/cdrs/1"


def test_what_the_partner_adds_and_when_it_changed_does_not_count() -> None:
    ours = {"id": "1", "name": "A", "evses": [{"uid": "E", "status": "AVAILABLE"}], "last_updated": "1"}

    assert (
        differing(
            ours,
            {
                **ours,
                "last_updated": "2",
                "extra": 1,
                "evses": [{"uid": "E", "status": "AVAILABLE", "more": 1}],
            },
        )
        == ()
    )
    assert differing(ours, {**ours, "evses": [{"uid": "E", "status": "CHARGING"}]}) == ("evses",)
    assert differing({"connectors": []}, {}) == ()
    assert differing(ours, None) == tuple(ours)


def test_the_command_prints_a_line_a_difference(monkeypatch: pytest.MonkeyPatch, db: None) -> None:
    partner, out = make_partner("NET"), StringIO()
    found = [Difference("location", "D1", What.DIFFERS_THERE, ("name",), 7)]
    monkeypatch.setattr(comparison, "compare", lambda **_: found)

    call_command("compare_partner", str(partner), stdout=out)

    said = {
        "kind": "location",
        "name": "D1",
        "what": "differs_there",
        "fields": ["name"],
        "object_id": 7,
        "repair": "send_again",
    }
    assert json.loads(out.getvalue()) == said
