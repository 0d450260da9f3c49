"""Samples of an EVSE where nothing charges are not looked up again, until something may have begun there."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from types import ModuleType, SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from depots.ocpp import v16
from depots.ocpp.connection import ChargerConnection, Services, Timings
from depots.ocpp.meter_values import ASKED_AGAIN_AFTER, MOST_EVSES, IdleEvses
from depots.ocpp.v2x import v21, v201

NOW = datetime(2030, 1, 15, 8, 0, tzinfo=UTC)
AT = "2030-01-15T08:00:00Z"
SAMPLES = [{"timestamp": AT, "sampledValue": [{"value": "1000"}]}]
STATUS = {"connectorId": 1, "errorCode": "NoError", "status": "Preparing"}


class Depot:
    """Where nothing charges; remembers which operations were carried out."""

    def __init__(self, dialect: ModuleType = v16) -> None:
        self.done: list[str] = []
        self.now = NOW
        self._dialect = dialect
        services = Services(lambda: self.now, Timings(), lambda *frame: None, lambda: None)
        self._connection = ChargerConnection(
            SimpleNamespace(pk=1, identity="CP", zone=ZoneInfo("UTC")),  # type: ignore[arg-type]
            holder="g.1", socket=SimpleNamespace(), close_socket=lambda reason: None,  # type: ignore[arg-type]
            dialect=dialect, database=self, services=services,  # type: ignore[arg-type]
        )  # fmt: skip

    async def run(self, operation: Any, **facts: Any) -> Any:
        self.done.append(operation.__name__)
        return None

    def ask(self, action: str, payload: dict) -> None:
        asyncio.run(self._connection.answer(action, self._dialect.ANSWERS[action], payload))

    def tell_meter(self, evse: int = 1, samples: list[dict] = SAMPLES, **more: Any) -> None:
        name = "connectorId" if self._dialect is v16 else "evseId"
        self.ask("MeterValues", {name: evse, "meterValue": samples, **more})


@pytest.mark.parametrize("dialect", [v16, v201, v21])
def test_an_idle_evse_is_looked_up_once(dialect: ModuleType):
    depot = Depot(dialect)

    for evse in (1, 1, 2, 1, 2, 1):
        depot.tell_meter(evse)

    assert depot.done == ["add_readings"] * 2


def test_whatever_else_is_written_for_the_charger_may_have_begun_something():
    depot = Depot()

    depot.tell_meter()
    depot.ask("StatusNotification", STATUS)
    depot.tell_meter()
    depot.tell_meter()

    assert depot.done == ["add_readings", "report_status", "add_readings"]


def test_samples_that_name_a_transaction_are_always_looked_up():
    depot = Depot()

    for _ in range(2):
        depot.tell_meter()
        depot.tell_meter(transactionId=7)

    assert depot.done == ["add_readings"] * 3


def test_samples_of_nothing_do_not_say_that_nothing_charges():
    depot = Depot()

    depot.tell_meter(samples=[])
    depot.tell_meter()

    assert depot.done == ["add_readings"] * 2


@pytest.mark.parametrize("later", [ASKED_AGAIN_AFTER, -timedelta(seconds=1)])
def test_an_idle_evse_is_looked_up_again_after_a_while(later: timedelta):
    depot = Depot()
    depot.tell_meter()
    depot.now += ASKED_AGAIN_AFTER - timedelta(seconds=1)
    depot.tell_meter()

    depot.now = NOW + later
    depot.tell_meter()

    assert depot.done == ["add_readings"] * 2


def test_made_up_evses_fill_no_memory():
    idle = IdleEvses()

    for number in range(10 * MOST_EVSES):
        idle.note(number, NOW)

    assert sum(idle.has(number, NOW) for number in range(10 * MOST_EVSES)) <= MOST_EVSES
