"""Who holds a charger's socket, however silent, slow or numerous the others are."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from depots import operations, secrets, signals
from depots.models import Charger, ChargerCommand
from depots.ocpp import connection, lease_loop, sockets
from depots.ocpp.connection import ChargerConnection, Timings
from depots.ocpp.database import THREADS
from depots.ocpp.sockets import Closing, KeepAlive
from depots.queries import is_online
from tests.factories import NOW, make_charger, make_depot, make_evse
from tests.scenarios.bed import PASSWORD, Bed, eventually
from tests.scenarios.locked_rows import somebody_locks

pytestmark = pytest.mark.usefixtures("gate")

LEASE = timedelta(seconds=45)


@pytest.fixture
def returns(transactional_db: None) -> Iterator[list[tuple[str, int]]]:
    """Chargers of which charger_connected and charger_disconnected told, as ("back" or "gone", id)."""
    heard: list[tuple[str, int]] = []

    def back(charger: Charger, **_) -> None:
        heard.append(("back", charger.pk))

    def gone(charger: Charger, **_) -> None:
        heard.append(("gone", charger.pk))

    signals.charger_connected.connect(back, weak=False, dispatch_uid="test")
    signals.charger_disconnected.connect(gone, weak=False, dispatch_uid="test")
    yield heard
    signals.charger_connected.disconnect(dispatch_uid="test")
    signals.charger_disconnected.disconnect(dispatch_uid="test")


class Silent:
    """A charger that opens its socket, and then neither says nor answers anything."""

    def __init__(self, url: str, identity: str) -> None:
        self.address = urlsplit(url)
        credentials = base64.b64encode(f"{identity}:{PASSWORD}".encode()).decode()
        self._request = (
            f"GET /ocpp/{identity} HTTP/1.1\r\nHost: {self.address.netloc}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: ocpp1.6\r\n"
            f"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Basic {credentials}\r\n\r\n"
        )

    async def connect(self) -> None:
        self.reader, self.writer = await asyncio.open_connection(self.address.hostname, self.address.port)
        self.writer.write(self._request.encode())
        head = await self.reader.readuntil(b"\r\n\r\n")
        assert b" 101 " in head, head


def with_password(row: Charger) -> Charger:
    row.password_salt, row.password_hash = secrets.hash_charger_password(PASSWORD)
    row.save()
    return row


async def _all_connect(chargers: list[Silent]) -> None:
    await asyncio.gather(*(each.connect() for each in chargers))


def test_chargers_that_never_say_good_bye_keep_nobody_waiting(bed: Bed, monkeypatch):
    """Sixteen of them, closed one after the other, took longer than the leases of all others lasted."""
    monkeypatch.setattr(
        connection, "monotonic", lambda: 0.0
    )  # nobody falls silent but those that are said to
    closed = told_to_close(monkeypatch)
    bed.stop_gateway()
    bed.restart_gateway(lease_s=0.6)
    row = make_charger()
    healthy = bed.charger(row)
    healthy.come_online()
    silent = [Silent(bed.gateway.url, with_password(make_charger()).identity) for _ in range(16)]
    bed.loop.run(_all_connect(silent))
    eventually(lambda: len(bed.gateway.connections) == 17)

    for each in list(bed.gateway.connections.values()):
        if each.identity != row.identity:
            each._heard_at = -1e6
    # A renewal after all have been told to close shows that nobody waits until they have.
    eventually(lambda: len(closed) >= 16)
    now = bed.clock.advance(minutes=1)
    eventually(lambda: Charger.objects.get(pk=row.pk).lease_until > now)

    eventually(lambda: len(bed.gateway.connections) == 1)
    assert row.identity not in closed
    assert healthy.heartbeat()


def told_to_close(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Identities of chargers whose sockets the gateway closes from now on."""
    told: list[str] = []
    close = ChargerConnection.close

    def tell_and_close(self: ChargerConnection, reason: str) -> None:
        told.append(self.identity)
        close(self, reason)

    monkeypatch.setattr(ChargerConnection, "close", tell_and_close)
    return told


@pytest.mark.parametrize(("woken_late_s", "closed"), [(0, ["nothing was heard for too long"]), (200, [])])
def test_a_gateway_that_slept_itself_takes_nobody_for_silent(monkeypatch, woken_late_s, closed):
    told: list[str] = []
    connection = SimpleNamespace(silence_s=200, close=told.append)
    times = itertools.count(step=woken_late_s)

    async def one_round() -> None:
        kept = lease_loop.LeaseLoop(
            {1: connection},
            clock=lambda: NOW,
            timings=Timings(heartbeat_s=60),
            monotonic=lambda: next(times),
        )
        over = asyncio.Event()

        async def renew(only: set[int] | None) -> set[int]:
            over.set()
            return set()

        monkeypatch.setattr(kept, "_renew", renew)
        monkeypatch.setattr(kept, "_release_lapsed", lambda: None)
        kept.doubt()
        running = asyncio.create_task(kept.run())
        await over.wait()
        running.cancel()
        kept.close()

    asyncio.run(one_round())

    assert told == closed


def test_a_gateway_that_is_woken_in_the_moment_it_stops_stops_all_the_same(bed: Bed):
    gateway = bed.gateway

    async def wake_and_stop() -> None:
        gateway._look.set()
        gateway._leases.doubt()
        await gateway._end_tasks()

    bed.loop.run(wake_and_stop())

    assert [task.get_name() for task in gateway._tasks if not task.cancelled()] == []


def test_a_lapsed_lease_that_nobody_took_is_taken_back_with_the_next_command(bed: Bed, returns):
    bed.stop_gateway()
    bed.restart_gateway(lease_s=3600)  # it does not look by itself meanwhile
    row = make_charger()
    make_evse(charger=row)
    charger = bed.charger(row)
    charger.come_online()
    eventually(lambda: returns == [("back", row.pk)])
    bed.clock.advance(hours=2)
    eventually(lambda: operations.release_lapsed(now=bed.clock()))
    assert returns == [("back", row.pk), ("gone", row.pk)]

    operations.queue_command(
        charger=row, action="remote_stop", payload={"transaction": "17"}, now=bed.clock()
    )

    eventually(lambda: ChargerCommand.objects.get(action="remote_stop").state != "queued")
    eventually(lambda: returns == [("back", row.pk), ("gone", row.pk), ("back", row.pk)])
    assert is_online(Charger.objects.get(pk=row.pk), now=bed.clock())
    assert charger.heartbeat()


def test_a_lapsed_lease_that_nobody_took_is_taken_back_without_a_command_as_well(bed: Bed, returns):
    row = make_charger()
    bed.stop_gateway()
    bed.restart_gateway(lease_s=0.3)
    bed.charger(row).come_online()
    Charger.objects.filter(pk=row.pk).update(lease_holder="", lease_until=NOW - LEASE)

    eventually(lambda: is_online(Charger.objects.get(pk=row.pk), now=bed.clock()))
    eventually(lambda: returns[-1:] == [("back", row.pk)])


def renewed(*rows: Charger, holder: str = "here") -> operations.Renewal:
    holders = {row.pk: holder for row in rows}
    return operations.renew_leases(heard=holders, silent={}, lease=LEASE, now=NOW)


def test_a_lease_is_renewed_taken_back_or_lost(transactional_db):
    ours, free, others = (make_charger(lease_holder=holder) for holder in ("here", "", "there"))
    gone = make_charger()
    Charger.objects.filter(pk=gone.pk).delete()

    renewal = renewed(ours, free, others, gone)

    assert renewal == operations.Renewal(retaken={free.pk}, taken={others.pk, gone.pk}, busy=set())
    held = dict(Charger.objects.values_list("lease_holder", "lease_until"))
    assert held == {"here": NOW + LEASE, "there": None}
    assert Charger.objects.filter(lease_holder="here").count() == 2


def test_renewing_waits_for_no_lock(transactional_db):
    locked, other = make_charger(lease_holder="here"), make_charger(lease_holder="here")

    with somebody_locks(locked):
        renewal = renewed(locked, other)

    assert renewal == operations.Renewal(retaken=set(), taken=set(), busy={locked.pk})
    assert Charger.objects.get(pk=other.pk).lease_until == NOW + LEASE
    assert renewed(locked).busy == set()


def test_only_what_was_locked_is_tried_again_and_it_has_still_been_heard(monkeypatch):
    """Tried again with all others, every second, it would hold up each batch of chargers that come back meanwhile."""
    monkeypatch.setattr(lease_loop, "BUSY_PAUSE_S", 0)
    asked: list[tuple[set[int], set[int]]] = []
    enough = asyncio.Event()

    async def run() -> None:
        charger = {"holder": "here", "has_spoken": True, "silence_s": 0, "close": pytest.fail}
        chargers = {pk: SimpleNamespace(charger_id=pk, **charger) for pk in (1, 2)}
        kept = lease_loop.LeaseLoop(chargers, clock=lambda: NOW, timings=Timings(lease_s=0.3))

        async def renew(operation, *, heard, silent, **_) -> operations.Renewal:
            asked.append((set(heard), set(silent)))
            if len(asked) == 4:
                enough.set()
            return operations.Renewal(retaken=set(), taken=set(), busy={2} if len(asked) < 3 else set())

        monkeypatch.setattr(kept._database, "run", renew)
        monkeypatch.setattr(kept, "_release_lapsed", lambda: None)
        kept.doubt()
        running = asyncio.create_task(kept.run())
        await enough.wait()
        running.cancel()
        kept.close()

    asyncio.run(run())

    assert asked[:4] == [({1, 2}, set()), ({2}, set()), ({2}, set()), (set(), {1, 2})]


def test_slow_tries_of_a_locked_lease_do_not_put_off_the_others(monkeypatch):
    """A row is locked all the time, and each try takes three seconds: all are renewed every third of a lease even so."""
    monkeypatch.setattr(lease_loop, "BUSY_PAUSE_S", 0)
    passed_s = 0
    all_renewed_at: list[int] = []
    enough = asyncio.Event()

    async def run() -> None:
        charger = {"holder": "here", "has_spoken": True, "silence_s": 0, "close": pytest.fail}
        chargers = {pk: SimpleNamespace(charger_id=pk, **charger) for pk in (1, 2)}
        kept = lease_loop.LeaseLoop(
            chargers, clock=lambda: NOW, timings=Timings(lease_s=45), monotonic=lambda: passed_s
        )

        async def renew(operation, *, heard, silent, **_) -> operations.Renewal:
            nonlocal passed_s
            if len(heard | silent) == 2:
                all_renewed_at.append(passed_s)
            passed_s += 3
            if passed_s > 45:
                enough.set()
            return operations.Renewal(retaken=set(), taken=set(), busy={2})

        monkeypatch.setattr(kept._database, "run", renew)
        monkeypatch.setattr(kept, "_release_lapsed", lambda: None)
        kept.doubt()
        running = asyncio.create_task(kept.run())
        await enough.wait()
        running.cancel()
        kept.close()

    asyncio.run(run())

    assert all_renewed_at == [0, 15, 30, 45]


def test_a_locked_lease_is_renewed_as_soon_as_it_can_be(bed: Bed):
    row = make_charger()
    bed.charger(row).come_online()
    now = bed.clock.advance(seconds=30)

    with somebody_locks(row):
        bed.loop.loop.call_soon_threadsafe(bed.gateway._leases.doubt)
        eventually(lambda: not bed.gateway._leases._doubted.is_set())
        assert Charger.objects.get(pk=row.pk).lease_until < now + LEASE

    eventually(lambda: Charger.objects.get(pk=row.pk).lease_until == now + LEASE)


def test_a_lock_in_one_depot_does_not_hold_up_the_chargers_of_others(bed: Bed):
    depot = make_depot()
    evses = [make_evse(depot) for _ in range(THREADS + 2)]
    slow = [bed.charger(evse.charger) for evse in evses]
    other = bed.charger(make_evse().charger)
    for charger in (*slow, other):
        charger.connect()
        charger.heartbeat()
    told = {
        "connectorId": 1,
        "errorCode": "NoError",
        "status": "Faulted",
        "timestamp": "2030-01-15T08:00:00Z",
    }

    with somebody_locks(*evses):
        for charger in slow:
            charger.send(json.dumps([2, "told", "StatusNotification", told]))
        assert other.ask("StatusNotification", told) == {}

    eventually(lambda: all(any('[3,"told"' in frame for frame in charger.sim.frames) for charger in slow))


def test_a_peer_that_reads_nothing_is_cut_off(monkeypatch):
    monkeypatch.setattr(sockets, "CLOSE_WITHIN_S", 0.1)

    async def visit() -> None:
        async with served() as (server, client):
            server.transport.write(b"\x82\x7f" + (2**26).to_bytes(8, "big") + bytes(2**25))
            Closing().begin(server, "good-bye")
            async with asyncio.timeout(60):
                await server.wait_closed()
            client.writer.close()

    asyncio.run(visit())


def test_a_peer_that_answers_no_pings_is_kept_awake_and_collects_nothing():
    heard: list[None] = []

    async def visit() -> None:
        async with served() as (server, client):
            kept = KeepAlive(every_s=0.005)
            kept.add(server, heard=lambda: heard.append(None))
            awake = asyncio.create_task(kept.run())
            pongs = 0
            while pongs < 5:  # opcode 10; what is unanswered is the one ping before
                head = await client.reader.readexactly(2)
                await client.reader.readexactly(head[1])
                pongs += head[0] == 0x8A
            assert len(server.pending_pings) == 1
            assert len(asyncio.all_tasks()) < 8
            client.writer.close()
            async with asyncio.timeout(60):
                await server.wait_closed()
            assert not awake.done()
            awake.cancel()

    asyncio.run(visit())
    assert heard == []


@asynccontextmanager
async def served() -> AsyncIterator[tuple[ServerConnection, Silent]]:
    """Both ends of a socket whose other end answers nothing."""
    accepted: asyncio.Queue[ServerConnection] = asyncio.Queue()

    async def accept(connection: ServerConnection) -> None:
        await accepted.put(connection)
        await connection.wait_closed()

    async with serve(accept, "127.0.0.1", 0, subprotocols=["ocpp1.6"], ping_interval=None) as server:
        port = server.sockets[0].getsockname()[1]
        client = Silent(f"ws://127.0.0.1:{port}", "CP")
        await client.connect()
        yield await accepted.get(), client


@pytest.mark.long
def test_five_hundred_silent_chargers_beside_five_hundred_healthy_ones(bed: Bed, returns):
    bed.stop_gateway()
    bed.restart_gateway(lease_s=15, heartbeat_s=10)
    depots = [make_depot() for _ in range(10)]
    rows = [with_password(make_charger(depots[number % 10])) for number in range(1000)]
    healthy, silent = rows[:500], rows[500:]

    left, told = bed.loop.run(
        _live_beside(bed.gateway.url, healthy, silent, returns, for_s=75), timeout_s=300
    )

    assert left == []
    assert {pk for word, pk in told if word == "gone"} == {row.pk for row in silent}


async def _live_beside(
    url: str, healthy: list[Charger], silent: list[Charger], returns: list[tuple[str, int]], *, for_s: float
) -> tuple[list[str], list[tuple[str, int]]]:
    """Healthy chargers whose socket ended within that time, and who was told to be gone or back until then."""
    peers = [Silent(url, row.identity) for row in silent]
    left: list[str] = []
    lives = []
    for row, peer in zip(healthy, peers, strict=True):
        lives.append(asyncio.create_task(_beat(url, row.identity, left)))
        await peer.connect()
    await asyncio.sleep(for_s)
    told = list(returns)
    for life in lives:
        life.cancel()
    await asyncio.gather(*lives, return_exceptions=True)
    return left, told


async def _beat(url: str, identity: str, left: list[str]) -> None:
    credentials = base64.b64encode(f"{identity}:{PASSWORD}".encode()).decode()
    headers = {"Authorization": f"Basic {credentials}"}
    async with connect(
        f"{url}/{identity}",
        subprotocols=["ocpp1.6"],
        additional_headers=headers,
        compression=None,
        open_timeout=60,
    ) as socket:
        try:
            while True:
                await socket.send(json.dumps([2, "1", "Heartbeat", {}]))
                while json.loads(await socket.recv())[:2] != [3, "1"]:
                    pass
                await asyncio.sleep(3)
        except ConnectionClosed:
            left.append(identity)
