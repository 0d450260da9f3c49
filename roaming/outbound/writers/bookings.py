"""Bookings that a partner asked for, to itself and nobody else."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from bookings.models import Booking
from roaming import access
from roaming.models import Delivery, GuestSession, Partner
from roaming.ocpi.client import Written
from roaming.ocpi.dialect import dialect_of
from roaming.ocpi.style import style_of
from roaming.outbound import earlier
from roaming.outbound.deliveries import Lease
from roaming.outbound.earlier import Untold
from roaming.outbound.pushes import Push, partners_of, push_to, written_each
from roaming.published import owner_of


def bookings_written(leases: list[Lease], *, now: datetime) -> list[Push]:
    """The PUTs of many bookings, each to its own partner; what has nothing to send is settled. One that charges, or
    has charged, is told of after its session."""
    partners = partners_of(leases)
    rows = access.bookings_of(partners.values()).in_bulk({lease.object_id for lease in leases})
    of_sessions = [one for one in leases if _takes_sessions(partners[one.partner_id])]
    early = _before_their_sessions(of_sessions, rows, now)
    earlier.wait(early, now=now)

    def write(lease: Lease) -> Push | None:
        partner, booking = partners[lease.partner_id], rows.get(lease.object_id)
        if booking is None or booking.fleet_id != partner.organisation_id:
            return None
        return _booking_push(partner, lease, booking)

    return written_each([lease for lease in leases if lease not in early], write, now=now)


def _takes_sessions(partner: Partner) -> bool:
    return bool(partner.endpoint("sessions", "RECEIVER"))


def _before_their_sessions(
    leases: list[Lease], rows: dict[int, Booking], now: datetime
) -> dict[Lease, Untold]:
    sessions = {pk: row.session_id for pk, row in rows.items() if row.session_id is not None}
    if not sessions:
        return {}
    told = GuestSession.objects.filter(session__in=sessions.values()).values_list("session_id", "pk")
    guests = {session_id: pk for session_id, pk in told if session_id is not None}
    of_booking = {pk: guests[session_id] for pk, session_id in sessions.items() if session_id in guests}
    untold = earlier.untold(Delivery.Kind.SESSION, of_booking.values(), now=now)
    found = {lease: untold.get((lease.partner_id, of_booking.get(lease.object_id, 0))) for lease in leases}
    return {lease: one for lease, one in found.items() if one and one.is_first and one.is_coming}


def _booking_push(partner: Partner, lease: Lease, booking: Booking) -> Push | None:
    dialect = dialect_of(partner)
    url = dialect.bookings.url(partner, booking)
    if not url:
        return None
    # What changed since the lease was taken is in it, and need not be told again.
    lease = replace(lease, version=max(lease.version, booking.version))
    body = Written.of(dialect.bookings.write(booking, style_of(partner)))
    customer = (booking.customer_country, booking.customer_party)
    return push_to(partner, lease, url, body, from_party=owner_of(booking.depot), to_party=customer)
