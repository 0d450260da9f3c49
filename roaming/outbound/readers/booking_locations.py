"""What a partner offers for booking. Its depots are read before; of what is pushed they may follow."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from roaming.mirror import partner_offers, partner_places, remote_bookings
from roaming.models import Partner
from roaming.ocpi.client import Party
from roaming.ocpi.dialect import dialect_of
from roaming.outbound.pulled_lists import Page, PulledList, is_of, one_by_one


def _url(partner: Partner) -> str:
    return dialect_of(partner).bookings.offers_url(partner)


def _keep(page: Page, raw: Any) -> list[str]:
    offer = dialect_of(page.partner).bookings.read_offer(page.partner, raw)
    if not is_of(page.party, offer.value.country_code, offer.value.party_id):
        return ["booking_location.of_another_party"]
    page.seen.add(offer.value.code)
    adopted = remote_bookings.adopt_offer(page.partner, offer, raw, now=page.now)
    return ["booking_location.location_not_told"] if partner_places.is_stub(adopted.option.depot) else []


def _withdraw(partner: Partner, party: Party, seen: set[str], before: datetime) -> int:
    return partner_offers.withdraw_missing(partner, *party, seen=seen, before=before)


BOOKING_LOCATIONS = PulledList(
    "booking_location",
    _url,
    one_by_one("booking_location", _keep),
    withdraw=_withdraw,
    complete_every=timedelta(hours=6),
)
