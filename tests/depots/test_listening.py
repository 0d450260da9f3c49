"""One way to hear NOTIFY: what is notified is heard, and a lost connection is made again and said to be so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from django.db import connection

from depots.listening import listen
from tests.scenarios.bed import Loop, eventually

pytestmark = pytest.mark.django_db(transaction=True)

CHANNEL = "test_of_listening"


class Heard:
    def __init__(self) -> None:
        self.payloads: list[str] = []
        self.began = self.lost = 0

    def begin(self) -> None:
        self.began += 1

    def lose(self) -> None:
        self.lost += 1


@pytest.fixture
def listening():
    """Starts listening, in an event loop of its own, and ends it after the test."""
    loop, tasks = Loop(), []

    async def start(heard: Heard, on_notice: Callable[[str], None]) -> None:
        work = listen(CHANNEL, on_notice=on_notice, on_listening=heard.begin, on_lost=heard.lose)
        tasks.append(asyncio.create_task(work))

    async def end() -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def begin(on_notice: Callable[[Heard, str], None]) -> Heard:
        heard = Heard()
        loop.run(start(heard, lambda payload: on_notice(heard, payload)))
        eventually(lambda: heard.began)
        return heard

    yield begin
    loop.run(end())
    loop.stop()


def notify(payload: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, %s)", [CHANNEL, payload])


def test_what_is_notified_is_heard(listening):
    heard = listening(lambda heard, payload: heard.payloads.append(payload))

    notify("one")
    notify("two")

    assert eventually(lambda: heard.payloads[1:]) == ["two"]
    assert heard.payloads == ["one", "two"]
    assert heard.lost == 0


def test_a_lost_connection_is_made_again_and_both_are_said(listening):
    heard = listening(lambda heard, payload: heard.payloads.append(payload))

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s AND datname = current_database()",
            [f"berth listening to {CHANNEL}"],
        )

    eventually(lambda: heard.began == 2)
    assert heard.lost == 1
    notify("after")
    assert eventually(lambda: heard.payloads) == ["after"]


def test_a_notice_that_cannot_be_taken_does_not_end_the_hearing_of_others(listening):
    def take(heard: Heard, payload: str) -> None:
        if payload == "broken":
            raise ValueError(payload)
        heard.payloads.append(payload)

    heard = listening(take)

    notify("broken")
    eventually(lambda: heard.began == 2)
    notify("whole")

    assert eventually(lambda: heard.payloads) == ["whole"]
