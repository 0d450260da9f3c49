"""Serve pages, the JSON API, OCPI and live streams on one port, from all cores."""

import asyncio
import signal
import socket
import sys
from argparse import ArgumentParser
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, cast

import uvicorn
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from bookings.pages.live import application as live
from config import addresses, logs, metrics
from config.accepting import Acceptor, Shares
from config.embedded import postgres
from config.http_protocol import HttpProtocol
from config.prefork import Prefork

# An open stream never ends by itself; on a stop it is cut after this long, and the browser connects again.
DRAIN_S = 2
# A thread that computes lets others go on after so long (Python's own is ten times that): a page that asks the database thirty
# times waits for its turn as often.
SWITCH_S = 0.0005


class Command(BaseCommand):
    help = "Serve pages, API, OCPI and live streams until SIGTERM."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--processes", type=int, help="instead of BERTH_SERVE_PROCESSES, or one a core")

    def handle(self, *args: Any, **options: Any) -> None:
        logs.to_stdout()
        _refuse_uncollected_files()
        processes = options["processes"] or settings.BERTH_SERVE_PROCESSES
        if processes < 1:
            raise CommandError("At least one process has to serve.")
        listener = addresses.listen(settings.BERTH_HTTP)
        url = addresses.adopt_http_port(listener)
        self._load()
        with metrics.summed_over_processes():
            self._announce(url)
            Prefork(partial(_serve, listener, Shares(processes)), processes=processes).run()

    def _load(self) -> None:
        """Import once, before the forks, what each of them needs."""
        from config import asgi  # noqa: F401

    def _announce(self, url: str) -> None:
        # Who connects from now on is answered: until a process is there to accept, the listener keeps the connection.
        self.stdout.write(f"Listening on {url}")
        self.stdout.flush()


def _serve(listener: socket.socket, shares: Shares, place: int) -> None:
    """The whole life of one serving process."""
    sys.setswitchinterval(SWITCH_S)
    config = uvicorn.Config(
        "config.asgi:application",
        http=HttpProtocol,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=DRAIN_S,
        proxy_headers=False,  # who is asking is found out in one place for all servers: config/requests.py
    )
    try:
        _Server(config, Acceptor(listener, shares, place)).run(sockets=[])
    finally:
        connections.close_all()
        postgres.leave_all()


class _Server(uvicorn.Server):
    """Gets its connections from an acceptor, and counts SIGTERM as a clean end."""

    def __init__(self, config: uvicorn.Config, acceptor: Acceptor) -> None:
        super().__init__(config)
        self._acceptor = acceptor

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self._acceptor.start(self._protocol, lambda: len(self.server_state.connections))

    async def on_tick(self, counter: int) -> bool:
        self._acceptor.tell()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._acceptor.close()
        await super().shutdown(sockets=sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        # Unlike uvicorn's own this does not raise the signal again afterwards: we stop with exit code 0.
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True
        live.end_streams()  # they would be waited for, and their browsers come back by themselves

    def _protocol(self) -> asyncio.Protocol:
        made: asyncio.Protocol = cast(Any, self.config.http_protocol_class)(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return made


def _refuse_uncollected_files() -> None:
    if settings.STATIC_ROOT and not (Path(settings.STATIC_ROOT) / "staticfiles.json").exists():
        raise CommandError(
            "The static files are not collected yet. Run `manage.py collectstatic --noinput` first."
        )
