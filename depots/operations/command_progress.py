"""What a charger tells afterwards of something that takes its time."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from depots.models import ChargerCommand
from depots.signals import command_progressed


def record_progress(
    *, charger_id: int, action: str, progress: str, request: int | None = None, now: datetime
) -> None:
    """How far the last command of this kind is, in the charger's own word; `request` names it where it tells one, and one
    that is not ours moves nothing.

    `Idle` is what a charger says that has nothing under way: it changes nothing.
    """
    if progress == "Idle":
        return
    with transaction.atomic():
        commands = ChargerCommand.objects.select_for_update(no_key=True, of=("self",)).filter(
            charger=charger_id, action=action, sent_at__isnull=False
        )
        if request is not None:
            commands = commands.filter(payload__request=request)
        command = commands.select_related("charger").order_by("-id").first()
        if command is not None:
            command.progress, command.progress_at = progress[:40], now
            command.save(update_fields=["progress", "progress_at"])
            command_progressed.send(sender=ChargerCommand, command=command, at=now)
