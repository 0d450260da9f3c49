"""Bookings that a partner asked for, to itself and nobody else."""

from __future__ import annotations

from datetime import datetime, timedelta

from bookings.models import Booking, BookingStatus
from roaming import access
from roaming.models import Delivery, GuestSession, Partner
from roaming.ocpi.client import Written
from roaming.ocpi.dialect import dialect_of
from roaming.ocpi.style import style_of
from roaming.outbound import deliveries
from roaming.outbound.deliveries import Lease
from roaming.outbound.pushes import Push, partners_of, push_to, written_each
from roaming.published import owner_of

# So soon is looked again whether the session is there.
SESSION_FIRST = timedelta(milliseconds=300)


def bookings_written(leases: list[Lease], *, now: datetime) -> list[Push]:
    """The PUTs of many bookings, each to its own partner; what has nothing to send is settled. One that charges is told of after
    its session."""
    partners = partners_of(leases)
    rows = access.bookings_of(partners.values()).in_bulk({lease.object_id for lease in leases})
    early = _before_their_sessions([one for one in leases if _takes_sessions(partners[one.partner_id])], rows)
    deliveries.postpone(*early, until=now + SESSION_FIRST)

    def write(lease: Lease) -> Push | None:
        partner, booking = partners[lease.partner_id], rows.get(lease.object_id)
        if booking is None or booking.fleet_id != partner.organisation_id:
            return None
        return _booking_push(partner, lease, booking)

    return written_each([lease for lease in leases if lease not in early], write, now=now)


def _takes_sessions(partner: Partner) -> bool:
    return bool(partner.endpoint("sessions", "RECEIVER"))


def _before_their_sessions(leases: list[Lease], rows: dict[int, Booking]) -> list[Lease]:
    sessions = {
        pk: row.session_id
        for pk, row in rows.items()
        if row.status == BookingStatus.CHARGING and row.session_id is not None
    }
    if not sessions:
        return []
    told = GuestSession.objects.filter(session__in=sessions.values()).values_list("session_id", "pk")
    guests = {session_id: pk for session_id, pk in told if session_id is not None}
    of_booking = {pk: guests[session_id] for pk, session_id in sessions.items() if session_id in guests}
    untold = deliveries.on_their_way(Delivery.Kind.SESSION, of_booking.values())
    return [lease for lease in leases if (lease.partner_id, of_booking.get(lease.object_id, 0)) in untold]


def _booking_push(partner: Partner, lease: Lease, booking: Booking) -> Push | None:
    dialect = dialect_of(partner)
    url = dialect.bookings.url(partner, booking)
    if not url:
        return None
    body = Written.of(dialect.bookings.write(booking, style_of(partner)))
    customer = (booking.customer_country, booking.customer_party)
    return push_to(partner, lease, url, body, from_party=owner_of(booking.depot), to_party=customer)
