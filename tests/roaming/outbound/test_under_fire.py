"""A partner that is away for a day, in every way one can be: when it is back it has what we have, nothing twice, nothing out of
order."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, nullcontext
from datetime import timedelta
from functools import partial
from random import Random
from typing import Any, NamedTuple

import pytest

from tests.roaming.outbound.away_day import (
    A_DAY,
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


class Mode(NamedTuple):
    """How a partner is for a while: `fault` is what it answers in place of storing, `loses` in place of saying that it has."""

    fault: Callable[[], Reply] | None = None
    loses: Callable[[], Reply] | None = None
    is_silent: bool = False


def never() -> Reply:
    return envelope(wait_for=NEVER)


THERE = Mode()
AWAY = {
    "answers 500": Mode(lambda: Reply(status=500, body={"oops": True})),
    "hangs up": Mode(lambda: Reply(cut=True)),
    "never answers": Mode(never, is_silent=True),
    "says 2000": Mode(lambda: envelope(status_code=2000, message="no")),
    "says 3000": Mode(lambda: envelope(status_code=3000, message="not now")),
    "answers half a JSON": Mode(lambda: Reply(body=b'{"status_code": 1000, "times')),
    "is a page": Mode(lambda: Reply(body=b"<html>Welcome</html>", headers={"Content-Type": "text/html"})),
    "has enough": Mode(lambda: Reply(status=429, body={}, headers={"Retry-After": "3600"})),
}
# It stores what it is told, and nobody hears so.
UNHEARD = {f"stores it and {name}": Mode(None, mode.fault, mode.is_silent) for name, mode in AWAY.items()}
STEPS = 12


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


def parties_at(hub: Network) -> list[Customer]:
    """Two parties behind a hub, which is one partner."""
    parties = ("SE", "AAA"), ("SE", "BBB")
    roles = [
        {"role": role, "country_code": country, "party_id": party, "name": party}
        for country, party in parties
        for role in ("EMSP", "CPO")
    ]
    partner = make_partner(
        "HUB", country_code="NL", roles=roles, switches={"hub_party_id": "NLHUB"}, endpoints=hub.endpoints,
        versions_url=f"{hub.server.url}/versions",
    )  # fmt: skip
    return [Customer(partner, party) for party in parties]


def pass_day(
    day: Day, plans: Sequence[tuple[Network, Sequence[Mode]]], clock: Any, *, step: timedelta = A_DAY / STEPS
) -> None:
    """Each of the networks as it is planned, a mode a step; each step is over when nothing can be sent any more."""
    for number in range(A_DAY // step):
        modes = [plan[number % len(plan)] for _, plan in plans]
        for (network, _), mode in zip(plans, modes, strict=True):
            network.fault, network.loses = mode.fault, mode.loses
        with impatience() if any(mode.is_silent for mode in modes) else nullcontext():
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
        pass_day(day, [(network, list(AWAY.values()))], clock)
        assert counted(network) == before, "it stored nothing meanwhile"
        be_back([network], clock)

    network.check_equal(Caller(customer.partner))
    check_stored(network, before)
    check_order(network, day.guests[0])
    assert fresh(customer.partner).failures == 0


@pytest.mark.long
@pytest.mark.parametrize("mode", [*AWAY, *UNHEARD, *(f"mixed {number}" for number in range(1, 7))])
def test_partners_of_all_kinds_that_are_away_for_a_day(mode: str, platform: str, clock: Any) -> None:
    """One of each version and a hub with its parties, all in one way, or each by itself in many, and there in between."""
    with ExitStack() as running:
        networks = [Network() for _ in range(3)]
        for each in networks:
            running.enter_context(each.server)
        newer, older, hub = networks
        customers = [customer_at(newer, "AWY"), customer_at(older, "OLD", version="2.2.1"), *parties_at(hub)]
        day = Day(clock, *customers)
        with RunningSender():
            tell_the_rest(clock)
            pass_day(day, [(each, planned(mode, number)) for number, each in enumerate(networks)], clock)
            before = [counted(each) for each in networks]
            be_back(networks, clock)

        for each, had, customer in zip(networks, before, customers, strict=False):
            each.check_equal(Caller(customer.partner))
            check_stored(each, had)
            assert fresh(customer.partner).failures == 0
        for each, guests in zip([newer, older, hub, hub], day.guests, strict=True):
            check_order(each, guests)


def planned(mode: str, number: int) -> list[Mode]:
    """By its name; what is mixed is another for each network, and the same with each run."""
    if not mode.startswith("mixed"):
        return [(AWAY | UNHEARD)[mode]]
    return Random(f"{mode} {number}").choices([*AWAY.values(), *UNHEARD.values(), THERE, THERE], k=STEPS)


@pytest.mark.long
def test_what_a_party_behind_a_hub_missed_comes_in_its_order_and_keeps_nobody_else_waiting(
    network: Network, clock: Any
) -> None:
    """Checklist 90: the hub is there all day, and says that one of its parties is not."""
    away, there = parties_at(network)
    hub = away.partner
    day = Day(clock, away, there)
    network.is_meant = lambda asked: asked.headers.get("ocpi-to-party-id") == "AAA"
    noes = [Mode(partial(envelope, status_code=code, message="it is away")) for code in (4003, 4002, 4001)]
    with RunningSender():
        tell_the_rest(clock)
        before = counted(network)
        pass_day(day, [(network, noes)], clock, step=2 * A_DAY / STEPS)
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
    check_stored(network, meanwhile)
    check_order(network, missed)
