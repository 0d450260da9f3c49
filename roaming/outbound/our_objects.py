"""Our objects as a partner is to have them now, each with its address at the partner's Receiver."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bookings.models import TariffVersion
from roaming import access, published, registration
from roaming.models import Delivery, Partner
from roaming.ocpi.client import Party, Peer
from roaming.ocpi.dialect import dialect_of
from roaming.ocpi.style import style_of
from roaming.outbound.full_sets import STILL_TOLD
from roaming.outbound.pushes import party_of
from roaming.published_invoices import invoice_records, owner_of, role_addressed
from roaming.seen_depots import seen_depots
from roaming.seen_tariffs import seen_tariffs

Kind = Delivery.Kind


@dataclass(frozen=True)
class OurObject:
    kind: str
    object_id: int
    name: str
    url: str
    peer: Peer
    body: dict[str, Any]


def our_objects(partner: Partner, *, now: datetime) -> list[OurObject]:
    """Those that the partner has been sent and that wait for nothing."""
    rows = partner.deliveries.filter(delivered_version__gt=0, next_try_at__isnull=True)
    told = set(rows.values_list("kind", "object_id"))
    found = [
        *_tariffs(partner, now),
        *_locations(partner, now),
        *_offers(partner, now),
        *_bookings(partner, now),
        *_invoice_records(partner, now),
    ]
    return [one for one in found if one.url and (one.kind, one.object_id) in told]


def _peer(partner: Partner, owner: Party, to: Party | None = None) -> Peer:
    to = to or party_of(partner, "EMSP")
    return registration.peer_of(partner, owner, to if all(to) else None)


def _tariffs(partner: Partner, now: datetime) -> Iterator[OurObject]:
    seen, style, tariffs = (
        seen_tariffs([partner], now=now)[partner.pk],
        style_of(partner),
        dialect_of(partner).tariffs,
    )
    for version in TariffVersion.objects.filter(pk__in=seen).select_related("tariff__operator"):
        operator = version.tariff.operator
        owner = operator.country_code.upper(), operator.cpo_party_id.upper()
        body = tariffs.write(version, seen[version.pk].content, style)
        if body is not None:
            url = tariffs.url(partner, owner, version.tariff.code)
            yield OurObject(
                Kind.TARIFF, version.tariff_id, version.tariff.code, url, _peer(partner, owner), body
            )


def _locations(partner: Partner, now: datetime) -> Iterator[OurObject]:
    locations, style = dialect_of(partner).locations, style_of(partner)
    visible = locations.shown(access.depots(partner, now=now), style).values_list("pk", flat=True)
    for (_, pk), seen in seen_depots([partner], set(visible), now=now).items():
        depot = seen.published.depot
        url, owner = locations.url(partner, depot), published.owner_of(depot)
        body = locations.write(seen.published, style)
        yield OurObject(Kind.LOCATION, pk, depot.location_id, url, _peer(partner, owner), body)


def _offers(partner: Partner, now: datetime) -> Iterator[OurObject]:
    """Without their calendars, which age by themselves."""
    bookings, style = dialect_of(partner).bookings, style_of(partner)
    for offer in published.offers(partner, list(access.options(partner, now=now)), now=now):
        url, owner = bookings.offer_url(partner, offer.option), published.owner_of(offer.option.depot)
        body = {
            name: told for name, told in bookings.write_offer(offer, style).items() if name != "calendars"
        }
        yield OurObject(
            Kind.BOOKING_LOCATION, offer.option.pk, offer.option.code, url, _peer(partner, owner), body
        )


def _bookings(partner: Partner, now: datetime) -> Iterator[OurObject]:
    bookings, style = dialect_of(partner).bookings, style_of(partner)
    for booking in access.bookings_of([partner]).filter(pk__in=STILL_TOLD[Kind.BOOKING](partner, now)):
        peer = _peer(
            partner, published.owner_of(booking.depot), (booking.customer_country, booking.customer_party)
        )
        url = bookings.url(partner, booking)
        yield OurObject(
            Kind.BOOKING, booking.pk, booking.reference, url, peer, bookings.write(booking, style)
        )


def _invoice_records(partner: Partner, now: datetime) -> Iterator[OurObject]:
    told = dialect_of(partner).invoice_records
    for record in invoice_records([partner]).filter(
        invoice__in=STILL_TOLD[Kind.INVOICE_RECORD](partner, now)
    ):
        peer = _peer(partner, owner_of(record), party_of(partner, role_addressed(record)))
        url = told.object_url(partner, record)
        if record.invoice_id is not None:
            yield OurObject(
                Kind.INVOICE_RECORD, record.invoice_id, record.invoice_number, url, peer, told.write(record)
            )
