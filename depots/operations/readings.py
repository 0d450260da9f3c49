"""Samples of a transaction's meter."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from depots.models import ChargingSession, MeterReading
from depots.operations.reported import Reading, fitting

_BIGGEST_W = 2**31 - 1


def add_readings(
    *,
    charger_id: int,
    evse_number: int | None,
    transaction_id: str,
    readings: Sequence[Reading],
    now: datetime,
) -> ChargingSession | None:
    """Samples of a transaction, or without a known one of whatever charges at the EVSE. None when nothing does."""
    with transaction.atomic():
        sessions = ChargingSession.objects.select_for_update(of=("self",)).filter(charger=charger_id)
        session = sessions.filter(transaction=transaction_id).first() if transaction_id else None
        if session is None and evse_number:
            running = sessions.filter(evse__number=evse_number, ended_at__isnull=True)
            session = running.order_by("-started_at").first()
        if session is not None:
            keep(session, readings)
            session.save(update_fields=["meter_last_wh", "meter_start_wh", "power_w", "soc_percent"])
    return session


def keep(session: ChargingSession, readings: Sequence[Reading]) -> None:
    """Keep samples and let the session show the newest. The caller saves the session."""
    fitting = [_within_columns(reading) for reading in sorted(readings, key=lambda reading: reading.at)]
    MeterReading.objects.bulk_create(
        [
            MeterReading(
                session=session, at=r.at, energy_wh=r.energy_wh, power_w=r.power_w, soc_percent=r.soc_percent
            )
            for r in fitting
        ],
        ignore_conflicts=True,
    )
    for reading in fitting:
        if reading.energy_wh is not None:
            # Registers only count up: a smaller value is an older sample that arrived late.
            session.meter_last_wh = max(reading.energy_wh, session.meter_last_wh or 0)
        if session.ended_at is None:
            session.power_w = reading.power_w if reading.power_w is not None else session.power_w
            session.soc_percent = (
                reading.soc_percent if reading.soc_percent is not None else session.soc_percent
            )


def _within_columns(reading: Reading) -> Reading:
    power = None if reading.power_w is None else max(-_BIGGEST_W, min(_BIGGEST_W, reading.power_w))
    return Reading(reading.at, fitting(reading.energy_wh), power, reading.soc_percent)
