"""The demo as a whole: quick the second time, two beside each other, and gone when it is asked to."""

import os
import time
from pathlib import Path

import httpx
import pytest

from tests.scenarios.outside.berth import Slot, is_alive, processes_with, running

QUICK_S = 15


@pytest.mark.long
def test_two_demos_side_by_side_start_quickly_again_and_leave_nothing(tmp_path: Path) -> None:
    with running(tmp_path / "a") as here, running(tmp_path / "b", "--no-partner") as there:
        booked = here.book("DEMO-1-1", Slot.soon())
        assert there.run("show_booking", booked["ocpi_id"]).code == 1, "each has data of its own"
        for berth in (here, there):
            assert httpx.get(f"{berth.url}/readyz", trust_env=False).status_code == 200
        started = set(processes_with(here.var))
        assert len(started) >= 4

        assert here.stop() == 0

        assert not [pid for pid in started if is_alive(pid)]
        assert not processes_with(here.var)
        assert httpx.get(f"{there.url}/healthz", trust_env=False).status_code == 200, "the other one goes on"

        begun = time.monotonic()
        here.start()
        lasted = time.monotonic() - begun
        assert here.booking(booked)["ocpi_id"] == booked["ocpi_id"]
        # The promise is for an idle machine.
        assert lasted < QUICK_S * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1)), lasted
