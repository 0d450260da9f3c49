"""500 boards open over 50 depots while ten bookings a second are made: how long until a board concerned has been told.

The server is `serve` as it ships; the streams are real sockets of this process, ten managers a depot, each its own session;
the bookings are made by the operation that pages and partners use. Measured is the time from the return of the operation,
when its transaction has committed, to the arrival of the booking's bar at each of the ten streams of its depot.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from time import perf_counter
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.db import connections
from django.test import Client
from django.utils import timezone

from benchmarks.result import Result
from benchmarks.serving import Server, served
from bookings.models import BookingOption, Vehicle
from depots.models import Agreement, Evse, Membership
from depots.periods import Period
from tests.factories import (
    book_slot,
    make_depot,
    make_evse,
    make_fleet,
    make_operator,
    make_user,
    make_vehicle,
)

DEPOTS, STREAMS_A_DEPOT = 50, 10
CHANGES, CHANGES_A_SECOND = 200, 10
TOLD_WITHIN_S = 1.0
GIVE_UP_S = 20.0


@dataclass(frozen=True)
class Place:
    """A depot with room for every booking that is made there, and the sessions of those who look after it."""

    evse: Evse
    option: BookingOption
    truck: Vehicle
    sessions: list[str]


@dataclass
class News:
    """When each booking had been made, and when each stream heard of it, by perf_counter."""

    made_at: dict[int, float] = field(default_factory=dict)
    heard_at: dict[int, list[float]] = field(default_factory=dict)
    told: int = 0
    complete: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def latencies_s(self) -> list[float]:
        """In order; a stream may hear before the operation has returned here."""
        return sorted(
            max(0.0, at - self.made_at[booking])
            for booking in self.made_at
            for at in self.heard_at.get(booking, [])
        )

    def hear(self, booking: int) -> None:
        self.heard_at.setdefault(booking, []).append(perf_counter())
        self.told += 1
        if self.told == CHANGES * STREAMS_A_DEPOT:
            self.complete.set()


def run(names: list[str]) -> Iterator[Result]:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # nobody types one here
    places = [_place() for _ in range(DEPOTS)]
    Agreement.objects.update(starts_at=timezone.now() - timedelta(days=1))
    news = News()
    with served() as server:
        cpu_s, took_s = asyncio.run(_measure(server, places, news))
    latencies = news.latencies_s
    expected = CHANGES * STREAMS_A_DEPOT
    p99 = latencies[int(len(latencies) * 0.99) - 1] if len(latencies) == expected else None
    detail = {
        "streams": DEPOTS * STREAMS_A_DEPOT,
        "changes": CHANGES,
        "changes_a_second": round(CHANGES / took_s, 1),
        "told": len(latencies),
        "expected": expected,
        "p50_ms": round(1000 * latencies[len(latencies) // 2]) if latencies else None,
        "p99_ms": None if p99 is None else round(1000 * p99),
        "slowest_ms": round(1000 * latencies[-1]) if latencies else None,
        "server_cpu_ms_a_change": round(1000 * cpu_s / CHANGES, 1),
    }
    yield Result("live_500", None if p99 is None else p99 / TOLD_WITHIN_S, "<= 1", detail)


async def _measure(server: Server, places: list[Place], news: News) -> tuple[float, float]:
    """Server CPU and seconds of the time in which bookings were made, after all streams had begun."""
    hello = asyncio.Semaphore(0)
    streams = [
        asyncio.create_task(_listen(server.url, session, news, hello))
        for place in places
        for session in place.sessions
    ]
    for _ in streams:
        async with asyncio.timeout(GIVE_UP_S):
            await hello.acquire()
    began, cpu_s = perf_counter(), server.cpu_s()
    await _book_all(places, news)
    took_s = perf_counter() - began
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(GIVE_UP_S):
            await news.complete.wait()
    cpu_s = server.cpu_s() - cpu_s
    for stream in streams:
        stream.cancel()
    await asyncio.gather(*streams, return_exceptions=True)
    return cpu_s, took_s


async def _book_all(places: list[Place], news: News) -> None:
    """At a steady pace, however long each takes."""
    loop, began = asyncio.get_running_loop(), perf_counter()
    with ThreadPoolExecutor(8) as threads:
        made = []
        for number in range(CHANGES):
            await asyncio.sleep(max(0.0, began + number / CHANGES_A_SECOND - perf_counter()))
            made.append(loop.run_in_executor(threads, _book, places[number % DEPOTS], number // DEPOTS, news))
        await asyncio.gather(*made)
        await asyncio.gather(*[loop.run_in_executor(threads, connections.close_all) for _ in range(8)])


def _book(place: Place, turn: int, news: News) -> None:
    now = timezone.now()
    starts_at = now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=3 + 2 * turn)
    booking = book_slot(
        fleet=place.truck.fleet, option=place.option, evse=place.evse, vehicle=place.truck,
        period=Period(starts_at, starts_at + timedelta(hours=1)), now=now,
    )  # fmt: skip
    news.made_at[booking.pk] = perf_counter()


async def _listen(url: str, session: str, news: News, hello: asyncio.Semaphore) -> None:
    """Read one stream until cancelled."""
    place = urlsplit(url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port, limit=2**20)
    writer.write(f"GET /live/ HTTP/1.1\r\nHost: {place.netloc}\r\nCookie: {session}\r\n\r\n".encode())
    try:
        async for line in reader:
            if line.startswith(b"event: hello"):
                hello.release()
            elif line.startswith(b'data: {"kind":"bar"'):
                change: dict[str, Any] = json.loads(line[6:])
                news.hear(change["id"])
    finally:
        writer.close()


def _place() -> Place:
    depot = make_depot(make_operator())
    evse = make_evse(depot)
    managers = [make_user(depot.operator, Membership.Role.DEPOT_MANAGER) for _ in range(STREAMS_A_DEPOT)]
    option = BookingOption.objects.get(code=evse.uid)
    return Place(evse, option, make_vehicle(make_fleet()), [_session(manager) for manager in managers])


def _session(user: Any) -> str:
    client = Client(SERVER_NAME="127.0.0.1")
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    name = settings.SESSION_COOKIE_NAME
    return f"{name}={client.cookies[name].value}"
