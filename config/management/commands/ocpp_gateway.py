"""The gateway that chargers connect to."""

import asyncio
import contextlib
import resource
import signal
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from config import addresses, logs
from depots.ocpp.server import Gateway
from depots.ocpp.tls import ServerTls, TlsFiles


class Command(BaseCommand):
    help = "Let chargers connect over OCPP until SIGTERM. Any number may run, on ports of their own."

    def handle(self, *args: Any, **options: Any) -> None:
        logs.to_stdout()
        _allow_many_sockets()
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(self._serve())

    async def _serve(self) -> None:
        stop = asyncio.Event()
        for end in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(end, stop.set)
        host, _ = addresses.read(settings.BERTH_OCPP)
        secure = addresses.listen(settings.BERTH_OCPP_TLS) if settings.BERTH_OCPP_TLS else None
        async with Gateway(
            host=host, listener=addresses.listen(settings.BERTH_OCPP), tls=_tls(), tls_listener=secure
        ) as gateway:
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
        return ServerTls(files)
    except OSError as fault:
        raise CommandError(
            f"BERTH_OCPP_TLS_CERT, BERTH_OCPP_TLS_KEY and BERTH_OCPP_CLIENT_CA cannot be used: {fault}"
        ) from fault


def _allow_many_sockets() -> None:
    """Each charger is an open file; the usual limit of 1024 is an accident waiting for the 1025th."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65_536 if most == resource.RLIM_INFINITY else most
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
