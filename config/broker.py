"""Background jobs: a message commits with the change that caused it, or is never sent.

The queue is a table in our own database. Inside a transaction a message is a row of that transaction, so a rollback
leaves no job behind and a worker never sees a booking that is not there yet. Delivery is at least once: a worker
that dies leaves its messages to the others after `heartbeat_ttl`, so every actor looks at the truth again and may
run twice. Where `BERTH_BROKER_URL` names another server, that table is the outbox of it (config.job_relay).
"""

from typing import Any, cast

import dramatiq
from django.conf import settings
from django.db import connections
from django.utils.module_loading import autodiscover_modules
from dramatiq.common import current_millis, dq_name
from dramatiq.middleware import default_middleware
from dramatiq_postgres.broker import QUERIES, PostgresBroker
from dramatiq_postgres.django.middleware import DbConnectionsMiddleware
from dramatiq_postgres.utils import tidy4json
from psycopg import Connection
from psycopg.types.json import Jsonb
from psycopg_pool import ConnectionPool


def install() -> None:
    """Make our broker the one actors are bound to, then load them. Raises ImproperlyConfigured."""
    if settings.BERTH_BROKER_URL:
        from config.job_relay import check_broker_url

        check_broker_url(settings.BERTH_BROKER_URL)
    broker = TransactionalPostgresBroker(
        pool=QueuePool(),
        results=False,
        # A killed worker's jobs run elsewhere within half a minute.
        heartbeat_interval=5,
        heartbeat_ttl=20,
        maintenance_interval=10,
        middleware=[*(middleware() for middleware in default_middleware), DbConnectionsMiddleware()],
    )
    # Worked on whether or not this version has a job for it: what an older one has queued must not stay for ever.
    broker.declare_queue("default")
    dramatiq.set_broker(broker)
    autodiscover_modules("tasks")


class TransactionalPostgresBroker(PostgresBroker):
    """Enqueues inside Django's transaction when there is one."""

    def enqueue(  # type: ignore[override] # the package's own is wrapped by a retrying decorator
        self, message: dramatiq.Message[Any], *, delay: int | None = None
    ) -> dramatiq.Message[Any]:
        """Queue a message, `delay` in milliseconds; a worker sees it once the surrounding transaction has committed."""
        connection = connections["default"]
        if not connection.in_atomic_block:
            return cast("dramatiq.Message[Any]", super().enqueue(message, delay=delay))
        self.emit_before("enqueue", message, delay)
        if delay:
            message = message.copy(queue_name=dq_name(message.queue_name))
            message.options["eta"] = current_millis() + delay
        with connection.cursor() as cursor:
            cursor.execute(
                QUERIES.ENQUEUE,
                (message.queue_name, message.message_id, cast("Any", Jsonb(tidy4json(message))), delay or 0),
            )
        self.emit_after("enqueue", message, delay)
        return message


class QueuePool(ConnectionPool[Connection[Any]]):
    """The queue's own connections to the database Django uses, opened when the first is asked for.

    Asked late, because a test run renames the database after start, and because most commands never queue anything.
    """

    def __init__(self) -> None:
        super().__init__(min_size=0, max_size=16, open=False, check=ConnectionPool.check_connection)

    def getconn(self, timeout: float | None = None) -> Connection[Any]:
        # Asking for the parameters starts the embedded server if it was killed.
        parameters = connections["default"].get_connection_params()
        if self.closed:
            for own in ("cursor_factory", "context", "prepare_threshold"):  # those are Django's
                parameters.pop(own, None)
            self.kwargs = {**parameters, "application_name": "berth jobs"}
            self.open()
        return super().getconn(timeout)
