"""The demo keeps its programs running, and takes them with it."""

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from config import supervisor as supervisors
from config.supervisor import Program, Supervisor, answers
from depots.ocpp.connection import Timings
from depots.ocpp.server import GONE_WITHIN_S

# Listens on the port in its argument until asked to end, which it takes calmly.
LISTENING = """
import signal, socket, sys
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
while True:
    listener.accept()
"""


@pytest.fixture
def program() -> Program:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    return Program("listening", (sys.executable, "-c", LISTENING, str(port)), f"tcp://127.0.0.1:{port}")


@pytest.fixture
def supervisor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Supervisor]:
    monkeypatch.setattr("config.supervisor.keep_database_running", lambda: None)
    supervisor = Supervisor(tmp_path / "run")
    yield supervisor
    supervisor.stop()
    supervisor.end()


def test_a_started_program_answers_and_has_its_process_id_in_a_file(
    supervisor: Supervisor, program: Program, tmp_path: Path
) -> None:
    supervisor.start([program])

    assert answers(program)
    assert _pid(tmp_path) == program.process.pid


def test_a_program_without_an_address_is_ready_when_it_first_prints(
    supervisor: Supervisor, capfd: pytest.CaptureFixture[str]
) -> None:
    silent = Program("silent", (sys.executable, "-c", "import time; time.sleep(60)"))
    speaking = Program("speaking", (sys.executable, "-c", "print('Working'); import time; time.sleep(60)"))

    supervisor.start([speaking])
    assert answers(speaking)
    assert "Working" in capfd.readouterr().out

    threading.Timer(0.3, supervisor.stop).start()
    supervisor.start([silent])
    assert not answers(silent)


def test_a_killed_program_is_back_within_two_seconds_and_its_own_start(
    supervisor: Supervisor, program: Program, tmp_path: Path
) -> None:
    supervisor.start([program])
    watching = threading.Thread(target=supervisor.watch)
    watching.start()
    first = _pid(tmp_path)

    os.kill(first, signal.SIGKILL)

    _eventually(lambda: _pid(tmp_path) != first and answers(program), within_s=60)
    assert supervisors.LOOK_S + supervisors.PAUSE_S < 2
    supervisor.stop()
    watching.join()


def test_the_end_takes_every_program_and_its_file(
    supervisor: Supervisor, program: Program, tmp_path: Path
) -> None:
    supervisor.start([program])
    pid = _pid(tmp_path)

    supervisor.end()

    assert not Path(f"/proc/{pid}").exists()
    assert not (tmp_path / "run" / "listening.pid").exists()
    assert program.process.returncode == 0


def test_a_stop_while_something_starts_does_not_wait_for_it(supervisor: Supervisor) -> None:
    never = Program("never", (sys.executable, "-c", "input()"), "tcp://127.0.0.1:1")
    threading.Timer(0.1, supervisor.stop).start()

    supervisor.start([never])

    assert supervisor.is_stopping


def _pid(folder: Path) -> int:
    return int((folder / "run" / "listening.pid").read_text())


def _eventually(condition: Callable[[], bool], *, within_s: float) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.02)


def test_a_gateway_is_given_the_time_that_its_drain_may_take() -> None:
    timings = Timings()
    drain_s = timings.finish_s + timings.waves_s + GONE_WITHIN_S

    assert Program.of_berth("ocpp_gateway").stop_timeout_s >= drain_s + timings.flush_s + 10
