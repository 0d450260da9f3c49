"""Every operation of the JSON API, as its OpenAPI lists them, called with what nobody would send. No server error; every refusal
is a problem with a code that is documented, and changes nothing; every answer is as the OpenAPI says.

A seed is printed; `BERTH_FUZZ_SEED=…` runs the same again.
"""

from __future__ import annotations

import json
import os
import random
import re
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from django.db import transaction
from django.http import HttpResponse
from hypothesis import HealthCheck, Phase, given
from jsonschema import Draft202012Validator

from bookings.models import Trailer
from bookings.webhooks.registry import make_webhook
from tests.bookings.api.conftest import Site
from tests.bookings.api.fuzzing.asked import Asked, document, makers
from tests.factories import NOW, slot
from tests.roaming.fuzzing.checks import state_of_database

pytestmark = pytest.mark.django_db
SETTINGS = hypothesis.settings(
    database=None, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck), max_examples=3
)  # fmt: skip
# What is written of refusals, too.
OF_REFUSALS = {"bookings_keptanswer", "depots_apitoken", "depots_apiuse", "depots_notice"}
CODES = Path(__file__).parents[4] / "docs/integrators/error-codes.md"


@pytest.fixture(autouse=True)
def _without_network(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    async def nobody(*_: Any, **__: Any) -> Any:
        raise OSError("there is no network here")

    monkeypatch.setattr("depots.url_guard.resolve", nobody)
    return


@dataclass
class World:
    """A fleet's system at a site of its own, so that nothing is closed to it, with a right body for whatever takes one."""

    site: Site
    names: dict[str, list[str]] = field(default_factory=dict)
    bodies: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        site = self.site
        booked = [str(site.book(period=slot(hour, hour + 1))["id"]) for hour in (18, 20, 22)]
        held = [
            str(site.system.post("/holds", site.wanted(slot(hour, hour + 1))).json()["id"])
            for hour in (14, 16)
        ]
        webhook, _ = make_webhook(organisation=site.fleet, url="https://example.org/hook", now=NOW)
        trailer = Trailer.objects.create(fleet=site.fleet, plate="TR-1")
        self.names = {
            "booking_id": [*booked, *held], "depot_id": [site.depot.code], "plate": [site.vehicle.plate, "NEW 1"],
            "webhook_id": [str(webhook.pk)], "depot": [site.depot.code], "vehicle": [site.vehicle.plate],
            "series_id": ["1"], "trip_id": ["1"], "entry_id": ["1"],
        }  # fmt: skip
        wanted = {**site.wanted(slot(10, 11)), "power_kw": 100, "tokens": [site.vehicle.tokens.get().uid]}
        by_energy = {**wanted, "energy_kwh": 100, "soc_from": 20, "trailer": trailer.plate}
        state = {"soc": 40, "eta": "2030-01-15T12:00:00Z", "latitude": 53.5, "longitude": 9.9}
        rule = {"rrule": "FREQ=DAILY;COUNT=3", "first": wanted, "exceptions": ["2030-01-16"], "mode": "all"}
        self.bodies = {
            "POST /bookings": by_energy, "POST /holds": wanted, "POST /waitlist": wanted,
            "PATCH /bookings/{booking_id}": {"starts_at": wanted["starts_at"], "ends_at": wanted["ends_at"], "power_kw": 90},
            "POST /bookings/{booking_id}/cancellation": {"reason": "TRAFFIC"},
            "POST /bookings/{booking_id}/delay": {"minutes": 15},
            "POST /bookings/{booking_id}/swap": {"vehicle": site.vehicle.plate, "tokens": []},
            "POST /bookings/{booking_id}/start": {"token": wanted["tokens"][0]},
            "PUT /vehicles/{plate}": {"plate": "NEW 1", "battery_kwh": 500, "max_power_kw": 400, "tokens": []},
            "POST /webhooks": {"url": "https://example.org/hook", "events": ["booking.confirmed"]},
            "POST /series": rule, "POST /series/preview": rule,
            "PATCH /series/{series_id}": {"scope": "following", "booking": int(booked[0]), "power_kw": 80},
            "POST /trips": {"stops": [wanted]}, "POST /batch": {"dry_run": True, "mode": "what_fits", "bookings": [wanted]},
            "POST /arrivals": {"depot": site.depot.code, "plate": site.vehicle.plate},
            "POST /depots/{depot_id}/limit": {"kw": 500, "until": "2030-01-15T12:00:00Z"},
            "PUT /vehicles/{plate}/state": state,
        }  # fmt: skip


@dataclass
class Checked:
    world: World
    told: Counter[tuple[int, str]] = field(default_factory=Counter)
    _keys: Iterator[int] = field(default_factory=count)
    _state: dict[str, str] = field(default_factory=dict)

    def call(self, asked: Asked) -> None:
        """Raises AssertionError that names the request. What it did is taken back: the next finds all as it was."""
        self._state = self._state or _state()
        with transaction.atomic():
            response = self._sent(asked)
            said = f"{asked}\n-> {response.status_code} {response.content[:1500]!r}"
            assert response.status_code < 500, said
            if response.status_code < 400:
                self._check_answer(asked, response, said)
            else:
                self._check_refusal(response, said)
            transaction.set_rollback(True)

    def _sent(self, asked: Asked) -> HttpResponse:
        system = self.world.site.system
        key = {"Idempotency-Key": f"fuzz-{next(self._keys)}"} if asked.method == "POST" else {}
        return system.client.generic(
            asked.method, asked.path, asked.body, content_type="application/json" if asked.body else "",
            QUERY_STRING=asked.query,
            headers={"Authorization": f"Bearer {system.token}", **key, **asked.headers},
        )  # fmt: skip

    def _check_answer(self, asked: Asked, response: HttpResponse, said: str) -> None:
        self.told[response.status_code, ""] += 1
        answers = document()["paths"][asked.template][asked.method.lower()]["responses"]
        assert str(response.status_code) in answers, said
        schema = (
            answers[str(response.status_code)].get("content", {}).get("application/json", {}).get("schema")
        )
        if schema is None:
            assert not response.content, said
            return
        faults = list(_validator(json.dumps(schema)).iter_errors(json.loads(response.content)))
        assert not faults, f"{faults[0].json_path}: {faults[0].message[:300]}: {said}"

    def _check_refusal(self, response: HttpResponse, said: str) -> None:
        assert response["Content-Type"] == "application/problem+json", said
        problem = json.loads(response.content)
        assert problem["status"] == response.status_code, said
        assert problem["code"] in _codes(), said
        assert problem["detail"], said
        self.told[response.status_code, problem["code"]] += 1
        now = _state()
        changed = [name for name, digest in now.items() if digest != self._state[name]]
        assert not changed, f"{changed} by a refusal: {said}"


def _state() -> dict[str, str]:
    return {name: digest for name, digest in state_of_database().items() if name not in OF_REFUSALS}


@cache
def _codes() -> set[str]:
    """All that are written as code, and those of the API's own table."""
    text = CODES.read_text()
    own = re.findall(r"^\| [45][\d, ]+ \| ([a-z_, ]+) \|", text, re.MULTILINE)
    return {*re.findall(r"`([a-z_]+)`", text), *(code for cell in own for code in cell.split(", "))}


@cache
def _validator(schema: str) -> Draft202012Validator:
    return Draft202012Validator({**json.loads(schema), "components": document()["components"]})


def fuzz(site: Site, seconds: float) -> Counter[tuple[int, str]]:
    """Every operation with what is nearly right, then all in any way, for so long by the clock of this process alone."""
    seed = int(os.environ.get("BERTH_FUZZ_SEED") or random.SystemRandom().randrange(10**9))
    print(f"BERTH_FUZZ_SEED={seed}")
    world, chance, began = World(site), random.Random(seed), time.process_time()
    checked, made = Checked(world), makers(world.names, world.bodies)
    for turn in count():
        for name in sorted(made) if not turn else chance.sample(sorted(made), 12):
            if (turn or not name.endswith("near right")) and time.process_time() - began > seconds:
                if turn:
                    return checked.told
                continue
            _try_some(checked, made[name](), f"{seed}:{turn}:{name}")
    raise AssertionError("count() has no end")


def _try_some(checked: Checked, strategy: Any, name: str) -> None:
    @SETTINGS
    @hypothesis.seed(random.Random(name).randrange(2**32))
    @given(strategy)
    def call(asked: Asked) -> None:
        checked.call(asked)

    call()


def test_whatever_is_sent_is_answered_as_documented_and_no_refusal_changes_anything(site: Site) -> None:
    told = fuzz(site, float(os.environ.get("BERTH_FUZZ_S", "3")))

    print(told)
    assert told[422, "invalid"]
    assert told[404, "not_found"]
    assert sum(number for (status, _), number in told.items() if status < 300)


@pytest.mark.long
def test_whatever_is_sent_for_half_an_hour(site: Site) -> None:
    assert sum(fuzz(site, 30 * 60).values()) > 1000
