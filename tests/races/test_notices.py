"""What is told is heard once it has committed, by everybody, once and in order, whoever relays and whoever is killed."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from django.db import IntegrityError, connection, transaction

from depots import notices
from depots.listening import listen
from depots.models import Notice
from tests.races.processes import all_at_once, at_once
from tests.scenarios.bed import Loop, eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_server")]

CHANNEL = "test_of_notices"
WRITERS, ROUNDS = 4, 25


@contextmanager
def listeners(number: int = 1) -> Iterator[list[list[str]]]:
    """What each of several listeners has heard so far. Each relays, too."""
    loop, heard = Loop(), [list[str]() for _ in range(number)]
    began: list[None] = []
    tasks: list[asyncio.Task[None]] = []

    async def start() -> None:
        for mine in heard:
            work = listen(CHANNEL, on_notice=mine.append, on_listening=lambda: began.append(None))
            tasks.append(asyncio.create_task(work))

    async def end() -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    loop.run(start())
    eventually(lambda: len(began) == number)
    try:
        yield heard
    finally:
        loop.run(end())
        loop.stop()


def relay() -> int:
    """What a listener's relay does; gives how many notices it told."""
    with connection.cursor() as cursor:
        cursor.execute(notices.RELAY)
        return cursor.rowcount


@contextmanager
def in_transaction(work: Callable[[], object]) -> Iterator[None]:
    """`work` has been done in another thread's transaction, which commits at the end of the block."""
    done, go_on = threading.Event(), threading.Event()

    def run() -> None:
        with transaction.atomic():
            work()
            done.set()
            assert go_on.wait(20)
        connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert done.wait(20)
        yield
    finally:
        go_on.set()
        thread.join(20)


def test_nothing_is_told_before_its_transaction_commits() -> None:
    with listeners() as (heard,):
        with in_transaction(lambda: notices.tell(CHANNEL, ["early, and late to commit"])):
            notices.tell(CHANNEL, ["after it"])
            eventually(lambda: heard)
            assert heard == ["after it"]

        assert eventually(lambda: heard[1:]) == ["early, and late to commit"]


def test_nothing_is_told_of_what_was_rolled_back() -> None:
    with listeners() as (heard,):
        with transaction.atomic():
            notices.tell(CHANNEL, ["never"])
            transaction.set_rollback(True)
        notices.tell(CHANNEL, ["at once"])

        eventually(lambda: heard)
    assert heard == ["at once"]


def test_several_relays_tell_everybody_of_everything_once_and_in_order() -> None:
    """Four processes write while two listeners relay: what each wrote is heard in its order, and nothing twice."""

    def write(number: int) -> None:
        for turn in range(ROUNDS):
            with transaction.atomic():
                notices.tell(CHANNEL, [f"{number} {turn} {part}" for part in "ab"])

    with listeners(2) as both:
        assert all_at_once([lambda n=n: write(n) for n in range(WRITERS)]) == [None] * WRITERS  # type: ignore[misc]
        for heard in both:
            eventually(lambda heard=heard: len(heard) >= 2 * WRITERS * ROUNDS)  # type: ignore[misc]
            for number in range(WRITERS):
                mine = [payload for payload in heard if payload.startswith(f"{number} ")]
                assert mine == [f"{number} {turn} {part}" for turn in range(ROUNDS) for part in "ab"]
            assert len(heard) == 2 * WRITERS * ROUNDS
    assert not Notice.objects.exists()


def test_what_is_told_while_another_relay_is_at_it_does_not_overtake_what_that_one_tells() -> None:
    notices.tell(CHANNEL, ["first"])
    with in_transaction(relay):
        notices.tell(CHANNEL, ["second"])

        assert relay() == 0

    assert relay() == 1
    assert not Notice.objects.exists()


def test_a_relay_killed_before_its_commit_loses_nothing() -> None:
    notices.tell(CHANNEL, ["one", "two"])

    def die(_: int) -> None:
        with transaction.atomic():
            assert relay() == 2
            os.kill(os.getpid(), signal.SIGKILL)

    assert at_once(die, 1) == ["ERROR the process died"]

    with listeners() as (heard,):
        eventually(lambda: heard[1:])
    assert heard == ["one", "two"]


def test_more_than_is_told_at_once_is_told_in_several_transactions() -> None:
    payloads = [str(number) for number in range(2 * notices.RELAYED_AT_ONCE + 1)]
    notices.tell(CHANNEL, payloads)

    with listeners() as (heard,):
        eventually(lambda: len(heard) == len(payloads))
    assert heard == payloads


def test_whoever_listens_tells_those_who_listen_to_something_else() -> None:
    """Nothing is left lying because the one process that would hear it is not there."""
    with listeners():
        notices.tell("nobody_listens_to_this", ["one"])

        eventually(lambda: not Notice.objects.exists())


def test_what_could_not_be_notified_is_refused_where_it_is_told() -> None:
    """Later it would hold up everything behind it."""
    with pytest.raises(IntegrityError, match="notice_can_be_notified"):
        notices.tell(CHANNEL, ["ü" * 4000])

    notices.tell(CHANNEL, ["x" * 7999])

    with listeners() as (heard,):
        eventually(lambda: heard)
    assert heard == ["x" * 7999]


def test_notices_are_not_written_to_the_log_of_the_database() -> None:
    """No commit waits for the disk on their account; what a crash loses, all have to look for anyway."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT relpersistence FROM pg_class WHERE relname = 'depots_notice'")
        assert cursor.fetchone() == ("u",)


def test_relays_that_sleep_are_woken_by_the_next_notice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asleep they look once an hour here, so that only the writer can have woken them; the next one finds them awake."""
    monkeypatch.setattr(notices, "ASLEEP_EVERY_S", 3600)
    monkeypatch.setattr(notices, "AWAKE_S", 0.2)

    with listeners(2) as both:
        for number in range(3):
            eventually(lambda: not relays_awake())
            notices.tell(CHANNEL, [f"{number} first"])
            eventually(relays_awake)
            notices.tell(CHANNEL, [f"{number} second"])
            eventually(lambda: all(heard[-1:] == [f"{number} second"] for heard in both))  # noqa: B023 - at once
    for heard in both:
        assert heard == [f"{number} {which}" for number in range(3) for which in ("first", "second")]


def test_while_relays_are_awake_no_writer_notifies(monkeypatch: pytest.MonkeyPatch) -> None:
    with listeners():
        eventually(relays_awake)
        with transaction.atomic():
            notices.tell(CHANNEL, ["one"])
            assert not takes_the_lock_of_commits()


def test_of_writers_that_find_all_asleep_one_at_a_time_notifies() -> None:
    with in_transaction(lambda: notices.tell(CHANNEL, ["one"])), transaction.atomic():
        notices.tell(CHANNEL, ["two"])
        assert not takes_the_lock_of_commits()


def test_what_commits_after_all_have_gone_to_sleep_is_told_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its writer had found them awake, and a writer it hindered could not wake them either: they look now and then."""
    monkeypatch.setattr(notices, "ASLEEP_EVERY_S", 0.05)
    monkeypatch.setattr(notices, "AWAKE_S", 0.2)

    with listeners() as (heard,):
        eventually(relays_awake)
        with in_transaction(lambda: notices.tell(CHANNEL, ["late"])):
            eventually(lambda: not relays_awake())

        assert eventually(lambda: heard) == ["late"]


def relays_awake() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND mode = 'ShareLock'"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))"
        )
        return bool(cursor.fetchone()[0])


def takes_the_lock_of_commits() -> bool:
    """Whether our transaction has notified: it would have been the one to wake, and holds the lock that says so."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND mode = 'ExclusiveLock'"
            " AND pid = pg_backend_pid())"
        )
        return bool(cursor.fetchone()[0])
