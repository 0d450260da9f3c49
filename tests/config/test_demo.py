"""`make demo` from an empty folder to the end, with what is killed in between."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from config.embedded.postgres import EmbeddedServer
from config.management.commands.demo import ocpp_addresses

ROOT = Path(__file__).parents[2]


class Demo:
    """A running demo without peers, on ports and in a folder of its own."""

    def __init__(self, var: Path) -> None:
        self.var = var
        self.url = f"http://127.0.0.1:{free_port()}"
        own = ("BERTH_", "DATABASE_", "DJANGO_")
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "demo", "--only", "serve,worker"],
            cwd=ROOT,
            env={
                **{name: value for name, value in os.environ.items() if not name.startswith(own)},
                "BERTH_VAR": str(var),
                "BERTH_HTTP": self.url.removeprefix("http://"),
                "BERTH_OCPP": f"127.0.0.1:{free_port()}",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def ready(self) -> str:
        """What it printed until it was ready."""
        printed = []
        assert self.process.stdout
        for line in self.process.stdout:
            printed.append(line)
            if line.startswith("Ctrl-C") or "Ctrl-C" in line:
                return "".join(printed)
        raise AssertionError("the demo ended:\n" + "".join(printed))

    def pid_of(self, name: str) -> int:
        return int((self.var / "run" / f"{name}.pid").read_text())

    def is_serving(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz", timeout=20).status_code == 200
        except httpx.HTTPError:
            return False


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    demo = Demo(tmp_path / "var")
    yield demo
    demo.process.kill()
    demo.process.communicate()
    server = EmbeddedServer(demo.var)
    server.stop()
    shutil.rmtree(server.home, ignore_errors=True)


@pytest.mark.long
def test_the_demo_says_where_to_look_revives_what_is_killed_and_takes_everything_with_it(demo: Demo) -> None:
    printed = demo.ready()
    assert f"Berth is ready: {demo.url}/" in printed
    assert "dispatcher@nordfracht.example" in printed
    assert demo.is_serving()

    first = demo.pid_of("serve")
    os.kill(first, signal.SIGKILL)
    eventually(lambda: demo.pid_of("serve") != first, within_s=60)
    database = EmbeddedServer(demo.var).pid()
    assert database
    os.kill(database, signal.SIGKILL)
    eventually(
        lambda: EmbeddedServer(demo.var).pid() not in {None, database} and demo.is_serving(), within_s=120
    )

    demo.process.send_signal(signal.SIGTERM)
    demo.process.communicate(timeout=120)
    assert demo.process.returncode == 0
    assert EmbeddedServer(demo.var).pid() is None
    assert not list((demo.var / "run").glob("*.pid"))
    assert not demo.is_serving()

    (EmbeddedServer(demo.var).home / "secret_key").unlink()
    under_another_key = Demo(demo.var)
    printed = under_another_key.process.communicate(timeout=300)[0]
    assert under_another_key.process.returncode == 1
    assert "another key" in printed


def test_an_address_that_is_taken_is_said_before_anything_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = subprocess.run(
            [sys.executable, "manage.py", "demo"],
            cwd=ROOT,
            env={**os.environ, "BERTH_VAR": str(tmp_path), "BERTH_HTTP": address},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    assert done.returncode == 1
    assert address in done.stderr
    assert "BERTH_HTTP" in done.stderr
    assert not (tmp_path / "database").exists()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def eventually(condition: Callable[[], bool], *, within_s: float) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.05)


def test_the_demo_names_and_looks_at_each_address_that_chargers_may_connect_to(settings) -> None:
    settings.BERTH_OCPP, settings.BERTH_OCPP_TLS, settings.BERTH_OCPP_TLS_CERT = "h:1", "", ""
    assert ocpp_addresses() == [("ws", "h:1")]

    settings.BERTH_OCPP_TLS_CERT = "gateway.pem"
    assert ocpp_addresses() == [("wss", "h:1")]

    settings.BERTH_OCPP_TLS = "h:2"
    assert ocpp_addresses() == [("ws", "h:1"), ("wss", "h:2")]
