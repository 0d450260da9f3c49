"""Samples of many meters at once: what chargers tell of running sessions in the same moment is written together.

As in connections_at_once.py: beside an operation for one charger stands the form for many, which carries out what only tells a
meter and whose session nobody else has locked, and leaves the rest to that operation. Found, locked, and written are three
round trips, however many they are.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from depots import round_trips
from depots.models import ChargingSession, MeterReading
from depots.models.chargers import LARGEST_EVSE_NUMBER
from depots.operations.clock_correction import by_our_clock
from depots.operations.connections_at_once import Call
from depots.operations.meter_readings import (
    is_due_to_be_told,
    of_its_session,
    readings_by_our_clock,
    take,
)
from depots.operations.transaction_reports import Reading, ReportResult, TransactionReport, flag
from depots.signals import session_metered, sessions_metered

# By its name, or where it names none that is known, the one that runs at the EVSE.
_FIND = """
    SELECT come.place, coalesce(named.id, running.id), named.id IS NOT NULL
    FROM unnest(%s::int[], %s::bigint[], %s::text[], %s::int[]) AS come (place, charger_id, transaction, evse_number)
    LEFT JOIN depots_chargingsession AS named
        ON named.charger_id = come.charger_id AND named.transaction = come.transaction AND come.transaction <> ''
    LEFT JOIN LATERAL (
        SELECT session.id FROM depots_evse AS evse
        JOIN depots_chargingsession AS session ON session.evse_id = evse.id AND session.ended_at IS NULL
        WHERE named.id IS NULL AND evse.charger_id = come.charger_id AND evse.number = come.evse_number
        ORDER BY session.started_at DESC LIMIT 1
    ) AS running ON true
"""

_KEEP = """
    INSERT INTO depots_meterreading (session_id, at, energy_wh, power_w, soc_percent)
    SELECT * FROM unnest(%s::bigint[], %s::timestamptz[], %s::bigint[], %s::int[], %s::float8[])
    ON CONFLICT DO NOTHING
"""

_SHOW = """
    UPDATE depots_chargingsession AS session
    SET meter_start_wh = told.meter_start_wh, meter_last_wh = told.meter_last_wh, power_w = told.power_w,
        soc_percent = told.soc_percent, registers = told.registers, flags = told.flags,
        figures_told_at = told.figures_told_at, latest_at = told.latest_at
    FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::int[], %s::float8[], %s::jsonb[], %s::jsonb[],
            %s::timestamptz[], %s::timestamptz[])
        AS told (id, meter_start_wh, meter_last_wh, power_w, soc_percent, registers, flags, figures_told_at, latest_at)
    WHERE session.id = told.id
"""


@dataclass(frozen=True)
class _Samples:
    """What one charger tells. Without a `report` they came as samples alone (1.6, or 2.x MeterValues)."""

    charger_id: int
    transaction: str
    evse_number: int | None
    readings: Sequence[Reading]
    flags: Sequence[str]
    now: datetime
    report: TransactionReport | None = None


def add_readings_of_many(calls: Sequence[Call]) -> dict[int, ChargingSession | None]:
    """Beside `add_readings`, for sessions that run, and where nothing does. Signed samples are left to it."""
    told = [
        _Samples(
            charger_id=call["charger_id"],
            transaction=call["transaction_id"][:64],
            evse_number=call["evse_number"],
            readings=call["readings"],
            flags=call.get("flags", ()),
            now=call["now"],
        )
        for call in calls
        if (call["readings"] or call.get("flags")) and not any(reading.signed for reading in call["readings"])
    ]
    untold = {call["charger_id"]: None for call in calls if not (call["readings"] or call.get("flags"))}
    return {**untold, **(_taken(told) if told else {})}


def record_updates(calls: Sequence[Call]) -> dict[int, ReportResult]:
    """Beside `record_transaction`, for what only tells the meter of a session that everybody knows of."""
    told = [
        _Samples(
            charger_id=call["charger_id"],
            transaction=call["report"].transaction,
            evse_number=None,
            readings=call["report"].readings,
            flags=call["report"].flags,
            now=call["now"],
            report=call["report"],
        )
        for call in calls
        if call["report"].may_be_routine and call["report"].transaction
    ]
    sessions = _taken(told) if told else {}
    return {pk: ReportResult(session, None) for pk, session in sessions.items() if session is not None}


def _taken(told: Sequence[_Samples]) -> dict[int, ChargingSession | None]:
    """By charger, the session whose samples were written; None where nothing charges."""
    found = _found(told)
    results: dict[int, ChargingSession | None] = {
        samples.charger_id: None
        for samples, (session_id, _) in zip(told, found, strict=True)
        if session_id is None and samples.report is None
    }
    if all(session_id is None for session_id, _ in found):
        return results
    with round_trips.atomic():
        sessions = _locked({session_id for session_id, _ in found if session_id is not None})
        readings: list[MeterReading] = []
        for samples, (session_id, is_named) in zip(told, found, strict=True):
            session = sessions.get(session_id or 0)
            if session is not None and (kept := _kept(session, samples, is_named=is_named)) is not None:
                readings += kept
                results[samples.charger_id] = session
        written = [session for session in results.values() if session is not None]
        due = _told(written, told)
        _write(written, readings)
        for session in due:
            session_metered.send(
                sender=ChargingSession, session=session, is_together=True, at=session.figures_told_at
            )
        if due:
            sessions_metered.send(
                sender=ChargingSession, sessions=due, at=max(samples.now for samples in told)
            )
    return results


def _found(told: Sequence[_Samples]) -> list[tuple[int | None, bool]]:
    """(session id, is it named) for each, in their order."""
    columns: list[Any] = [
        list(range(len(told))),
        [samples.charger_id for samples in told],
        [samples.transaction for samples in told],
        [_number(samples.evse_number) for samples in told],
    ]
    with connection.cursor() as cursor:
        cursor.execute(_FIND, columns)
        rows = {place: (session_id, is_named) for place, session_id, is_named in cursor.fetchall()}
    return [rows[place] for place in range(len(told))]


def _number(told: int | None) -> int:
    """0, which is no EVSE's, for what cannot be one's either: the column would fail all that are written together."""
    return told if told is not None and 0 < told <= LARGEST_EVSE_NUMBER else 0


def _locked(ids: set[int]) -> dict[int, ChargingSession]:
    """Those that run and are free to lock, by key."""
    if not ids:
        return {}
    rows = ChargingSession.objects.filter(pk__in=ids, ended_at__isnull=True).select_related("charger")
    free = rows.select_for_update(of=("self",), no_key=True, skip_locked=True).order_by("pk").only(
        "evse_id", "transaction", "is_entitled", "announced_at", "started_at", "ended_at", "meter_start_wh",
        "meter_last_wh", "power_w", "soc_percent", "registers", "flags", "figures_told_at", "latest_at",
        "charging_state", "reservation_id", "charger__depot_id", "charger__clock_offset_s",
        "charger__clock_seen_at", "charger__booted_at",
    )  # fmt: skip
    return {session.pk: session for session in free}


def _kept(session: ChargingSession, samples: _Samples, *, is_named: bool) -> list[MeterReading] | None:
    """The readings to write, taken into the session; None for what its own operation has to look at."""
    report = samples.report
    if report is None:
        readings = readings_by_our_clock(session, samples.readings, samples.now)
        told = readings if is_named else of_its_session(session, readings)
        kept = take(session, told)
        flag(session, samples.flags)
        return kept
    if session.announced_at is None or not session.is_entitled or session.evse_id is None:
        return None
    report = by_our_clock(report, session.charger, now=samples.now)
    if not report.is_routine_for(session):
        return None
    kept = take(session, report.readings)
    flag(session, report.flags)
    return kept


def _write(sessions: Sequence[ChargingSession], readings: Sequence[MeterReading]) -> None:
    if readings:
        round_trips.send(
            _KEEP,
            [
                [reading.session_id for reading in readings],
                [reading.at for reading in readings],
                [reading.energy_wh for reading in readings],
                [reading.power_w for reading in readings],
                [reading.soc_percent for reading in readings],
            ],
        )
    if sessions:
        round_trips.send(
            _SHOW,
            [
                [session.pk for session in sessions],
                [session.meter_start_wh for session in sessions],
                [session.meter_last_wh for session in sessions],
                [session.power_w for session in sessions],
                [session.soc_percent for session in sessions],
                [json.dumps(session.registers) for session in sessions],
                [json.dumps(session.flags) for session in sessions],
                [session.figures_told_at for session in sessions],
                [session.latest_at for session in sessions],
            ],
        )


def _told(sessions: Sequence[ChargingSession], told: Sequence[_Samples]) -> list[ChargingSession]:
    """Those whose figures open pages are to hear of by now; it is noted in them."""
    now_of = {samples.charger_id: samples.now for samples in told}
    due = [session for session in sessions if is_due_to_be_told(session, now=now_of[session.charger_id])]
    for session in due:
        session.figures_told_at = now_of[session.charger_id]
        session.are_figures_told = True
    return due
