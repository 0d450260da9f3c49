"""What goes to a partner's Receiver: the state of now, written down at the moment it is sent."""

from __future__ import annotations

from datetime import datetime

import structlog

from bookings.models import Booking
from roaming import access, registration
from roaming.models import Delivery, Partner
from roaming.ocpi.client import Party, Written
from roaming.ocpi.dialect import dialect_of
from roaming.ocpi.style import style_of
from roaming.outbound import deliveries
from roaming.outbound.deliveries import Lease, Push
from roaming.outbound.offer_book import OfferBook, WrittenOffer
from roaming.published import owner_of

logger = structlog.get_logger(__name__)


def bookings_written(leases: list[Lease], *, now: datetime) -> list[Push]:
    """The PUTs of many bookings, each to its own partner; what has nothing to send is settled."""
    partners = Partner.objects.select_related("organisation").in_bulk({lease.partner_id for lease in leases})
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
    return _push(partner, lease, body, url, owner_of(booking.depot), customer)


def offers_written(leases: list[Lease], book: OfferBook, *, now: datetime) -> list[Push]:
    """The PUTs of many offers at once; what has nothing to send is settled. A change reaches hundreds of partners at the
    same moment, so what they share is read and written down once."""
    partners = Partner.objects.select_related("organisation").in_bulk({lease.partner_id for lease in leases})
    had = _digests_had(leases)
    offers = book.written(partners.values(), {lease.object_id for lease in leases}, now=now)
    pushes: list[Push] = []
    nothing_new: list[Lease] = []
    for lease in leases:
        asked = (lease.partner_id, lease.object_id)
        offer = offers.get(asked)
        if asked in offers and offer is None:
            deliveries.release(lease, now=now, error="our fault: the offer cannot be written")
        elif offer and (push := _offer_push(partners[asked[0]], lease, offer, had[lease.delivery_id])):
            pushes.append(push)
        else:
            nothing_new.append(lease)
    deliveries.unchanged(*nothing_new)
    return pushes


def _digests_had(leases: list[Lease]) -> dict[int, str | None]:
    """What was sent last, by delivery; None where nothing was."""
    rows = Delivery.objects.filter(pk__in=[lease.delivery_id for lease in leases])
    return {pk: told.get("digest", "") if told else None for pk, told in rows.values_list("pk", "delivered")}


def _offer_push(partner: Partner, lease: Lease, offer: WrittenOffer, had: str | None) -> Push | None:
    url = dialect_of(partner).bookings.offer_url(partner, offer.option)
    if not url or (had is None and not offer.is_visible):
        return None  # never told of, and not to be told of any more
    if had == offer.digest:
        return None
    return _push(
        partner, lease, offer.body, url, owner_of(offer.option.depot), _customer(partner), offer.digest
    )


def _push(
    partner: Partner,
    lease: Lease,
    body: Written,
    url: str,
    owner: Party,
    customer: Party,
    digest: str = "",
) -> Push:
    peer = registration.peer_of(partner, owner, customer if all(customer) else None)
    is_failing = partner.failures >= deliveries.CIRCUIT_OPENS_AT
    return Push(lease, peer, url, body, digest, probe=partner.versions_url if is_failing else "")


def _customer(partner: Partner) -> Party:
    """The first eMSP party of a partner: offers are the same for all of them."""
    named = [(r["country_code"], r["party_id"]) for r in partner.roles if r["role"] == "EMSP"]
    return named[0] if named else ("", "")
