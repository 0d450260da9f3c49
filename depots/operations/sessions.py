"""Charging as chargers report it: everything may come twice, late, out of order, or not at all.

Whatever a charger says about energy is kept and answered; what is odd about it is flagged, for a person to judge:
offline, bad_clock, no_zone, malformed (the message was not according to its schema), no_start (no start was seen),
no_stop (another transaction began first), unknown_transaction, stop_matched (a stop without a usable id),
unknown_evse, out_of_order, bad_meter, foreign_token (it names a reservation that its token does not hold),
unasked (the gate failed).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import Error as DatabaseError
from django.db import IntegrityError, transaction

from depots import gate
from depots.models import Charger, ChargerCommand, ChargingSession, Evse, MeterReading, SessionEvent
from depots.operations.commands import queue_command
from depots.operations.locking import lock_evses_beside
from depots.operations.reports import QUEUED_AFTER, change_status_if_newer
from depots.signals import charging_ended, charging_started

logger = logging.getLogger(__name__)

# A charger that obeys our refusal stops a stranger by itself within this time; else it is told to.
STOPS_BY_ITSELF_WITHIN = timedelta(seconds=10)
# Columns are bigint and integer; what a charger sends may be anything.
_BIGGEST_WH, _BIGGEST_W, _BIGGEST_ID = 2**62, 2**31 - 1, 2**62


@dataclass(frozen=True)
class Reading:
    """One sample: Wh of the energy register, watts, percent; None for what was not measured."""

    at: datetime
    energy_wh: int | None = None
    power_w: int | None = None
    soc_percent: float | None = None


@dataclass(frozen=True)
class Start:
    """A transaction as OCPP 1.6 begins it. `key` makes a repeated start the same start."""

    evse_number: int
    token_uid: str
    key: str
    at: datetime
    token_type: str = ""
    meter_wh: int | None = None
    reservation_id: int | None = None
    flags: Sequence[str] = ()


@dataclass(frozen=True)
class Stop:
    """The end of a transaction in OCPP 1.6; `transaction` is the id we gave it, or what the charger made of it."""

    transaction: str
    at: datetime
    meter_wh: int | None = None
    reason: str = ""
    token_uid: str = ""
    readings: Sequence[Reading] = ()
    flags: Sequence[str] = ()


@dataclass(frozen=True)
class TransactionReport:
    """One TransactionEvent of OCPP 2.x. `kind`: started, updated, ended. `token_uid` None when it carries no token."""

    transaction: str
    seq_no: int
    kind: str
    at: datetime
    evse_number: int | None = None
    token_uid: str | None = None
    token_type: str = ""
    group: str = ""
    reservation_id: int | None = None
    is_charging: bool = False
    stop_reason: str = ""
    readings: Sequence[Reading] = ()
    flags: Sequence[str] = ()
    payload: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """The session a report belongs to, and what to tell the charger about the token it named (None: it named none)."""

    session: ChargingSession
    answer: gate.Answer | None


def authorize(*, charger_id: int, token_uid: str, token_type: str = "", now: datetime) -> gate.Answer:
    """May this token charge here now, as far as one can say without an EVSE?"""
    charger = Charger.objects.select_related("depot").get(pk=charger_id)
    return gate.may_charge(charger=charger, evse=None, token_uid=token_uid, token_type=token_type, now=now)


def start_session(*, charger_id: int, start: Start, now: datetime) -> Outcome:
    """Record a transaction that began, and ask whether its token may. The same start again is the same session."""
    with transaction.atomic():
        charger, evse = _charger_and_evse(charger_id, start.evse_number)
        session = ChargingSession.objects.filter(charger=charger, start_key=start.key).first()
        if session is not None:
            return Outcome(session, _answer_again(session, charger, evse, now))
        _end_abandoned(charger, evse, before=start.at, now=now)
        judged_at = _moment(charger, start.at, start.flags, now)
        answer, asked = _ask(charger, evse, start.token_uid, start.token_type, now=judged_at)
        session = ChargingSession.objects.create(
            charger=charger,
            evse=evse,
            start_key=start.key,
            token_uid=start.token_uid,
            token_type=start.token_type,
            reservation_id=_fitting(start.reservation_id, _BIGGEST_ID),
            is_entitled=answer.allowed,
            started_at=start.at,
            start_received_at=now,
            meter_start_wh=_fitting(start.meter_wh, _BIGGEST_WH),
            announced_at=now,
            flags=_flags(start.flags, asked, [] if evse else ["unknown_evse"], _meter_flag(start.meter_wh)),
        )
        session.transaction = str(session.pk)
        session.meter_last_wh = session.meter_start_wh
        session.save(update_fields=["transaction", "meter_last_wh"])
        _announce(session, charger, evse, answer, now)
    return Outcome(session, answer)


def stop_session(*, charger_id: int, stop: Stop, now: datetime) -> Outcome:
    """Record the end of a transaction. Twice is once; an unknown one is kept as a session that nobody saw begin."""
    with transaction.atomic():
        charger, _ = _charger_and_evse(charger_id, None)
        session, found = _session_to_stop(charger, stop, now)
        is_repeat = session.end_received_at is not None and session.meter_stop_wh is not None
        if not is_repeat:
            _add(session, stop.readings)
            _flag(session, found, stop.flags, _meter_flag(stop.meter_wh))
            session.meter_stop_wh = _fitting(stop.meter_wh, _BIGGEST_WH)
            _end(session, at=stop.at, reason=stop.reason, now=now)
        answer = None
        if stop.token_uid:
            answer, _ = _ask(charger, session.evse, stop.token_uid, session.token_type, now=now)
    return Outcome(session, answer)


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
            _add(session, readings)
            session.save(update_fields=["meter_last_wh", "meter_start_wh", "power_w", "soc_percent"])
    return session


def record_transaction(*, charger_id: int, report: TransactionReport, now: datetime) -> Outcome:
    """Take in one event of a 2.x transaction, in whatever order they come; (transaction, seqNo) counts once."""
    with transaction.atomic():
        charger, evse = _charger_and_evse(charger_id, report.evse_number)
        session = _session_of(charger, evse, report, now)
        answer = _answer_to(session, charger, report, now)
        if _is_new(session, report):
            _take_in(session, charger, report, answer, now)
    return Outcome(session, answer)


def _answer_to(
    session: ChargingSession, charger: Charger, report: TransactionReport, now: datetime
) -> gate.Answer | None:
    """What to tell about the token a report carries. A token that was let in is not refused when its slot is over."""
    if report.token_uid is None:
        return None
    judged_at = _moment(charger, report.at, report.flags, now)
    answer, asked = _ask(
        charger, session.evse, report.token_uid, report.token_type, report.group, now=judged_at
    )
    _flag(session, asked)
    was_let_in = session.announced_at and session.is_entitled and session.token_uid == report.token_uid
    if was_let_in and not answer.allowed:
        return gate.Answer(allowed=True, group=answer.group, reservation_id=answer.reservation_id)
    return answer


def _charger_and_evse(charger_id: int, evse_number: int | None) -> tuple[Charger, Evse | None]:
    evses = lock_evses_beside(charger_id)
    charger = Charger.objects.select_related("depot").get(pk=charger_id)
    return charger, evses.get(evse_number or 0)


def _ask(
    charger: Charger, evse: Evse | None, token_uid: str, token_type: str, group: str = "", *, now: datetime
) -> tuple[gate.Answer, list[str]]:
    """The gate's answer. When it fails the energy still has to be recorded, so that counts as yes, flagged."""
    try:
        with transaction.atomic():
            answer = gate.may_charge(
                charger=charger, evse=evse, token_uid=token_uid, token_type=token_type, group=group, now=now
            )
    except DatabaseError:
        raise  # the whole message is tried again
    except Exception:
        logger.exception("The gate failed for a token at %s", charger.identity)
        return gate.Answer(allowed=True), ["unasked"]
    return answer, []


def _moment(charger: Charger, at: datetime, flags: Sequence[str], now: datetime) -> datetime:
    """When it happened, by our clock: a message that waited in its queue is judged by the slot of then."""
    if "bad_clock" in flags:
        return now
    happened_at = at - timedelta(seconds=charger.clock_offset_s or 0)
    return happened_at if now - happened_at > QUEUED_AFTER else now


def _answer_again(
    session: ChargingSession, charger: Charger, evse: Evse | None, now: datetime
) -> gate.Answer:
    """The answer to a repeated start: what was allowed stays so, though the slot may be over by now."""
    answer, _ = _ask(charger, evse, session.token_uid, session.token_type, now=now)
    if session.is_entitled and not answer.allowed:
        return gate.Answer(allowed=True)
    if not session.is_entitled and answer.allowed:
        return gate.Answer(allowed=False, reason="booked_by_another")
    return answer


def _end_abandoned(charger: Charger, evse: Evse | None, *, before: datetime, now: datetime) -> None:
    """An EVSE charges one vehicle: a transaction that begins ends the one whose stop never came."""
    if evse is None:
        return
    running = ChargingSession.objects.select_for_update(of=("self",)).filter(
        evse=evse, ended_at__isnull=True, started_at__lte=before
    )
    for session in running.order_by("id"):
        _flag(session, ["no_stop"])
        _end(session, at=before, reason="", now=now)


def _announce(
    session: ChargingSession, charger: Charger, evse: Evse | None, answer: gate.Answer, now: datetime
) -> None:
    session.evse = evse
    if session.reservation_id and not answer.allowed and answer.reservation_id != session.reservation_id:
        _flag(session, ["foreign_token"])
        session.save(update_fields=["flags"])
    if evse is not None and session.ended_at is None:
        change_status_if_newer(evse, Evse.Status.CHARGING, at=session.started_at, now=now)
    charging_started.send(sender=ChargingSession, session=session, answer=answer, at=now)
    if answer.allowed or session.ended_at is not None:
        return
    if answer.reason == "booked_by_another":
        _measure_lie(charger, evse, session, now)
    queue_command(
        charger=charger,
        action=ChargerCommand.Action.REMOTE_STOP,
        payload={"transaction": session.transaction},
        not_before=now + STOPS_BY_ITSELF_WITHIN,
        now=now,
    )


def _measure_lie(charger: Charger, evse: Evse | None, session: ChargingSession, now: datetime) -> None:
    """It had accepted a reservation for somebody else and let this token start: its reservations are worth nothing."""
    from depots.queries import armed_reservations

    armed = [a for a in armed_reservations(charger, now=now) if evse and a.evse_number == evse.number]
    if any(a.since <= session.started_at for a in armed) and charger.measured.get("reservation") != "lies":
        charger.measured = {**charger.measured, "reservation": "lies", "reservation_at": now.isoformat()}
        charger.save(update_fields=["measured"])


def _session_to_stop(charger: Charger, stop: Stop, now: datetime) -> tuple[ChargingSession, list[str]]:
    sessions = (
        ChargingSession.objects.select_for_update(of=("self",)).select_related("evse").filter(charger=charger)
    )
    has_usable_id = stop.transaction.isdigit() and int(stop.transaction) > 0
    if has_usable_id and (session := sessions.filter(transaction=stop.transaction).first()):
        return session, []
    key = f"stop:{stop.transaction}:{stop.at.isoformat()}:{stop.meter_wh}:{stop.token_uid}"[:128]
    if session := sessions.filter(start_key=key).first():
        return session, []
    if not has_usable_id and (match := _only_running(sessions, stop)):
        return match, ["stop_matched"]
    orphan = ChargingSession.objects.create(
        charger=charger,
        start_key=key,
        transaction=stop.transaction if has_usable_id else "",
        token_uid=stop.token_uid,
        is_entitled=False,
        started_at=stop.at,
        start_received_at=now,
        flags=["no_start", "unknown_transaction"],
    )
    return orphan, []


def _only_running(sessions: Iterable[ChargingSession], stop: Stop) -> ChargingSession | None:
    """A charger that lost our answer to its start stops with an id of its own: it can only mean the one it runs."""
    running = [
        session
        for session in sessions
        if session.ended_at is None
        and session.started_at <= stop.at
        and (not stop.token_uid or session.token_uid.upper() == stop.token_uid.upper())
    ]
    return running[0] if len(running) == 1 else None


def _end(session: ChargingSession, *, at: datetime, reason: str, now: datetime) -> None:
    """Write the end, and tell it the first time: a late stop only corrects what was written for want of it."""
    is_first = session.ended_at is None
    session.ended_at = max(at, session.started_at)
    session.end_received_at = now
    session.stop_reason = reason[:40]
    session.power_w = None
    session.save()
    if is_first and session.evse_id is not None:
        evse = Evse.objects.select_for_update(no_key=True).get(pk=session.evse_id)
        if evse.status == Evse.Status.CHARGING:
            change_status_if_newer(evse, Evse.Status.OCCUPIED, at=session.ended_at, now=now)
    if is_first and session.announced_at is not None:
        charging_ended.send(sender=ChargingSession, session=session, at=now)


def _add(session: ChargingSession, readings: Sequence[Reading]) -> None:
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


def _session_of(
    charger: Charger, evse: Evse | None, report: TransactionReport, now: datetime
) -> ChargingSession:
    locked = ChargingSession.objects.select_for_update(of=("self",)).select_related("evse")
    if session := locked.filter(charger=charger, transaction=report.transaction).first():
        return session
    fresh = ChargingSession(
        charger=charger,
        evse=evse,
        transaction=report.transaction,
        reservation_id=_fitting(report.reservation_id, _BIGGEST_ID),
        started_at=report.at,
        start_received_at=now,
        flags=[] if report.kind == "started" else ["no_start"],
    )
    try:
        with transaction.atomic():
            if report.kind == "started":
                _end_abandoned(charger, evse, before=report.at, now=now)
            fresh.save()
    except IntegrityError:  # the charger's old socket was faster
        return locked.get(charger=charger, transaction=report.transaction)
    return fresh


def _is_new(session: ChargingSession, report: TransactionReport) -> bool:
    """(session, seqNo, kind) once. The unique constraint decides, whichever socket an event comes over."""
    events = SessionEvent.objects.filter(session=session, seq_no=report.seq_no, kind=report.kind)
    if events.exists():
        return False
    SessionEvent.objects.create(
        session=session, seq_no=report.seq_no, kind=report.kind, at=report.at, payload=dict(report.payload)
    )
    return True


def _take_in(
    session: ChargingSession,
    charger: Charger,
    report: TransactionReport,
    answer: gate.Answer | None,
    now: datetime,
) -> None:
    _add(session, report.readings)
    _flag(session, report.flags)
    _place(session, charger, report)
    if report.kind == "started":
        _begin(session, report)
    elif session.events.filter(kind="ended").exclude(seq_no=report.seq_no).exists():
        _flag(session, ["out_of_order"])
    if report.token_uid is not None and session.announced_at is None:
        session.token_uid, session.token_type = report.token_uid, report.token_type
    _announce_when_known(session, charger, report, answer, now)
    session.save()
    if report.kind == "ended":
        session.meter_stop_wh = session.meter_last_wh
        _end(session, at=report.at, reason=report.stop_reason, now=now)


def _place(session: ChargingSession, charger: Charger, report: TransactionReport) -> None:
    """EVSE and reservation may be named in any event, not only the first."""
    if session.evse is None and report.evse_number:
        session.evse = Evse.objects.filter(charger=charger, number=report.evse_number).first()
        if session.evse is None:
            _flag(session, ["unknown_evse"])
    if session.reservation_id is None:
        session.reservation_id = _fitting(report.reservation_id, _BIGGEST_ID)


def _begin(session: ChargingSession, report: TransactionReport) -> None:
    if "no_start" in session.flags:
        session.flags = [flag for flag in session.flags if flag != "no_start"]
        _flag(session, ["out_of_order"])
    session.started_at = report.at if session.ended_at is None else min(report.at, session.ended_at)
    begin_wh = next((r.energy_wh for r in report.readings if r.energy_wh is not None), None)
    session.meter_start_wh = _fitting(begin_wh, _BIGGEST_WH)


def _announce_when_known(
    session: ChargingSession,
    charger: Charger,
    report: TransactionReport,
    answer: gate.Answer | None,
    now: datetime,
) -> None:
    """A transaction may begin with a cable or a parked truck. It counts once a token is known or energy flows."""
    if session.announced_at is not None or (answer is None and not report.is_charging):
        return
    if answer is None:
        judged_at = _moment(charger, report.at, report.flags, now)
        answer, asked = _ask(charger, session.evse, "", "", now=judged_at)
        _flag(session, asked)
    session.is_entitled, session.announced_at = answer.allowed, now
    session.save()
    _announce(session, charger, session.evse, answer, now)


def _flag(session: ChargingSession, *flags: Iterable[str]) -> None:
    session.flags = _flags(session.flags, *flags)


def _flags(*flags: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(flag for some in flags for flag in some))


def _meter_flag(wh: int | None) -> list[str]:
    return ["bad_meter"] if wh is not None and not 0 <= wh <= _BIGGEST_WH else []


def _fitting(value: int | None, biggest: int) -> int | None:
    """The number if a column can hold it. Below zero is how some firmware says that there is none."""
    return value if value is not None and 0 <= value <= biggest else None


def _within_columns(reading: Reading) -> Reading:
    power = None if reading.power_w is None else max(-_BIGGEST_W, min(_BIGGEST_W, reading.power_w))
    return Reading(reading.at, _fitting(reading.energy_wh, _BIGGEST_WH), power, reading.soc_percent)
