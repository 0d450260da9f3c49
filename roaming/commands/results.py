"""What became of a partner's command, from what the charger really answered; told once it is known, or once it is too late."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import F

from bookings import smart_charging
from bookings.models import Booking, BookingStatus, Enforcement
from depots.models import ChargerCommand
from depots.periods import utc_text
from roaming import guest_sessions
from roaming.models import Delivery, ReceivedCommand
from roaming.outbound.waking import wake_sender

Kind, Result = ReceivedCommand.Kind, ReceivedCommand.Result
State = ChargerCommand.State

# By the charger's own word (depots.ocpp.command_words); any other did not work.
RESULT_OF_ANSWER = {
    "accepted": Result.ACCEPTED,
    "unlocked": Result.ACCEPTED,
    "scheduled": Result.ACCEPTED,
    "rejected": Result.REJECTED,
    "ongoing_authorized_transaction": Result.REJECTED,
    "not_supported": Result.NOT_SUPPORTED,
    "occupied": Result.OCCUPIED,
    "faulted": Result.INOPERATIVE,
    "unavailable": Result.INOPERATIVE,
}
# Why a reservation is at risk, where that is an answer of the charger: it does not become another by waiting.
RESULT_OF_RISK = {
    "occupied": Result.OCCUPIED,
    "faulted": Result.INOPERATIVE,
    "unavailable": Result.INOPERATIVE,
    "offline": Result.INOPERATIVE,
    "error": Result.FAILED,
}
# No session or reservation lasts so long: nothing looks for one that is older.
KEPT = timedelta(days=90)
FORGOTTEN_AT_ONCE = 5_000
_FORGET = """
    WITH gone AS (
        DELETE FROM roaming_receivedcommand WHERE id = ANY (ARRAY(
            SELECT id FROM roaming_receivedcommand WHERE received_at < %(before)s ORDER BY received_at LIMIT %(most)s
        ))
        RETURNING id, session_id
    ), settled AS (
        DELETE FROM roaming_delivery d USING gone WHERE (d.kind, d.object_id) = ('command_result', gone.id)
            OR (d.kind, d.object_id) = ('active_profile', gone.session_id)
    )
    SELECT count(*) FROM gone
"""
KEPT_BY_US = "The charger keeps no reservations; everybody else is refused there."


def owe(received: ReceivedCommand) -> None:
    """Save a command that is carried out; nobody knows its result yet, and at the latest when it is due its silence is one."""
    received.save()
    Delivery.objects.create(
        partner_id=received.partner_id,
        kind=Delivery.Kind.COMMAND_RESULT,
        object_id=received.pk,
        wanted_version=1,
        next_try_at=received.answer_by,
    )


def decide(received: ReceivedCommand, result: str, text: str = "", *, now: datetime) -> None:
    """The partner is to hear this, as soon as the transaction commits."""
    received.result, received.result_text, received.decided_at = result, text[:200], now
    received.save(update_fields=["result", "result_text", "report", "decided_at"])
    Delivery.objects.filter(kind=Delivery.Kind.COMMAND_RESULT, object_id=received.pk).update(
        wanted_version=F("wanted_version") + 1, next_try_at=now, attempts=0, was_refused=False
    )
    wake_sender()


def forget_old(*, now: datetime) -> int:
    """Commands that nobody asks about any more, with what was owed of them; some thousands at once. How many went."""
    with connection.cursor() as cursor:
        cursor.execute(_FORGET, {"before": now - KEPT, "most": FORGOTTEN_AT_ONCE})
        [(gone,)] = cursor.fetchall()
    return int(gone)


def give_up(received: ReceivedCommand, *, now: datetime) -> None:
    """Nobody has answered by the time a result is due."""
    silent = ReceivedCommand.objects.filter(pk=received.pk, result="")
    if not silent.update(result=Result.TIMEOUT, decided_at=now):
        return
    received.result, received.decided_at = Result.TIMEOUT, now


def take_answer(command: ChargerCommand, *, now: datetime) -> None:
    """A charger has answered a command that may be a partner's, or never will."""
    waiting = ReceivedCommand.objects.select_for_update(no_key=True).filter(
        charger_command=command, result=""
    )
    for received in waiting.order_by("pk"):
        if received.kind == Kind.SHOW_LIMIT:
            _take_schedule(received, command, now=now)
        else:
            decide(received, _result_of(command), command.shown_answer_text, now=now)


def _take_schedule(received: ReceivedCommand, command: ChargerCommand, *, now: datetime) -> None:
    """What the charger says is in force. Of one that was reached and does not say it, what it was told is known."""
    told = smart_charging.read_schedule(command.answer_text) if command.answer == "accepted" else []
    if command.state != State.ANSWERED:
        decide(received, Result.TIMEOUT, now=now)
    elif told and told[0][0] == 0:
        _show(received, told, now=now)
    else:
        show_given(received, now=now)


def show_given(received: ReceivedCommand, *, now: datetime) -> None:
    """What is in force by all that we know."""
    session = received.session
    if session is None or session.evse is None:
        decide(received, Result.REJECTED, now=now)
        return
    lasts = timedelta(seconds=received.report["lasts_s"])
    _show(received, smart_charging.given_limits([session], lasts=lasts, now=now)[session.pk], now=now)


def _show(received: ReceivedCommand, limits: list[tuple[int, int]], *, now: datetime) -> None:
    received.report |= {"starts_at": utc_text(now), "limits": limits}
    decide(received, Result.ACCEPTED, now=now)


def _result_of(command: ChargerCommand) -> ReceivedCommand.Result:
    if command.state != State.ANSWERED:
        return Result.TIMEOUT
    return RESULT_OF_ANSWER.get(command.answer, Result.FAILED)


def follow_reservation(booking: Booking, *, at: datetime) -> None:
    """What a reservation's booking says of its result; from when it is accepted it is a session. Its booking is locked."""
    found = _result_of_reservation(booking)
    if found is None:
        return
    result, text = found
    rows = ReceivedCommand.objects.select_for_update(no_key=True).filter(booking=booking, kind=Kind.RESERVE)
    received = rows.first()
    if received is None or received.result == result:
        return
    if result == Result.WITHDRAWN:
        # Who was told that it could not be had need not hear that it is taken back.
        if received.result != Result.ACCEPTED:
            return
    elif received.result:
        return
    elif result == Result.ACCEPTED and booking.status == BookingStatus.CONFIRMED:
        guest_sessions.begin_reservation(booking, at=at)
    decide(received, result, text, now=at)


def _result_of_reservation(booking: Booking) -> tuple[ReceivedCommand.Result, str] | None:
    if booking.status == BookingStatus.CANCELLED and booking.cancelled_by == Booking.Side.DEPOT:
        return Result.WITHDRAWN, booking.note
    if booking.status == BookingStatus.CHARGING:
        return Result.ACCEPTED, ""  # its truck was there before the charger had answered
    if booking.status != BookingStatus.CONFIRMED:
        return None
    if booking.enforcement == Enforcement.ARMED:
        return Result.ACCEPTED, ""
    if booking.enforcement == Enforcement.SOFT:
        return Result.ACCEPTED, KEPT_BY_US
    risk = RESULT_OF_RISK.get(booking.enforcement_why)
    if booking.enforcement == Enforcement.AT_RISK and risk is not None:
        return risk, booking.enforcement_sentence
    return None


def is_reservation_to_give_back(received: ReceivedCommand) -> bool:
    """Whether its partner was told that it could not be had, while it stands."""
    was_refused = received.result not in {"", Result.ACCEPTED, Result.WITHDRAWN}
    booking: Any = received.booking
    return received.kind == Kind.RESERVE and was_refused and booking is not None and booking.is_live
