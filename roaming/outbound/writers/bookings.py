"""Bookings that a partner asked for, to itself and nobody else."""

from __future__ import annotations

from datetime import datetime

from bookings.models import Booking
from roaming import access
from roaming.models import Partner
from roaming.ocpi.client import Written
from roaming.ocpi.dialect import dialect_of
from roaming.ocpi.style import style_of
from roaming.outbound.deliveries import Lease
from roaming.outbound.pushes import Push, partners_of, push_to, written_each
from roaming.published import owner_of


def bookings_written(leases: list[Lease], *, now: datetime) -> list[Push]:
    """The PUTs of many bookings, each to its own partner; what has nothing to send is settled."""
    partners = partners_of(leases)
    rows = access.bookings_of(partners.values()).in_bulk({lease.object_id for lease in leases})

    def write(lease: Lease) -> Push | None:
        partner, booking = partners[lease.partner_id], rows.get(lease.object_id)
        if booking is None or booking.fleet_id != partner.organisation_id:
            return None
        return _booking_push(partner, lease, booking)

    return written_each(leases, write, now=now)


def _booking_push(partner: Partner, lease: Lease, booking: Booking) -> Push | None:
    dialect = dialect_of(partner)
    url = dialect.bookings.url(partner, booking)
    if not url:
        return None
    body = Written.of(dialect.bookings.write(booking, style_of(partner)))
    customer = (booking.customer_country, booking.customer_party)
    return push_to(partner, lease, url, body, from_party=owner_of(booking.depot), to_party=customer)
