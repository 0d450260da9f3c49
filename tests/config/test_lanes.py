"""Who waits for a thread behind whom."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from config import bodies, lanes
from config.lanes import PAGES, STRANGERS, Callers, LaneFull, Lanes
from config.wsgi_threads import WsgiThreads
from roaming.ocpi.auth import PARTNER, RESTS_S
from tests.config.test_wsgi_threads import scope


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def asked(path: str = "/ocpi/versions", token: bytes = b"Token YQ==") -> dict[str, Any]:
    return scope(path=path, headers=[(b"authorization", token)])


def taken(waiting: Lanes[int], count: int) -> list[str]:
    return [waiting.take()[0] for _ in range(count)]


def test_lanes_take_turns_however_many_wait_in_one() -> None:
    waiting: Lanes[int] = Lanes(Clock())
    for number in range(50):
        waiting.put("flood", number)
    waiting.put("other", 1)
    waiting.put(PAGES, 1)

    assert taken(waiting, 3) == ["flood", "other", PAGES]


@pytest.mark.parametrize(
    ("others", "used_s", "most"),
    [
        ([], 0.0, lanes.MOST_ALONE),
        ([], 9.0, lanes.MOST_ALONE),
        (["other"], 0.0, lanes.MOST_BESIDE_OTHERS),
        ([PAGES], 0.0, lanes.MOST_BESIDE_OTHERS),
        (["other"], 9.0, lanes.MOST_OF_HEAVY),
    ],
)
def test_a_lane_has_fewer_threads_beside_others_and_the_fewest_when_it_is_heavy(
    others: list[str], used_s: float, most: int
) -> None:
    waiting: Lanes[int] = Lanes(Clock())
    for name in ["flood", *others]:
        waiting.put(name, 0)
        taken(waiting, 1)
        waiting.done(name, used_s)
    for number in range(20):
        waiting.put("flood", number)
    taken(waiting, most)
    waiting.put(PAGES, 1)

    assert taken(waiting, 1) == [PAGES], "the next of the flood waits for one of its own to end"


def test_what_a_lane_has_used_and_who_asked_beside_it_is_forgotten() -> None:
    clock = Clock()
    waiting: Lanes[int] = Lanes(clock)
    for name in ("flood", "other"):
        waiting.put(name, 0)
        taken(waiting, 1)
        waiting.done(name, lanes.HEAVY_S * 2)
    clock.now += lanes.BESIDE_S + lanes.HEAVY_S * 2 / lanes.FORGOTTEN
    for number in range(9):
        waiting.put("flood", number)

    assert taken(waiting, lanes.MOST_ALONE) == ["flood"] * lanes.MOST_ALONE


def test_a_heavy_partner_that_registers_may_call_us_before_it_is_answered() -> None:
    callers = Callers({"Token YQ==": 7}.get)
    waiting: Lanes[str] = Lanes(Clock())
    callers.find(asked())
    heavy = callers.lane_of(asked())
    for name in (heavy, PAGES):
        waiting.put(name, name)
        waiting.take()
        waiting.done(name, lanes.HEAVY_S * 9)

    for path in ("/ocpi/2.3.0/credentials", "/ocpi/versions"):
        waiting.put(callers.lane_of(asked(path)), path)
        assert waiting.take()[1] == path, "while what was taken before runs"


def test_people_have_all_the_threads() -> None:
    waiting: Lanes[int] = Lanes(Clock())
    waiting.put("other", 0)
    for number in range(8):
        waiting.put(PAGES, number)

    assert sorted(taken(waiting, 9)) == ["other"] + [PAGES] * 8


def test_a_lane_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "LONGEST_LANE", 2)
    waiting: Lanes[int] = Lanes(Clock())
    waiting.put("flood", 1)
    waiting.put("flood", 2)

    with pytest.raises(LaneFull):
        waiting.put("flood", 3)
    waiting.put("other", 1)


def test_a_partner_has_one_lane_however_it_spells_its_token() -> None:
    callers = Callers({"Token YQ==": 7, "Token a": 7}.get)

    assert callers.lane_of(asked()) == STRANGERS
    assert {callers.find(asked()), callers.find(asked(token=b"Token a"))} == {"partner 7"}
    assert callers.lane_of(asked()) == "partner 7"
    assert callers.find(asked(token=b"Token wrong")) == STRANGERS
    assert callers.lane_of(asked("/bookings/")) == PAGES
    assert callers.lane_of(asked("/ocpi/2.3.0/credentials", b"Token wrong")) == STRANGERS
    callers.learn(asked(), {})
    assert callers.lane_of(asked()) == STRANGERS, "its token is good no more"


def test_guesses_are_not_remembered_and_partners_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "MOST_KNOWN", 2)
    callers = Callers(lambda header: None)
    for number in range(3):
        callers.learn(asked(token=b"Token %d" % number), {PARTNER: number})
        callers.find(asked(token=b"Token wrong %d" % number))

    assert [callers.lane_of(asked(token=b"Token %d" % number)) for number in range(3)] == [
        STRANGERS,
        "partner 1",
        "partner 2",
    ]


def test_a_partner_beyond_its_rate_is_asked_after_once_a_second() -> None:
    clock = Clock()
    callers = Callers(lambda header: None, clock)
    callers.learn(asked(), {PARTNER: 7, RESTS_S: 30})

    assert callers.rests_s("partner 7") == 30
    clock.now += lanes.ASKED_ANEW_S
    assert callers.rests_s("partner 7") == 0
    callers.learn(asked(), {PARTNER: 7})
    clock.now -= lanes.ASKED_ANEW_S
    assert callers.rests_s("partner 7") == 0, "it was let in"


def test_a_strangers_request_waits_anew_in_the_lane_it_belongs_to() -> None:
    callers = Callers(lambda header: 7)
    answered: list[str] = []

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
        answered.append(threading.current_thread().name)
        environ[PARTNER] = 7
        start_response("204 No Content", [])
        return iter([b""])

    async def ask() -> list[int]:
        pages = WsgiThreads(application, threads=2, callers=callers)
        return [(await pages.answer(asked(), b"", callers.lane_of(asked()))).status for _ in range(3)]

    assert asyncio.run(ask()) == [204] * 3
    assert len(answered) == 3, "each is answered once"
    assert callers.lane_of(asked()) == "partner 7"


def test_of_large_bodies_a_lane_has_so_many_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "SMALL", 10)
    monkeypatch.setattr(bodies, "MOST_OF_LARGE", 100)

    async def read(lane: str | None, length: int) -> str:
        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"x" * length}

        with bodies.kept(lane) as body:
            try:
                await body.read(asked(), receive, 1000)
            except bodies.NoRoomError:
                return "no room"
        return "taken"

    with bodies.kept("flood") as held:
        held.content += b"x" * 110
        held._count()
        assert asyncio.run(read("flood", 10)) == "taken", "small ones are free"
        assert asyncio.run(read("flood", 11)) == "no room"
        assert asyncio.run(read("other", 90)) == "taken"
        assert asyncio.run(read(None, 900)) == "taken", "one of few"
    assert asyncio.run(read("flood", 11)) == "taken"
