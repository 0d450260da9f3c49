"""Which bodies are here together: those of a lane within a sum, files a few at a time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from config import asgi, bodies
from config.answers import PageAnswer
from config.lanes import LaneFull
from tests.config.test_wsgi_threads import scope

LOG, FORM = "/charger-files/abc/log.txt", "/invoices/incoming/files/"


class Pages:
    """Answers what a HEAD asks with `knows`, and everything else with 201."""

    def __init__(self, knows: int | Exception) -> None:
        self.knows = knows

    async def answer(self, request: dict[str, Any], body: bytes, lane: str = "") -> PageAnswer:
        if request["method"] != "HEAD":
            return PageAnswer(201, [], b"")
        if isinstance(self.knows, Exception):
            raise self.knows
        return PageAnswer(self.knows, [], b"")


class Sending:
    """A client that sends the first half of its body at once, and the other when it is told to."""

    def __init__(self, path: str, length: int = 100) -> None:
        self.is_slow, self.may_end = asyncio.Event(), asyncio.Event()
        self.statuses: list[int] = []
        self._halves = [b"x" * (length // 2)] * 2
        self.task = asyncio.create_task(asgi.application(scope(path=path), self._receive, self._send))

    async def status(self) -> int:
        self.may_end.set()
        await self.task
        return self.statuses[0]

    async def _receive(self) -> dict[str, Any]:
        if len(self._halves) == 1:
            self.is_slow.set()
            await self.may_end.wait()
        return {"type": "http.request", "body": self._halves.pop(), "more_body": bool(self._halves)}

    async def _send(self, message: dict[str, Any]) -> None:
        if "status" in message:
            self.statuses.append(message["status"])


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Room for one body of 100 bytes, and none that is free."""
    monkeypatch.setattr(bodies, "SMALL", 0)
    monkeypatch.setattr(bodies, "MOST_OF_LARGE", 100)
    monkeypatch.setattr(asgi, "PAUSE_S", 0)


@pytest.mark.parametrize(("path", "knows"), [(LOG, 204), (FORM, 405)])
def test_files_that_come_slowly_all_find_room_and_leave_that_of_others(
    path: str, knows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asgi, "_pages", Pages(knows))

    async def day() -> tuple[int, list[int]]:
        slow = [Sending(path) for _ in range(asgi.FILES_AT_ONCE)]
        for one in slow:
            await one.is_slow.wait()
        other = await Sending("/bookings/").status()
        return other, [await one.status() for one in slow]

    assert asyncio.run(day()) == (201, [201] * asgi.FILES_AT_ONCE)


def test_who_is_not_signed_in_holds_no_place_of_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    pages = Pages(302)
    monkeypatch.setattr(asgi, "_pages", pages)
    monkeypatch.setattr(asgi, "MOST_BODY", 60)
    monkeypatch.setattr(bodies, "MOST_OF_LARGE", 1000)

    async def day() -> list[int]:
        strangers = [Sending(FORM, 50) for _ in range(asgi.FILES_AT_ONCE)]
        for one in strangers:
            await one.is_slow.wait()
        pages.knows = 405
        accountant = await Sending(FORM).status()
        pages.knows = 302
        return [accountant, await strangers[0].status(), await Sending(FORM).status()]

    assert asyncio.run(day()) == [201, 201, 413]


@pytest.mark.parametrize("path", [LOG, FORM])
def test_a_file_is_told_to_come_back_where_nobody_can_be_asked_whether_it_is_awaited(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asgi, "_pages", Pages(LaneFull()))

    async def status() -> int:
        return await Sending(path).status()

    assert asyncio.run(status()) == 503
