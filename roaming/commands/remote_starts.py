"""Which sessions began because their partner had them started, and under which reference of its own."""

from __future__ import annotations

from datetime import datetime

from depots.models import ChargerCommand, ChargingSession
from depots.queries import PLUGS_IN_WITHIN
from roaming.models import ReceivedCommand


def note_start(session: ChargingSession, *, now: datetime) -> None:
    """The last reference that a partner named counts, in the session as in its record."""
    if session.evse is None:
        return
    started = ReceivedCommand.objects.filter(
        kind=ReceivedCommand.Kind.START,
        received_at__gte=now - PLUGS_IN_WITHIN,
        charger_command__charger=session.charger_id,
        charger_command__action=ChargerCommand.Action.REMOTE_START,
        charger_command__payload__evse=session.evse.number,
        charger_command__payload__token=session.token_uid,
    )
    command = started.order_by("-pk").first()
    if command is None:
        return
    reference = str(command.raw.get("authorization_reference") or "")[:36]
    if reference and reference != session.authorization_reference:
        session.authorization_reference = reference
        session.save(update_fields=["authorization_reference"])
