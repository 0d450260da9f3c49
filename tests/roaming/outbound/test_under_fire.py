"""A partner that is away for a day, in every way one can be: when it is back it has what we have, nothing twice, nothing out of
order."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from tests.roaming.outbound.away_day import (
    A_DAY,
    AN_HOUR,
    Customer,
    Day,
    booking_paths,
    check_order,
    check_stored,
    compare,
    impatience,
    nothing_can_be_sent,
    tell_the_rest,
)
from tests.roaming.outbound.storing_network import Network
from tests.roaming.partners import Caller, make_partner
from tests.roaming.peers import Reply, envelope
from tests.roaming.running import RunningSender, eventually, fresh

pytestmark = pytest.mark.django_db(transaction=True)
NEVER = threading.Event()
Fault = Callable[[], Reply]


def never() -> Reply:
    return envelope(wait_for=NEVER)


FAULTS: dict[str, Fault] = {
    "answers 500": lambda: Reply(status=500, body={"oops": True}),
    "hangs up": lambda: Reply(cut=True),
    "never answers": never,
    "says 2000": lambda: envelope(status_code=2000, message="no"),
    "says 3000": lambda: envelope(status_code=3000, message="not now"),
    "answers half a JSON": lambda: Reply(body=b'{"status_code": 1000, "times'),
    "is a page": lambda: Reply(body=b"<html>Welcome</html>", headers={"Content-Type": "text/html"}),
    "has enough": lambda: Reply(status=429, body={}, headers={"Retry-After": "3600"}),
}


@pytest.fixture
def network(platform: str) -> Iterator[Network]:
    running = Network()
    with running.server:
        yield running


def customer_at(network: Network, party_id: str = "AWY", **fields: Any) -> Customer:
    party = {"country_code": "SE", "party_id": party_id, "name": "Network"}
    roles = [{"role": role, **party} for role in ("EMSP", "CPO")]
    partner = make_partner(
        party_id,
        versions_url=f"{network.server.url}/versions",
        endpoints=network.endpoints,
        roles=roles,
        **fields,
    )
    return Customer(partner, ("SE", party_id))


def pass_day(
    day: Day, networks: list[Network], faults: list[Fault], clock: Any, *, step: timedelta = AN_HOUR
) -> None:
    """A fault a step, by turns; each step is over when nothing can be sent any more."""
    for number in range(A_DAY // step):
        fault = faults[number % len(faults)]
        for network in networks:
            network.fault = fault
        with impatience() if fault is never else nullcontext():
            day.pass_step(number)
            clock.shift(timedelta(seconds=5))
            compare()
            eventually(nothing_can_be_sent, f"step {number} is over")
        clock.shift(step)
    day.end()
    compare()
    eventually(nothing_can_be_sent)


def be_back(networks: list[Network], clock: Any) -> None:
    for network in networks:
        network.fault = network.loses = None
    clock.shift(timedelta(minutes=16))
    compare()
    tell_the_rest(clock)


def counted(network: Network) -> dict[str, int]:
    return {path: len(bodies) for path, bodies in network.stored.items()}


def test_a_partner_that_was_away_for_a_day_has_in_the_end_what_we_have(network: Network, clock: Any) -> None:
    """Checklist 29: after an outage, pushes resume with the current state only."""
    customer = customer_at(network)
    day = Day(clock, customer)
    with RunningSender():
        tell_the_rest(clock)
        before = counted(network)
        pass_day(day, [network], list(FAULTS.values()), clock, step=2 * AN_HOUR)
        assert counted(network) == before, "it stored nothing meanwhile"
        be_back([network], clock)

    network.check_equal(Caller(customer.partner))
    check_stored(network, day.guests[0], before)
    assert fresh(customer.partner).failures == 0


@pytest.mark.long
def test_what_a_party_behind_a_hub_missed_comes_in_its_order_and_keeps_nobody_else_waiting(
    network: Network, clock: Any
) -> None:
    """Checklist 90: the hub is there all day, and says that one of its parties is not."""
    away, there = ("SE", "AAA"), ("SE", "BBB")
    roles = [
        {"role": role, "country_code": country, "party_id": party, "name": party}
        for country, party in (away, there)
        for role in ("EMSP", "CPO")
    ]
    hub = make_partner(
        "HUB", country_code="NL", roles=roles, switches={"hub_party_id": "NLHUB"}, endpoints=network.endpoints,
        versions_url=f"{network.server.url}/versions",
    )  # fmt: skip
    day = Day(clock, Customer(hub, away), Customer(hub, there))
    network.is_meant = lambda asked: asked.headers.get("ocpi-to-party-id") == "AAA"
    noes = [partial(envelope, status_code=code, message="it is away") for code in (4003, 4002, 4001)]
    with RunningSender():
        tell_the_rest(clock)
        before = counted(network)
        pass_day(day, [network], noes, clock, step=4 * AN_HOUR)
        clock.shift(timedelta(minutes=16))
        eventually(nothing_can_be_sent)
        meanwhile = counted(network)
        be_back([network], clock)

    assert fresh(hub).failures == 0
    missed, had = day.guests
    assert all(meanwhile[path] == before[path] for path in booking_paths(missed) if path in before)
    assert all(meanwhile[path] > before[path] for path in booking_paths(had)[:3])
    check_order(network, had)
    network.check_equal(Caller(hub))
    check_stored(network, missed, meanwhile)
