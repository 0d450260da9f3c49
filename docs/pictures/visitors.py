"""Who comes to the demo for the pictures: a charger that nobody knows, which knocks once, and one that tells of itself."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from websockets.exceptions import InvalidHandshake

from simulators.charger.charger import SimulatedCharger
from simulators.charger.options import ChargerOptions

STRANGER = "HAM-4"
TELLING = "DEMO-2"
SCRIPT = Path(__file__).with_name("visitors.json")
ROOT = Path(__file__).parents[2]


@contextmanager
def visiting(ocpp_url: str) -> Iterator[None]:
    """While the pictures are taken."""
    asyncio.run(_knock(ocpp_url))
    day = subprocess.Popen(
        [sys.executable, "-m", "simulators.charger", "--script", str(SCRIPT), "--url", ocpp_url],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        day.send_signal(signal.SIGTERM)
        day.wait(timeout=20)


async def _knock(ocpp_url: str) -> None:
    """Refused before the upgrade, as every stranger; with the right password it is let in by one click."""
    stranger = ChargerOptions(STRANGER, ocpp_url, "ham-4-secret-0001", "ocpp2.0.1")
    try:
        await SimulatedCharger(stranger).connect()
    except InvalidHandshake:
        return
    raise RuntimeError(f"{STRANGER} was let in, and nobody knows it.")
