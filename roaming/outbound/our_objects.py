"""Our objects as a partner is to have them now, each with its address at the partner's Receiver."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from bookings.models import TariffVersion
from bookings.rules.tariff_contents import contents
from roaming import access, published, published_tokens, registration
from roaming.models import Delivery, Partner
from roaming.ocpi.client import Party, Peer
from roaming.ocpi.dialect import dialect_of
from roaming.ocpi.style import style_of
from roaming.outbound.full_sets import STILL_TOLD
from roaming.outbound.pushes import party_of
from roaming.published_invoices import invoice_records, owner_of, role_addressed
from roaming.published_sessions import is_over, published_sessions, tariffs_of
from roaming.seen_depots import seen_depots
from roaming.seen_tariffs import seen_tariffs

Kind = Delivery.Kind
RECORDS_SINCE = timedelta(days=62)


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
        *_tokens(partner),
        *_bookings(partner, now),
        *_invoice_records(partner, now),
        *_sessions(partner, now),
        *_records(partner, now),
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


def _tokens(partner: Partner) -> Iterator[OurObject]:
    tokens = dialect_of(partner).tokens
    for told in published_tokens.published(partner, published_tokens.tokens(partner)):
        fleet = told.token.fleet
        owner = fleet.country_code.upper(), fleet.emsp_party_id.upper()
        peer = _peer(partner, owner, party_of(partner, "CPO"))
        yield OurObject(
            Kind.TOKEN, told.token.pk, told.token.uid, tokens.url(partner, told), peer, tokens.write(told)
        )


def _sessions(partner: Partner, now: datetime) -> Iterator[OurObject]:
    """Those that have ended: what one that runs has come to is another with every reading."""
    sessions, style = dialect_of(partner).sessions, style_of(partner)
    ended = STILL_TOLD[Kind.SESSION](partner, now)
    rows = [row for row in access.guest_sessions(partner).filter(pk__in=ended) if is_over(row)]
    for session in published_sessions(rows, now=now):
        url, body = sessions.url(partner, session), sessions.write(session, style)
        peer = _peer(partner, session.owner, _holder(session.token))
        yield OurObject(Kind.SESSION, session.guest.pk, session.id, url, peer, body)


def _records(partner: Partner, now: datetime) -> Iterator[OurObject]:
    """Those of the last months of which the partner has said where it keeps them: a record has no address of its own."""
    rows = partner.deliveries.filter(kind=Kind.CDR, delivered_at__gte=now - RECORDS_SINCE)
    kept_at = {
        pk: str(told["location"])
        for pk, told in rows.values_list("object_id", "delivered")
        if told and told.get("location")
    }
    records = access.cdrs(partner).filter(pk__in=kept_at)
    said, cdrs, style = contents(tariffs_of(records)), dialect_of(partner).cdrs, style_of(partner)
    for record in records:
        owner = _party(record.place["country_code"], record.place["party_id"])
        peer, body = _peer(partner, owner, _holder(record.token)), cdrs.write(record, said, style)
        yield OurObject(Kind.CDR, record.pk, record.code, kept_at[record.pk], peer, body)


def _holder(token: Mapping[str, Any]) -> Party:
    return _party(token["country_code"], token["party_id"])


def _party(country_code: str, party_id: str) -> Party:
    return country_code.upper(), party_id.upper()
