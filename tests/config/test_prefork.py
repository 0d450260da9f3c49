"""`serve` on all cores: one port, several processes, and what becomes of them."""

from __future__ import annotations

import os
import re
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from django.db import transaction

from bookings.pages.live import depot_audience, publish
from config.accepting import Shares
from config.prefork import Prefork
from depots.models import Membership, User
from tests.bookings.pages.live.reading import Reader, signed_in
from tests.factories import make_depot, make_operator, make_user
from tests.serving import BerthServer

PROCESSES = 3


@contextmanager
def serving(var: Path) -> Iterator[BerthServer]:
    with BerthServer.started(var=var, environment={"BERTH_SERVE_PROCESSES": str(PROCESSES)}) as server:
        eventually(lambda: len(forks_of(server)) == PROCESSES)
        yield server


@pytest.fixture(scope="module")
def server(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BerthServer]:
    with serving(tmp_path_factory.mktemp("prefork")) as server:
        yield server


@pytest.fixture
def mortal(transactional_db: None, tmp_path: Path) -> Iterator[BerthServer]:
    """One for the test that ends it."""
    with serving(tmp_path) as server:
        yield server


def forks_of(server: BerthServer) -> set[int]:
    pid = server.process.pid
    return {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}


def eventually(condition: Callable[[], bool], *, within_s: float = 60) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.02)


def is_refused(url: str) -> bool:
    place = urlsplit(url)
    with socket.socket() as client:
        return client.connect_ex((place.hostname, place.port)) != 0


def test_a_killed_process_is_replaced_and_the_others_go_on(server: BerthServer) -> None:
    before = forks_of(server)

    os.kill(min(before), signal.SIGKILL)

    eventually(lambda: len(forks_of(server)) == PROCESSES and min(before) not in forks_of(server))
    for _ in range(2 * PROCESSES):
        assert httpx.get(f"{server.url}/healthz").status_code == 200


def test_when_the_process_with_the_id_is_killed_nobody_goes_on_listening(mortal: BerthServer) -> None:
    forks = forks_of(mortal)

    mortal.process.kill()

    # A process whose threads still end may count as a zombie, with its listener open.
    eventually(lambda: not any(is_running(fork) for fork in forks) and is_refused(mortal.url))


def is_running(pid: int) -> bool:
    """A process that ended may stay as a zombie until whoever inherited it has looked."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_stop_takes_all_processes_calmly_with_connections_open(mortal: BerthServer) -> None:
    forks = forks_of(mortal)
    with ExitStack() as kept:
        for _ in range(2 * PROCESSES):
            kept.enter_context(httpx.Client(base_url=mortal.url)).get("/healthz")

        mortal.process.send_signal(signal.SIGTERM)

        assert mortal.process.wait(timeout=60) == 0
    assert not any(is_running(fork) for fork in forks)
    assert is_refused(mortal.url)


def test_connections_that_stay_are_shared_out_and_their_requests_counted_together(
    server: BerthServer,
) -> None:
    before = health_checks_counted(httpx.get(f"{server.url}/metrics").text)
    with ExitStack() as kept:
        clients = [kept.enter_context(httpx.Client(base_url=server.url)) for _ in range(4 * PROCESSES)]
        for client in clients:
            client.get("/healthz")

        held = [connections_of(fork) for fork in forks_of(server)]
        told = clients[0].get("/metrics").text

    assert min(held) >= 1
    assert health_checks_counted(told) - before == len(clients)
    assert "python_info" in told


def health_checks_counted(metrics: str) -> int:
    counted = re.search(
        r'berth_request_seconds_count\{method="GET",route="healthz",status="2xx"} (\d+)', metrics
    )
    return int(counted[1]) if counted else 0


def connections_of(pid: int) -> int:
    """How many TCP connections a process holds."""
    names = [os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()]
    established = {
        f"socket:[{line.split()[9]}]"
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]
        if line.split()[3] == "01"
    }
    return len(established & set(names))


def test_every_process_tells_its_streams_of_every_change(transactional_db: None, server: BerthServer) -> None:
    operator = make_operator()
    depot = make_depot(operator=operator)
    cookies = session_at(server, make_user(operator, Membership.Role.DEPOT_MANAGER))
    with ExitStack() as open_streams:
        readers = []
        for _ in range(3 * PROCESSES):
            client = open_streams.enter_context(httpx.Client(cookies=cookies, timeout=60))
            response = open_streams.enter_context(client.stream("GET", f"{server.url}/live/"))
            readers.append(Reader(response))
            readers[-1].next("hello")
        assert all(connections_of(fork) > 1 for fork in forks_of(server))

        with transaction.atomic():
            publish("requests", depot.pk, [depot_audience(depot.pk)])

        for reader in readers:
            assert reader.next().data["for"] == {depot_audience(depot.pk): {"depot": depot.pk, "waiting": 0}}


def session_at(server: BerthServer, user: User) -> dict[str, str]:
    """The session of somebody signed in, under the name that this server's address gives its cookies."""
    csrf = next(name for name in httpx.get(server.url).cookies if "csrf" in name)
    _, cookies = signed_in(user)
    return {csrf.replace("csrf", "session"): session for session in cookies.values()}


def test_a_fork_that_the_system_refuses_is_due_again_and_ends_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> int:
        raise BlockingIOError("Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", refuse)
    prefork = Prefork(lambda place: None, processes=1)

    prefork._fork_again(0)

    assert prefork._due_at[0] > time.monotonic()


def test_who_holds_more_connections_than_another_leaves_him_the_next() -> None:
    shares = Shares(3)
    shares.tell(0, 2)
    shares.tell(1, 2)
    shares.tell(2, 1)

    assert [shares.another_holds_fewer(place) for place in range(3)] == [True, True, False]
