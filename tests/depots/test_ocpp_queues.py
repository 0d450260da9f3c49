"""How long nothing is sent to a charger that has come back: until its queue has drained, by a clock that only sleeping moves."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from depots.ocpp import connection
from depots.ocpp.connection import LONGEST_DRAIN_S, ChargerConnection, Timings

CAME_AT = 100.0


class Sleeper:
    """Stands for asyncio: time passes where somebody sleeps, and transactions come in meanwhile."""

    def __init__(self, messages: list[float]) -> None:
        self.now = CAME_AT
        self.charger: Any = SimpleNamespace(timings=Timings(drain_s=2), _last_transaction_at=0.0)
        self._coming = [CAME_AT + at for at in messages]

    def get_running_loop(self) -> Any:
        return SimpleNamespace(time=lambda: self.now)

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        come = [at for at in self._coming if at <= self.now]
        if come:
            self.charger._last_transaction_at = max(come)


@pytest.mark.parametrize(
    ("messages", "ready_after_s"),
    [
        ([], 1),
        ([-3], 1),
        ([0.5], 2.5),
        ([0.5, 2, 3.9], 5.9),
        ([0.5, 4], 2.5),
    ],
)
def test_what_should_stand_is_said_once_no_old_transaction_has_come_for_a_while(
    monkeypatch, messages, ready_after_s
):
    clock = Sleeper(messages)
    monkeypatch.setattr(connection, "asyncio", clock)

    asyncio.run(ChargerConnection._drained(clock.charger, 1))

    assert clock.now - CAME_AT == pytest.approx(ready_after_s)


def test_a_charger_whose_transactions_never_end_is_told_all_the_same(monkeypatch):
    clock = Sleeper([float(second) for second in range(200)])
    monkeypatch.setattr(connection, "asyncio", clock)

    asyncio.run(ChargerConnection._drained(clock.charger, 1))

    assert LONGEST_DRAIN_S <= clock.now - CAME_AT <= LONGEST_DRAIN_S + 2
