"""What an operator's Prometheus reads at /metrics: how requests fare here, and what is waiting in the database.

The processes of one `serve` count into files of a folder they share, and whichever is asked tells the sums, of those that
have ended too; what is waiting in the database is the same for all of them.
"""

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from prometheus_client import PLATFORM_COLLECTOR, REGISTRY, CollectorRegistry, Histogram, values
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from bookings.models import UntoldEvent
from depots.models import Charger
from roaming.console import partner_gauges
from roaming.models import Delivery

logger = structlog.get_logger(__name__)

REQUESTS = Histogram(
    "berth_request_seconds",
    "Time to answer a request, by method, route and class of status.",
    ["method", "route", "status"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
# Labels are bounded: of partners the worst are told one by one, and the others in sums.
MOST_PARTNERS = 20
_FOLDER = "berth-metrics-"
_FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


def count_requests(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware: time each request under its route, never under its path, which holds ids without end."""

    def answer(request: HttpRequest) -> HttpResponse:
        began = time.perf_counter()
        response = get_response(request)
        match = request.resolver_match
        REQUESTS.labels(
            request.method if request.method in _METHODS else "other",
            match.route if match else "none",
            f"{response.status_code // 100}xx",
        ).observe(time.perf_counter() - began)
        return response

    return answer


class Waiting(Collector):
    """Gauges read from the database at each scrape, each by an index; none of them while it cannot be asked."""

    def describe(self) -> Iterable[Metric]:
        return []  # or registering would ask the database

    def collect(self) -> Iterable[Metric]:
        try:
            return [_jobs(), _untold(), _deliveries(), _chargers(), *_partners()]
        except DatabaseError:
            logger.warning("the database's gauges are missing", exc_info=True)
            return []


def install() -> None:
    """Add the database's gauges to what this process tells."""
    REGISTRY.register(Waiting())


@contextmanager
def summed_over_processes() -> Iterator[None]:
    """Metrics that get their first value within, here or in forks of this process, are counted together.

    One without labels has its value from its definition on, and would stay each process's own: give it a label.
    """
    _remove_left_over()
    folder = tempfile.mkdtemp(prefix=f"{_FOLDER}{os.getpid()}-")
    os.environ[_FOLDER_VARIABLE] = folder
    values.ValueClass = values.MultiProcessValue()
    try:
        yield
    finally:
        del os.environ[_FOLDER_VARIABLE]
        values.ValueClass = values.MutexValue
        shutil.rmtree(folder, ignore_errors=True)


def told() -> CollectorRegistry:
    """What this process tells: of itself, or, where several serve, of all together.

    Memory and CPU of a process are left out then: that of the one which happened to be asked would say nothing.
    """
    if _FOLDER_VARIABLE not in os.environ:
        return REGISTRY
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    registry.register(PLATFORM_COLLECTOR)
    registry.register(Waiting())
    return registry


def _remove_left_over() -> None:
    """Folders of processes that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_FOLDER}*"):
        pid = folder.name.removeprefix(_FOLDER).partition("-")[0]
        if not Path("/proc", pid).exists():
            shutil.rmtree(folder, ignore_errors=True)


def _jobs() -> Metric:
    family = GaugeMetricFamily(
        "berth_jobs", "Background jobs by state: rejected ones failed for good.", labels=["state"]
    )
    with connection.cursor() as cursor:
        cursor.execute("SELECT state, count(*) FROM dramatiq.queue GROUP BY state")
        counts = dict(cursor.fetchall())
    for state in ("queued", "consumed", "rejected"):
        family.add_metric([state], counts.get(state, 0))
    return family


def _untold() -> Metric:
    count = UntoldEvent.objects.count()
    return GaugeMetricFamily(
        "berth_untold_events", "Events that could not be told to anybody and were set aside.", count
    )


def _deliveries() -> Metric:
    count = Delivery.objects.filter(next_try_at__isnull=False).count()
    return GaugeMetricFamily(
        "berth_deliveries_waiting", "Objects whose present state a partner lacks.", count
    )


def _partners() -> list[Metric]:
    """Of the worst MOST_PARTNERS alone, by name of the organisation: a series for each of hundreds that are well says nothing."""
    age = GaugeMetricFamily(
        "berth_partner_oldest_waiting_seconds",
        "How long the object that a partner has lacked longest has waited, of those where something waits.",
        labels=["partner"],
    )
    waiting = GaugeMetricFamily(
        "berth_partner_deliveries_waiting", "Objects whose present state a partner lacks.", labels=["partner"]
    )
    circuit = GaugeMetricFamily(
        "berth_partner_circuit_open",
        "1 for a partner that is left alone because it does not answer, 0.5 once it has failed to.",
        labels=["partner"],
    )
    counts = GaugeMetricFamily("berth_partners", "Partner networks by state.", labels=["state"])
    for state, number in partner_gauges.by_state().items():
        counts.add_metric([state], number)
    for one in partner_gauges.worst(MOST_PARTNERS, now=timezone.now()):
        circuit.add_metric([one.name], 1 if one.is_circuit_open else 0.5 if one.failures else 0)
        waiting.add_metric([one.name], one.waiting)
        age.add_metric([one.name], one.oldest_s)
    return [counts, circuit, waiting, age]


def _chargers() -> Metric:
    count = Charger.objects.filter(lease_until__gt=timezone.now()).count()
    return GaugeMetricFamily("berth_chargers_online", "Chargers whose connection a gateway holds.", count)
