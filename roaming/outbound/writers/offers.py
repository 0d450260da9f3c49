"""What a partner may book, with its calendars. A change reaches hundreds of partners at the same moment, so what they share is
read and written down once (offer_book.py)."""

from __future__ import annotations

from datetime import datetime

from roaming.models import Partner
from roaming.ocpi.dialect import dialect_of
from roaming.outbound import deliveries
from roaming.outbound.deliveries import Lease
from roaming.outbound.pushes import Push, digests_had, partners_of, party_of, push_to
from roaming.outbound.writers.offer_book import OfferBook, WrittenOffer
from roaming.published import owner_of


def offers_written(leases: list[Lease], book: OfferBook, *, now: datetime) -> list[Push]:
    """The PUTs of many offers at once; what has nothing to send is settled."""
    partners = partners_of(leases)
    had = digests_had(leases)
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


def _offer_push(partner: Partner, lease: Lease, offer: WrittenOffer, had: str | None) -> Push | None:
    url = dialect_of(partner).bookings.offer_url(partner, offer.option)
    if not url or (had is None and not offer.is_visible):
        return None  # never told of, and not to be told of any more
    if had == offer.digest:
        return None
    return push_to(
        partner, lease, url, offer.body, from_party=owner_of(offer.option.depot), to_party=party_of(partner, "EMSP"),
        digest=offer.digest,
    )  # fmt: skip
