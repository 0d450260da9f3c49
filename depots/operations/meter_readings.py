"""Samples of a transaction's meter."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from depots.models import ChargingSession, MeterReading, SignedMeterValue
from depots.operations.clock_correction import correction, is_known_off, shifted
from depots.operations.transaction_reports import LARGEST_SESSION_WH, Reading, flag
from depots.signals import charging_corrected, session_metered

FIGURES = (
    "meter_start_wh",
    "meter_last_wh",
    "power_w",
    "soc_percent",
    "registers",
    "flags",
    "figures_told_at",
    "latest_at",
)
# An open page follows the meter; more often than this nobody reads.
TOLD_EVERY = timedelta(seconds=3)
# A sample that names no transaction and is older than the session at its EVSE belongs to one before it.
BEFORE_THE_START = timedelta(minutes=1)


def add_readings(
    *,
    charger_id: int,
    evse_number: int | None,
    transaction_id: str,
    readings: Sequence[Reading],
    flags: Sequence[str] = (),
    now: datetime,
) -> ChargingSession | None:
    """Samples of a transaction, or without a known one of whatever charges at the EVSE. None when nothing does.

    Only the session is locked: what its meter tells moves nothing else.
    """
    if not readings and not flags:
        return None
    with transaction.atomic():
        session, is_named = _locked_session(charger_id, evse_number, transaction_id)
        if session is None:
            return None
        readings = readings_by_our_clock(session, readings, now)
        if not is_named:
            readings = of_its_session(session, readings)
        keep(session, readings)
        flag(session, flags)
        tell_figures(session, now=now)
        session.save(update_fields=FIGURES)
        if session.ended_at is not None and session.announced_at is not None:
            charging_corrected.send(sender=ChargingSession, session=session, at=now)
    return session


def _locked_session(
    charger_id: int, evse_number: int | None, transaction_id: str
) -> tuple[ChargingSession | None, bool]:
    """The session the samples are of, and whether they name it by its transaction."""
    rows = ChargingSession.objects.select_for_update(of=("self",), no_key=True).select_related("charger")
    sessions = rows.filter(charger=charger_id)
    if transaction_id and (named := sessions.filter(transaction=transaction_id[:64]).first()):
        return named, True
    if not evse_number:
        return None, False
    running = sessions.filter(evse__number=evse_number, ended_at__isnull=True)
    return running.order_by("-started_at").first(), False


def of_its_session(session: ChargingSession, readings: Sequence[Reading]) -> list[Reading]:
    """Of samples that name no transaction those that are of this one, by their time."""
    return [reading for reading in readings if reading.at >= session.started_at - BEFORE_THE_START]


def keep(session: ChargingSession, readings: Sequence[Reading]) -> None:
    """Keep samples and let the session show the newest. The caller saves the session (FIGURES)."""
    if kept := take(session, readings):
        MeterReading.objects.bulk_create(kept, ignore_conflicts=True)
    if signed := [_signed(session, reading, sample) for reading in readings for sample in reading.signed]:
        SignedMeterValue.objects.bulk_create(signed, ignore_conflicts=True)


def _signed(session: ChargingSession, reading: Reading, sample: Mapping[str, Any]) -> SignedMeterValue:
    """As it came: a signature holds for what was signed, to the letter. Told again it is the same."""
    text = json.dumps(sample, sort_keys=True, ensure_ascii=False)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return SignedMeterValue(session=session, at=reading.at, sample=dict(sample), digest=digest)


def take(session: ChargingSession, readings: Sequence[Reading]) -> list[MeterReading]:
    """Let the session show the newest of the samples. The caller saves it (FIGURES), and the rows."""
    kept = []
    for reading in sorted(readings, key=lambda reading: reading.at):
        energy_wh = _counting_wh(session, reading)
        if reading.has_figures:
            kept.append(
                MeterReading(
                    session=session,
                    at=reading.at,
                    energy_wh=energy_wh,
                    power_w=reading.power_w,
                    soc_percent=reading.soc_percent,
                )
            )
        if energy_wh is not None:
            _count(session, energy_wh, is_begin=reading.is_begin)
        if session.ended_at is None:
            session.power_w = reading.power_w if reading.power_w is not None else session.power_w
            session.soc_percent = (
                reading.soc_percent if reading.soc_percent is not None else session.soc_percent
            )
    if kept:
        note_latest(session, kept[-1].at)
    return kept


def note_latest(session: ChargingSession, at: datetime) -> bool:
    """Something told of the session holds from `at` on. Whether nothing later is known."""
    is_latest = session.latest_at is None or at >= session.latest_at
    if is_latest:
        session.latest_at = at
    return is_latest


def last_counting_wh(session: ChargingSession, readings: Sequence[Reading]) -> int | None:
    """What the newest of the readings says of the register that counts."""
    told = [_counting_wh(session, r) for r in sorted(readings, key=lambda r: r.at) if not r.is_begin]
    return next((wh for wh in reversed(told) if wh is not None), None)


def first_counting_wh(session: ChargingSession, readings: Sequence[Reading]) -> int | None:
    told = [_counting_wh(session, r) for r in sorted(readings, key=lambda r: (not r.is_begin, r.at))]
    return next((wh for wh in told if wh is not None), None)


def tell_figures(session: ChargingSession, *, now: datetime) -> None:
    """Let open pages know of a running session's kWh, kW and SoC, at most every few seconds: what comes in between is
    left to `tell_latest_figures`. The caller saves the session.
    """
    if session.ended_at is None and is_due_to_be_told(session, now=now):
        session.figures_told_at = now
        session.are_figures_told = True
        session_metered.send(sender=ChargingSession, session=session, at=now)


def is_due_to_be_told(session: ChargingSession, *, now: datetime) -> bool:
    told_at = session.figures_told_at
    return told_at is None or not timedelta() <= now - told_at < TOLD_EVERY


def tell_latest_figures(*, charger_id: int, session_id: int, now: datetime) -> None:
    """Figures that came too soon after others, told when their time has come."""
    with transaction.atomic():
        running = ChargingSession.objects.select_for_update(no_key=True, of=("self",)).filter(
            charger=charger_id, pk=session_id, ended_at__isnull=True
        )
        for session in running.select_related("charger"):
            session.figures_told_at = now
            session.save(update_fields=["figures_told_at"])
            session_metered.send(sender=ChargingSession, session=session, at=now)


def readings_by_our_clock(
    session: ChargingSession, readings: Sequence[Reading], now: datetime
) -> Sequence[Reading]:
    """By the newest of the times, which is about when the message was made, and by what is known of the clock alone: told
    again, a sample has the same time again, which is what makes it the same.
    """
    told = [reading.at for reading in readings if not reading.is_arrival]
    is_off = is_known_off(session.charger)
    by = correction(session.charger, max(told), (), now=now) if told and is_off else timedelta()
    if by:
        flag(session, ["wrong_clock"])
    return shifted(readings, by)


def _counting_wh(session: ChargingSession, reading: Reading) -> int | None:
    """The register that counts is the one at the start. A charger that told several at once means that one; one that
    told a single register may call its place anything.
    """
    told = list(reading.registers)
    counts = session.registers[0] if session.registers else None
    if counts in reading.registers or counts is None:
        session.registers = [*session.registers, *(place for place in told if place not in session.registers)]
        wh = reading.registers.get(session.registers[0]) if session.registers else reading.energy_wh
    elif not told or len(session.registers) == 1:
        wh = reading.energy_wh
    else:
        flag(session, ["other_meter"])
        wh = None
    if wh is None or _can_be(session, wh):
        return wh
    flag(session, ["bad_meter"])
    return None


def _can_be(session: ChargingSession, wh: int) -> bool:
    from_wh = session.meter_start_wh if session.meter_start_wh is not None else session.meter_last_wh
    return from_wh is None or wh - from_wh <= LARGEST_SESSION_WH


def _count(session: ChargingSession, wh: int, *, is_begin: bool) -> None:
    """Registers only count up: a smaller value is an older sample that came late, or a meter that began anew."""
    if session.meter_start_wh is None:
        _begin_with(session, wh, is_begin=is_begin)
    elif wh < session.meter_start_wh and "no_meter_start" in session.flags:
        session.meter_start_wh = wh
    elif wh < session.meter_start_wh and not is_begin:
        flag(session, ["bad_meter"])
    session.meter_last_wh = max(wh, session.meter_last_wh or 0)


def _begin_with(session: ChargingSession, wh: int, *, is_begin: bool) -> None:
    """Two different values tell what was charged between them; with one alone the energy is not known."""
    first = session.meter_last_wh
    if is_begin:
        session.meter_start_wh = wh
        session.flags = [flag for flag in session.flags if flag != "no_meter_start"]
    elif first is not None and wh != first:
        session.meter_start_wh = min(wh, first)
        flag(session, ["no_meter_start"])
