"""Chargers made of software, for the demo and for whoever connects a gateway or tries an integration."""

import asyncio
import contextlib
import signal
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from config import addresses, logs
from simulators.charger import SimulatedCharger
from simulators.charger.charger_file import PROTOCOLS, UnreadableFile, read_chargers
from simulators.charger.simulation import live_together


class Command(BaseCommand):
    help = "Simulate chargers over OCPP until SIGTERM: those of a file, or a single one. Needs no database."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--url", help="the gateway, without the identity (default: that of BERTH_OCPP)")
        parser.add_argument("--file", type=Path, help="default: BERTH_VAR/simulators/chargers.json")
        parser.add_argument("--identity", help="simulate this one charger instead of a file")
        parser.add_argument("--password", default="", help="its password")
        parser.add_argument("--protocol", choices=PROTOCOLS, default="ocpp1.6")
        parser.add_argument("--evses", type=int, default=1, help="how many it has (default: 1)")
        parser.add_argument("--seed", type=int, default=1, help="other seeds bring other trucks")

    def handle(self, *args: Any, **options: Any) -> None:
        logs.to_stdout()
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(self._simulate(options))

    async def _simulate(self, options: dict[str, Any]) -> None:
        url = options["url"] or f"ws://{addresses.reachable(settings.BERTH_OCPP)}/ocpp"
        chargers = _chargers(url.rstrip("/"), options)
        self.stdout.write(f"Simulating {len(chargers)} chargers at {url}")
        self.stdout.flush()
        running = asyncio.create_task(live_together(chargers, seed=options["seed"]))
        for end in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(end, running.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            await running


def _chargers(url: str, options: dict[str, Any]) -> list[SimulatedCharger]:
    if options["identity"]:
        return [
            SimulatedCharger(
                identity=options["identity"],
                password=options["password"],
                protocol=options["protocol"],
                evses=options["evses"],
                url=url,
            )
        ]
    try:
        return read_chargers(options["file"] or settings.BERTH_VAR / "simulators" / "chargers.json", url)
    except UnreadableFile as error:
        raise CommandError(str(error)) from None
