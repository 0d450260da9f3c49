"""One POST sent by many at once, and by a process that dies: it is carried out once, or not at all."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import time_machine

from bookings.models import Booking, KeptAnswer
from bookings.operations import kept_answers
from depots import round_trips
from tests.bookings.api.fleet_system import FleetSystem
from tests.factories import NOW, at, make_depot, make_evse, make_fleet, make_vehicle
from tests.races.processes import at_once

pytestmark = [pytest.mark.races, pytest.mark.django_db(transaction=True)]
DIED = "ERROR the process died"


@pytest.fixture(autouse=True)
def _now() -> Iterator[None]:
    with time_machine.travel(NOW, tick=False):
        yield


def sender() -> Callable[[int], tuple[int, str]]:
    """The same POST of a fleet's system each time it is called: its status, and what it is about."""
    fleet = make_fleet()
    vehicle, evse, system = make_vehicle(fleet), make_evse(make_depot()), FleetSystem.of(fleet)
    wanted = {
        "option": evse.uid, "vehicle": vehicle.plate, "starts_at": at(12).isoformat(),
        "ends_at": at(13).isoformat(),
    }  # fmt: skip

    def send(_: int) -> tuple[int, str]:
        response = system.post("/bookings", wanted, key="once")
        told = response.json()
        return response.status_code, str(told.get("id") or told["code"])

    return send


def test_of_equal_posts_at_once_one_is_carried_out() -> None:
    send = sender()

    told = Counter(at_once(send, 8))

    booking = Booking.objects.get()
    assert told.keys() <= {(201, str(booking.pk)), (409, "idempotency_key_in_use")}
    assert told[201, str(booking.pk)] >= 1
    assert send(0) == (201, str(booking.pk))


def test_without_the_lock_of_a_key_the_constraint_keeps_the_second_out(monkeypatch) -> None:
    send = sender()
    monkeypatch.setattr(kept_answers, "_LOCK", round_trips.Prepared("SELECT %s::bigint IS NOT NULL"))

    told = Counter(status for status, _ in at_once(send, 4))

    assert told[201] >= 1
    assert Booking.objects.count() == KeptAnswer.objects.filter(status=201).count() == 1


@pytest.mark.parametrize("name", ["_known", "keep"])
def test_a_process_killed_before_its_commit_leaves_neither_booking_nor_answer(name: str, monkeypatch) -> None:
    send = sender()
    owner: Any = kept_answers if name == "_known" else kept_answers.Answering

    def killed(*args: Any) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    with monkeypatch.context() as patched:
        patched.setattr(owner, name, killed)
        assert at_once(send, 1) == [DIED]

    assert (Booking.objects.count(), KeptAnswer.objects.count()) == (0, 0)
    assert send(0)[0] == 201
