"""A partner limits what a session of its customer takes, lifts that, or asks what is in force (OCPI ChargingProfiles).

Each is one transaction with what it leads to. A limit is its customer's wish within the depot's plan, which tells the charger
(bookings.smart_charging.customer_limits); whether that keeps it is the result.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction

from bookings import smart_charging
from bookings.errors import NothingToLift, SessionOver
from bookings.smart_charging import Wish
from depots import operations as depots
from depots.capabilities import why_not
from depots.models import ChargerCommand, ChargingSession
from roaming.commands import results
from roaming.commands.received import (
    WAITS,
    AskedTooOften,
    Asker,
    CommandRefused,
    own_session,
    recorded,
    refusing,
)
from roaming.models import ReceivedCommand
from roaming.outbound.waking import wake_sender

Kind, Result = ReceivedCommand.Kind, ReceivedCommand.Result
Action = ChargerCommand.Action
OF_LIMITS = (Kind.LIMIT, Kind.LIFT_LIMIT, Kind.SHOW_LIMIT)
MOST_A_MINUTE = 12
LONGEST_SHOWN = timedelta(days=1)
REPLACED = "A later one has taken its place."
NOT_KEPT = "The charger does not keep it."
# Rows of one partner and session; the plan that sends this holds no lock that deliveries are waited for with.
_WANT_ACTIVE = """
    INSERT INTO roaming_delivery
        (partner_id, kind, object_id, wanted_version, delivered_version, next_try_at, attempts, last_error, was_refused)
    SELECT DISTINCT ON (session_id) partner_id, 'active_profile', session_id, 1, 0, %(at)s::timestamptz, 0, '', false
    FROM roaming_receivedcommand WHERE session_id = ANY(%(sessions)s::bigint[]) AND kind = 'limit'
    ORDER BY session_id, id DESC
    ON CONFLICT (partner_id, kind, object_id) DO UPDATE
    SET wanted_version = roaming_delivery.wanted_version + 1,
        next_try_at = coalesce(roaming_delivery.next_try_at, EXCLUDED.next_try_at)
"""


def limit(asker: Asker, session_id: str, wish_for: Callable[[ChargingSession], Wish]) -> ReceivedCommand:
    """PUT: have a session take no more than `wish_for` says of it. Raises SessionUnknown, AskedTooOften, CommandRefused."""
    session = _session(asker, session_id)
    with refusing(), transaction.atomic():
        received = _received(asker, Kind.LIMIT, session)
        kept = smart_charging.limit_session(session_id=session.pk, wish=wish_for(session), now=asker.now)
        received.report = {"serial": kept.serial}
        _replace_earlier(session, asker)
        results.owe(received)
    return received


def lift(asker: Asker, session_id: str) -> ReceivedCommand:
    """DELETE. Where nothing is limited that is its result. Raises as `limit`."""
    session = _session(asker, session_id)
    with refusing(), transaction.atomic():
        received = _received(asker, Kind.LIFT_LIMIT, session)
        results.owe(received)
        try:
            smart_charging.lift_session_limit(session_id=session.pk, now=asker.now)
        except NothingToLift:
            results.decide(received, Result.NO_LIMIT, now=asker.now)
        else:
            _replace_earlier(session, asker, but=received)
    return received


def show(asker: Asker, session_id: str, lasts: timedelta) -> ReceivedCommand:
    """GET: the charger is asked; one that cannot say is answered for. Raises as `limit`."""
    session = _session(asker, session_id)
    lasts = min(lasts, LONGEST_SHOWN)
    with refusing(), transaction.atomic():
        if session.ended_at is not None or session.evse is None:
            raise SessionOver
        smart_charging.why_not_limited(session, now=asker.now)
        received = _received(asker, Kind.SHOW_LIMIT, session)
        received.report = {"lasts_s": int(lasts.total_seconds())}
        payload = {"evse": session.evse.number, "unit": "W", "duration_s": int(lasts.total_seconds())}
        if _says_schedule(session, payload):
            received.charger_command = depots.queue_command(
                charger=session.charger, action=Action.GET_COMPOSITE_SCHEDULE, payload=payload,
                not_after=asker.now + WAITS, now=asker.now,
            )  # fmt: skip
        results.owe(received)
        if received.charger_command is None:
            results.show_given(received, now=asker.now)
    return received


def settle(session_id: int, *, is_kept: bool, now: datetime) -> None:
    """What was asked of a session's limit last is kept, or cannot be."""
    for received in _waiting(session_id):
        if is_kept:
            results.decide(received, Result.ACCEPTED, now=now)
        else:
            results.decide(received, Result.REJECTED, NOT_KEPT, now=now)


def want_active_profiles(session_ids: Collection[int], *, now: datetime) -> None:
    """Whoever has once limited one of these sessions is to hear of what it may take now. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(_WANT_ACTIVE, {"sessions": list(session_ids), "at": now})
    wake_sender()


def _session(asker: Asker, session_id: str) -> ChargingSession:
    session = own_session(asker, session_id)
    recent = ReceivedCommand.objects.filter(
        session=session, kind__in=OF_LIMITS, received_at__gt=asker.now - timedelta(minutes=1)
    )
    if recent.count() >= MOST_A_MINUTE:
        raise AskedTooOften("session_id", f"At most {MOST_A_MINUTE} requests a minute for a session.")
    if session.ended_at is not None:
        raise CommandRefused(str(SessionOver()))
    return session


def _received(asker: Asker, kind: str, session: ChargingSession) -> ReceivedCommand:
    return recorded(asker, kind, session.charger.depot.operator, session=session)


def _replace_earlier(session: ChargingSession, asker: Asker, but: ReceivedCommand | None = None) -> None:
    for earlier in _waiting(session.pk):
        if earlier != but:
            results.decide(earlier, Result.REJECTED, REPLACED, now=asker.now)


def _waiting(session_id: int) -> list[ReceivedCommand]:
    rows = ReceivedCommand.objects.filter(
        session=session_id, kind__in=(Kind.LIMIT, Kind.LIFT_LIMIT), result=""
    )
    return list(rows.select_for_update(no_key=True).order_by("pk"))


def _says_schedule(session: ChargingSession, payload: dict[str, Any]) -> bool:
    charger = session.charger
    is_known_not_to = charger.measured.get("composite_schedule") is False
    return not is_known_not_to and not why_not(charger, Action.GET_COMPOSITE_SCHEDULE, payload)
