"""All settings a charger has, where it tells them at once: bounded, and compared as far as it told nothing by name."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from depots.commissioning.findings import count_differences
from depots.commissioning.templates import wanted_of
from depots.models import Charger, ChargerCommand, SettingsCheck
from depots.operations.locking import lock_evses_of

# The device model of a large station is some thousands of variables; more is a fault.
MOST_VARIABLES = 3_000
# A report comes at once, in parts of ten variables or more.
REPORTED_WITHIN = timedelta(hours=1)
MOST_PARTS = 1_000
# How far a report is, as `progress` of the command that asked for it.
PART, WHOLE = "Part", "Reported"


def add_report_part(
    *, charger_id: int, request: int, part: int, values: dict[str, Any], is_last: bool, now: datetime
) -> bool:
    """A part of a report that we have asked for: {key: [value, is_readonly]}; whether it was taken.

    A report that nobody asked for, one that is over, and a part that has come already change nothing: each would have
    all that is kept written anew.
    """
    with transaction.atomic():
        lock_evses_of(charger_id)
        asked = (
            ChargerCommand.objects.select_for_update(no_key=True, of=("self",))
            .filter(
                charger=charger_id, action=ChargerCommand.Action.ASK_INVENTORY, payload__request=request,
                sent_at__gt=now - REPORTED_WITHIN,
            )
            .order_by("-id")
            .first()
        )  # fmt: skip
        if asked is None or not _parts_of(asked) <= part < MOST_PARTS:
            return False
        _add(charger_id, values, is_first=part == 0, is_last=is_last, now=now)
        asked.progress, asked.progress_at = WHOLE if is_last else f"{PART} {part + 1}", now
        asked.save(update_fields=["progress", "progress_at"])
    return True


def _parts_of(asked: ChargerCommand) -> int:
    """How many have come; all there may be where the report is whole."""
    if asked.progress == WHOLE:
        return MOST_PARTS
    return int(asked.progress.removeprefix(PART) or 0)


def _add(charger_id: int, values: dict[str, Any], *, is_first: bool, is_last: bool, now: datetime) -> None:
    """The first part begins anew; at most 3000 are kept."""
    with transaction.atomic():
        lock_evses_of(charger_id)
        check, _ = SettingsCheck.objects.select_for_update(of=("self",)).get_or_create(charger_id=charger_id)
        kept = {} if is_first else check.inventory
        room = max(0, MOST_VARIABLES - len(kept))
        check.inventory = {**kept, **dict(list(values.items())[:room])}
        check.inventory_at = now
        if is_last and check.read_at is not None:
            charger = Charger.objects.select_related("depot").get(pk=charger_id)
            count_differences(check, wanted_of(charger))
        check.save(update_fields=["inventory", "inventory_at", "wanted", "drift_count"])


def take_all_told(command: ChargerCommand, *, now: datetime) -> None:
    """1.6 tells all it has in its answer; 2.x in reports that follow."""
    try:
        told = json.loads(command.answer_text)
    except ValueError:
        return
    values = {key: [entry["value"], entry["is_readonly"]] for key, entry in told.items()}
    _add(command.charger_id, values, is_first=True, is_last=True, now=now)
