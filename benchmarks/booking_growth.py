"""A booking beside a million others, against one in a database that has none: the same work in two databases by turns.

The million are rows as `request_booking` writes them, with what they occupy: past ones on every EVSE, and some to come around
the slots that are asked for. They are made within the database, before its indexes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

import psycopg

from benchmarks.result import Result

if TYPE_CHECKING:
    from multiprocessing.synchronize import Barrier

    from bookings.models import Booking, BookingOption, Vehicle

BOOKINGS, EVSES = 1_000_000, 200
# On each EVSE one every four hours, the last ten days from now; a slot of ours lies between two.
APART, LAST = timedelta(hours=4), timedelta(days=10)
ROUNDS, BATCH = 12, 16
GOAL = "<= 1.2"


def run(names: list[str]) -> Iterator[Result]:
    from tests.factories import make_depot, make_evse, make_fleet, make_vehicle, option_of
    from tests.races.processes import all_at_once, rendezvous

    depot = make_depot(terms={"early_start_min": 15, "turnaround_min": 5, "overlapping_tokens": False})
    options = [option_of(make_evse(depot)) for _ in range(EVSES)]
    fleet = make_fleet()
    vehicles = [make_vehicle(fleet) for _ in range(BATCH)]
    sample = _sample(options[0], vehicles[0])
    with _copied(os.environ["DATABASE_URL"]) as full:
        seconds = _load(full, sample, [option.evses.get().pk for option in options])
        turn = rendezvous(2)
        found = all_at_once(
            [
                lambda: _measure(None, options, vehicles, turn, is_first=True),
                lambda: _measure(full, options, vehicles, turn, is_first=False),
            ]
        )
    assert not any(isinstance(times, str) for times in found), found
    empty, grown = (median(times[1:]) / BATCH for times in found)
    detail = {
        "bookings": BOOKINGS, "empty_ms": round(empty * 1000, 2), "grown_ms": round(grown * 1000, 2), "load_s": round(seconds),
    }  # fmt: skip
    yield Result("booking_growth", grown / empty, GOAL, detail)


def _sample(option: BookingOption, vehicle: Vehicle) -> Booking:
    """A booking as it is made, given up again where it is counted as none."""
    from bookings.actors import SCHEDULER
    from bookings.operations import SlotRequest, request_booking
    from tests.factories import NOW, slot

    request = SlotRequest(fleet=vehicle.fleet, option=option, vehicle=vehicle, period=slot(10, 11))
    return request_booking(request, actor=SCHEDULER, now=NOW)


@contextmanager
def _copied(address: str) -> Iterator[str]:
    """A second database like this one, dropped at the end; gives its address."""
    parts = urlsplit(address)
    name, admin = parts.path.lstrip("/"), urlunsplit(parts._replace(path="/postgres"))
    _disconnect()
    with psycopg.connect(admin, autocommit=True) as server:
        server.execute(f'CREATE DATABASE "{name}_full" TEMPLATE "{name}" STRATEGY FILE_COPY')
        try:
            yield urlunsplit(parts._replace(path=f"/{name}_full"))
        finally:
            server.execute(f'DROP DATABASE "{name}_full" WITH (FORCE)')


def _disconnect() -> None:
    """A database is copied while nobody is connected to it."""
    from django.db import connection

    connection.close()
    if getattr(connection, "pool", None):
        connection.close_pool()  # type: ignore[attr-defined]


# What is different in each row; `at` is its start. What is drawn at random falls anywhere in its index here too.
_DIFFERENT = {
    "id": "1000000 + n",
    "holder": "1000000 + n",
    "evse_id": "(%(evses)s::bigint[])[1 + n %% %(evse_count)s]",
    "starts_at": "at",
    "ends_at": "at + interval '1 hour'",
    "span": "tstzrange(at - interval '15 minutes', at + interval '65 minutes')",
    "status": "CASE WHEN at > %(now)s THEN 'confirmed' ELSE 'completed' END",
    "reference": "'BK' || upper(left(md5(n::text), 14))",
    "group": "'G' || upper(left(md5('group ' || n), 19))",
    "request_id": "md5('request ' || n)::uuid::text",
}


def _load(address: str, sample: Booking, evse_ids: list[int]) -> float:
    """Rows like the sample's, a million of them; gives the seconds it took."""
    began = perf_counter()
    with psycopg.connect(address, autocommit=True) as database:
        database.execute("SET maintenance_work_mem = '512MB'")
        # Rows are what the operation wrote: their keys need no second look.
        database.execute("SET session_replication_role = replica")
        for table, own in (("bookings_booking", "id"), ("bookings_occupancy", "holder")):
            with _without_indexes(database, table):
                _multiply(database, table, f"{own} = {sample.pk}", evse_ids)
        database.execute("VACUUM ANALYZE")
    return perf_counter() - began


@contextmanager
def _without_indexes(database: psycopg.Connection[Any], table: str) -> Iterator[None]:
    """All but its primary key, built again at the end."""
    constraints = database.execute(
        "SELECT conname, conindid, pg_get_constraintdef(oid) FROM pg_constraint"
        f" WHERE conrelid = '{table}'::regclass AND contype IN ('p', 'u', 'x')"
    ).fetchall()
    indexes = database.execute(
        "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index"
        f" WHERE indrelid = '{table}'::regclass AND indexrelid <> ALL(%s)",
        [[index for _, index, _ in constraints]],
    ).fetchall()
    others = [(name, text) for name, _, text in constraints if not text.startswith("PRIMARY KEY")]
    for name, _ in indexes:
        database.execute(f"DROP INDEX {name}")
    for name, _ in others:
        database.execute(f'ALTER TABLE {table} DROP CONSTRAINT "{name}"')
    yield
    for _, definition in indexes:
        database.execute(definition)
    for name, definition in others:
        database.execute(f'ALTER TABLE {table} ADD CONSTRAINT "{name}" {definition}')


def _multiply(database: psycopg.Connection[Any], table: str, sample: str, evse_ids: list[int]) -> None:
    from tests.factories import NOW

    told = {
        "evses": evse_ids,
        "evse_count": len(evse_ids),
        "now": NOW,
        "last": NOW.replace(hour=0) + LAST,
        "apart": APART,
    }
    columns = [column.name for column in database.execute(f"SELECT * FROM {table} LIMIT 0").description or []]
    if "holder" in columns:  # an occupied span's own key
        columns.remove("id")
    values = ", ".join(_DIFFERENT.get(name, f'sample."{name}"') for name in columns)
    named = ", ".join(f'"{name}"' for name in columns)
    database.execute(
        f"INSERT INTO {table} ({named}) SELECT {values} FROM {table} AS sample, generate_series(0, {BOOKINGS - 1}) AS n,"
        f" LATERAL (SELECT %(last)s - n / {len(evse_ids)} * %(apart)s AS at) AS moment WHERE {sample}",
        told,
    )


def _measure(
    address: str | None,
    options: list[BookingOption],
    vehicles: list[Vehicle],
    turn: Barrier,
    *,
    is_first: bool,
) -> list[float]:
    """Seconds of each batch in one of the databases; while one works the other waits."""
    from django.db import connection

    from bookings.actors import SCHEDULER
    from bookings.operations import SlotRequest, request_booking
    from depots.periods import Period
    from tests.factories import NOW

    if address is not None:
        connection.close()
        connection.settings_dict["NAME"] = urlsplit(address).path.lstrip("/")
    times = []
    for batch in range(ROUNDS):
        first = NOW.replace(hour=2) + timedelta(days=1 + batch // 6, hours=4 * (batch % 6))
        period = Period(first, first + timedelta(hours=1))
        requests = [
            SlotRequest(fleet=vehicle.fleet, option=option, vehicle=vehicle, period=period)
            for option, vehicle in zip(options[batch * BATCH :], vehicles, strict=False)
        ]
        if not is_first:
            turn.wait(600)
        began = perf_counter()
        for request in requests:
            request_booking(request, actor=SCHEDULER, now=NOW)
        times.append(perf_counter() - began)
        if is_first:
            turn.wait(600)
        turn.wait(600)
    return times
