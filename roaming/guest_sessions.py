"""Whose partner is told of which session at our depots. Written in the transaction of what happened.

One that a reservation begins (OCPI RESERVE_NOW) is told of from when that is accepted, and goes on under the same id when its
customer charges. Rows are locked after their booking and session: who writes several has those locked, in any order, and nobody
else writes them.
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

OF_NETWORKS = (Booking.Route.INBOUND, Booking.Route.RESERVED)
# A vehicle that is plugged in and has not begun to charge by then is told of as one that never will (OCPI leaves PENDING open).
WAITS_AT_MOST = timedelta(hours=1)
TIMED_OUT_AT_ONCE = 200
# What a reservation has come to is told so often while it lasts.
RESERVED_TOLD_EVERY = timedelta(minutes=5)

_WANT = """
wanted AS (
    INSERT INTO roaming_delivery
        (partner_id, kind, object_id, wanted_version, delivered_version, next_try_at, attempts, last_error, was_refused)
    SELECT partner_id, 'session', id, version, 0, %(at)s::timestamptz, 0, '', false FROM guest
    ON CONFLICT (partner_id, kind, object_id) DO UPDATE
    SET wanted_version = EXCLUDED.wanted_version, next_try_at = {next_try_at}
)
"""
_AT_ONCE = _WANT.format(next_try_at="EXCLUDED.next_try_at")
_WITH_ITS_TURN = _WANT.format(next_try_at="coalesce(roaming_delivery.next_try_at, EXCLUDED.next_try_at)")
_NEXT_VERSION = """version = roaming_guestsession.version + 1,
        changed_at = greatest(roaming_guestsession.changed_at, %(at)s::timestamptz)"""
_RETURNED = "RETURNING roaming_guestsession.partner_id, roaming_guestsession.id, roaming_guestsession.version"
_BEGIN = round_trips.Prepared(f"""
WITH guest AS (
    INSERT INTO roaming_guestsession (code, session_id, partner_id, version, changed_at)
    SELECT %(session)s::bigint::text, %(session)s::bigint, id, 1, %(at)s::timestamptz
    FROM roaming_partner WHERE organisation_id = %(customer)s
    ON CONFLICT (session_id) DO UPDATE SET {_NEXT_VERSION}
    {_RETURNED}
), {_AT_ONCE}
{TELL} SELECT '{WAKE_CHANNEL}', '' FROM guest
""")  # noqa: S608 - made of constants
_RESERVE = round_trips.Prepared(f"""
WITH guest AS (
    INSERT INTO roaming_guestsession (code, reservation_id, partner_id, version, changed_at)
    SELECT 'R' || %(booking)s::bigint, %(booking)s::bigint, id, 1, %(at)s::timestamptz
    FROM roaming_partner WHERE organisation_id = %(customer)s
    ON CONFLICT (reservation_id) DO UPDATE SET {_NEXT_VERSION}
    {_RETURNED}
), {_AT_ONCE}
{TELL} SELECT '{WAKE_CHANNEL}', '' FROM guest
""")  # noqa: S608 - made of constants
_RESERVED_CHANGED = round_trips.Prepared(f"""
WITH guest AS (
    UPDATE roaming_guestsession SET {_NEXT_VERSION} WHERE reservation_id = %(booking)s AND session_id IS NULL
    {_RETURNED}
), {_AT_ONCE}
{TELL} SELECT '{WAKE_CHANNEL}', '' FROM guest
""")  # noqa: S608 - made of constants
# Of several sessions of one reservation the first goes on with it; the others are told of by themselves.
_GO_ON = round_trips.Prepared("""
UPDATE roaming_guestsession SET session_id = %(session)s
WHERE reservation_id = %(booking)s AND session_id IS NULL
    AND NOT EXISTS (SELECT FROM roaming_guestsession WHERE session_id = %(session)s)
""")
_CHANGED = round_trips.Prepared(f"""
WITH guest AS (
    UPDATE roaming_guestsession SET {_NEXT_VERSION} WHERE session_id = ANY(%(sessions)s::bigint[])
    {_RETURNED}
), {_AT_ONCE}
{TELL} SELECT DISTINCT '{WAKE_CHANNEL}', '' FROM guest
""")  # noqa: S608 - made of constants
# Of running sessions, those whose open pages have heard of more since. Whoever writes one tells of it anyway.
_METERED = f"""
WITH metered AS (
    SELECT g.id, s.figures_told_at
    FROM depots_chargingsession s JOIN roaming_guestsession g ON g.session_id = s.id
    WHERE s.ended_at IS NULL AND s.figures_told_at > g.changed_at
    ORDER BY g.id
    FOR NO KEY UPDATE OF g SKIP LOCKED
), guest AS (
    UPDATE roaming_guestsession g SET version = version + 1, changed_at = metered.figures_told_at
    FROM metered WHERE metered.id = g.id
    RETURNING g.partner_id, g.id, g.version
), {_WITH_ITS_TURN}
SELECT count(*) FROM guest
"""  # noqa: S608 - made of constants
_RESERVED = f"""
WITH lasting AS (
    SELECT g.id
    FROM bookings_booking b JOIN roaming_guestsession g ON g.reservation_id = b.id
    WHERE b.status = 'confirmed' AND b.starts_at <= %(at)s AND b.route = 'reserved' AND g.session_id IS NULL
        AND g.changed_at <= %(before)s
    ORDER BY g.id
    FOR NO KEY UPDATE OF g SKIP LOCKED
), guest AS (
    UPDATE roaming_guestsession g SET version = version + 1, changed_at = %(at)s
    FROM lasting WHERE lasting.id = g.id
    RETURNING g.partner_id, g.id, g.version
), {_WITH_ITS_TURN}
SELECT count(*) FROM guest
"""  # noqa: S608 - made of constants


def begin(session: ChargingSession, *, at: datetime) -> bool:
    """The partner whose booking or token it uses is told of the session from now on; whether there is one. At most three
    queries."""
    booking = Booking.objects.filter(visits__session=session).only("route", "fleet_id").first()
    if booking is not None:
        return begin_booked(booking, session.pk, at=at)
    customer_id = _owner_of(session)
    if customer_id is not None:
        round_trips.send(_BEGIN, {"session": session.pk, "customer": customer_id, "at": at})
    return customer_id is not None


def begin_booked(booking: Booking, session_id: int, *, at: datetime) -> bool:
    """The same of a booking's session. Its booking is locked."""
    if booking.route not in OF_NETWORKS:
        return False
    if booking.is_reservation:
        begin_reservation(booking, at=at)
        round_trips.send(_GO_ON, {"session": session_id, "booking": booking.pk})
    round_trips.send(_BEGIN, {"session": session_id, "customer": booking.fleet_id, "at": at})
    return True


def begin_reservation(booking: Booking, *, at: datetime) -> None:
    """A charger is kept for the customer: that is a session already. The booking is locked."""
    round_trips.send(_RESERVE, {"booking": booking.pk, "customer": booking.fleet_id, "at": at})


def reservation_changed(booking: Booking, *, at: datetime) -> None:
    """Something is another with a reservation that nobody has used; nothing where its partner has not been told that it is
    kept. The booking is locked."""
    round_trips.send(_RESERVED_CHANGED, {"booking": booking.pk, "at": at})


def hand_over(booking: Booking, to: Booking) -> None:
    """A reservation took the place of another: what was told of that one goes on with it. Both are locked."""
    GuestSession.objects.filter(reservation=booking, session=None).update(reservation=to)


def changed(session_ids: Iterable[int], *, at: datetime) -> None:
    """Something that cannot wait: it has ended, or something else is known of it."""
    round_trips.send(_CHANGED, {"sessions": round_trips.bigints(session_ids), "at": at})


def follow_meters(*, now: datetime) -> int:
    """Have partners told, with their turn, of what the meters of running sessions have said meanwhile; gives of how many. It is
    looked for, not told of: a sample costs the gateway nothing more. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(_METERED, {"at": now})
        return int(cursor.fetchone()[0])


def follow_reservations(*, now: datetime) -> int:
    """The same of what reservations have come to that last; one statement."""
    with connection.cursor() as cursor:
        cursor.execute(_RESERVED, {"at": now, "before": now - RESERVED_TOLD_EVERY})
        return int(cursor.fetchone()[0])


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
        changed([pk for pk in overdue if pk is not None], at=now)
    return len(overdue)


def prefer(guest: GuestSession, preferences: Mapping[str, Any]) -> None:
    """What its driver would like, for who looks at it; the last word counts."""
    GuestSession.objects.filter(pk=guest.pk).update(preferences=dict(preferences))


def told_id(session: ChargingSession) -> str:
    """Its id towards partners (OCPI Session.id), by its row here where there is one. No query where `guest` was read along."""
    return session.guest.code if hasattr(session, "guest") else str(session.pk)


def _owner_of(session: ChargingSession) -> int | None:
    """The partner's organisation whose token it uses, without a booking; None where it is somebody else's."""
    forms = spellings(session.token_uid, session.token_type)
    guests = Token.objects.filter(uid__card__in=forms, fleet__is_partner=True)
    if not forms or not guests.exists():
        return None
    token = owned_token(session)
    return token.fleet_id if token is not None and token.fleet.is_partner else None
