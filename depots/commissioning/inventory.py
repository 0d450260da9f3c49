"""All settings a charger has, where it tells them at once: bounded, and compared as far as it told nothing by name."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from django.db import transaction

from depots.commissioning.findings import count_differences
from depots.commissioning.templates import wanted_of
from depots.models import Charger, ChargerCommand, SettingsCheck
from depots.operations.locking import lock_evses_of

# The device model of a large station is some thousands of variables; more is a fault.
MOST_VARIABLES = 3_000


def add_inventory(
    *, charger_id: int, values: dict[str, Any], is_first: bool, is_last: bool, now: datetime
) -> None:
    """A part of what it has: {key: [value, is_readonly]}. The first part begins anew; at most 3000 are kept."""
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
    add_inventory(charger_id=command.charger_id, values=values, is_first=True, is_last=True, now=now)
