"""Keeping a charger's local list as it is wanted, in portions that the charger takes, one under way at a time."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from depots.models import Charger, ChargerCommand, LocalList, SettingsCheck
from depots.operations.commands import queue_command
from depots.queries import is_online

Entry = dict[str, Any]

# Where a charger does not say how many entries a message may have.
USUAL_PORTION = 20
TRY_AGAIN = timedelta(minutes=1)
PORTION = ("SendLocalListMaxLength", "LocalAuthListCtrlr.ItemsPerMessage")


def want_list(*, charger_id: int, entries: Sequence[Entry], made_from: str, now: datetime) -> LocalList:
    """Have a charger's list hold these tokens, as soon as it can be told. `made_from` as `LocalList.state_of_wanted`."""
    with transaction.atomic():
        kept = _locked(charger_id)
        kept.wanted = sorted(entries, key=lambda entry: str(entry["uid"]))
        kept.state_of_wanted, kept.checked_at = made_from, now
        _send_next(kept, now)
        kept.save()
    return kept


def take_list_answer(command: ChargerCommand, *, now: datetime) -> None:
    """Runs in the transaction that settles the command."""
    if command.action != ChargerCommand.Action.SEND_LOCAL_LIST:
        return
    kept = _locked(command.charger_id)
    if command.answer == "accepted" and command.payload.get("version") == kept.version:
        kept.held = _after(kept.held, command.payload)
        _send_next(kept, now)
    elif command.answer == "not_supported":
        kept.held, kept.synced_at, kept.is_refused, kept.next_try_at = None, None, True, None
    else:  # of another version than it has, failed, or lost on the way: all of it is sent again
        was_whole = bool(command.payload.get("full"))
        kept.held, kept.synced_at, kept.next_try_at = None, None, now + TRY_AGAIN
        if command.answer == "version_mismatch" and not was_whole:
            _send_next(kept, now)
    kept.save()


def look_through_again(depot_id: int) -> None:
    """Whether lists are wanted at the depot has changed: its chargers' settings are read and set anew, as soon as they can be
    (depots.commissioning.rounds). The depot is locked."""
    SettingsCheck.objects.filter(charger__depot=depot_id).update(began_at=None, tries=0)


def forget_lists(charger_ids: Collection[int], *, now: datetime) -> None:
    """The chargers have started again: whether they still have their lists is not known."""
    LocalList.objects.filter(charger__in=charger_ids).update(
        held=None, synced_at=None, is_refused=False, next_try_at=now
    )


def _locked(charger_id: int) -> LocalList:
    LocalList.objects.get_or_create(charger_id=charger_id)
    rows = LocalList.objects.select_for_update(of=("self",)).select_related("charger")
    return rows.get(pk=charger_id)


def _send_next(kept: LocalList, now: datetime) -> None:
    """The next portion, unless one is under way or the charger is away. The row is locked and saved by the caller."""
    if kept.held == kept.wanted:
        kept.synced_at, kept.next_try_at = kept.synced_at or now, None
        return
    kept.synced_at, kept.next_try_at = None, now + TRY_AGAIN
    unsent = kept.charger.commands.filter(
        action=ChargerCommand.Action.SEND_LOCAL_LIST,
        state__in=[ChargerCommand.State.QUEUED, ChargerCommand.State.SENT],
    )
    if kept.is_refused or not is_online(kept.charger, now=now) or unsent.exists():
        return
    kept.version += 1
    queue_command(
        charger=kept.charger,
        action=ChargerCommand.Action.SEND_LOCAL_LIST,
        payload={"version": kept.version, **_portion(kept)},
        not_after=now + TRY_AGAIN,
        now=now,
    )


def _portion(kept: LocalList) -> dict[str, Any]:
    most = _most(kept.charger)
    if kept.held is None:
        return {"full": True, "put": kept.wanted[:most], "remove": []}
    gone = [entry for entry in kept.held if _name(entry) not in {_name(w) for w in kept.wanted}]
    new = [entry for entry in kept.wanted if entry not in kept.held]
    remove = [{"uid": entry["uid"], "type": entry["type"]} for entry in gone][:most]
    return {"full": False, "put": new[: most - len(remove)], "remove": remove}


def _after(held: list[Entry] | None, payload: dict[str, Any]) -> list[Entry] | None:
    """What it holds once it has taken a portion; unknown where that was none of the whole."""
    if payload["full"]:
        return sorted(payload["put"], key=lambda entry: str(entry["uid"]))
    if held is None:
        return None
    changed = {_name(entry) for entry in [*payload["put"], *payload["remove"]]}
    rest = [entry for entry in held if _name(entry) not in changed]
    return sorted([*rest, *payload["put"]], key=lambda entry: str(entry["uid"]))


def _name(entry: Entry) -> tuple[str, str]:
    return str(entry["uid"]).upper(), str(entry["type"])


def _most(charger: Charger) -> int:
    said = charger.told_setting(*PORTION)
    return max(int(said), 1) if said.isdigit() and len(said) < 6 else USUAL_PORTION
