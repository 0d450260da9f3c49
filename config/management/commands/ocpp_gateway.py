"""The gateway that chargers connect to."""

import asyncio
import contextlib
import resource
import signal
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from config import addresses, logs
from depots.ocpp.server import Gateway


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
        async with Gateway(host=host, listener=addresses.listen(settings.BERTH_OCPP)) as gateway:
            self.stdout.write(f"Listening on {gateway.url}/<identity>")
            self.stdout.flush()
            await stop.wait()


def _allow_many_sockets() -> None:
    """Each charger is an open file; the usual limit of 1024 is an accident waiting for the 1025th."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65_536 if most == resource.RLIM_INFINITY else most
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
