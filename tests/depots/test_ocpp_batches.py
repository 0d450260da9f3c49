"""What comes while a batch is being written is the next one; a call that fails must not fail its neighbours."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError

from depots.ocpp.batches import LARGEST_BATCH, Batches


class Writer:
    """Writes when it is let to; `fails` says for which calls."""

    def __init__(self, fault: Callable[[list[int]], Exception | None] = lambda keys: None) -> None:
        self.batches: list[list[int]] = []
        self.may_write = asyncio.Event()
        self._fault = fault

    async def __call__(self, set_wise: Any, calls: list[dict[str, Any]]) -> dict[int, str]:
        keys = [call["charger_id"] for call in calls]
        self.batches.append(keys)
        await self.may_write.wait()
        if fault := self._fault(keys):
            raise fault
        return {key: f"done {key}" for key in keys if key >= 0}


def together(calls: list[list[int]], writer: Writer) -> list[Any]:
    """What becomes of the calls, of which the later ones come while the first are being written."""

    async def run() -> list[Any]:
        batches = Batches(writer, lambda calls: {}, "charger_id")
        tasks = []
        for keys in calls:
            tasks += [asyncio.ensure_future(batches.run({"charger_id": key})) for key in keys]
            for _ in range(3):
                await asyncio.sleep(0)  # the loop's own turns, not time
        writer.may_write.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    return asyncio.run(run())


def test_what_comes_while_a_batch_is_written_is_the_next_batch():
    writer = Writer()

    results = together([[1, 2], [3], [4]], writer)

    assert writer.batches == [[1, 2], [3, 4]]
    assert results == [(True, f"done {key}") for key in (1, 2, 3, 4)]


def test_two_calls_of_one_charger_are_written_in_the_order_they_came():
    writer = Writer()

    together([[1, 2, 1, 1]], writer)

    assert writer.batches == [[1, 2], [1], [1]]


def test_a_batch_is_bounded():
    writer = Writer()

    together([list(range(LARGEST_BATCH + 1))], writer)

    assert [len(batch) for batch in writer.batches] == [LARGEST_BATCH, 1]


def test_what_was_not_carried_out_is_said_to_be_so():
    assert together([[1, -1]], Writer()) == [(True, "done 1"), (False, None)]


def test_a_batch_that_fails_is_left_to_each_by_itself_and_the_next_is_written():
    writer = Writer(lambda keys: ValueError() if 2 in keys else None)

    assert together([[1, 2], [3]], writer) == [(False, None), (False, None), (True, "done 3")]


@pytest.mark.parametrize("fault", [OperationalError("away")])
def test_a_database_that_is_away_is_told_to_all(fault):
    """Each by itself would wait as long again, and a charger waits for 30 seconds."""
    assert together([[1, 2]], Writer(lambda keys: fault)) == [fault, fault]


def test_a_batch_whose_calls_were_all_cancelled_is_not_written():
    writer = Writer()

    async def run() -> None:
        batches = Batches(writer, lambda calls: {}, "charger_id")
        first, gone = (asyncio.ensure_future(batches.run({"charger_id": key})) for key in (1, 2))
        await asyncio.sleep(0)
        later = asyncio.ensure_future(batches.run({"charger_id": 3}))
        await asyncio.sleep(0)
        gone.cancel()
        later.cancel()
        writer.may_write.set()
        await first

    asyncio.run(run())
    assert writer.batches[1:] == []
