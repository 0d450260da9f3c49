"""Transactions of OCPP 2.x: one event each, in whatever order they come."""

from __future__ import annotations

from datetime import datetime

from django.db import IntegrityError, transaction

from depots import gate
from depots.cards import card_number
from depots.models import Charger, ChargerCommand, ChargingSession, Evse, SessionEvent
from depots.operations.entitlement import announce, ask, moment_of
from depots.operations.readings import keep
from depots.operations.reported import Outcome, TransactionReport, fitting, flag
from depots.operations.sessions import charger_and_evse, end, end_abandoned


def record_transaction(*, charger_id: int, report: TransactionReport, now: datetime) -> Outcome:
    """Take in one event of a 2.x transaction, in whatever order they come; (transaction, seqNo) counts once."""
    with transaction.atomic():
        charger, evse = charger_and_evse(charger_id, report.evse_number)
        session = _session_of(charger, evse, report, now)
        answer = _answer_to(session, charger, report, now)
        if _is_new(session, report):
            _take_in(session, charger, report, answer, now)
    return Outcome(session, answer)


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
        reservation_id=fitting(report.reservation_id),
        started_at=report.at,
        start_received_at=now,
        flags=[] if report.kind == "started" else ["no_start"],
    )
    try:
        with transaction.atomic():
            if report.kind == "started":
                end_abandoned(charger, evse, before=report.at, now=now)
            fresh.save()
    except IntegrityError:  # the charger's old socket was faster
        return locked.get(charger=charger, transaction=report.transaction)
    return fresh


def _answer_to(
    session: ChargingSession, charger: Charger, report: TransactionReport, now: datetime
) -> gate.Answer | None:
    """What to tell about the token a report carries. A token that was let in is not refused when its slot is over."""
    if report.token_uid is None:
        return None
    judged_at = moment_of(charger, report.at, report.flags, now)
    answer, asked = ask(
        charger, session.evse, report.token_uid, report.token_type, report.group, now=judged_at
    )
    flag(session, asked)
    is_its_token = card_number(session.token_uid) == card_number(report.token_uid)
    was_let_in = session.announced_at and session.is_entitled and is_its_token
    if was_let_in and not answer.allowed:
        return gate.Answer(allowed=True, group=answer.group, reservation_id=answer.reservation_id)
    return answer


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
    keep(session, report.readings)
    flag(session, report.flags)
    _place(session, charger, report)
    if report.kind == "started":
        _begin(session, report)
    elif session.events.filter(kind="ended").exclude(seq_no=report.seq_no).exists():
        flag(session, ["out_of_order"])
    if report.token_uid is not None and _is_unsettled(session, answer):
        session.token_uid, session.token_type = report.token_uid, report.token_type
    _announce_when_known(session, charger, report, answer, now)
    session.save()
    if report.kind == "ended":
        session.meter_stop_wh = session.meter_last_wh
        end(session, at=report.at, reason=report.stop_reason, now=now)


def _place(session: ChargingSession, charger: Charger, report: TransactionReport) -> None:
    """EVSE and reservation may be named in any event, not only the first."""
    if session.evse is None and report.evse_number:
        session.evse = Evse.objects.filter(charger=charger, number=report.evse_number).first()
        if session.evse is None:
            flag(session, ["unknown_evse"])
    if session.reservation_id is None:
        session.reservation_id = fitting(report.reservation_id)


def _begin(session: ChargingSession, report: TransactionReport) -> None:
    if "no_start" in session.flags:
        session.flags = [flag for flag in session.flags if flag != "no_start"]
        flag(session, ["out_of_order"])
    session.started_at = report.at if session.ended_at is None else min(report.at, session.ended_at)
    begin_wh = next((r.energy_wh for r in report.readings if r.energy_wh is not None), None)
    session.meter_start_wh = fitting(begin_wh)


def _is_unsettled(session: ChargingSession, answer: gate.Answer | None) -> bool:
    """Nobody has heard of it yet; or its token was refused, and now one that may charge here was shown."""
    if session.announced_at is None:
        return True
    return not session.is_entitled and answer is not None and answer.allowed and session.ended_at is None


def _call_off_stop(session: ChargingSession, charger: Charger, now: datetime) -> None:
    """It was to be stopped for the token it had; it may go on with the one it has."""
    stop = charger.commands.filter(
        action=ChargerCommand.Action.REMOTE_STOP,
        state=ChargerCommand.State.QUEUED,
        payload__transaction=session.transaction,
    )
    stop.update(state=ChargerCommand.State.STALE, answer_text="its token may charge by now", answered_at=now)


def _announce_when_known(
    session: ChargingSession,
    charger: Charger,
    report: TransactionReport,
    answer: gate.Answer | None,
    now: datetime,
) -> None:
    """A transaction may begin with a cable or a parked truck. It counts once a token is known or energy flows."""
    if not _is_unsettled(session, answer) or (answer is None and not report.is_charging):
        return
    if answer is None:
        judged_at = moment_of(charger, report.at, report.flags, now)
        answer, asked = ask(charger, session.evse, "", "", now=judged_at)
        flag(session, asked)
    if session.announced_at is not None:
        _call_off_stop(session, charger, now)
    session.is_entitled, session.announced_at = answer.allowed, now
    session.save()
    announce(session, charger, session.evse, answer, now)
