"""Every endpoint of OCPI, both roles and versions, called with what nobody would send: thousands of requests by schemathesis
from the OpenAPI, and right ones that were broken. No server error, every answer an envelope to the letter, and no refusal that
changes anything.

A seed is printed; `BERTH_FUZZ_SEED=… ` runs the same again. What was found stands in test_found.py.
"""

from __future__ import annotations

import os
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache, partial
from itertools import count
from typing import Any

import hypothesis
import pytest
import schemathesis
import time_machine
from django.db import transaction
from hypothesis import HealthCheck, Phase, given
from hypothesis import strategies as st
from schemathesis import GenerationMode

from tests.factories import NOW
from tests.roaming.endpoints import Endpoint, endpoint_of, endpoints
from tests.roaming.fuzzing.checks import Checked
from tests.roaming.fuzzing.openapi import document
from tests.roaming.fuzzing.requests import Request, by_schema, near_right
from tests.roaming.fuzzing.world import World, make_world
from tests.roaming.ocpi.test_isolation import addresses
from tests.roaming.partners import VERSIONS

pytestmark = pytest.mark.django_db
SETTINGS = hypothesis.settings(
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
    max_examples=3,
)
NEAR_RIGHT = " near right"


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[None]:
    """At one moment, and without a network: whom a partner names is not there."""

    async def nobody(*_: Any, **__: Any) -> Any:
        raise OSError("there is no network here")

    monkeypatch.setattr("depots.url_guard.resolve", nobody)
    settings.BERTH_OCPI_PER_MINUTE = 0
    with time_machine.travel(NOW, tick=False):
        yield


def fuzz(version: str, seconds: float) -> Counter[tuple[int, int]]:
    """Every endpoint with what is nearly right, then all in any way, for so long by the clock of this process alone: what else
    the machine does makes it no shorter."""
    seed = int(os.environ.get("BERTH_FUZZ_SEED") or random.SystemRandom().randrange(10**9))
    print(f"BERTH_FUZZ_SEED={seed}")
    world = make_world(version)
    checked, chance, began = Checked(world), random.Random(seed), time.process_time()
    makers = makers_of(world)
    first = [name for name in makers if name.endswith(NEAR_RIGHT)]
    for turn in count():
        for name in chance.sample(sorted(makers), 12) if turn else first:
            if turn and time.process_time() - began > seconds:
                return Counter(checked.told)
            one, make = makers[name]
            try_some(checked, one, make(), f"{seed}:{turn}:{name}")
    raise AssertionError("count() has no end")


def try_some(checked: Checked, one: Endpoint, strategy: st.SearchStrategy[Request], name: str) -> None:
    """A few requests; those about the connection are taken back, which nobody would get over."""
    is_undone = one.module == "credentials"

    @SETTINGS
    @hypothesis.seed(random.Random(name).randrange(2**32))
    @given(strategy)
    def call(request: Request) -> None:
        with transaction.atomic():
            checked.call(one, request)
            transaction.set_rollback(is_undone)
        if is_undone:
            checked.forget()

    call()


def makers_of(world: World) -> dict[str, tuple[Endpoint, Callable[[], st.SearchStrategy[Request]]]]:
    """By the name of an operation and of a way to make requests of it. What schemathesis needs for one is costly to make."""
    version = world.partner.version
    schema = schemathesis.openapi.from_dict(document(version, world.names))
    found: dict[str, tuple[Endpoint, Callable[[], st.SearchStrategy[Request]]]] = {}
    for one in endpoints():
        path = f"/ocpi{one.path.replace('{version}', version)}"
        found[f"{one.method} {path}{NEAR_RIGHT}"] = one, cache(near_right(one, world))
        for mode in GenerationMode:
            make = partial(by_schema, schema, path, one.method, mode)
            found[f"{one.method} {path} {mode.value}"] = one, cache(make)
    return found


@pytest.mark.parametrize("version", VERSIONS)
def test_whatever_is_sent_gets_an_answer_and_no_refusal_changes_anything(version: str) -> None:
    told = fuzz(version, float(os.environ.get("BERTH_FUZZ_S", "10")))

    print(told)
    assert told[200, 1000]
    assert told[200, 2001]


@pytest.mark.long
@pytest.mark.parametrize("version", VERSIONS)
def test_whatever_is_sent_for_half_an_hour(version: str) -> None:
    told = fuzz(version, 15 * 60)

    print(told)
    assert sum(told.values()) > 1000


def test_every_address_is_in_the_openapi() -> None:
    """One that is not would not be tried. Bookings also answer, with a refusal, where they offer nothing."""
    nothing = re.compile(
        r"(\w+ /ocpi/emsp/[\d.]+/bookings|POST /ocpi/emsp/[\d.]+/bookings/{path:rest}"
        r"|(?!GET)\w+ /ocpi/cpo/[\d.]+/bookings/{booking_id})"
    )
    missing = []
    for address, methods in addresses():
        paths = [address.replace("{path:rest}", rest) for rest in ("FR/CPO/x", "FR/CPO/booking_locations/x")]
        missing += [
            f"{method} {address}"
            for method in methods
            if not any(endpoint_of(method, path) for path in paths)
            and not nothing.fullmatch(f"{method} {address}")
        ]
    assert missing == []
