"""Sessions of charging, begun and ended: everything may come twice, late, out of order, or not at all."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet

from depots.cards import card_number
from depots.models import Charger, ChargingSession, Evse
from depots.operations.entitlement import announce, answer_again, ask, judge_reservation, moment_of
from depots.operations.locking import lock_evses_beside
from depots.operations.readings import keep
from depots.operations.reported import Outcome, Start, Stop, fitting, flag, meter_flag, united_flags
from depots.operations.reports import change_status_if_newer
from depots.signals import charging_ended


def start_session(*, charger_id: int, start: Start, now: datetime) -> Outcome:
    """Record a transaction that began, and ask whether its token may. The same start again is the same session."""
    with transaction.atomic():
        charger, evse = charger_and_evse(charger_id, start.evse_number)
        session = _begun_before(charger, start)
        if session is not None:
            return Outcome(session, answer_again(session, charger, evse, now))
        end_abandoned(charger, evse, before=start.at, now=now)
        judged_at = moment_of(charger, start.at, start.flags, now)
        answer, asked = ask(charger, evse, start.token_uid, start.token_type, now=judged_at)
        session = ChargingSession.objects.create(
            charger=charger,
            evse=evse,
            start_key=start.key,
            token_uid=start.token_uid,
            token_type=start.token_type,
            reservation_id=fitting(start.reservation_id),
            is_entitled=answer.allowed,
            started_at=start.at,
            start_received_at=now,
            meter_start_wh=fitting(start.meter_wh),
            announced_at=now,
            flags=united_flags(
                start.flags, asked, [] if evse else ["unknown_evse"], meter_flag(start.meter_wh)
            ),
        )
        session.transaction = str(session.pk)
        session.meter_last_wh = session.meter_start_wh
        session.save(update_fields=["transaction", "meter_last_wh"])
        announce(session, charger, evse, answer, now)
    return Outcome(session, answer)


def stop_session(*, charger_id: int, stop: Stop, now: datetime) -> Outcome:
    """Record the end of a transaction. Twice is once; an unknown one is kept as a session that nobody saw begin."""
    with transaction.atomic():
        charger, _ = charger_and_evse(charger_id, None)
        session, found = _session_to_stop(charger, stop, now)
        is_repeat = session.end_received_at is not None and session.meter_stop_wh is not None
        if not is_repeat:
            keep(session, stop.readings)
            flag(session, found, stop.flags, meter_flag(stop.meter_wh))
            session.meter_stop_wh = fitting(stop.meter_wh)
            end(session, at=stop.at, reason=stop.reason, now=now)
        answer = None
        if stop.token_uid:
            answer, _ = ask(charger, session.evse, stop.token_uid, session.token_type, now=now)
    return Outcome(session, answer)


def charger_and_evse(charger_id: int, evse_number: int | None) -> tuple[Charger, Evse | None]:
    """Locked first, like everywhere, for what receivers do with what we tell. No EVSE for a number we do not know."""
    evses = lock_evses_beside(charger_id)
    charger = Charger.objects.select_related("depot").get(pk=charger_id)
    return charger, evses.get(evse_number or 0)


def end_abandoned(charger: Charger, evse: Evse | None, *, before: datetime, now: datetime) -> None:
    """An EVSE charges one vehicle: a transaction that begins ends the one whose stop never came."""
    if evse is None:
        return
    running = ChargingSession.objects.select_for_update(of=("self",)).filter(
        evse=evse, ended_at__isnull=True, started_at__lte=before
    )
    for session in running.order_by("id"):
        flag(session, ["no_stop"])
        end(session, at=before, reason="", now=now)


def _begun_before(charger: Charger, start: Start) -> ChargingSession | None:
    """The session of the same start. Without a clock every start after power-up may look alike: the key of one that
    has ended is free for the next.
    """
    session = ChargingSession.objects.filter(charger=charger, start_key=start.key).first()
    if session is None or session.ended_at is None or "bad_clock" not in start.flags:
        return session
    session.start_key = ""
    session.save(update_fields=["start_key"])
    return None


def _session_to_stop(charger: Charger, stop: Stop, now: datetime) -> tuple[ChargingSession, list[str]]:
    sessions = (
        ChargingSession.objects.select_for_update(of=("self",)).select_related("evse").filter(charger=charger)
    )
    has_usable_id = stop.transaction.isdigit() and int(stop.transaction) > 0
    if has_usable_id and (session := sessions.filter(transaction=stop.transaction[:64]).first()):
        return session, []
    key = f"stop:{stop.transaction}:{stop.at.isoformat()}:{stop.meter_wh}:{stop.token_uid}"[:128]
    if session := sessions.filter(start_key=key).first():
        return session, []
    if not has_usable_id and (match := _only_running(sessions, stop)):
        return match, ["stop_matched"]
    orphan = ChargingSession.objects.create(
        charger=charger,
        start_key=key,
        transaction=stop.transaction[:64] if has_usable_id else "",
        token_uid=stop.token_uid,
        is_entitled=False,
        started_at=stop.at,
        start_received_at=now,
        flags=["no_start", "unknown_transaction"],
    )
    return orphan, []


def _only_running(sessions: QuerySet[ChargingSession], stop: Stop) -> ChargingSession | None:
    """A charger that lost our answer to its start stops with an id of its own: it can only mean the one it runs."""
    running = [
        session
        for session in sessions.filter(ended_at__isnull=True, started_at__lte=stop.at)
        if not stop.token_uid or card_number(session.token_uid) == card_number(stop.token_uid)
    ]
    return running[0] if len(running) == 1 else None


def end(session: ChargingSession, *, at: datetime, reason: str, now: datetime) -> None:
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
    if is_first:
        judge_reservation(session, now)
    if is_first and session.announced_at is not None:
        charging_ended.send(sender=ChargingSession, session=session, at=now)
