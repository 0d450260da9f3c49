"""How long a changed calendar is on its way to 300 partners that answer in 50 ms, from the first byte one of them sees to the
last answer; against a bare client that sends the same requests, and with 30 partners that never answer.

The worker is a real one, in a process of its own; so are the partners and the bare client. Rounds of ours and of the bare
client take turns.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from queue import SimpleQueue
from statistics import median
from typing import TYPE_CHECKING, Any

import httpx

from benchmarks.result import Result

if TYPE_CHECKING:
    from bookings.models import BookingOption
    from roaming.models import Partner

PARTNERS, SILENT, CONCURRENCY = 300, 30, 400
ROUNDS = 5
FEW, BOOKINGS, EVERY_S = 3, 100, 1 / 17
# Ends a hang, on a machine with much else to do.
DEADLINE_S = 300.0


def run(names: list[str]) -> Iterator[Result]:
    with ExitStack() as stack:
        network = Network(stack)
        lively, bare = network.rounds()
        alive = ratio(lively, bare)
        if "fanout_300" in names:
            detail = {"ours_s": rounded(lively), "bare_s": rounded(bare), **network.cpu_of_bookings()}
            yield Result("fanout_300", alive, "<= 2", detail)
            network.register_all()
        if "fanout_dead" in names:
            dead, bare = network.rounds(silent=SILENT)
            # Each against the bare client of its own minute, so that a busy machine slows both sides of both.
            detail = {"ours_s": rounded(dead), "bare_s": rounded(bare), "alive_s": rounded(lively)}
            yield Result("fanout_dead", ratio(dead, bare) / alive, "<= 1.2", detail)


class Network:
    """One option, 300 partners that see it, and the processes that belong to it."""

    def __init__(self, stack: ExitStack) -> None:
        from tests.factories import make_evse, make_fleet, make_vehicle, option_of

        self.partners = Process(stack, "-m", "benchmarks.partner_server", "50")
        self.port = int(self.partners.line())
        self.bare = Process(stack, "-m", "benchmarks.bare_partner_client", str(CONCURRENCY))
        self.control = stack.enter_context(httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=30))
        depot = open_depot()
        self.options: list[BookingOption] = [option_of(make_evse(depot)) for _ in range(24)]
        self.rows: list[Partner] = [self._partner(n) for n in range(PARTNERS)]
        self.vehicle = make_vehicle(make_fleet())
        self.worker = Process(stack, "manage.py", "worker")
        assert "Working" in self.worker.line()
        self.booked = 0

    def rounds(self, *, silent: int = 0) -> tuple[list[float], list[float]]:
        """Seconds of ours and of the bare client, in turns, over the partners that always answer."""
        told = sorted(self.host(n) for n in range(SILENT, PARTNERS))
        self.ask(silent=[self.host(n) for n in range(silent)])
        ours, bare = [], []
        for number in range(ROUNDS + 1):
            self.ask(begin=True)
            self.book(self.options[0])
            seen = self.until_seen(told)
            asked = [r for r in self.ask(requests=True)["requests"] if r["url"].split("/")[2] in set(told)]
            self.ask(begin=True)
            self.bare.tell(json.dumps(asked[: len(told)]))
            self.bare.line()
            if number:  # in the first one both connect
                ours.append(seen)
                bare.append(self.until_seen(told))
            time.sleep(2.5)  # a calendar is pushed at most once in two seconds
        return ours, bare

    def until_seen(self, hosts: Sequence[str]) -> float:
        """Seconds from the first byte that one of these partners saw to the last answer, once all have answered."""
        seen: dict[str, Any] = {}

        def all_answered() -> bool:
            seen.update(self.ask()["seen"])
            return all(host in seen for host in hosts)

        until(all_answered)
        return max(seen[host][1] for host in hosts) - min(seen[host][0] for host in hosts)

    def cpu_of_bookings(self) -> dict[str, Any]:
        """Seconds of the worker's CPU for 100 bookings of three partners, 17 a second, until everything is delivered."""
        from roaming.models import Delivery, Partner

        few = self.rows[:FEW]
        Partner.objects.exclude(pk__in=[p.pk for p in few]).update(state=Partner.State.GONE)
        before, began = self.worker.cpu_s(), time.monotonic()
        for number in range(BOOKINGS):
            time.sleep(max(0.0, began + number * EVERY_S - time.monotonic()))
            self.book(self.options[number % len(self.options)], few[number % FEW])
        took = time.monotonic() - began
        until(lambda: not Delivery.objects.filter(partner__in=few, next_try_at__isnull=False).exists())
        return {
            "worker_cpu_s_per_100_bookings": round(self.worker.cpu_s() - before, 2),
            "bookings_per_s": round(BOOKINGS / took, 1),
        }

    def register_all(self) -> None:
        from roaming.models import Partner

        Partner.objects.update(state=Partner.State.REGISTERED)

    def book(self, option: BookingOption, partner: Partner | None = None) -> None:
        from bookings import operations
        from bookings.operations.request_log import ReceivedMessage
        from depots.periods import Period
        from tests.factories import DISPATCHER

        self.booked += 1
        now = datetime.now(UTC)
        start = now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=2 + self.booked)
        asked: dict[str, Any] = {"fleet": self.vehicle.fleet, "vehicle": self.vehicle}
        if partner is not None:
            role = partner.roles[0]
            party = role["country_code"], role["party_id"]
            asked = {"fleet": partner.organisation, "party": party, "message": ReceivedMessage({})}
        wish = operations.SlotRequest(
            option=option, period=Period(start, start + timedelta(hours=1)), **asked
        )
        operations.request_booking(wish, actor=DISPATCHER, now=now)

    def host(self, number: int) -> str:
        return f"127.1.{number // 200}.{number % 200 + 1}:{self.port}"

    def ask(self, **asked: Any) -> Any:
        return self.control.post("/control", json=asked).json()

    def _partner(self, number: int) -> Partner:
        from tests.roaming.partners import make_partner

        url = f"http://{self.host(number)}"
        endpoint = {"identifier": "bookings", "role": "RECEIVER", "url": f"{url}/ocpi/2.3.0/bookings"}
        return make_partner(versions_url=f"{url}/ocpi/versions", endpoints=[endpoint])


class Process:
    """A process of ours that is asked and answers by lines, ended with the benchmark."""

    def __init__(self, stack: ExitStack, *arguments: str) -> None:
        self._process = stack.enter_context(
            subprocess.Popen(
                [sys.executable, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        )
        self._said: SimpleQueue[str] = SimpleQueue()
        hearing = threading.Thread(target=self._hear, daemon=True)
        stack.callback(hearing.join)
        stack.callback(self._process.terminate)
        hearing.start()

    def tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def line(self) -> str:
        return self._said.get(timeout=DEADLINE_S)

    def _hear(self) -> None:
        """All it says is read, so that it never waits for us."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._said.put(line)

    def cpu_s(self) -> float:
        """Seconds of CPU it has used so far, user and system."""
        with open(f"/proc/{self._process.pid}/stat") as file:
            fields = file.read().rpartition(") ")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def open_depot() -> Any:
    """A depot that was open to everybody long before the worker's own time."""
    from depots.models import Agreement
    from tests.factories import make_depot

    depot = make_depot(open_to_all=False)
    Agreement.objects.create(depot=depot, starts_at=datetime(2020, 1, 1, tzinfo=UTC))
    return depot


def until(look: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not look():
        if time.monotonic() > deadline:
            raise TimeoutError("the partners did not get everything")
        time.sleep(0.05)


def ratio(ours: Sequence[float], bare: Sequence[float]) -> float:
    return median(one / other for one, other in zip(ours, bare, strict=True))


def rounded(seconds: Sequence[float]) -> list[float]:
    return [round(one, 3) for one in seconds]
