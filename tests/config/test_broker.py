"""A job commits with the change that causes it."""

import threading
import uuid
from typing import Any

import dramatiq
import pytest
from django.db import connection, transaction

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def actor() -> Any:
    broker = dramatiq.get_broker()
    name = f"noop_{uuid.uuid4().hex}"
    actor = dramatiq.actor(actor_name=name, queue_name=name)(lambda: None)
    yield actor
    broker.actors.pop(name)
    broker.queues.pop(name)


def queued(actor: Any) -> list[tuple[str, Any]]:
    """(queue, due later?) of the actor's messages, as another session sees them."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT queue_name, available_at > now() + interval '1 hour' FROM dramatiq.queue WHERE queue_name LIKE %s",
            [f"{actor.queue_name}%"],
        )
        return list(cursor.fetchall())


def test_a_rollback_leaves_no_job(actor: Any) -> None:
    with transaction.atomic():
        actor.send()
        assert queued(actor)
        transaction.set_rollback(True)

    assert not queued(actor)


def test_a_job_becomes_visible_to_others_when_its_transaction_commits(actor: Any) -> None:
    broker = dramatiq.get_broker()
    with transaction.atomic():
        actor.send()
        with broker.pool.connection() as other:
            assert not other.execute(
                "SELECT 1 FROM dramatiq.queue WHERE queue_name = %s", [actor.queue_name]
            ).fetchall()

    assert queued(actor) == [(actor.queue_name, False)]


def test_a_delayed_job_waits_in_the_table(actor: Any) -> None:
    with transaction.atomic():
        actor.send_with_options(delay=3 * 24 * 3600 * 1000)

    assert queued(actor) == [(f"{actor.queue_name}.DQ", True)]


def test_outside_a_transaction_a_job_is_queued_at_once(actor: Any) -> None:
    actor.send()

    assert queued(actor) == [(actor.queue_name, False)]


def test_a_worker_runs_what_was_committed(actor: Any) -> None:
    ran = threading.Event()
    actor.fn = ran.set
    with transaction.atomic():
        actor.send()

    worker = dramatiq.Worker(dramatiq.get_broker(), worker_threads=1, queues={actor.queue_name})
    worker.start()
    try:
        assert ran.wait(timeout=60)
    finally:
        worker.stop()

    assert not queued(actor)
