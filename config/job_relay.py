"""Jobs at Redis or RabbitMQ: written in the database like all, and passed on from there once they have committed.

`BERTH_BROKER_URL` names the server. Whoever sends a job writes a row in the transaction that causes it; workers publish the rows
that are due and delete them in one transaction. Killed in between, a job is published again: jobs may run twice anyway. Delays
stay in the database, those of retries too: dramatiq would keep such messages unacknowledged in its workers, and
RabbitMQ ends a channel that has kept one for half an hour.
"""

from __future__ import annotations

import threading
from typing import Any
from urllib.parse import urlsplit

import dramatiq
import structlog
from django.core.exceptions import ImproperlyConfigured
from django.db import connections, transaction
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from dramatiq.brokers.redis import RedisBroker
from dramatiq.common import q_name
from dramatiq.middleware import default_middleware
from dramatiq_postgres.django.middleware import DbConnectionsMiddleware

logger = structlog.get_logger(__name__)

SCHEMES = ("redis", "rediss", "amqp", "amqps")
AT_ONCE = 200
LOOKED_EVERY_S, PAUSE_S = 0.1, 1.0

_DUE = """
SELECT message_id, message::text FROM dramatiq.queue
WHERE state = 'queued' AND available_at <= now() ORDER BY available_at, position LIMIT %s FOR UPDATE SKIP LOCKED
"""
_PASSED_ON = "DELETE FROM dramatiq.queue WHERE message_id = ANY(%s)"

Message = dramatiq.Message[Any]


class DelaysStayHere:
    """Of a broker outside: what is to run later goes back to the outbox."""

    def enqueue(self, message: Message, *, delay: int | None = None) -> Message:
        if delay:
            outbox = dramatiq.get_broker()
            kept: Message = outbox.enqueue(message.copy(queue_name=q_name(message.queue_name)), delay=delay)
            return kept
        passed: Message = super().enqueue(message)  # type: ignore[misc] # of the broker beside
        return passed


class RedisJobs(DelaysStayHere, RedisBroker):
    pass


class RabbitmqJobs(DelaysStayHere, RabbitmqBroker):
    pass


def check_broker_url(url: str) -> None:
    """Raises ImproperlyConfigured."""
    if urlsplit(url).scheme not in SCHEMES:
        raise ImproperlyConfigured(
            f"BERTH_BROKER_URL: {url.partition('://')[0]}:// is none of redis://, rediss://, amqp:// and amqps://. Unset it, and "
            "jobs go through the database."
        )


def broker_at(url: str) -> RedisJobs | RabbitmqJobs:
    """The broker there, with every job there is declared. Nothing is connected yet. Raises ImproperlyConfigured."""
    check_broker_url(url)
    middleware = [*(kind() for kind in default_middleware), DbConnectionsMiddleware()]
    made: RedisJobs | RabbitmqJobs
    if url.startswith("redis"):
        made = RedisJobs(url=url, middleware=middleware, namespace="berth")
    else:
        made = RabbitmqJobs(url=url, middleware=middleware, confirm_delivery=True)
    made.declare_queue("default")
    for actor in dramatiq.get_broker().actors.values():
        made.declare_actor(actor)
    return made


def pass_on_due(to: dramatiq.Broker, *, most: int = AT_ONCE) -> int:
    """Publish jobs that are due, and take them out of the outbox; how many. Raises what a broker that is away raises."""
    with transaction.atomic(), connections["default"].cursor() as cursor:
        cursor.execute(_DUE, [most])
        rows = cursor.fetchall()
        for _, content in rows:
            to.enqueue(_without_delay(dramatiq.Message.decode(content.encode())))
        if rows:
            cursor.execute(_PASSED_ON, [[message_id for message_id, _ in rows]])
    return len(rows)


class JobRelay(threading.Thread):
    """Passes jobs on until it is stopped; any number may run, and none waits for another."""

    def __init__(self, to: dramatiq.Broker) -> None:
        super().__init__(name="job relay", daemon=True)
        self._to = to
        self._stopping = threading.Event()

    def run(self) -> None:
        pause_s = 0.0
        while not self._stopping.wait(pause_s):
            try:
                pause_s = 0.0 if pass_on_due(self._to) == AT_ONCE else LOOKED_EVERY_S
            except Exception:
                logger.exception("jobs cannot be passed on")
                connections.close_all()
                pause_s = PAUSE_S
        connections.close_all()

    def stop(self) -> None:
        self._stopping.set()
        self.join(timeout=10)


def _without_delay(message: Message) -> Message:
    """It is due: as if it had just been sent. Its row is gone, and a retry makes another one."""
    options = {name: value for name, value in message.options.items() if name != "eta"}
    return message.copy(queue_name=q_name(message.queue_name), options=options)
