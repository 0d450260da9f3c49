"""Whose partner is told of which session at our depots. Written in the transaction of what happened.

Rows are locked after their session: who writes several has those locked, in any order, and nobody else writes them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import F

from bookings.billing.priced_visits import owned_token
from bookings.models import Booking, Token
from depots import round_trips
from depots.models import ChargingSession, ChargingState
from depots.notices import TELL
from depots.token_numbers import spellings
from roaming.models import GuestSession
from roaming.outbound.waking import WAKE_CHANNEL

# A vehicle that is plugged in and has not begun to charge by then is told of as one that never will (OCPI leaves PENDING open).
OF_NETWORKS = (Booking.Route.INBOUND, Booking.Route.RESERVED)
WAITS_AT_MOST = timedelta(hours=1)
TIMED_OUT_AT_ONCE = 200

_WANT = """
wanted AS (
    INSERT INTO roaming_delivery
        (partner_id, kind, object_id, wanted_version, delivered_version, next_try_at, attempts, last_error, was_refused)
    SELECT partner_id, 'session', session_id, version, 0, %(at)s::timestamptz, 0, '', false FROM guest
    ON CONFLICT (partner_id, kind, object_id) DO UPDATE
    SET wanted_version = EXCLUDED.wanted_version, next_try_at = {next_try_at}
)
"""
_AT_ONCE = _WANT.format(next_try_at="EXCLUDED.next_try_at")
_WITH_ITS_TURN = _WANT.format(next_try_at="coalesce(roaming_delivery.next_try_at, EXCLUDED.next_try_at)")
_BEGIN = round_trips.Prepared(f"""
WITH guest AS (
    INSERT INTO roaming_guestsession (session_id, partner_id, version, changed_at)
    SELECT %(session)s::bigint, id, 1, %(at)s::timestamptz FROM roaming_partner WHERE organisation_id = %(customer)s
    ON CONFLICT (session_id) DO UPDATE
    SET version = roaming_guestsession.version + 1, changed_at = greatest(roaming_guestsession.changed_at, EXCLUDED.changed_at)
    RETURNING partner_id, session_id, version
), {_AT_ONCE}
{TELL} SELECT '{WAKE_CHANNEL}', '' FROM guest
""")  # noqa: S608 - made of constants
_CHANGED = round_trips.Prepared(f"""
WITH guest AS (
    UPDATE roaming_guestsession SET version = version + 1, changed_at = greatest(changed_at, %(at)s::timestamptz)
    WHERE session_id = ANY(%(sessions)s::bigint[])
    RETURNING partner_id, session_id, version
), {_AT_ONCE}
{TELL} SELECT DISTINCT '{WAKE_CHANNEL}', '' FROM guest
""")  # noqa: S608 - made of constants
# Of running sessions, those whose open pages have heard of more since. Whoever writes one tells of it anyway.
_METERED = f"""
WITH metered AS (
    SELECT g.session_id, s.figures_told_at
    FROM depots_chargingsession s JOIN roaming_guestsession g ON g.session_id = s.id
    WHERE s.ended_at IS NULL AND s.figures_told_at > g.changed_at
    ORDER BY g.session_id
    FOR NO KEY UPDATE OF g SKIP LOCKED
), guest AS (
    UPDATE roaming_guestsession g SET version = version + 1, changed_at = metered.figures_told_at
    FROM metered WHERE metered.session_id = g.session_id
    RETURNING g.partner_id, g.session_id, g.version
), {_WITH_ITS_TURN}
SELECT count(*) FROM guest
"""  # noqa: S608 - made of constants


def begin(session_id: int, *, customer_id: int, at: datetime) -> None:
    """The customer's partner is told of the session from now on; nothing where the customer is no partner."""
    round_trips.send(_BEGIN, {"session": session_id, "customer": customer_id, "at": at})


def changed(session_ids: Iterable[int], *, at: datetime) -> None:
    """Something that cannot wait: it has ended, or something else is known of it."""
    round_trips.send(_CHANGED, {"sessions": round_trips.bigints(session_ids), "at": at})


def follow_meters(*, now: datetime) -> int:
    """Have partners told, with their turn, of what the meters of running sessions have said meanwhile; gives of how many. It is
    looked for, not told of: a sample costs the gateway nothing more. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(_METERED, {"at": now})
        return int(cursor.fetchone()[0])


def customer_of(session: ChargingSession) -> int | None:
    """The partner's organisation whose booking or token it uses; None where it is somebody else's. At most three queries."""
    booking = Booking.objects.filter(visits__session=session).values("route", "fleet_id").first()
    if booking is not None:
        return booking["fleet_id"] if booking["route"] in OF_NETWORKS else None
    forms = spellings(session.token_uid, session.token_type)
    guests = Token.objects.filter(uid__card__in=forms, fleet__is_partner=True)
    if not forms or not guests.exists():
        return None
    token = owned_token(session)
    return token.fleet_id if token is not None and token.fleet.is_partner else None


def time_out_waiting(*, now: datetime) -> int:
    """Tell partners of those that wait too long, once; gives how many."""
    waiting = GuestSession.objects.filter(
        session__ended_at__isnull=True,
        session__charging_state=ChargingState.PLUGGED,
        session__start_received_at__lte=now - WAITS_AT_MOST,
        changed_at__lt=F("session__start_received_at") + WAITS_AT_MOST,
    )
    overdue = list(waiting.values_list("session_id", flat=True)[:TIMED_OUT_AT_ONCE])
    if overdue:
        changed(overdue, at=now)
    return len(overdue)


def prefer(session_id: int, preferences: Mapping[str, Any]) -> None:
    """What its driver would like, for who looks at it; the last word counts."""
    GuestSession.objects.filter(pk=session_id).update(preferences=dict(preferences))
