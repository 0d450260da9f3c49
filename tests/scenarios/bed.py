"""A gateway on a free port with a clock of the test's own, and chargers driven step by step over real sockets.

The gateway and its chargers live in an event loop of their own thread; tests stay plain functions that may use the ORM.
"""

from __future__ import annotations

import asyncio
import inspect
import socket
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

from depots import secrets
from depots.gate import Authorization
from depots.models import Charger
from depots.ocpp.connection import Timings
from depots.ocpp.listeners import Listeners
from depots.ocpp.server import Gateway
from depots.ocpp.tls import ServerTls
from simulators.charger import ChargerOptions, Mute, Refuse, SimulatedCharger
from tests.factories import NOW

T = TypeVar("T")

PASSWORD = "a-charger-password"
DEADLINE_S = 90
# Short where a test waits for the end of it; what only ends a hang waits for a machine with much else to do.
QUICK = Timings(
    call_timeout_s=30,
    after_boot_s=0.02,
    without_boot_s=0.05,
    drain_s=0.05,
    poll_s=0.05,
    retry_s=0.05,
    flush_s=0.05,
    figures_s=0.05,
    finish_s=0.05,
    returns_per_minute=100_000,  # the clock stands still
    messages_per_s=100_000,
)


class Clock:
    """Stands still until it is moved."""

    def __init__(self, now: datetime = NOW) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **duration: float) -> datetime:
        self.now += timedelta(**duration)
        return self.now


class Loop:
    """An event loop in a thread."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="test bed", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T], timeout_s: float = DEADLINE_S) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(timeout_s)

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(DEADLINE_S)
        self.loop.close()


class ScriptedCharger:
    """A SimulatedCharger whose every step is an ordinary call: `charger.come_online()`, `charger.tap(1, "TOKEN")`."""

    def __init__(self, charger: SimulatedCharger, loop: Loop) -> None:
        self.sim = charger
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.sim, name)
        if not inspect.iscoroutinefunction(found):
            return found
        return lambda *args, **kwargs: self._loop.run(found(*args, **kwargs))

    def will_answer(self, action: str, *answers: dict[str, Any] | Refuse | Mute) -> None:
        self.sim.script.will_answer(action, *answers)

    def heard(self, action: str) -> dict[str, Any]:
        return self._loop.run(self.sim.script.heard(action))

    def count(self, action: str) -> int:
        return self.sim.script.count(action)

    def flush(self) -> None:
        self._loop.run(self.sim.outbox.flush())

    def ask(self, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        """The gateway's answer to a CALL of the test's own making."""
        answer: dict[str, Any] = self.call(action, payload)
        return answer

    def wait_until(self, told: str) -> None:
        """Let the clock stand at a message's own time, when it is a time and lies ahead: nothing is told beforehand."""
        with suppress(ValueError):
            at = datetime.fromisoformat(told)
            if at.tzinfo is not None and at > self.sim.clock():
                self.sim.clock.now = at  # type: ignore[attr-defined]

    def frames_after(self, frame: str | bytes, count: int = 1) -> list[str]:
        """Send anything, and return the next frames that come back."""
        before = len(self.sim.frames)
        self.send(frame)
        eventually(lambda: len(self.sim.frames) >= before + count)
        return self.sim.frames[before:]


class ScriptedGate:
    """Stands in for bookings: answers what the test says of a token, and remembers what it was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, Authorization] = {}
        self.otherwise = Authorization(allowed=True)
        self.asked: list[dict[str, Any]] = []
        self.fails = False

    def __call__(self, **question: Any) -> Authorization:
        self.asked.append(question)
        if self.fails:
            raise RuntimeError("the gate is broken")
        return self.answers.get(question["token_uid"], self.otherwise)


class Bed:
    def __init__(self, timings: Timings = QUICK) -> None:
        self.clock = Clock()
        self.timings = timings
        self.loop = Loop()
        self.chargers: list[ScriptedCharger] = []
        self.gateway = self.start_gateway()

    def start_gateway(
        self,
        *,
        tls: ServerTls | None = None,
        tls_listener: socket.socket | None = None,
        after_commit: Callable[[str], None] = lambda name: None,
        **timings: float,
    ) -> Gateway:
        """Another gateway beside, or after, the one there is."""
        timing = replace(self.timings, **timings)  # type: ignore[arg-type]
        gateway = Gateway(
            clock=self.clock,
            listeners=Listeners(tls=tls, tls_listener=tls_listener),
            timings=timing,
            after_commit=after_commit,
        )
        self.loop.run(gateway.__aenter__())
        return gateway

    def stop_gateway(self, gateway: Gateway | None = None) -> None:
        self.loop.run((gateway or self.gateway).__aexit__(None, None, None))

    def kill_gateway(self) -> None:
        """As `kill -9` would: sockets drop, nothing is said or written any more."""
        self.loop.run(self.gateway.abort())

    def restart_gateway(self, **timings: float) -> None:
        self.gateway = self.start_gateway(**timings)
        for charger in self.chargers:
            charger.sim.url = self.gateway.url

    def charger(
        self,
        row: Charger,
        protocol: str = "ocpp1.6",
        *,
        gateway: Gateway | None = None,
        evses: int | Mapping[int, int] = 2,
        **options: Any,
    ) -> ScriptedCharger:
        """A charger that will connect as this row, which gets a password."""
        if not row.password_hash:
            row.password_salt, row.password_hash = secrets.hash_charger_password(PASSWORD)
            row.save(update_fields=["password_salt", "password_hash"])
        made = self.loop.run(self._make(row, protocol, gateway or self.gateway, evses, options))
        self.chargers.append(made)
        return made

    @contextmanager
    def impatient(self, row: Charger) -> Iterator[None]:
        """The gateway gives up within a moment what it asks this charger meanwhile, and nothing else."""
        wire = self.gateway.connections[row.pk]._wire
        usual, wire.timeout_s = wire.timeout_s, 0.1
        try:
            yield
        finally:
            wire.timeout_s = usual

    def close(self) -> None:
        for charger in self.chargers:
            charger.drop()
        try:
            self.stop_gateway()
        finally:
            self.loop.stop()

    async def _make(
        self,
        row: Charger,
        protocol: str,
        gateway: Gateway,
        evses: int | Mapping[int, int],
        options: dict[str, Any],
    ) -> ScriptedCharger:
        defaults = {"password": PASSWORD, "clock": self.clock, "call_timeout_s": DEADLINE_S}
        settings = ChargerOptions(
            identity=row.identity, url=gateway.url, protocol=protocol, evses=evses, **{**defaults, **options}
        )
        return ScriptedCharger(SimulatedCharger(settings), self.loop)


@contextmanager
def running_bed(timings: Timings = QUICK) -> Iterator[Bed]:
    bed = Bed(timings)
    try:
        yield bed
    finally:
        bed.close()


def eventually(condition: Callable[[], T], deadline_s: float = DEADLINE_S) -> T:
    """Look until it holds, and return what it gave; other threads bring it about. Raises AssertionError in the end."""
    give_up_at = time.monotonic() + deadline_s
    pause_s = 0.005
    while not (result := condition()):
        assert time.monotonic() < give_up_at, "it did not come about in time"
        time.sleep(pause_s)
        pause_s = min(pause_s * 1.5, 0.05)  # looking takes from those that bring it about
    return result


scripted_gate = ScriptedGate()


def may_charge(**question: Any) -> Authorization:
    """What settings.CHARGING_GATE names in tests that are about chargers, not about bookings."""
    return scripted_gate(**question)
