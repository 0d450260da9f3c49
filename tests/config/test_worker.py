"""`worker` as users run it: it ticks, it shares the work with others, and ends calmly."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import dramatiq
import pytest
from django.conf import settings
from django.db import connection

from bookings.models import SchedulerTick
from tests.serving import on_test_database

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, settings.BASE_DIR / "manage.py", "worker"],
        env={**os.environ, **on_test_database(var=tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout
    assert any(line == "Working\n" for line in process.stdout)
    yield process
    process.kill()
    process.communicate()


def test_a_worker_ticks_and_ends_when_asked(worker: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 10
    while SchedulerTick.objects.count() == 0:
        assert time.monotonic() < deadline, "no tick"
        time.sleep(0.05)

    worker.send_signal(signal.SIGTERM)

    worker.communicate(timeout=60)
    assert worker.returncode == 0


def test_a_job_that_no_version_knows_does_not_end_the_worker(worker: subprocess.Popen[str]) -> None:
    dramatiq.get_broker().enqueue(
        dramatiq.Message(queue_name="default", actor_name="gone", args=(), kwargs={}, options={})
    )

    deadline = time.monotonic() + 10
    while _waiting():
        assert time.monotonic() < deadline, "not taken"
        time.sleep(0.05)
    assert worker.poll() is None


def _waiting() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM dramatiq.queue WHERE state = 'queued'")
        return int(cursor.fetchone()[0])
