"""Commands of many chargers at once: taken, and settled, where nobody waits for what becomes of them but the charger's lease.

As in arrivals.py, which also says what is left to the operation for one charger.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from depots.capabilities import why_not
from depots.models import ChargerCommand
from depots.operations.arrivals import Call, latest, lock_held
from depots.operations.commands import OF_RESERVATION, is_late
from depots.signals import command_settled

Action = ChargerCommand.Action
State = ChargerCommand.State


def take_commands(calls: Sequence[Call]) -> dict[int, ChargerCommand | None]:
    """Beside `take_command`, where there is nothing to send by now, or one question or reservation and nothing else: no answer
    is written here, so nobody who waits for one is told."""
    now = latest(calls)
    with transaction.atomic():
        # Only its holder takes a charger's commands, with this lock.
        chargers = {charger.pk: charger for charger in lock_held(calls)}
        waiting: dict[int, list[ChargerCommand]] = {pk: [] for pk in chargers}
        unsent = ChargerCommand.objects.filter(charger__in=chargers, state__in=[State.QUEUED, State.SENT])
        for command in unsent.order_by("id"):
            command.charger = chargers[command.charger_id]
            waiting[command.charger_id].append(command)
        lone = [commands[0] for commands in waiting.values() if _is_lone(commands, now)]
        superseded = _superseded(lone)
        free = ChargerCommand.objects.filter(
            pk__in=[c.pk for c in lone if c.pk not in superseded], state=State.QUEUED
        )
        locked = set(free.select_for_update(skip_locked=True).order_by("id").values_list("pk", flat=True))
        taken = {command.charger_id: command for command in lone if command.pk in locked}
        for command in taken.values():
            command.state, command.sent_at = State.SENT, now
        ChargerCommand.objects.filter(pk__in=locked).update(state=State.SENT, sent_at=now)
    nothing = {pk: None for pk, commands in waiting.items() if all(_is_put_off(c, now) for c in commands)}
    return {**nothing, **taken}


def settle_questions(calls: Sequence[Call]) -> dict[int, ChargerCommand]:
    """Beside `settle_command`, by command: for answers to the question what a charger can do, which concern no booking."""
    now = latest(calls)
    answered = {
        call["command_id"] for call in calls if (call["answer"], call["answer_text"]) == ("accepted", "")
    }
    with transaction.atomic():
        sent = ChargerCommand.objects.filter(
            pk__in=answered, action=Action.ASK_CAPABILITIES, state=State.SENT
        )
        commands = list(sent.select_for_update(skip_locked=True).order_by("charger_id", "id"))
        told = {"state": State.ANSWERED, "answer": "accepted", "answered_at": now}
        ChargerCommand.objects.filter(pk__in=[command.pk for command in commands]).update(**told)
        for command in commands:
            command.state, command.answer, command.answered_at = State.ANSWERED, "accepted", now
            command_settled.send(sender=ChargerCommand, command=command, at=now)
    return {command.pk: command for command in commands}


def _is_lone(commands: Sequence[ChargerCommand], now: datetime) -> bool:
    """One question what the charger can do, or one reservation, which may be sent now, and nothing else."""
    return (
        len(commands) == 1
        and commands[0].state == State.QUEUED
        and commands[0].action in {Action.ASK_CAPABILITIES, *OF_RESERVATION}
        and not _is_put_off(commands[0], now)
        and not is_late(commands[0], now)
        and not why_not(commands[0].charger, commands[0].action, commands[0].payload)
    )


def _is_put_off(command: ChargerCommand, now: datetime) -> bool:
    return command.state == State.QUEUED and command.not_before is not None and command.not_before > now


def _superseded(commands: Sequence[ChargerCommand]) -> set[int]:
    """Those of the commands after which another was given about the same reservation at the same charger."""
    of_one: dict[tuple[int, int | None], int] = {
        (c.charger_id, c.reservation_id): c.pk for c in commands if c.reservation_id is not None
    }
    later = ChargerCommand.objects.filter(
        charger__in={charger_id for charger_id, _ in of_one},
        reservation_id__in={reservation_id for _, reservation_id in of_one},
        action__in=OF_RESERVATION,
    )
    rows = later.order_by().values_list("charger_id", "reservation_id", "pk") if of_one else ()
    found = ((of_one.get((charger_id, reservation_id)), pk) for charger_id, reservation_id, pk in rows)
    return {command_id for command_id, pk in found if command_id is not None and pk > command_id}
