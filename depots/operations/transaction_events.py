"""Transactions of OCPP 2.x: one event each, in whatever order they come; what only tells the meter leaves its readings alone."""

from __future__ import annotations

from datetime import datetime

from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from depots import gate
from depots.models import Charger, ChargerCommand, ChargingSession, Evse, SessionEvent
from depots.operations.authorization import announce, announce_lone_end, ask, moment_of, require_word
from depots.operations.clock_correction import by_our_clock
from depots.operations.meter_readings import (
    FIGURES,
    first_counting_wh,
    keep,
    last_counting_wh,
    note_latest,
    tell_figures,
)
from depots.operations.sessions import charger_and_evse, end, end_abandoned
from depots.operations.transaction_reports import ReportResult, TransactionReport, fitting, flag
from depots.signals import charging_corrected
from depots.token_numbers import normalise

# Less than any vehicle charges with here, more than a plugged-in cable draws.
FLOWS_W = 1000


def record_transaction(*, charger_id: int, report: TransactionReport, now: datetime) -> ReportResult:
    """Take in one event of a 2.x transaction, in whatever order they come; (transaction, seqNo) counts once. With
    `report.may_ask` raises OwnerMustBeAsked where whoever issued its token has a say."""
    if report.kind == "updated" and (outcome := _record_update(charger_id, report, now)):
        return outcome
    with transaction.atomic():
        charger, evse = charger_and_evse(charger_id, report.evse_number)
        report = by_our_clock(report, charger, now=now)
        session = _session_of(charger, evse, report, now)
        answer = _answer_to(session, charger, report, now)
        if _is_new(session, report):
            _take_in(session, charger, report, answer, now)
    return ReportResult(session, answer)


def _record_update(charger_id: int, report: TransactionReport, now: datetime) -> ReportResult | None:
    """Most events only tell the meter of a session that everybody knows of. They lock that session and nothing else;
    None for any other event.
    """
    with transaction.atomic():
        session = (
            ChargingSession.objects.select_for_update(of=("self",), no_key=True)
            .select_related("evse", "charger__depot")
            .filter(charger=charger_id, transaction=report.transaction, ended_at__isnull=True)
            .exclude(transaction="")
            .first()
        )
        if session is None or session.announced_at is None or not session.is_entitled or session.evse is None:
            return None
        charger = session.charger
        report = by_our_clock(report, charger, now=now)
        if report.at < session.started_at:
            return None
        answer = _answer_to(session, charger, report, now)
        if report.is_routine_for(session) or _is_new(session, report):
            keep(session, report.readings)
            flag(session, report.flags)
            tell_figures(session, now=now)
            if session.reservation_id is None:
                session.reservation_id = fitting(report.reservation_id)
            session.save(update_fields=[*FIGURES, "reservation_id", "charging_state"])
    return ReportResult(session, answer)


def _session_of(
    charger: Charger, evse: Evse | None, report: TransactionReport, now: datetime
) -> ChargingSession:
    locked = ChargingSession.objects.select_for_update(of=("self",)).select_related("evse")
    found = _known(locked, charger, evse, report)
    if found is not None and not _is_another(found, charger, report):
        return _earlier(locked, found, report) or found
    fresh = ChargingSession(
        charger=charger,
        evse=evse,
        transaction=report.transaction,
        reservation_id=fitting(report.reservation_id),
        started_at=_began_at(report),
        start_received_at=now,
        flags=[] if report.kind == "started" else ["no_start"],
    )
    try:
        with transaction.atomic():
            if found is not None:
                _call_off_stop(found, charger, now, why="its number is another transaction's by now")
                _give_up_id(found)
            if report.kind == "started":
                end_abandoned(charger, evse, before=report.at, now=now)
            fresh.save()
    except IntegrityError:  # the charger's old socket was faster
        return locked.get(charger=charger, transaction=report.transaction)
    return fresh


def _known(
    locked: QuerySet[ChargingSession], charger: Charger, evse: Evse | None, report: TransactionReport
) -> ChargingSession | None:
    """The session of the transaction it names; what names none means the one that runs at its EVSE."""
    if report.transaction:
        return locked.filter(charger=charger, transaction=report.transaction).first()
    if evse is None or report.kind == "started":
        return locked.filter(
            charger=charger, transaction="", events__kind=report.kind, events__seq_no=report.seq_no
        ).first()
    return locked.filter(evse=evse, ended_at__isnull=True).order_by("-started_at").first()


def _is_another(session: ChargingSession, charger: Charger, report: TransactionReport) -> bool:
    """The charger counts its transactions from the start again: after a boot, or since it keeps no count at all.

    A repeated message is the same to the letter. Else a transaction begins once, and says nothing more after its end.
    """
    events = list(session.events.filter(kind__in=["started", "ended"]).order_by("seq_no"))
    begun = next((event for event in events if event.kind == "started"), None)
    ended = next((event for event in events if event.kind == "ended"), None)
    same = session.events.filter(seq_no=report.seq_no, kind=report.kind)
    if any(event.payload == report.payload for event in same):
        is_without_clock = bool({"bad_clock", "no_time"} & set(report.flags))
        return report.kind == "started" and ended is not None and is_without_clock
    has_booted = ended is not None and _has_booted_since(charger, session)
    if report.kind == "started" and begun is not None:
        counts_anew = report.seq_no <= begun.seq_no or ended is not None
        return has_booted or (counts_anew and report.at > begun.at)
    if ended is None or report.at <= ended.at:
        return False
    return has_booted or report.seq_no <= ended.seq_no or report.kind == "started"


def _has_booted_since(charger: Charger, session: ChargingSession) -> bool:
    booted_at, over_at = charger.booted_at, session.end_received_at
    return booted_at is not None and over_at is not None and booted_at > over_at


def _earlier(
    locked: QuerySet[ChargingSession], session: ChargingSession, report: TransactionReport
) -> ChargingSession | None:
    """The one that had the id before, for what is from before this one began."""
    if report.kind == "started" or not report.transaction or report.at >= session.started_at:
        return None
    names = locked.filter(charger=session.charger_id, transaction__startswith=f"{report.transaction[:40]}~")
    return names.order_by("-pk").first()


def _give_up_id(session: ChargingSession) -> None:
    """It keeps its own name, so that the charger's is free for the transaction that has it now."""
    session.transaction = f"{session.transaction[:40]}~{session.pk}"
    flag(session, ["reused_id"])
    session.save(update_fields=["transaction", "flags"])


def _began_at(report: TransactionReport) -> datetime:
    begin = next((reading for reading in report.readings if reading.is_begin), None)
    return min(begin.at, report.at) if begin and report.kind == "ended" else report.at


def _answer_to(
    session: ChargingSession, charger: Charger, report: TransactionReport, now: datetime
) -> gate.Authorization | None:
    """What to tell about the token a report carries. A token that was let in is not refused when its slot is over. Raises
    OwnerMustBeAsked."""
    if report.token_uid is None:
        return None
    judged_at = moment_of(report.at, now)
    answer, asked = ask(charger, session.evse, report.token_uid, report.token_type, now=judged_at)
    flag(session, asked)
    mine = normalise(session.token_uid, session.token_type)
    is_its_token = mine == normalise(report.token_uid, report.token_type)
    was_let_in = session.announced_at and session.is_entitled and is_its_token
    if was_let_in and not answer.allowed:
        return gate.Authorization(allowed=True, group=answer.group, reservation_id=answer.reservation_id)
    if report.may_ask and not was_let_in:
        require_word(answer, judged_at=judged_at, now=now)
    return answer


def _is_new(session: ChargingSession, report: TransactionReport) -> bool:
    """(session, seqNo, kind) once. The unique constraint decides, whichever socket an event comes over."""
    events = SessionEvent.objects.filter(session=session, seq_no=report.seq_no, kind=report.kind)
    if events.exists():
        return False
    SessionEvent.objects.create(
        session=session,
        seq_no=report.seq_no,
        kind=report.kind,
        at=report.at,
        charging_state=report.charging_state,
        payload=dict(report.payload),
    )
    if note_latest(session, report.at) and report.charging_state:
        session.charging_state = report.charging_state
    return True


def _take_in(
    session: ChargingSession,
    charger: Charger,
    report: TransactionReport,
    answer: gate.Authorization | None,
    now: datetime,
) -> None:
    keep(session, report.readings)
    flag(session, report.flags)
    _place(session, charger, report)
    if report.kind == "started":
        _begin(session, report)
    elif session.events.filter(kind="ended").exclude(seq_no=report.seq_no).exists():
        flag(session, ["out_of_order"])
    was_over = session.ended_at is not None and session.announced_at is not None
    if _is_unsettled(session, answer):
        if report.token_uid is not None:
            session.token_uid, session.token_type = report.token_uid, report.token_type
        _announce_when_known(session, charger, report, answer, now)
    elif (
        report.token_uid and not session.token_uid
    ):  # refused, and told last: who charged is known all the same
        session.token_uid, session.token_type = report.token_uid, report.token_type
    session.save()
    if report.kind == "ended":
        _stop_meter(session, report)
        end(session, at=report.at, reason=report.stop_reason, now=now)
        if session.announced_at is None:
            evses = {evse.number: evse for evse in charger.evses.all()}
            announce_lone_end(session, charger, evses, now)
    else:
        tell_figures(session, now=now)
        session.save(update_fields=["figures_told_at"])
        if was_over:
            charging_corrected.send(sender=ChargingSession, session=session, at=now)


def _stop_meter(session: ChargingSession, report: TransactionReport) -> None:
    """The register at the end. Where it is missing, the last sample stands in (ChargingSession.energy_wh)."""
    session.meter_stop_wh = last_counting_wh(session, report.readings)
    if session.meter_stop_wh is None:
        flag(session, ["no_meter_stop"])
    if session.meter_start_wh is None and "no_start" not in session.flags:
        flag(session, ["no_meter_start"])


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
    begin_wh = first_counting_wh(session, report.readings)
    if begin_wh is not None:
        session.meter_start_wh = begin_wh
        session.flags = [flag for flag in session.flags if flag != "no_meter_start"]


def _is_metered_flow(session: ChargingSession, report: TransactionReport) -> bool:
    """Some chargers tell no chargingState: then the power they tell says it. Only where the beginning is known, since a
    token that was lost with it is not shown again."""
    has_power = any((reading.power_w or 0) >= FLOWS_W for reading in report.readings)
    return has_power and report.kind != "ended" and "no_start" not in session.flags


def _is_unsettled(session: ChargingSession, answer: gate.Authorization | None) -> bool:
    """Nobody has heard of it yet; or its token was refused, and now one that may charge here was shown. Its end may have come
    first where no token was told until now: the start, which names it, is the last to arrive."""
    if session.announced_at is None:
        return True
    may_still = session.ended_at is None or not session.token_uid
    return not session.is_entitled and answer is not None and answer.allowed and may_still


def _call_off_stop(session: ChargingSession, charger: Charger, now: datetime, *, why: str) -> None:
    stop = charger.commands.filter(
        action=ChargerCommand.Action.REMOTE_STOP,
        state=ChargerCommand.State.QUEUED,
        payload__transaction=session.transaction,
    )
    stop.update(state=ChargerCommand.State.STALE, answer_text=why, answered_at=now)


def _announce_when_known(
    session: ChargingSession,
    charger: Charger,
    report: TransactionReport,
    answer: gate.Authorization | None,
    now: datetime,
) -> None:
    """A transaction may begin with a cable or a parked truck. It counts once a token is known or energy flows."""
    flows = report.is_charging or _is_metered_flow(session, report)
    if answer is None and not flows:
        return
    if report.kind == "ended" and session.evse is None:
        return  # announce_lone_end finds out where it was
    if answer is None:
        answer, asked = ask(charger, session.evse, "", "", now=moment_of(report.at, now))
        flag(session, asked)
    if session.announced_at is not None:
        # It was to be stopped for the token it had; it may go on with the one it has.
        _call_off_stop(session, charger, now, why="its token may charge by now")
    session.is_entitled, session.announced_at = answer.allowed, now
    session.authorization_reference = answer.reference or session.authorization_reference
    session.save()
    announce(session, charger, session.evse, answer, now)
