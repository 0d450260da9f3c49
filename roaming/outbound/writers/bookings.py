"""Bookings that a partner asked for, to itself and nobody else."""

from __future__ import annotations

from datetime import datetime

import structlog

from bookings.models import Booking
from roaming import access
from roaming.models import Partner
from roaming.ocpi.client import Written
from roaming.ocpi.dialect import dialect_of
from roaming.ocpi.style import style_of
from roaming.outbound import deliveries
from roaming.outbound.deliveries import Lease
from roaming.outbound.pushes import Push, partners_of, push_to
from roaming.published import owner_of

logger = structlog.get_logger(__name__)


def bookings_written(leases: list[Lease], *, now: datetime) -> list[Push]:
    """The PUTs of many bookings, each to its own partner; what has nothing to send is settled."""
    partners = partners_of(leases)
    rows = access.bookings_of(partners.values()).in_bulk({lease.object_id for lease in leases})
    pushes: list[Push] = []
    nothing_to_send: list[Lease] = []
    for lease in leases:
        partner, booking = partners[lease.partner_id], rows.get(lease.object_id)
        try:
            own = booking is not None and booking.fleet_id == partner.organisation_id
            push = _booking_push(partner, lease, booking) if booking and own else None
        except Exception as fault:
            logger.exception("booking cannot be written", delivery=lease.delivery_id)
            deliveries.release(lease, now=now, error=f"our fault: {fault!r}")
            continue
        if push is None:
            nothing_to_send.append(lease)
        else:
            pushes.append(push)
    deliveries.unchanged(*nothing_to_send)
    return pushes


def _booking_push(partner: Partner, lease: Lease, booking: Booking) -> Push | None:
    dialect = dialect_of(partner)
    url = dialect.bookings.url(partner, booking)
    if not url:
        return None
    body = Written.of(dialect.bookings.write(booking, style_of(partner)))
    customer = (booking.customer_country, booking.customer_party)
    return push_to(partner, lease, url, body, from_party=owner_of(booking.depot), to_party=customer)
