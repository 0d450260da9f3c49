"""The scheduler's tick happens once a second, whatever the number of workers."""

import asyncio
import sys
import threading
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from django.db import connection

from bookings import operations
from bookings.models import SchedulerTick
from bookings.operations import SlotRequest
from config.loops import Sender, Waitlist, run_if_ours
from tests.factories import DISPATCHER, NOW, make_depot, make_evse, make_fleet, make_vehicle, option_of, slot

NOON = datetime(2030, 5, 6, 12, 0, 0, tzinfo=UTC)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def ticks(monkeypatch: pytest.MonkeyPatch) -> list[datetime]:
    """The moments at which the scheduler ran."""
    moments: list[datetime] = []
    monkeypatch.setattr("bookings.scheduler", SimpleNamespace(run_tick=moments.append), raising=False)
    return moments


def race(now: datetime, workers: int = 8) -> None:
    together = threading.Barrier(workers)

    def work() -> None:
        together.wait(timeout=60)
        run_if_ours(now)
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_many_workers_tick_once_a_second(ticks: list[datetime]) -> None:
    run_if_ours(NOON)
    seconds = [NOON + timedelta(seconds=n) for n in range(1, 4)]

    for second in seconds:
        race(second)

    assert ticks == seconds


def test_the_very_first_tick_is_agreed_upon_too(ticks: list[datetime]) -> None:
    race(NOON)
    race(NOON + timedelta(seconds=1))

    assert ticks == [NOON + timedelta(seconds=1)]


def test_a_clock_that_lags_behind_the_others_ticks_nothing(ticks: list[datetime]) -> None:
    run_if_ours(NOON)
    run_if_ours(NOON + timedelta(seconds=2))
    run_if_ours(NOON + timedelta(seconds=1))

    assert ticks == [NOON + timedelta(seconds=2)]


def test_the_waiting_list_is_served_beside_the_scheduler_and_costs_nothing_while_nobody_waits() -> None:
    Waitlist().tick(NOW)
    assert not SchedulerTick.objects.filter(name="waitlist").exists()
    fleet, option = make_fleet(), option_of(make_evse(make_depot()))
    wanted = SlotRequest(fleet=fleet, option=option, vehicle=make_vehicle(fleet), period=slot(10, 11))
    entry = operations.join_waitlist(wanted, actor=DISPATCHER, now=NOW)

    for second in range(2):
        Waitlist().tick(NOW + timedelta(seconds=second))

    entry.refresh_from_db()
    assert entry.status == "offered"
    assert not SchedulerTick.objects.filter(name="scheduler").exists()


def test_the_sender_starts_again_after_a_failure_and_ends_when_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("config.loops.PAUSE_S", 0.01)
    runs = 0
    is_running = threading.Event()

    async def run(stop: asyncio.Event) -> None:
        nonlocal runs
        runs += 1
        if runs == 1:
            raise ConnectionError("the database is away")
        is_running.set()
        await stop.wait()

    monkeypatch.setitem(sys.modules, "roaming.outbound.sending_loop", SimpleNamespace(run=run))
    sender = Sender()
    sender.start()

    assert is_running.wait(timeout=60)
    sender.stop()

    assert not sender.is_alive()
    assert runs == 2
