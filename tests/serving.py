"""A running Berth for tests that need the real server: open streams, several requests at once, a stop under load."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from urllib.parse import quote

import pytest
from django.conf import settings
from django.db import connection

MANAGE = Path(settings.BASE_DIR) / "manage.py"
STOP_TIMEOUT_S = 60


@dataclass
class BerthServer:
    """A `serve` process; `url` is its address without a slash at the end."""

    process: subprocess.Popen[str]
    url: str

    @classmethod
    @contextmanager
    def started(cls, *, var: Path, environment: dict[str, str] | None = None) -> Iterator["BerthServer"]:
        process = subprocess.Popen(
            [sys.executable, MANAGE, "serve"],
            env={**os.environ, **on_test_database(var=var), **(environment or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            url = cls._announced_url(process)
            # In many tests it says more than a pipe holds.
            Thread(target=process.stdout.read, daemon=True).start()  # type: ignore[union-attr]
            yield cls(process, url)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(STOP_TIMEOUT_S)

    @staticmethod
    def _announced_url(process: subprocess.Popen[str]) -> str:
        assert process.stdout is not None
        seen = []
        for line in process.stdout:
            seen.append(line)
            if line.startswith("Listening on "):
                return line.removeprefix("Listening on ").strip()
        raise AssertionError("serve ended before it listened:\n" + "".join(seen))


class SharedServers:
    """Servers by number, each started when it is first asked for, until `running` ends."""

    def __init__(self, running: ExitStack, folders: pytest.TempPathFactory) -> None:
        self._running, self._folders = running, folders
        self._started: dict[int, BerthServer] = {}

    def __getitem__(self, number: int) -> BerthServer:
        if number not in self._started:
            server = BerthServer.started(var=self._folders.mktemp("server"))
            self._started[number] = self._running.enter_context(server)
        return self._started[number]

    def stop(self) -> None:
        """All of them; whoever asks for one next has it started anew."""
        self._running.close()
        self._started.clear()


def on_test_database(*, var: Path) -> dict[str, str]:
    """The environment for a process of ours that shares this test's database, with free ports."""
    parameters = connection.get_connection_params()
    address = f"postgres://{parameters['user']}@/{quote(parameters['dbname'])}"
    return {
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "DATABASE_URL": f"{address}?host={quote(str(parameters['host']))}&port={parameters['port']}",
        "BERTH_VAR": str(var),
        "BERTH_SECRET_KEY": settings.SECRET_KEY,  # with the test's own key: it signs people in by session
        "BERTH_HTTP": "127.0.0.1:0",
        "BERTH_OCPP": "127.0.0.1:0",
        "BERTH_ALLOW_PRIVATE_PARTNERS": "1",
        "PYTHONUNBUFFERED": "1",
    }
