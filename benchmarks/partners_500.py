"""What worker and web cost while nothing happens: with 500 registered partners, 50 of them dead and 50 slow, against with none.

Cost is CPU of the worker, of the serving processes and of all of PostgreSQL over the same time. The same processes are measured
before the partners are there and afterwards; what comes every ten minutes by itself, and a tenth of it is added to each minute.
The partners have settled: they were told of everything, lists were read within the hour, the dead ones wait for their probes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
from django.db import connection
from django.utils import timezone

from benchmarks.fanout import Process
from benchmarks.result import Result
from benchmarks.serving import Server, cpu_of_family, served

PARTNERS, DEAD, SLOW = 500, 50, 50
HOSTS = 100  # of them have depots of their own as well, whose lists are read
DEPOTS, EVSES = 10, 12
MESSAGES = 200
SETTLE_S, WINDOW_S = 20.0, 60.0
RARELY = timedelta(minutes=10)

# Each partner was told of every depot, EVSE and offer, at any moment of the last day; the dead ones wait for one depot.
_TOLD = """
INSERT INTO roaming_delivery
    (partner_id, kind, object_id, wanted_version, delivered_version, delivered_at, attempts, last_error, was_refused)
SELECT p.id, o.kind, o.id, o.version, o.version, %(now)s - random() * interval '24 hours', 0, '', false
FROM roaming_partner p CROSS JOIN (
    SELECT 'location' AS kind, id, 1 AS version FROM depots_depot
    UNION ALL SELECT 'evse', id, 1 FROM depots_evse
    UNION ALL SELECT 'booking_location', id, calendar_version FROM bookings_bookingoption
) o;
UPDATE roaming_delivery
SET next_try_at = %(now)s + random() * interval '15 minutes', wanted_version = delivered_version + 1, attempts = 9
WHERE partner_id = ANY(%(dead)s) AND kind = 'location';
INSERT INTO roaming_partnerpull
    (partner_id, module, next_at, wants_all, read_at, completed_at, failures, last_error)
SELECT p.id, m.name, %(now)s + random() * interval '1 hour', false, %(now)s - interval '50 minutes',
    %(now)s - interval '5 hours', 0, ''
FROM roaming_partner p JOIN (VALUES
    ('token', 'EMSP'), ('tariff', 'CPO'), ('location', 'CPO'), ('booking', 'CPO'), ('session', 'CPO'), ('cdr', 'CPO')
) AS m(name, role) ON p.roles @> jsonb_build_array(jsonb_build_object('role', m.role));
INSERT INTO roaming_partnermessage
    (partner_id, at, is_incoming, method, url, request_id, correlation_id, request_body, response_body, error)
SELECT p.id, %(now)s - random() * interval '14 days', false, 'GET', 'https://partner.example/', '', '', '', '', ''
FROM roaming_partner p CROSS JOIN generate_series(1, %(messages)s)
"""


@dataclass(frozen=True)
class Cost:
    """Milliseconds of CPU a minute, and transactions."""

    worker_ms: float
    web_ms: float
    database_ms: float
    transactions: float

    @property
    def cpu_ms(self) -> float:
        return self.worker_ms + self.web_ms + self.database_ms


def run(names: list[str]) -> Iterator[Result]:
    with ExitStack() as stack:
        _make_depots()
        server = Process(stack, "-m", "benchmarks.partner_server", "50")
        port = int(server.line())
        web = stack.enter_context(served())
        worker = Process(stack, "manage.py", "worker")
        assert "Working" in worker.line()
        none, rarely_none = _measured(worker, web), _rarely()
        _make_partners(port)
        _refresh_as_in_a_minute()
        many, rarely_many = _measured(worker, web), _rarely()
    cpu = (many.cpu_ms + rarely_many / 10) / (none.cpu_ms + rarely_none / 10)
    yield Result("partners_500", max(cpu, many.transactions / none.transactions), "<= 2", {
        "cpu": round(cpu, 2),
        "transactions": round(many.transactions / none.transactions, 2),
        "none": _told(none, rarely_none),
        "partners": _told(many, rarely_many),
    })  # fmt: skip


def _told(cost: Cost, rarely_ms: float) -> dict[str, float]:
    return {
        **{name: round(value) for name, value in vars(cost).items()},
        "every_ten_minutes_ms": round(rarely_ms),
    }


def _make_depots() -> None:
    """What they look like is known already: nobody is told of it when the partners are there."""
    from benchmarks.fanout import open_depot
    from roaming.outbound import shown_changes
    from tests.factories import make_evse

    for _ in range(DEPOTS):
        depot = open_depot()
        for _ in range(EVSES):
            make_evse(depot)
    shown_changes.want_changed(now=timezone.now())


def _make_partners(port: int) -> None:
    from roaming.models import Partner
    from roaming.outbound import resync

    made = [_make_partner(number, port) for number in range(PARTNERS)]
    now = timezone.now()
    dead = [partner.pk for partner in made[:DEAD]]
    for number, partner in enumerate(made):
        partner.next_resync_at = max(resync.next_night(partner, now), now + timedelta(hours=1))
        partner.next_rotation_at = now + timedelta(days=1 + number % 28)
        partner.last_success_at = now - timedelta(minutes=number % 60)
        if number < DEAD:
            partner.failures, partner.closed_until = 20, now + timedelta(seconds=900 * (number + 1) / DEAD)
    Partner.objects.bulk_update(
        made,
        ["next_resync_at", "next_rotation_at", "last_success_at", "failures", "closed_until"],
        batch_size=100,
    )
    with connection.cursor() as cursor:
        cursor.execute(_TOLD, {"now": now, "dead": dead, "messages": MESSAGES})
        # Not in the minute that is measured: so many new rows are none of an idle minute's.
        cursor.execute("VACUUM ANALYZE")
    told = {"slow": [_host(number, port) for number in range(DEAD, DEAD + SLOW)]}
    httpx.post(f"http://127.0.0.1:{port}/control", json=told).raise_for_status()


def _make_partner(number: int, port: int) -> Any:
    from tests.roaming.partners import make_partner

    # Nobody listens at port 1.
    url = f"http://{_host(number, 1 if number < DEAD else port)}/ocpi/2.3.0"
    emsp = [
        ("bookings", "RECEIVER"),
        ("locations", "RECEIVER"),
        ("tariffs", "RECEIVER"),
        ("tokens", "SENDER"),
    ]
    cpo = [(module, "SENDER") for module in ("locations", "tariffs", "bookings", "sessions", "cdrs")]
    is_host = number % (PARTNERS // HOSTS) == 0
    offered = emsp + cpo if is_host else emsp
    partner = make_partner(
        versions_url=f"{url}/versions",
        endpoints=[
            {"identifier": module, "role": role, "url": f"{url}/{module}/{role.lower()}"} for module, role in offered
        ],
    )  # fmt: skip
    if is_host:
        partner.roles = [*partner.roles, {**partner.roles[0], "role": "CPO"}]
        partner.save(update_fields=["roles"])
    return partner


def _host(number: int, port: int) -> str:
    return f"127.1.{number // 200}.{number % 200 + 1}:{port}"


def _refresh_as_in_a_minute() -> None:
    """Offers are looked at again a day after they were sent: as many as become so old in a minute, and not ten times as many at
    once."""
    from roaming.outbound import fan_out

    with connection.cursor() as cursor:
        cursor.execute("""
            UPDATE roaming_delivery SET delivered_at = now() - interval '1 hour'
            WHERE kind = 'booking_location' AND delivered_at < now() - interval '23 hours 45 minutes';
            UPDATE roaming_delivery SET delivered_at = now() - interval '25 hours' WHERE id IN (
                SELECT id FROM roaming_delivery WHERE kind = 'booking_location' AND next_try_at IS NULL
                ORDER BY delivered_at LIMIT (SELECT count(*) / 1440 FROM roaming_delivery WHERE kind = 'booking_location')
            )
        """)
    fan_out.refresh(now=timezone.now() + timedelta(seconds=SETTLE_S + 1))


def _measured(worker: Process, web: Server) -> Cost:
    time.sleep(SETTLE_S)
    began, before = time.monotonic(), _so_far(worker, web)
    time.sleep(WINDOW_S)
    after, minutes = _so_far(worker, web), (time.monotonic() - began) / 60
    return Cost(*((late - early) / minutes for early, late in zip(before, after, strict=True)))


def _so_far(worker: Process, web: Server) -> tuple[float, float, float, float]:
    return 1000 * worker.cpu_s(), 1000 * web.cpu_s(), 1000 * _database_cpu_s(), _transactions()


def _database_cpu_s() -> float:
    """Of the server with all of its processes, those that have ended too."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        backend = int(cursor.fetchone()[0])
    status = Path(f"/proc/{backend}/status").read_text()
    return cpu_of_family(int(status.split("PPid:")[1].split()[0]))


def _transactions() -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()"
        )
        return int(cursor.fetchone()[0])


def _rarely() -> float:
    """Milliseconds of CPU, PostgreSQL's too, of what a worker does every ten minutes. What is due for it was done just now, as in
    use; so it is done twice, and the second time counts."""
    from roaming.outbound.sending_loop import RECURRING

    def all_of_it() -> None:
        now = timezone.now()
        for work in RECURRING[RARELY]:
            work(now=now)

    all_of_it()
    return _cpu_ms(all_of_it)


def _cpu_ms(work: Callable[[], object]) -> float:
    def so_far() -> float:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            return time.process_time() + cpu_of_family(int(cursor.fetchone()[0]))

    began = so_far()
    work()
    return 1000 * (so_far() - began)
