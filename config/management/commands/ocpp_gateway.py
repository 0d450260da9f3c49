"""The gateway that chargers connect to."""

import asyncio
import contextlib
import resource
import signal
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError, connections
from psycopg_pool import PoolTimeout

from config import addresses, logs
from depots.models import Charger
from depots.ocpp.listeners import Listeners
from depots.ocpp.server import Gateway
from depots.ocpp.tls import ServerTls, TlsFiles
from depots.operations.certificate_requests import own_roots

# Beside chargers: its own files and connections to the database, and sockets on their way in or out.
OTHER_FILES = 256
SHARE_OR_CHOOSE = (
    "Choose another with BERTH_OCPP (or BERTH_OCPP_TLS), or start all gateways here with --share-port."
)


class Command(BaseCommand):
    help = "Let chargers connect over OCPP until SIGTERM. Any number may run, on ports of their own or on one that they share."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--share-port",
            action="store_true",
            help="let other gateways with this option listen on the same port: the next one is there before this one stops",
        )

    def handle(self, *args: Any, share_port: bool = False, **options: Any) -> None:
        logs.to_stdout()
        _allow_many_sockets(_known_chargers())
        tls = _tls()
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(self._serve(tls, is_shared=share_port))

    async def _serve(self, tls: ServerTls | None, *, is_shared: bool) -> None:
        stop = asyncio.Event()
        for end in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(end, stop.set)
        host, _ = addresses.read(settings.BERTH_OCPP)
        secure = (
            addresses.listen(settings.BERTH_OCPP_TLS, is_shared=is_shared, advice=SHARE_OR_CHOOSE)
            if settings.BERTH_OCPP_TLS
            else None
        )
        listener = addresses.listen(settings.BERTH_OCPP, is_shared=is_shared, advice=SHARE_OR_CHOOSE)
        listeners = Listeners(host, listener=listener, tls=tls, tls_listener=secure)
        async with Gateway(listeners=listeners) as gateway:
            self.stdout.write(f"Listening on {gateway.url}/<identity>")
            if secure is not None:
                self.stdout.write(f"Listening on wss://{settings.BERTH_OCPP_TLS}/ocpp/<identity>")
            self.stdout.flush()
            await stop.wait()


def _tls() -> ServerTls | None:
    """Raises CommandError where the files that the environment names cannot be used."""
    if not settings.BERTH_OCPP_TLS_CERT:
        return None
    client_ca = settings.BERTH_OCPP_CLIENT_CA
    files = TlsFiles(
        Path(settings.BERTH_OCPP_TLS_CERT),
        Path(settings.BERTH_OCPP_TLS_KEY),
        Path(client_ca) if client_ca else None,
    )
    try:
        return ServerTls(files, own_roots)
    except OSError as fault:
        raise CommandError(
            f"BERTH_OCPP_TLS_CERT, BERTH_OCPP_TLS_KEY and BERTH_OCPP_CLIENT_CA cannot be used: {fault}"
        ) from fault


def _known_chargers() -> int:
    """How many may come; none are known while the database is away, which the gateway waits for."""
    try:
        return Charger.objects.filter(is_withdrawn=False).count()
    except (OperationalError, PoolTimeout):
        return 0
    finally:
        connections.close_all()


def _allow_many_sockets(chargers: int) -> None:
    """Each charger is an open file, and the usual limit of 1024 an accident waiting for the 1025th: it is raised as far as it
    goes. Raises CommandError where that is too low for all that are known."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = chargers + OTHER_FILES
    if most != resource.RLIM_INFINITY and most < needed:
        raise CommandError(
            f"{chargers} chargers are known, and a process may open no more than {most} files here, one for each connection. "
            f"Raise the hard limit to {needed} or more (ulimit -Hn, or LimitNOFILE= of a systemd unit)."
        )
    wanted = max(65_536, 2 * needed) if most == resource.RLIM_INFINITY else most
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
