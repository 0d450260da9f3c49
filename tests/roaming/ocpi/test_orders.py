"""Whatever partners keep with us, told in any order, again, in part, as old as it may be: nothing is lost, nothing older stands
over what is newer, and what stands in the end is what a model says (OCPI 2.3.0 transport_and_format, PUT and PATCH)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

import pytest
import time_machine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.factories import NOW
from tests.roaming.ocpi.v2_3_0.tokens.test_tokens import token
from tests.roaming.partners import VERSIONS, Caller, code, data, make_partner
from tests.roaming.pushed_objects import booking, location, offer
from tests.roaming.told_charging import CDRS, cdr, period, session, tariff

pytestmark = pytest.mark.django_db
Body = dict[str, Any]
_numbers = count(1)


@dataclass(frozen=True)
class Kind:
    """Objects of a kind under an id: where they are kept, and what one is. `child`: the list, name and path of one inside."""

    base: str
    make: Callable[[str], Body]
    child: tuple[str, str, str] | None = None
    has_patch: bool = True
    adds: bool = False

    def path(self, name: str) -> str:
        return f"{self.base}/{name}"


EMSP, CPO = "/ocpi/emsp/2.3.0", "/ocpi/cpo/2.3.0"
KINDS = {
    "location": Kind(f"{EMSP}/locations/FR/CPO", lambda name: location(id=name), ("evses", "uid", "E-1")),
    "offer": Kind(
        f"{EMSP}/bookings/FR/CPO/booking_locations", lambda name: offer(id=name), ("calendars", "id", "CA-1")
    ),
    "booking": Kind(f"{EMSP}/bookings/FR/CPO", lambda name: booking(id=name, request_id=f"r-{name}")),
    "session": Kind(f"{EMSP}/sessions/FR/CPO", lambda name: session(id=name), adds=True),
    "tariff": Kind(f"{EMSP}/tariffs/FR/CPO", lambda name: {**tariff(), "id": name}, has_patch=False),
    "token": Kind(f"{CPO}/tokens/FR/CPO", lambda name: token(country_code="FR", party_id="CPO", uid=name)),
}


@dataclass(frozen=True)
class Step:
    """`minute` is when its owner says it was; `what` is told apart from all other steps."""

    method: str
    is_child: bool
    minute: int
    what: int

    @property
    def last_updated(self) -> str:
        return f"2030-01-15T07:{self.minute:02}:00Z"

    def body(self, kind: Kind, name: str) -> Body:
        told: Body = {"last_updated": self.last_updated, f"x_{self.what % 3}": self.what}
        if kind.adds:
            told["charging_periods"] = [period(f"12:{self.what:02}", ENERGY=self.what)]
        if self.method == "PATCH":
            return told
        whole = kind.make(name)
        if self.is_child:
            assert kind.child is not None
            whole = whole[kind.child[0]][0]
        return {**whole, **told}


def steps(kind: Kind) -> st.SearchStrategy[list[Step]]:
    one = st.builds(
        Step,
        st.sampled_from(["PUT", "PATCH", "PATCH"] if kind.has_patch else ["PUT"]),
        st.booleans() if kind.child else st.just(False),
        st.integers(0, 5),
        st.integers(1, 59),
    )
    told = st.lists(one, min_size=2, max_size=6, unique_by=lambda step: step.what)
    # Any of them may come again, at any time.
    return told.flatmap(
        lambda some: st.lists(st.sampled_from(some), max_size=2).map(lambda more: some + more)
    )


class Model:
    """What must stand: as of its owner's clock, an equal time being a word about the same moment."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.told: Body | None = None

    def take(self, step: Step, body: Body) -> int:
        """The HTTP status that is due."""
        if step.is_child:
            return self._take_child(step, body)
        if self.told is None:
            if step.method == "PATCH":
                return 404
            self.told = body
            return 201
        if body["last_updated"] >= self.told["last_updated"]:
            self.told = body if step.method == "PUT" else self._merged(self.told, body)
        return 200

    def _take_child(self, step: Step, body: Body) -> int:
        if self.told is None:
            return 404
        assert self.kind.child is not None
        name, child = self.kind.child[0], self.told[self.kind.child[0]][0]
        if body["last_updated"] >= child["last_updated"]:
            new = body if step.method == "PUT" else {**child, **body}
            latest = max(self.told["last_updated"], body["last_updated"])
            self.told = {**self.told, name: [new], "last_updated": latest}
        return 200

    def _merged(self, known: Body, body: Body) -> Body:
        merged = {**known, **body}
        if self.kind.adds:
            before, more = known["charging_periods"], body["charging_periods"]
            merged["charging_periods"] = [*before, *(one for one in more if one not in before)]
        return merged


@pytest.fixture(autouse=True)
def _clock() -> Iterator[None]:
    with time_machine.travel(NOW, tick=False):
        yield


def owner(version: str) -> Caller:
    party = {"country_code": "FR", "party_id": "CPO", "name": "Network"}
    roles = [{"role": role, **party} for role in ("CPO", "EMSP")]
    return Caller(make_partner("CPO", country_code="FR", roles=roles, version=version))


def tell_in_any_order(name: str, version: str, examples: int) -> None:
    kind, caller = KINDS[name], owner(version)

    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(steps(kind))
    def tell(told: list[Step]) -> None:
        one, model = f"X-{next(_numbers)}", Model(kind)
        for step in told:
            path = kind.path(one)
            if step.is_child:
                assert kind.child is not None
                path = f"{path}/{kind.child[2]}"
            body = step.body(kind, one)
            answer = caller.send(step.method, path, body)
            assert code(answer) == (due := model.take(step, body), 2000 if due == 404 else 1000), (
                answer.content
            )
        if model.told is None:
            assert caller.get(kind.path(one)).status_code == 404
        else:
            assert data(caller.get(kind.path(one))) == model.told

    tell()


@pytest.mark.parametrize("kind", KINDS)
def test_what_stands_is_what_is_newest_in_whatever_order_it_came(kind: str) -> None:
    """Checklist 26, 89."""
    tell_in_any_order(kind, "2.3.0", 12)


@pytest.mark.long
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_of_many_orders_none_loses_anything(kind: str, version: str) -> None:
    tell_in_any_order(kind, version, 400)


@settings(max_examples=8, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(st.permutations(range(4)))
def _tell_puts(caller: Caller, name: str, order: list[int]) -> None:
    kind, one = KINDS[name], f"X-{next(_numbers)}"
    bodies = [{**kind.make(one), "last_updated": f"2030-01-15T07:0{at}:00Z", "x": at} for at in range(4)]
    for at in order:
        caller.send("PUT", kind.path(one), bodies[at])

    assert data(caller.get(kind.path(one))) == bodies[-1]


@pytest.mark.parametrize("kind", KINDS)
def test_whole_states_end_as_the_newest_without_any_model(kind: str) -> None:
    caller = owner("2.3.0")

    _tell_puts(caller, kind)  # type: ignore[call-arg]


def test_a_record_is_the_first_that_was_told_of_it_whatever_comes_later() -> None:
    """Checklist 86."""
    caller = owner("2.3.0")

    @settings(max_examples=8, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(st.sampled_from([80.0, 81.0, 82.0]), min_size=1, max_size=5))
    def tell(told: list[float]) -> None:
        one = f"CDR-{next(_numbers)}"
        for at, kwh in enumerate(told):
            answer = caller.post(
                CDRS, cdr(id=one, total_energy=kwh, last_updated=f"2030-01-15T12:{at:02}:00Z")
            )
            due = (201, 1000) if at == 0 else (200, 1000) if kwh == told[0] else (200, 2001)
            assert code(answer) == due
        assert data(caller.get(f"{CDRS}/FR/CPO/{one}"))["total_energy"] == told[0]

    tell()
