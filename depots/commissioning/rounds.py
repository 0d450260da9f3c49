"""A round through a charger's settings: read, compare, change, read again. One command at a time, each settled first.

A round follows a boot once the charger has been up for a while, at most three times where it breaks off, and never sooner
than ten minutes after the last: a charger that boots again and again is not fed. What concerns a booking goes first in
the charger's queue (depots.operations.commands).
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import F, Q

from depots.commissioning.defaults import CACHE_KEYS, LIMIT_KEYS, LOCAL_LIST, Wanted
from depots.commissioning.findings import FINAL, Finding, count_differences, findings
from depots.commissioning.inventory import take_all_told
from depots.commissioning.templates import Plan, family_of, wanted_of
from depots.commissioning.values import is_same
from depots.models import Charger, ChargerCommand, SettingsCheck
from depots.operations.charger_state import record_capabilities
from depots.operations.commands import queue_command
from depots.operations.locking import lock_evses_of

Action = ChargerCommand.Action
Stage = SettingsCheck.Stage
State = ChargerCommand.State

SETTLED_AFTER = timedelta(seconds=20)
PAUSE = timedelta(minutes=10)
MOST_TRIES = 3
# So many chargers begin a round at once, every five seconds: after a power cut they all boot.
AT_ONCE = 15
# Where a charger does not say how much it takes at once; and at most, for a frame stays small.
PORTION, LARGEST_PORTION = {"1.6": 6, "2.x": 4}, 10
WAITS = timedelta(minutes=10)
OPEN = {Stage.READING, Stage.CHANGING, Stage.CLEARING, Stage.CHECKING}


def begin_due_rounds(*, now: datetime) -> int:
    """Begin what follows from boots. How many began."""
    due = due_chargers(now=now)
    for charger_id in due:
        begin_round(charger_id=charger_id, now=now)
    return len(due)


def due_chargers(*, now: datetime) -> list[int]:
    """Chargers that are to be looked through, the longest waiting first."""
    is_up = Q(booted_at__lte=now - SETTLED_AFTER) | Q(
        booted_at__isnull=True, connected_at__lte=now - SETTLED_AFTER
    )
    never = Q(settings_check__isnull=True) | Q(settings_check__began_at__isnull=True)
    # An unset boot and no boot at all are different from nothing (SQL's null is not).
    booted = Q(booted_at__isnull=False) & (
        Q(settings_check__boot__isnull=True) | Q(settings_check__boot__lt=F("booted_at"))
    )
    broken_off = Q(settings_check__stage=Stage.BROKEN_OFF, settings_check__tries__lt=MOST_TRIES)
    rested = Q(settings_check__began_at__lte=now - PAUSE)
    rows = Charger.objects.exclude(lease_holder="").filter(
        is_up, never | (rested & (booted | broken_off)), lease_until__gt=now
    )
    return list(rows.order_by("booted_at", "pk").values_list("pk", flat=True)[:AT_ONCE])


def begin_round(
    *, charger_id: int, does_apply: bool | None = None, asked_by: str = "", now: datetime
) -> SettingsCheck:
    """Read and compare, and change what differs: where `does_apply`, or where it is None and the template says so.

    A round that is under way begins anew. Asked for by a person, what was refused is asked for once more.
    """
    with transaction.atomic():
        lock_evses_of(charger_id)
        charger = Charger.objects.select_related("depot").get(pk=charger_id)
        check, _ = SettingsCheck.objects.select_for_update(of=("self",)).get_or_create(charger=charger)
        _give_up_command(check, now)
        plan = wanted_of(charger)
        check.tries = check.tries + 1 if check.boot == charger.booted_at else 1
        check.boot, check.began_at = charger.booted_at, now
        check.does_apply = plan.applies_itself if does_apply is None else does_apply
        check.answers = {} if asked_by else check.answers
        check.told, check.stage = {}, Stage.READING
        family = family_of(charger)
        limits = list(LIMIT_KEYS[family])
        check.queue = [each.key for each in plan.wanted]
        _ask(check, charger, Action.READ_SETTINGS, {"keys": limits}, asked_by, now)
    return check


def take_settings_answer(command: ChargerCommand, *, now: datetime) -> None:
    """What follows from a command of a round. Runs in the transaction that settles it."""
    if command.action == Action.ASK_INVENTORY:
        take_all_told(command, now=now)
    if command.action not in {Action.READ_SETTINGS, Action.CHANGE_SETTINGS, Action.CLEAR_CACHE}:
        return
    check = SettingsCheck.objects.select_for_update(of=("self",)).filter(command=command).first()
    if check is None:
        return
    check.command = None
    if command.state != State.ANSWERED:
        check.stage = Stage.BROKEN_OFF
        check.save()
        return
    charger = Charger.objects.select_related("depot").get(pk=command.charger_id)
    plan = wanted_of(charger)
    if command.action == Action.READ_SETTINGS:
        _take_values(check, command)
        _ask_inventory_if_refused(check, command, charger, now)
    elif command.action == Action.CHANGE_SETTINGS:
        _take_changes(check, command, charger, plan, now)
    _go_on(check, charger, plan, command.asked_by, now)


def _go_on(check: SettingsCheck, charger: Charger, plan: Plan, asked_by: str, now: datetime) -> None:
    """The next thing to ask for, or the end."""
    if check.queue and check.stage in {Stage.READING, Stage.CHECKING}:
        portion, check.queue = _split(check.queue, _portion(check, charger, "GetVariables"))
        _ask(check, charger, Action.READ_SETTINGS, {"keys": portion}, asked_by, now)
        return
    if check.stage == Stage.READING:
        check.stage = Stage.CHANGING
        check.queue = _changes(check, charger, plan) if check.does_apply else []
        check.wanted = dict(check.queue)
    if check.queue and check.stage == Stage.CHANGING:
        size = 1 if family_of(charger) == "1.6" else _portion(check, charger, "SetVariables")
        portion, check.queue = _split(check.queue, size)
        _ask(check, charger, Action.CHANGE_SETTINGS, {"settings": dict(portion)}, asked_by, now)
        return
    if check.stage == Stage.CHANGING and _turned_off_cache(check):
        check.stage = Stage.CLEARING
        _ask(check, charger, Action.CLEAR_CACHE, {}, asked_by, now)
        return
    if check.stage in {Stage.CHANGING, Stage.CLEARING} and check.wanted:
        check.stage, check.queue = Stage.CHECKING, list(check.wanted)
        check.wanted = {}
        _go_on(check, charger, plan, asked_by, now)
        return
    _finish(check, plan, now)
    if _turned_on_list(check, charger):
        record_capabilities(charger_id=charger.pk, told={"local_list": True}, now=now)


def _turned_on_list(check: SettingsCheck, charger: Charger) -> bool:
    """A charger of 2.x that was asked what it can do said that it keeps none; now it does."""
    told = (check.told.get(LOCAL_LIST["2.x"].key) or {}).get("value")
    return told is not None and is_same("true", told) and charger.told.get("local_list") is False


def _finish(check: SettingsCheck, plan: Plan, now: datetime) -> None:
    check.stage, check.read_at = Stage.DONE, now
    waits = [each for each in count_differences(check, plan) if _waits_for_restart(each)]
    check.restart_wanted_at = (check.restart_wanted_at or now) if waits else None
    check.save()


def _waits_for_restart(finding: Finding) -> bool:
    answer = finding.answer
    return answer is not None and answer["answer"] == "reboot_required" and finding.is_since_boot


def _take_values(check: SettingsCheck, command: ChargerCommand) -> None:
    """Of an answer that names no setting nothing is known."""
    if command.answer != "accepted" or not command.answer_text:
        return
    told = json.loads(command.answer_text)
    asked = {str(key).casefold(): key for key in command.payload["keys"]}
    check.told = {
        **check.told,
        **{asked[key.casefold()]: entry for key, entry in told.items() if key.casefold() in asked},
    }


def _ask_inventory_if_refused(
    check: SettingsCheck, command: ChargerCommand, charger: Charger, now: datetime
) -> None:
    """A charger that will not be asked by name may tell all it has; what follows is compared when it comes."""
    if command.answer == "accepted" or check.stage != Stage.READING:
        return
    check.queue = []
    if check.inventory_at is None or check.inventory_at < (check.boot or now):
        payload = {"request": command.pk % 2**31}
        queue_command(
            charger=charger, action=Action.ASK_INVENTORY, payload=payload, not_after=now + WAITS, now=now
        )


def _changes(check: SettingsCheck, charger: Charger, plan: Plan) -> list[tuple[str, str]]:
    """What is to be asked for: all that differs, but not what this charger has refused for good or since its boot."""
    return [
        (each.wanted.key, each.wanted.value)
        for each in findings(check, plan.wanted)
        if each.differs and not each.is_readonly and not _was_refused(each, charger)
    ]


def _was_refused(finding: Finding, charger: Charger) -> bool:
    answer = finding.answer
    if answer is None or answer["firmware"] != charger.firmware_version:
        return False
    tried = {finding.wanted.value, *finding.wanted.otherwise}
    return answer["wanted"] in tried and (finding.is_since_boot or answer["answer"] in FINAL)


def _take_changes(
    check: SettingsCheck, command: ChargerCommand, charger: Charger, plan: Plan, now: datetime
) -> None:
    """Keep each setting's answer; where it is refused and there is a next best value, that is asked for first."""
    each_answer = _each_answer(command)
    by_key = {each.key: each for each in plan.wanted}
    for key, value in command.payload["settings"].items():
        word, text = each_answer.get(key.casefold(), (command.answer, command.answer_text))
        check.answers[key] = {
            "wanted": value, "answer": word, "text": text[:200], "firmware": charger.firmware_version,
            "at": now.isoformat(),
        }  # fmt: skip
        following = _next_best(by_key.get(key), value)
        if word == "rejected" and following:
            check.queue = [(key, following), *check.queue]
        check.wanted = {**check.wanted, key: value}


def _next_best(wanted: Wanted | None, refused: str) -> str:
    if wanted is None:
        return ""
    values = [wanted.value, *wanted.otherwise]
    place = values.index(refused) + 1 if refused in values else len(values)
    return values[place] if place < len(values) else ""


def _each_answer(command: ChargerCommand) -> dict[str, tuple[str, str]]:
    """Of 2.x: each variable is answered by itself. Of 1.6, and where all were refused at once, nothing."""
    try:
        told = json.loads(command.answer_text)
    except ValueError:
        return {}
    return (
        {key.casefold(): (word, text) for key, (word, text) in told.items()} if isinstance(told, dict) else {}
    )


def _turned_off_cache(check: SettingsCheck) -> bool:
    """In this round."""
    return any(
        key.casefold() in CACHE_KEYS and answer["answer"] == "accepted" and key in check.wanted
        for key, answer in check.answers.items()
    )


def _portion(check: SettingsCheck, charger: Charger, call: str) -> int:
    """How many a frame may name: as the charger says, within what is sensible."""
    family = family_of(charger)
    name = LIMIT_KEYS[family][0] if family == "1.6" else f"DeviceDataCtrlr.ItemsPerMessage[{call}]"
    told = (check.told.get(name) or {}).get("value") or ""
    most = int(told) if told.strip().isdecimal() and int(told) else PORTION[family]
    return min(most, LARGEST_PORTION)


def _split(rows: list[Any], size: int) -> tuple[list[Any], list[Any]]:
    return rows[:size], rows[size:]


def _ask(
    check: SettingsCheck, charger: Charger, action: str, payload: dict[str, Any], asked_by: str, now: datetime
) -> None:
    check.command = queue_command(
        charger=charger, action=action, payload=payload, asked_by=asked_by, not_after=now + WAITS, now=now
    )
    check.save()


def _give_up_command(check: SettingsCheck, now: datetime) -> None:
    """What an earlier round has still waiting; one that was sent already is settled and concerns nobody."""
    if check.command_id is None:
        return
    ChargerCommand.objects.filter(pk=check.command_id, state=State.QUEUED).update(
        state=State.STALE, answer_text="another round has begun", answered_at=now
    )
