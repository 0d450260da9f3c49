"""What goes to a partner's Receiver: the state of now, written down at the moment it is sent."""

from __future__ import annotations

from datetime import datetime

import structlog

from roaming import published, registration
from roaming.models import Delivery, Partner
from roaming.ocpi.client import Party, Written
from roaming.ocpi.dialect import dialect_of
from roaming.outbound import deliveries
from roaming.outbound.deliveries import Lease, Push
from roaming.outbound.offers import OfferBook, WrittenOffer
from roaming.published import owner_of

logger = structlog.get_logger(__name__)


def booking_written(lease: Lease) -> Push | None:
    """The PUT of a booking; None when there is nothing to send, and then it is settled."""
    partner = Partner.objects.select_related("organisation").get(pk=lease.partner_id)
    dialect = dialect_of(partner)
    booking = published.booking(partner, lease.object_id)
    url = dialect.booking_url(partner, booking) if booking else ""
    if booking is None or not url:
        deliveries.unchanged(lease)
        return None
    customer = (booking.customer_country, booking.customer_party)
    return _push(
        partner, lease, Written.of(dialect.write_booking(booking)), url, owner_of(booking.depot), customer
    )


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
    url = dialect_of(partner).offer_url(partner, offer.option)
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
