"""Commands to chargers: queued by anybody as rows, carried out by the gateway that holds the charger's socket."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import Case, Q, QuerySet, When

from depots.capabilities import remember_unsupported, why_not
from depots.many_rows import insert_many
from depots.models import Charger, ChargerCommand
from depots.operations.locking import lock_evses_of
from depots.operations.measuring import measure
from depots.signals import command_settled

logger = logging.getLogger(__name__)

CHANNEL = "charger_commands"

Action = ChargerCommand.Action
State = ChargerCommand.State

# Sending them twice changes nothing at the charger, so a lost answer is mended by asking again.
REPEATABLE = {
    Action.RESERVE,
    Action.CANCEL_RESERVATION,
    Action.REMOTE_STOP,
    Action.ASK_CAPABILITIES,
    Action.SET_CHARGING_PROFILE,
    Action.CLEAR_CHARGING_PROFILE,
    Action.SET_PASSWORD,
    Action.INSTALL_CERTIFICATE,
    Action.INSTALLED_CERTIFICATES,
    Action.RENEW_CERTIFICATE,
    Action.GET_CONFIGURATION,
    Action.SET_SECURITY_PROFILE,
    Action.SET_NETWORK_PRIORITY,
}
# Of those about one thing at the charger the last decides.
OF_RESERVATION = {Action.RESERVE, Action.CANCEL_RESERVATION}
OF_PROFILE = {Action.SET_CHARGING_PROFILE, Action.CLEAR_CHARGING_PROFILE}
# Needless once a later one about the same thing was given.
SUPERSEDED = {Action.RESERVE, Action.SET_CHARGING_PROFILE, Action.SET_PASSWORD}
# Nobody stands before the charger for these: they go when nothing else waits.
CAN_WAIT = [Action.READ_SETTINGS, Action.CHANGE_SETTINGS, Action.ASK_INVENTORY]
# After so many lost answers in a row somebody else decides; each pause is longer than a slow modem's timeout.
MOST_REPEATS = 5
REPEAT_PAUSE = timedelta(seconds=20)
# All settings of a charger are some 200 lines.
LONGEST_ANSWER = 60_000


class NotTheHolder(Exception):
    """This gateway no longer holds the charger's lease: a newer connection does."""


def queue_command(
    *,
    charger: Charger,
    action: str,
    payload: dict[str, Any] | None = None,
    reservation_id: int | None = None,
    asked_by: str = "",
    not_before: datetime | None = None,
    not_after: datetime | None = None,
    now: datetime,
) -> ChargerCommand:
    """Have a charger do something, as soon as it is reachable; `command_settled` tells how it went.

    `action` and `payload` as ChargerCommand says; `asked_by` is who, where a person waits for the answer.
    Inside a transaction the command commits with it. When the very same command is the last one waiting for this
    reservation, that one is returned.
    """
    payload = payload or {}
    if waiting := _same_waiting(charger, action, payload, reservation_id):
        return waiting
    with transaction.atomic():
        command = ChargerCommand.objects.create(
            charger=charger,
            action=action,
            payload=payload,
            reservation_id=reservation_id,
            asked_by=asked_by[:150],
            created_at=now,
            not_before=not_before,
            not_after=not_after,
        )
        wake_gateways(charger.pk)
    return command


def queue_commands(commands: Sequence[ChargerCommand], *, now: datetime) -> None:
    """Many at once, not saved yet: two statements. Their caller knows that none of them waits already."""
    if not commands:
        return
    insert_many(commands)
    with connection.cursor() as cursor:
        chargers = sorted({command.charger_id for command in commands})
        cursor.execute("SELECT pg_notify(%s, id::text) FROM unnest(%s::bigint[]) AS id", [CHANNEL, chargers])


def due_chargers(*, holders: str, now: datetime) -> list[int]:
    """Chargers with commands that may be sent now and whose lease begins with `holders`, one gateway's name."""
    waiting = ChargerCommand.objects.filter(
        Q(not_before__isnull=True) | Q(not_before__lte=now),
        state=State.QUEUED,
        charger__lease_holder__startswith=holders,
    )
    return list(waiting.order_by().values_list("charger_id", flat=True).distinct())


def wake_gateways(charger_id: int) -> None:
    """Tell every gateway that something about this charger changed: a command waits, or its lease moved.

    Notified at once and not by a notice: somebody may stand before the charger, and it is no part of most bookings.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, %s)", [CHANNEL, str(charger_id)])


def take_command(*, charger_id: int, holder: str, now: datetime) -> ChargerCommand | None:
    """The next command to send, marked as sent before it is, so that a killed gateway leaves a trace.

    In order of their ids, settings after all else; stale and superseded ones, and what the
    charger cannot do, are settled on the way. The holder asks for
    the next one when none is under way: one still sent is one whose answer could not be written down. Raises NotTheHolder.
    """
    with transaction.atomic():
        lock_evses_of(charger_id)
        held = Charger.objects.select_for_update(no_key=True).filter(pk=charger_id, lease_holder=holder)
        if not held.exists():
            raise NotTheHolder
        _settle_left_behind(charger_id, now)
        for command in _due(charger_id, now):
            if is_late(command, now):
                _settle(command, State.STALE, answer_text="could not be sent in time", now=now)
            elif reason := _needless(command):
                # Whoever asked for the later command hears of that one; this one is of no interest any more.
                command.state, command.answer_text, command.answered_at = State.STALE, reason, now
                command.save(update_fields=["state", "answer_text", "answered_at"])
            elif reason := why_not(command.charger, command.action, command.payload):
                _settle(command, State.ANSWERED, answer="not_supported", answer_text=reason, now=now)
            else:
                command.state, command.sent_at = State.SENT, now
                command.save(update_fields=["state", "sent_at"])
                return command
    return None


def settle_command(
    *, command_id: int, state: str = State.ANSWERED, answer: str = "", answer_text: str = "", now: datetime
) -> ChargerCommand:
    """Write down how a command went and tell `command_settled`, in one transaction.

    Settled once: a repeat changes nothing. A late answer replaces UNCLEAR while no later command for the reservation
    exists. UNCLEAR makes repeatable commands wait for another try.
    """
    with transaction.atomic():
        lock_evses_of(ChargerCommand.objects.values_list("charger_id", flat=True).get(pk=command_id))
        command = (
            ChargerCommand.objects.select_for_update(of=("self",), no_key=True)
            .select_related("charger")
            .get(pk=command_id)
        )
        is_late_answer = (
            command.state == State.UNCLEAR and state == State.ANSWERED and not _later(command).exists()
        )
        if command.state in {State.QUEUED, State.SENT} or is_late_answer:
            _settle(command, state, answer=answer, answer_text=answer_text, now=now)
            if state == State.UNCLEAR:
                _repeat(command, not_before=now + REPEAT_PAUSE, now=now)
    return command


def lose_sent_commands(*, charger: Charger, now: datetime) -> None:
    """What was sent over a connection that is gone, and never answered, may have happened: ask again first of all."""
    with transaction.atomic():
        lost = ChargerCommand.objects.select_for_update(of=("self",)).select_related("charger")
        for command in lost.filter(charger=charger, state=State.SENT).order_by("id"):
            _settle(command, State.UNCLEAR, answer_text="the connection ended before the answer", now=now)
            _repeat(command, not_before=None, now=now)


def _settle_left_behind(charger_id: int, now: datetime) -> None:
    """What happened to it is unclear. One that cannot be settled even so must not keep the others from the charger."""
    sent = ChargerCommand.objects.select_for_update(of=("self",)).select_related("charger")
    for command in sent.filter(charger=charger_id, state=State.SENT).order_by("id"):
        try:
            with transaction.atomic():
                _settle(command, State.UNCLEAR, answer_text="the answer could not be written down", now=now)
                _repeat(command, not_before=now + REPEAT_PAUSE, now=now)
        except (OperationalError, InterfaceError):
            raise  # all of it is tried again
        except Exception:
            logger.exception("Command %s cannot be settled", command.pk)


def _same_waiting(
    charger: Charger, action: str, payload: dict[str, Any], reservation_id: int | None
) -> ChargerCommand | None:
    if reservation_id is None:
        return None
    last = (
        ChargerCommand.objects.filter(charger=charger, reservation_id=reservation_id).order_by("-id").first()
    )
    if last is None or last.not_before is not None:
        return None
    return last if (last.state, last.action, last.payload) == (State.QUEUED, action, payload) else None


def _due(charger_id: int, now: datetime) -> list[ChargerCommand]:
    waiting = ChargerCommand.objects.select_for_update(of=("self",)).select_related("charger")
    return list(
        waiting.filter(
            Q(not_before__isnull=True) | Q(not_before__lte=now), charger=charger_id, state=State.QUEUED
        ).order_by(Case(When(action__in=CAN_WAIT, then=1), default=0), "id")[:50]
    )


def is_late(command: ChargerCommand, now: datetime) -> bool:
    """An expiry in the past is accepted by some chargers and ends at once: such a reservation is not sent."""
    expires_at = command.payload.get("expires_at")
    return (command.not_after is not None and command.not_after <= now) or bool(
        expires_at and datetime.fromisoformat(expires_at) <= now
    )


def _needless(command: ChargerCommand) -> str:
    """Why nobody needs this command any more; empty when it is needed."""
    later = _later(command).first()
    if command.action in SUPERSEDED and later is not None:
        return f"superseded by a later one: {later.get_action_display()}"
    if command.action == Action.REMOTE_STOP and not _is_running(command):
        return "the session has ended by itself"
    return ""


def _later(command: ChargerCommand) -> QuerySet[ChargerCommand]:
    """Commands given after this one that decide about the same reservation, charging profile or password at the same charger."""
    after = ChargerCommand.objects.filter(charger=command.charger_id, pk__gt=command.pk).order_by("-id")
    if command.action in OF_RESERVATION and command.reservation_id is not None:
        return after.filter(reservation_id=command.reservation_id, action__in=OF_RESERVATION)
    if command.action in OF_PROFILE:
        return after.filter(payload__profile_id=command.payload["profile_id"], action__in=OF_PROFILE)
    if command.action == Action.SET_PASSWORD:
        return after.filter(action=Action.SET_PASSWORD)
    return after.none()


def _is_running(command: ChargerCommand) -> bool:
    wanted = str(command.payload.get("transaction", ""))
    return not command.charger.sessions.filter(transaction=wanted, ended_at__isnull=False).exists()


def _settle(
    command: ChargerCommand, state: str, *, answer: str = "", answer_text: str = "", now: datetime
) -> None:
    command.state, command.answer, command.answer_text = state, answer, answer_text[:LONGEST_ANSWER]
    command.answered_at = now
    command.save(update_fields=["state", "answer", "answer_text", "answered_at"])
    if command.action == Action.RESERVE and answer:
        _measure_reservation(command, now)
    elif remember_unsupported(command):
        command.charger.save(update_fields=["measured"])
    if state == State.ANSWERED and command.charger.measured.get("answers_calls") is False:
        measure(command.charger, "answers_calls", True, evidence=f"command {command.pk}", now=now)
    command_settled.send(sender=ChargerCommand, command=command, at=now)


def _measure_reservation(command: ChargerCommand, now: datetime) -> None:
    """Works, refuses, or (seen elsewhere) lies: what the charger did outweighs what it said it can."""
    measured = command.charger.measured
    if command.answer == "accepted":
        seen = "works"
    elif command.answer == "not_supported" or (
        command.answer == "rejected" and measured.get("reservation") != "works"
    ):
        seen = "refuses"
    else:
        return
    if measured.get("reservation") in {seen, "lies"}:
        return
    measure(command.charger, "reservation", seen, evidence=f"command {command.pk}", now=now)


def _repeat(command: ChargerCommand, *, not_before: datetime | None, now: datetime) -> None:
    """Queue the same again, unless it is too late, decided otherwise meanwhile, or has been in vain too often."""
    is_wanted = command.action in REPEATABLE and not is_late(command, now) and not _later(command).exists()
    # It was emptied as the charger came with the password: the answer was lost, not what it answered.
    has_come_with_it = command.action == Action.SET_PASSWORD and not command.payload
    if not is_wanted or has_come_with_it or _tries(command) >= MOST_REPEATS:
        return
    ChargerCommand.objects.create(
        charger=command.charger,
        action=command.action,
        payload=command.payload,
        reservation_id=command.reservation_id,
        asked_by=command.asked_by,
        created_at=now,
        not_before=not_before,
        not_after=command.not_after,
    )
    wake_gateways(command.charger_id)


def _tries(command: ChargerCommand) -> int:
    """How often in a row this very command got no answer."""
    alike = ChargerCommand.objects.filter(
        charger=command.charger_id,
        action=command.action,
        reservation_id=command.reservation_id,
        payload=command.payload,
    ).order_by("-id")
    tries = 0
    for state in alike.values_list("state", flat=True)[:MOST_REPEATS]:
        if state != State.UNCLEAR:
            break
        tries += 1
    return tries
