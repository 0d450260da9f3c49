"""Sessions of charging, begun and ended: everything may come twice, late, out of order, or not at all."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import QuerySet

from depots.gate import Authorization
from depots.models import Charger, ChargingSession, Evse
from depots.operations.authorization import (
    announce,
    announce_lone_end,
    answer_again,
    ask,
    judge_reservation,
    moment_of,
    require_word,
)
from depots.operations.charger_state import change_status_if_newer
from depots.operations.clock_correction import by_our_clock
from depots.operations.locking import lock_evses_beside
from depots.operations.measuring import measure_meter
from depots.operations.meter_readings import keep
from depots.operations.transaction_reports import (
    LARGEST_SESSION_WH,
    ReportResult,
    Start,
    Stop,
    fitting,
    flag,
    meter_flag,
    united_flags,
)
from depots.signals import charging_corrected, charging_ended
from depots.token_numbers import normalise

# A stop is told again with the same time; one of later than this is another one's.
REPEATED_WITHIN = timedelta(minutes=1)


def start_session(*, charger_id: int, start: Start, now: datetime) -> ReportResult:
    """Record a transaction that began, and ask whether its token may. The same start again is the same session. With
    `start.may_ask` raises OwnerMustBeAsked where whoever issued the token has a say."""
    with transaction.atomic():
        charger, evse = charger_and_evse(charger_id, start.evse_number)
        start = by_our_clock(start, charger, now=now)
        session = _begun_before(charger, start)
        if session is not None:
            return ReportResult(session, answer_again(session, charger, evse, now))
        end_abandoned(charger, evse, before=start.at, now=now)
        judged_at = moment_of(start.at, now)
        answer, asked = ask(charger, evse, start.token_uid, start.token_type, now=judged_at)
        if start.may_ask:
            require_word(answer, judged_at=judged_at, now=now)
        flags = united_flags(start.flags, asked, [] if evse else ["unknown_evse"], meter_flag(start.meter_wh))
        session = _begin(charger, evse, start, flags, answer, now=now)
        announce(session, charger, evse, answer, now)
    return ReportResult(session, answer)


def _begin(
    charger: Charger,
    evse: Evse | None,
    start: Start,
    flags: list[str],
    answer: Authorization,
    *,
    now: datetime,
) -> ChargingSession:
    """Its transaction is its own number: OCPP 1.6 leaves the choice to us."""
    session = ChargingSession.objects.create(
        charger=charger,
        evse=evse,
        start_key=start.key,
        token_uid=start.token_uid,
        token_type=start.token_type,
        reservation_id=fitting(start.reservation_id),
        is_entitled=answer.allowed,
        authorization_reference=answer.reference,
        started_at=start.at,
        start_received_at=now,
        meter_start_wh=fitting(start.meter_wh),
        announced_at=now,
        flags=flags,
    )
    session.transaction = str(session.pk)
    session.meter_last_wh = session.meter_start_wh
    session.save(update_fields=["transaction", "meter_last_wh"])
    return session


def stop_session(*, charger_id: int, stop: Stop, now: datetime) -> ReportResult:
    """Record the end of a transaction. Twice is once; an unknown one is kept as a session that nobody saw begin, and as
    the visit of a booking where its card holds one there.
    """
    with transaction.atomic():
        evses = lock_evses_beside(charger_id)
        charger = Charger.objects.select_related("depot").get(pk=charger_id)
        stop = by_our_clock(stop, charger, now=now)
        session, found = _session_to_stop(charger, stop, now)
        is_repeat = session.end_received_at is not None and session.meter_stop_wh is not None
        if not is_repeat:
            keep(session, stop.readings)
            flag(session, found, stop.flags)
            _stop_meter(session, stop.meter_wh)
            end(session, at=stop.at, reason=stop.reason, now=now)
        if not is_repeat and session.announced_at is None:
            announce_lone_end(session, charger, evses, now)
        answer = None
        if stop.token_uid:
            answer, _ = ask(charger, session.evse, stop.token_uid, session.token_type, now=now)
    return ReportResult(session, answer)


def charger_and_evse(charger_id: int, evse_number: int | None) -> tuple[Charger, Evse | None]:
    """Locked first, like everywhere, for what receivers do with what we tell. No EVSE for a number we do not know; where
    a charger has only one, it need not name it.
    """
    evses = lock_evses_beside(charger_id)
    charger = Charger.objects.select_related("depot").get(pk=charger_id)
    if not evse_number and len(evses) == 1:
        return charger, next(iter(evses.values()))
    return charger, evses.get(evse_number or 0)


def end_abandoned(charger: Charger, evse: Evse | None, *, before: datetime, now: datetime) -> None:
    """An EVSE charges one vehicle: a transaction that begins ends the one whose stop never came.

    Who bills the one that ended takes a number, the last lock of all, before the new session's booking is locked: its EVSE is
    locked by then with all of the depot, so that nobody who holds the booking can wait for that number.
    """
    if evse is None:
        return
    running = ChargingSession.objects.select_for_update(of=("self",)).filter(
        evse=evse, ended_at__isnull=True, started_at__lte=before
    )
    for session in running.order_by("id"):
        flag(session, ["no_stop"])
        end(session, at=before, reason="", now=now)


def _begun_before(charger: Charger, start: Start) -> ChargingSession | None:
    """The session of the same start. Without a clock, or a time, every start after power-up may look alike: the key of
    one that has ended is free for the next.
    """
    session = ChargingSession.objects.filter(charger=charger, start_key=start.key).first()
    if session is None or session.ended_at is None or not {"bad_clock", "no_time"} & set(start.flags):
        return session
    session.start_key = ""
    session.save(update_fields=["start_key"])
    return None


def _session_to_stop(charger: Charger, stop: Stop, now: datetime) -> tuple[ChargingSession, list[str]]:
    sessions = (
        ChargingSession.objects.select_for_update(of=("self",)).select_related("evse").filter(charger=charger)
    )
    has_usable_id = stop.transaction.isdigit() and int(stop.transaction) > 0
    named = sessions.filter(transaction=stop.transaction[:64]).first() if has_usable_id else None
    if named is not None and not _is_long_over(named, stop):
        return named, []
    key = stop.key or f"stop:{stop.transaction}:{stop.at.isoformat()}:{stop.meter_wh}:{stop.token_uid}"[:128]
    if session := sessions.filter(start_key=key).first():
        return session, []
    if (named or not has_usable_id) and (match := _only_running(sessions, stop)):
        return match, ["stop_matched"]
    if named is not None:
        return named, []
    return _orphan(charger, stop, key, stop.transaction[:64] if has_usable_id else "", now), []


def _orphan(charger: Charger, stop: Stop, key: str, transaction_id: str, now: datetime) -> ChargingSession:
    """A session that nobody saw begin."""
    begin = next((reading for reading in stop.readings if reading.is_begin), None)
    return ChargingSession.objects.create(
        charger=charger,
        start_key=key,
        transaction=transaction_id,
        token_uid=stop.token_uid,
        is_entitled=False,
        started_at=min(begin.at, stop.at) if begin else stop.at,
        start_received_at=now,
        flags=["no_start", "unknown_transaction"],
    )


def _is_long_over(session: ChargingSession, stop: Stop) -> bool:
    """It has had its stop, and this is of later: a charger that counts by itself names another one by its number."""
    has_stopped = session.ended_at is not None and session.meter_stop_wh is not None
    return has_stopped and session.ended_at is not None and stop.at - session.ended_at > REPEATED_WITHIN


def _only_running(sessions: QuerySet[ChargingSession], stop: Stop) -> ChargingSession | None:
    """A charger that lost our answer to its start stops with an id of its own: it can only mean the one it runs."""
    running = [
        session
        for session in sessions.filter(ended_at__isnull=True, started_at__lte=stop.at)
        if not stop.token_uid or _is_its_token(session, stop)
    ]
    return running[0] if len(running) == 1 else None


def _is_its_token(session: ChargingSession, stop: Stop) -> bool:
    return normalise(session.token_uid, session.token_type) == normalise(stop.token_uid)


def _stop_meter(session: ChargingSession, told_wh: int | None) -> None:
    """The register at the end. Where it is missing or cannot be, the last sample stands in (ChargingSession.energy_wh)."""
    flag(session, meter_flag(told_wh))
    stop_wh, start_wh = fitting(told_wh), session.meter_start_wh
    session.flags = [flag for flag in session.flags if flag != "no_meter_stop"]
    if stop_wh is None:
        flag(session, ["no_meter_stop"])
    elif start_wh is not None and not start_wh <= stop_wh <= start_wh + LARGEST_SESSION_WH:
        flag(session, ["bad_meter"])
        stop_wh = stop_wh if stop_wh < start_wh else None
    session.meter_stop_wh = stop_wh


def end(session: ChargingSession, *, at: datetime, reason: str, now: datetime) -> None:
    """Write the end, and tell it the first time: a late stop only corrects what was written for want of it, and its time and
    meter value are the end that was told."""
    is_first = session.ended_at is None
    if not is_first and "no_stop" in session.flags:
        session.flags = [flag for flag in session.flags if flag != "no_stop"]
        flag(session, ["stop_told_late"])
    session.ended_at = max(at, session.started_at)
    session.end_received_at = now
    session.stop_reason = reason[:40]
    session.power_w = None
    session.save()
    if is_first and session.evse_id is not None:
        evse = Evse.objects.select_for_update(no_key=True).get(pk=session.evse_id)
        if evse.status == Evse.Status.CHARGING:
            change_status_if_newer(evse, Evse.Status.OCCUPIED, at=session.ended_at, now=now)
    if is_first:
        judge_reservation(session, now)
        measure_meter(session, now)
    if session.announced_at is not None:
        told = charging_ended if is_first else charging_corrected
        told.send(sender=ChargingSession, session=session, at=now)
