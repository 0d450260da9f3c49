"""Sessions whose end nobody told: a charger that crashed, was replaced, or never came back."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from django.db import transaction

from depots.models import ChargingSession, Evse
from depots.operations.locking import lock_evses_beside
from depots.operations.sessions import end
from depots.operations.transaction_reports import flag

# A charger may come back after a night without power, with the stop in its queue.
GIVEN_UP_AFTER = timedelta(days=1)


def silent_sessions(session_ids: Collection[int], *, now: datetime) -> list[int]:
    """Those of the sessions that seem to be over without a stop, found in one query and without a lock."""
    running = ChargingSession.objects.filter(pk__in=session_ids, ended_at__isnull=True)
    rows = running.select_related("evse", "charger").order_by("pk")
    return [session.pk for session in rows if _over_at(session, now) is not None]


def end_silent_session(*, session_id: int, now: datetime) -> bool:
    """End a session without a stop, if its EVSE has said since that it is free, or its charger has been away for a day.

    Flagged no_stop; a stop that comes after all corrects it, and takes that flag's place by its own. Whether it was ended.
    """
    charger_id = ChargingSession.objects.values_list("charger_id", flat=True).get(pk=session_id)
    with transaction.atomic():
        lock_evses_beside(charger_id)
        session = (
            ChargingSession.objects.select_for_update(of=("self",))
            .select_related("evse", "charger")
            .get(pk=session_id)
        )
        over_at = _over_at(session, now)
        if session.ended_at is not None or over_at is None:
            return False
        flag(session, ["no_stop"])
        end(session, at=over_at, reason="", now=now)
    return True


def _over_at(session: ChargingSession, now: datetime) -> datetime | None:
    evse = session.evse
    free_since = evse.status_received_at if evse and evse.status == Evse.Status.AVAILABLE else None
    if free_since is not None and free_since > session.start_received_at:
        return free_since
    heard_at = session.charger.last_seen_at or session.start_received_at
    if now - heard_at >= GIVEN_UP_AFTER:
        return max(heard_at, session.started_at)
    return None
