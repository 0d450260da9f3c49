"""`python -m simulators.charger`, and what `manage.py simulate_chargers` shares with it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from argparse import ArgumentParser, Namespace
from pathlib import Path

from simulators.charger.charger import SimulatedCharger
from simulators.charger.charger_file import read_chargers
from simulators.charger.charger_settings import PROTOCOLS, ChargerSettings
from simulators.charger.client_tls import ClientTls
from simulators.charger.simulation import simulate


def add_arguments(parser: ArgumentParser, *, url: str, file: str) -> None:
    """`url` and `file` say in words what their defaults are."""
    parser.add_argument("--url", help=f"the CSMS, without the identity (default: {url})")
    parser.add_argument("--file", type=Path, help=f"chargers to simulate (default: {file})")
    parser.add_argument("--identity", help="simulate this one charger instead of a file")
    parser.add_argument("--password", default="", help="its password; none is sent without it")
    parser.add_argument(
        "--ca", type=Path, help="roots of the CSMS's certificate, PEM (default: the system's)"
    )
    parser.add_argument("--certificate", type=Path, help="its client certificate with its chain, PEM")
    parser.add_argument("--key", type=Path, help="the key of that, where it is another file")
    parser.add_argument("--protocol", choices=PROTOCOLS, default="ocpp1.6")
    parser.add_argument("--evses", type=int, default=1, help="how many it has (default: 1)")
    parser.add_argument("--seed", type=int, default=1, help="other seeds bring other trucks")


def chargers(options: Namespace, *, url: str, file: Path) -> list[SimulatedCharger]:
    """Those the options name; `url` and `file` where they name none. Raises UnreadableFile."""
    url, tls = (options.url or url).rstrip("/"), ClientTls(options.ca, options.certificate, options.key)
    if not options.identity:
        return read_chargers(options.file or file, url, tls)
    one = ChargerSettings(
        options.identity,
        url,
        password=options.password,
        protocol=options.protocol,
        evses=options.evses,
        tls=tls,
    )
    return [SimulatedCharger(one)]


def run(made: list[SimulatedCharger], *, seed: int) -> None:
    """Simulate until SIGTERM or Ctrl-C."""
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_run_until_signalled(made, seed))


async def _run_until_signalled(made: list[SimulatedCharger], seed: int) -> None:
    running = asyncio.create_task(simulate(made, seed=seed))
    for end in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(end, running.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await running
