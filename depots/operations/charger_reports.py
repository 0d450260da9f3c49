"""What a charger tells afterwards of something that takes its time, and the report of all it has."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import transaction

from depots.models import Charger, ChargerCommand, SettingsCheck
from depots.signals import command_progressed

# The device model of a large station is some thousands of variables; more is a fault.
MOST_VARIABLES = 3_000


def record_progress(
    *, charger_id: int, action: str, progress: str, request: int | None = None, now: datetime
) -> None:
    """How far the last command of this kind is, in the charger's own word; `request` names it where it tells one.

    `Idle` is what a charger says that has nothing under way: it changes nothing.
    """
    if progress == "Idle":
        return
    with transaction.atomic():
        commands = ChargerCommand.objects.select_for_update(no_key=True, of=("self",)).filter(
            charger=charger_id, action=action, sent_at__isnull=False
        )
        if request is not None and commands.filter(payload__request=request).exists():
            commands = commands.filter(payload__request=request)
        command = commands.select_related("charger").order_by("-id").first()
        if command is not None:
            command.progress, command.progress_at = progress[:40], now
            command.save(update_fields=["progress", "progress_at"])
            command_progressed.send(sender=ChargerCommand, command=command, at=now)


def add_inventory(*, charger_id: int, values: dict[str, Any], is_first: bool, now: datetime) -> None:
    """A part of what a charger of 2.x has: {key: [value, is_readonly]}. The first part begins anew; at most 3000 are kept."""
    with transaction.atomic():
        Charger.objects.select_for_update(no_key=True).get(pk=charger_id)
        check, _ = SettingsCheck.objects.get_or_create(charger_id=charger_id)
        kept = {} if is_first else check.inventory
        room = MOST_VARIABLES - len(kept)
        check.inventory = {**kept, **dict(list(values.items())[: max(0, room)])}
        check.inventory_at = now
        check.save(update_fields=["inventory", "inventory_at"])
