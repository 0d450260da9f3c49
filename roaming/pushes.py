"""What goes to a partner's Receiver: the state of now, written down at the moment it is sent."""

from __future__ import annotations

from datetime import datetime

from bookings.models import Booking
from roaming import access, deliveries, registration
from roaming.deliveries import Lease, Push
from roaming.models import Delivery, Partner
from roaming.ocpi.client import Party, joined
from roaming.ocpi.v2_3_0 import present, schemas
from roaming.switches import switch


def written(lease: Lease, *, now: datetime) -> Push | None:
    """The PUT for a delivery; None when there is nothing to send, and then it is settled."""
    partner = Partner.objects.select_related("organisation").get(pk=lease.partner_id)
    base = partner.endpoint("bookings", "RECEIVER")
    if lease.kind == Delivery.Kind.BOOKING:
        push = _booking(partner, lease, base)
    else:
        push = _booking_location(partner, lease, base, now=now)
    if push is None or not base:
        deliveries.unchanged(lease)
        return None
    return push


def _booking(partner: Partner, lease: Lease, base: str) -> Push | None:
    told = present.booking(partner, lease.object_id)
    if told is None:
        return None
    by_request = switch(partner, "booking_path_id") == "request_id"
    url = joined(base, told.country_code, told.party_id, told.request_id if by_request else told.id)
    customer = Booking.objects.values_list("customer_country", "customer_party").get(pk=lease.object_id)
    return _push(partner, lease, told, url, to_party=customer)


def _booking_location(partner: Partner, lease: Lease, base: str, *, now: datetime) -> Push | None:
    told = present.booking_location(partner, lease.object_id, now=now)
    if told is None:
        return None
    row = Delivery.objects.get(pk=lease.delivery_id)
    if row.delivered is None and not access.options(partner, now=now).filter(pk=lease.object_id).exists():
        return None  # never told of, and not to be told of any more
    push = _push(
        partner, lease, told, joined(base, told.country_code, told.party_id, "booking_locations", told.id),
        to_party=_customer(partner),
    )  # fmt: skip
    is_same = row.delivered is not None and row.delivered.get("digest") == push.digest
    return None if is_same else push


def _push(
    partner: Partner,
    lease: Lease,
    told: schemas.Booking | schemas.BookingLocation,
    url: str,
    *,
    to_party: Party,
) -> Push:
    body = told.wire()
    peer = registration.peer_of(
        partner, (told.country_code, told.party_id), to_party if all(to_party) else None
    )
    is_failing = partner.failures >= deliveries.CIRCUIT_OPENS_AT
    return Push(
        lease, peer, url, body, deliveries.digest(body), probe=partner.versions_url if is_failing else ""
    )


def _customer(partner: Partner) -> Party:
    """The first eMSP party of a partner: offers are the same for all of them."""
    named = [(r["country_code"], r["party_id"]) for r in partner.roles if r["role"] == "EMSP"]
    return named[0] if named else ("", "")
