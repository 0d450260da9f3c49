"""Is this process alive, is it ready, and what does it count?"""

from collections.abc import Callable
from threading import Lock
from time import monotonic

import prometheus_client
import structlog
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse

from config import metrics

logger = structlog.get_logger(__name__)


def live(request: HttpRequest) -> HttpResponse:
    """200 as long as this process answers at all; asks nobody else."""
    return HttpResponse("ok\n", content_type="text/plain")


def ready(request: HttpRequest) -> JsonResponse:
    """200 when database, job broker and migrations are ready for traffic, else 503, each named with its state.

    Asked every few seconds by whoever balances load, and by anybody: two small statements once the migrations were found
    applied, which this process never doubts again.
    """
    checks: dict[str, Callable[[], str]] = {
        "database": _database,
        "migrations": _migrations,
        "broker": _broker,
    }
    states = {name: _state(check) for name, check in checks.items()}
    is_ready = all(state == "ok" for state in states.values())
    return JsonResponse({"ready": is_ready, **states}, status=200 if is_ready else 503)


def tell_metrics(request: HttpRequest) -> HttpResponse:
    return HttpResponse(
        prometheus_client.generate_latest(metrics.told()), content_type=prometheus_client.CONTENT_TYPE_LATEST
    )


def _state(check: Callable[[], str]) -> str:
    try:
        return check()
    except Exception as error:  # whatever is wrong with it, the answer is "not ready", never a 500
        logger.warning("not ready", exc_info=True)
        return type(error).__name__


def _database() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return "ok"


class MissingMigrations:
    """What of this version's migrations is missing. The look at all of them is dear: at most one a second, none once
    nothing was missing."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._state, self._looked_at = "", float("-inf")

    def __call__(self) -> str:
        with self._lock:
            if self._state != "ok" and monotonic() - self._looked_at >= 1:
                executor = MigrationExecutor(connection)
                waiting = executor.migration_plan(executor.loader.graph.leaf_nodes())
                self._state, self._looked_at = f"{len(waiting)} not applied" if waiting else "ok", monotonic()
            return self._state


_migrations = MissingMigrations()


def _broker() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM dramatiq.queue LIMIT 1")
    return "ok"
