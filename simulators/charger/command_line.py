"""`python -m simulators.charger`, and what `manage.py simulate_chargers` shares with it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from simulators.charger.charger import SimulatedCharger
from simulators.charger.charger_file import read_chargers
from simulators.charger.client_tls import ClientTls
from simulators.charger.day import ChargerDay
from simulators.charger.day_run import run_days, write_summary
from simulators.charger.day_script import DayScript, read_day
from simulators.charger.options import PROTOCOLS, ChargerOptions
from simulators.charger.simulation import SHOWS_UP, simulate

T = TypeVar("T")


def add_arguments(parser: ArgumentParser, *, url: str, file: str) -> None:
    """`url` and `file` say in words what their defaults are."""
    parser.add_argument("--url", help=f"the CSMS, without the identity (default: {url})")
    parser.add_argument(
        "--secure-url",
        default="",
        help="where it goes in 1.6 once it is told a security profile of TLS (default: the url over wss)",
    )
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
    parser.add_argument(
        "--shows-up",
        type=share,
        default=SHOWS_UP,
        metavar="SHARE",
        help=f"of the reservations a truck comes for so many, 0 for none, 1 for all (default: {SHOWS_UP})",
    )
    parser.add_argument("--count", type=int, help="simulate so many: IDENTITY-1, IDENTITY-2 and so on")
    parser.add_argument("--per-second", type=float, default=200, help="of them come a second (default: 200)")
    parser.add_argument("--script", type=Path, help="run the scripted day of this file")
    parser.add_argument("--speed", type=float, default=1, help="how much faster than ours its clock goes")
    parser.add_argument("--summary", type=Path, help="where to write what each truck got (default: print it)")


def share(text: str) -> float:
    """From 0 to 1. Raises ArgumentTypeError."""
    with contextlib.suppress(ValueError):
        if 0 <= float(text) <= 1:
            return float(text)
    raise ArgumentTypeError(f"{text} is no share from 0 to 1")


def chargers(options: Namespace, *, url: str, file: Path) -> list[SimulatedCharger]:
    """Those the options name; `url` and `file` where they name none. Raises UnreadableFile."""
    url = (options.url or url).rstrip("/")
    if not options.identity:
        return read_chargers(options.file or file, url, _tls(options))
    names = [options.identity]
    if options.count:
        names = [f"{options.identity}-{number}" for number in range(1, options.count + 1)]
    return [SimulatedCharger(_charger_options(name, options, url)) for name in names]


def run(made: list[SimulatedCharger], options: Namespace) -> None:
    """Simulate until SIGTERM or Ctrl-C."""
    per_second = options.per_second if options.count else 0
    _run_until_signalled(simulate(made, seed=options.seed, per_second=per_second, shows_up=options.shows_up))


def run_script(options: Namespace, *, url: str) -> None:
    """Run a scripted day to its end and write its summary. Raises UnreadableFile."""
    days = live(
        read_day(options.script, (options.url or url).rstrip("/"), _tls(options)), speed=options.speed
    )
    write_summary(days, options.summary)


def live(script: DayScript, *, speed: float = 1) -> list[ChargerDay]:
    """A scripted day to its end, or to SIGTERM or Ctrl-C."""
    return _run_until_signalled(run_days(script, speed=speed)) or []


def _tls(options: Namespace) -> ClientTls:
    return ClientTls(options.ca, options.certificate, options.key)


def _charger_options(identity: str, options: Namespace, url: str) -> ChargerOptions:
    return ChargerOptions(
        identity,
        url,
        password=options.password,
        protocol=options.protocol,
        evses=options.evses,
        records=not options.count,
        tls=_tls(options),
        secure_url=options.secure_url.rstrip("/"),
    )


def _run_until_signalled(work: Coroutine[Any, Any, T]) -> T | None:
    with contextlib.suppress(KeyboardInterrupt):
        return asyncio.run(_until_signalled(work))
    return None


async def _until_signalled(work: Coroutine[Any, Any, T]) -> T | None:
    running = asyncio.create_task(work)
    for end in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(end, running.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        return await running
    return None
