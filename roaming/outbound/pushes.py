"""What goes to a partner's Receiver: the state of now, written down at the moment it is sent."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog

from bookings.models import BookingOption
from depots.models import Agreement
from roaming import access, published, registration
from roaming.models import Delivery, Partner
from roaming.ocpi.client import Party
from roaming.ocpi.dialect import dialect_of
from roaming.outbound import deliveries
from roaming.outbound.deliveries import Lease, Push
from roaming.published import owner_of

logger = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Offer:
    """An offer as it goes out, made once for all partners to whom it is the same."""

    option: BookingOption
    body: dict[str, Any]
    digest: str
    is_visible: bool


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
    return _push(partner, lease, dialect.write_booking(booking), url, owner_of(booking.depot), customer)


def offers_written(leases: list[Lease], *, now: datetime) -> list[Push]:
    """The PUTs of many offers at once; what has nothing to send is settled. A change reaches hundreds of partners at the
    same moment, so what they share is read and computed once."""
    partners = Partner.objects.select_related("organisation").in_bulk({lease.partner_id for lease in leases})
    rows = Delivery.objects.in_bulk([lease.delivery_id for lease in leases])
    offers = _Offers(lease.object_id for lease in leases)
    pushes = []
    for lease in leases:
        try:
            push = _offer_push(partners[lease.partner_id], rows[lease.delivery_id], lease, offers, now)
        except Exception as fault:
            logger.exception("offer cannot be written", delivery=lease.delivery_id)
            deliveries.release(lease, now=now, error=f"our fault: {fault!r}")
            continue
        if push is None:
            deliveries.unchanged(lease)
        else:
            pushes.append(push)
    return pushes


class _Offers:
    """Offers by option and by who sees them: partners without an agreement of their own see the same (design.md)."""

    def __init__(self, option_ids: Iterable[int]) -> None:
        depots = dict(BookingOption.objects.filter(pk__in=set(option_ids)).values_list("pk", "depot_id"))
        guests: dict[int, set[int]] = {}
        own = Agreement.objects.filter(depot__in=depots.values(), guest__isnull=False)
        for depot_id, guest_id in own.values_list("depot_id", "guest_id"):
            guests.setdefault(depot_id, set()).add(guest_id)
        self._guests = {option: guests.get(depot, set()) for option, depot in depots.items()}
        self._made: dict[tuple[int, int | None, str], Offer | None] = {}

    def for_partner(self, partner: Partner, option_id: int, now: datetime) -> Offer | None:
        own = partner.organisation_id if partner.organisation_id in self._guests.get(option_id, ()) else None
        key = (option_id, own, partner.version)
        if key not in self._made:
            self._made[key] = _offer(partner, option_id, now)
        return self._made[key]


def _offer(partner: Partner, option_id: int, now: datetime) -> Offer | None:
    offer = published.offer(partner, option_id, now=now)
    if offer is None:
        return None
    body = dialect_of(partner).write_offer(offer)
    # Only an offer without free time may be one that is not to be seen any more.
    is_visible = bool(offer.timeslots) or access.options(partner, now=now).filter(pk=option_id).exists()
    return Offer(offer.option, body, deliveries.digest(body), is_visible)


def _offer_push(partner: Partner, row: Delivery, lease: Lease, offers: _Offers, now: datetime) -> Push | None:
    offer = offers.for_partner(partner, lease.object_id, now)
    url = dialect_of(partner).offer_url(partner, offer.option) if offer else ""
    if offer is None or not url or (row.delivered is None and not offer.is_visible):
        return None  # never told of, and not to be told of any more
    if row.delivered is not None and row.delivered.get("digest") == offer.digest:
        return None
    owner = owner_of(offer.option.depot)
    return _push(partner, lease, offer.body, url, owner, _customer(partner), offer.digest)


def _push(
    partner: Partner,
    lease: Lease,
    body: dict[str, Any],
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
