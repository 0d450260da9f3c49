"""Serve pages, the JSON API, OCPI and live streams on one port, or a part of them."""

import os
import signal
import socket
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from bookings.pages.live import application as live
from config import addresses, logs

# An open stream never ends by itself; on a stop it is cut after this long, and the browser connects again.
DRAIN_S = 2
THREADS = 8


class Command(BaseCommand):
    help = "Serve pages, API, OCPI and live streams until SIGTERM."

    def add_arguments(self, parser: ArgumentParser) -> None:
        part = parser.add_mutually_exclusive_group()
        part.add_argument(
            "--wsgi", action="store_true", help="all but the live streams, in several processes"
        )
        part.add_argument("--live", action="store_true", help="only the live streams below /live/")
        parser.add_argument("--processes", type=int, help="with --wsgi; one a core unless given")

    def handle(self, *args: Any, **options: Any) -> None:
        logs.to_stdout()
        _refuse_uncollected_files()
        if options["wsgi"]:
            self._serve_wsgi(options["processes"] or os.cpu_count() or 1)
        else:
            self._serve_asgi("config.asgi:live_only" if options["live"] else "config.asgi:application")

    def _serve_wsgi(self, processes: int) -> None:
        from granian import Granian
        from granian.constants import Interfaces

        host, port = addresses.read(settings.BERTH_HTTP)
        self._announce(f"http://{settings.BERTH_HTTP}")
        Granian(
            "config.wsgi:application",
            address=host,
            port=port,
            interface=Interfaces.WSGI,
            workers=processes,
            blocking_threads=THREADS,
            log_enabled=False,
        ).serve()

    def _serve_asgi(self, application: str) -> None:
        listener = addresses.listen(settings.BERTH_HTTP)
        url = addresses.adopt_http_port(listener)
        server = _Server(
            uvicorn.Config(
                application,
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=DRAIN_S,
                proxy_headers=False,  # who is asking is found out in one place for all servers: config/requests.py
            ),
            on_started=lambda: self._announce(url),
        )
        server.run(sockets=[listener])

    def _announce(self, url: str) -> None:
        self.stdout.write(f"Listening on {url}")
        self.stdout.flush()


class _Server(uvicorn.Server):
    """Says when it listens, and counts SIGTERM as a clean end."""

    def __init__(self, config: uvicorn.Config, on_started: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_started = on_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started:
            self._on_started()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        # Unlike uvicorn's own this does not raise the signal again afterwards: we stop with exit code 0.
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True
        live.end_streams()  # they would be waited for, and their browsers come back by themselves


def _refuse_uncollected_files() -> None:
    if settings.STATIC_ROOT and not (Path(settings.STATIC_ROOT) / "staticfiles.json").exists():
        raise CommandError(
            "The static files are not collected yet. Run `manage.py collectstatic --noinput` first."
        )
