"""Commands of many chargers at once: taken, and settled, where nobody waits for what becomes of them but the charger's lease.

As in connections_at_once.py, which also says what is left to the operation for one charger.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from depots import round_trips
from depots.capabilities import why_not
from depots.models import Charger, ChargerCommand
from depots.operations.commands import OF_RESERVATION, is_late
from depots.operations.connections_at_once import Call, latest, lock_held, lock_with_evses
from depots.operations.measuring import measure_together
from depots.signals import command_settled, reservations_accepted

Action = ChargerCommand.Action
State = ChargerCommand.State


def take_commands(calls: Sequence[Call]) -> dict[int, ChargerCommand | None]:
    """Beside `take_command`, where there is nothing to send by now, or questions and reservations and nothing else: no answer
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
        first = [c for commands in waiting.values() if (c := _first(commands, now)) is not None]
        superseded = _superseded(first)
        free = ChargerCommand.objects.filter(
            pk__in=[c.pk for c in first if c.pk not in superseded], state=State.QUEUED
        )
        locked = set(free.select_for_update(skip_locked=True).order_by("id").values_list("pk", flat=True))
        taken = {command.charger_id: command for command in first if command.pk in locked}
        for command in taken.values():
            command.state, command.sent_at = State.SENT, now
        ChargerCommand.objects.filter(pk__in=locked).update(state=State.SENT, sent_at=now)
    nothing = {pk: None for pk, commands in waiting.items() if all(_is_put_off(c, now) for c in commands)}
    return {**nothing, **taken}


def settle_commands(calls: Sequence[Call]) -> dict[int, ChargerCommand]:
    """Beside `settle_command`, by command: for chargers that say without another word what they can do, or yes to a
    reservation."""
    now = latest(calls)
    said_yes = [
        call["command_id"]
        for call in calls
        if (call.get("state", State.ANSWERED), call["answer"], call["answer_text"])
        == (State.ANSWERED, "accepted", "")
    ]
    with round_trips.atomic():
        sent = ChargerCommand.objects.filter(pk__in=said_yes, state=State.SENT).order_by()
        found = list(sent.values_list("pk", "charger_id", "action"))
        reserved = {pk: charger_id for pk, charger_id, action in found if action == Action.RESERVE}
        questions = [pk for pk, _, action in found if action == Action.ASK_CAPABILITIES]
        settled = _settle_reservations(reserved, now) if reserved else []
        if questions:
            settled += _answered(list(_lock_sent(questions)), now)
        for command in settled:
            command_settled.send(
                sender=ChargerCommand, command=command, is_together=command.action == Action.RESERVE, at=now
            )
    return {command.pk: command for command in settled}


def _settle_reservations(reserved: Mapping[int, int], now: datetime) -> list[ChargerCommand]:
    """Given as command -> charger. Locked in the order of all: EVSEs, chargers, commands; what is not free is left."""
    chargers = {c.pk: c for c in lock_with_evses(set(reserved.values())) if _is_as_usual(c)}
    commands = list(_lock_sent([pk for pk, charger_id in reserved.items() if charger_id in chargers]))
    for command in commands:
        command.charger = chargers[command.charger_id]
        command.state, command.answer, command.answered_at = State.ANSWERED, "accepted", now
    told: list[tuple[Any, Any]] = reservations_accepted.send(sender=ChargerCommand, commands=commands, at=now)
    left = {command_id for _, ids in told for command_id in ids}
    done = _answered([command for command in commands if command.pk not in left], now)
    measure_together(
        {command.charger: f"command {command.pk}" for command in done}, "reservation", "works", now=now
    )
    return done


def _is_as_usual(charger: Charger) -> bool:
    """A yes tells nothing else of it: it keeps what it says yes to, and has answered before."""
    seen = charger.measured
    return seen.get("reservation") in {None, "works"} and seen.get("answers_calls") is not False


def _lock_sent(command_ids: Sequence[int]) -> QuerySet[ChargerCommand]:
    sent = ChargerCommand.objects.filter(pk__in=command_ids, state=State.SENT)
    return sent.select_for_update(skip_locked=True).order_by("charger_id", "id")


def _answered(commands: list[ChargerCommand], now: datetime) -> list[ChargerCommand]:
    told = {"state": State.ANSWERED, "answer": "accepted", "answered_at": now}
    ChargerCommand.objects.filter(pk__in=[command.pk for command in commands]).update(**told)
    for command in commands:
        command.state, command.answer, command.answered_at = State.ANSWERED, "accepted", now
    return commands


def _first(commands: Sequence[ChargerCommand], now: datetime) -> ChargerCommand | None:
    """The first that may be sent now, of a charger that is only asked what it can do and told of reservations."""
    if any(
        c.state != State.QUEUED or c.action not in {Action.ASK_CAPABILITIES, *OF_RESERVATION}
        for c in commands
    ):
        return None
    first = next((command for command in commands if not _is_put_off(command, now)), None)
    if first is None or is_late(first, now) or why_not(first.charger, first.action, first.payload):
        return None
    return first


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
