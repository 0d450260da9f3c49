"""What a day of 1,000 chargers that tell their meter every 30 s leaves in the database, in gigabytes.

Half of the chargers speak OCPP 1.6 (MeterValues), half 2.x (TransactionEvent). Part of the day is written, through the operations
that the gateway calls, in the batches it makes of them, with what its log keeps of the frames; the rest is reckoned from it. Each
charger charges all day long, in sessions of two hours.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from benchmarks import gateways
from benchmarks.result import Result

CHARGERS, EVERY = 1000, timedelta(seconds=30)
SAMPLES_A_DAY = timedelta(days=1) // EVERY
WRITTEN, SAMPLES_A_SESSION, BATCH = 240, 240, 200
TABLES = ("depots_meterreading", "depots_sessionevent", "depots_chargermessage", "depots_chargingsession")
GIGABYTE = 1024**3


def run(names: list[str]) -> Iterator[Result]:
    gateways.make_chargers(CHARGERS)
    before = _sizes()
    _write(datetime.now(UTC) - timedelta(days=1))
    grown = {table: size - before[table] for table, size in _sizes().items()}
    day = SAMPLES_A_DAY / WRITTEN
    detail: dict[str, Any] = {f"{table}_mb": round(size * day / 1024**2, 1) for table, size in grown.items()}
    detail["bytes_a_sample"] = round(sum(grown.values()) / (CHARGERS * WRITTEN))
    yield Result("meter_day", sum(grown.values()) * day / GIGABYTE, "<= 1", detail)


def _write(begins_at: datetime) -> None:
    from depots import operations
    from depots.models import Charger, ChargingSession, MeterReading

    chargers = list(Charger.objects.order_by("pk").prefetch_related("evses"))
    for number in range(WRITTEN):
        at = begins_at + number * EVERY
        if number % SAMPLES_A_SESSION == 0:
            _begin(chargers, at)
        for start in range(0, CHARGERS, BATCH):
            batch = chargers[start : start + BATCH]
            operations.add_readings_of_many([_samples(c, number, at) for c in batch[::2]])
            operations.record_updates([_update(c, number, at) for c in batch[1::2]])
    assert MeterReading.objects.count() == CHARGERS * WRITTEN
    assert ChargingSession.objects.count() == CHARGERS * WRITTEN // SAMPLES_A_SESSION


def _begin(chargers: list[Any], at: datetime) -> None:
    from depots.models import ChargingSession

    before = at - timedelta(seconds=1)
    ChargingSession.objects.bulk_create(
        ChargingSession(
            charger=charger, evse=charger.evses.all()[0], transaction="T1", token_uid="04A1B2C3", announced_at=before,
            started_at=before, start_received_at=before, meter_start_wh=10_000, meter_last_wh=10_000, registers=["Outlet"],
            charging_state="charging", latest_at=before,
        )
        for charger in chargers
    )  # fmt: skip


def _reading(number: int, at: datetime) -> Any:
    from depots.operations import Reading

    wh = 10_000 + number * 1_000
    return Reading(at=at, energy_wh=wh, power_w=120_000, soc_percent=50.5, registers={"Outlet": wh})


def _samples(charger: Any, number: int, at: datetime) -> dict[str, Any]:
    return {
        "charger_id": charger.pk,
        "evse_number": 1,
        "transaction_id": "T1",
        "readings": [_reading(number, at)],
        "now": at,
    }


def _update(charger: Any, number: int, at: datetime) -> dict[str, Any]:
    from depots.operations import TransactionReport

    report = TransactionReport(
        "T1", number, "updated", at, evse_number=1, charging_state="charging", readings=[_reading(number, at)]
    )
    return {"charger_id": charger.pk, "report": report, "now": at}


def _sizes() -> dict[str, int]:
    """With their indexes, without the room that changed rows leave to others."""
    from django.db import connection

    sizes = {}
    with connection.cursor() as cursor:
        for table in TABLES:
            cursor.execute(f"VACUUM {table}")
            cursor.execute("SELECT pg_total_relation_size(%s)", [table])
            sizes[table] = int(cursor.fetchone()[0])
    return sizes
