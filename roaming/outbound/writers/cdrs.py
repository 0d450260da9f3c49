"""Records of what partners' customers charged and booked here: each POSTed once, and never changed (OCPI mod_cdrs)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from django.db.models import Q

from bookings.models import ChargeDetailRecord
from bookings.rules.tariff_contents import contents
from roaming import access
from roaming.models import Delivery, GuestSession
from roaming.ocpi.client import Written
from roaming.ocpi.dialect import dialect_of
from roaming.ocpi.style import style_of
from roaming.outbound import earlier
from roaming.outbound.deliveries import Lease
from roaming.outbound.earlier import Untold
from roaming.outbound.pushes import Push, partners_of, push_to, written_each
from roaming.published_sessions import tariffs_of

Kind = Delivery.Kind
Told = Mapping[tuple[int, int], Untold]


def cdrs_written(leases: list[Lease], *, now: datetime) -> list[Push]:
    """The POSTs of many. Each goes when the partner has what it is about: its session as it ended, the record that it takes back
    or replaces."""
    partners = partners_of(leases)
    records = access.cdrs_of_ours().in_bulk({lease.object_id for lease in leases})
    early = _before_what_they_are_about(leases, records, now)
    earlier.wait(early, now=now)
    said = contents(tariffs_of(records.values()))

    def write(lease: Lease) -> Push | None:
        partner, cdr = partners[lease.partner_id], records.get(lease.object_id)
        dialect = dialect_of(partner)
        url = dialect.cdrs.url(partner)
        if cdr is None or cdr.customer_id != partner.organisation_id or not url:
            return None
        body = dialect.cdrs.write(cdr, said, style_of(partner))
        owner = cdr.place["country_code"].upper(), cdr.place["party_id"].upper()
        to_party = cdr.token["country_code"].upper(), cdr.token["party_id"].upper()
        return push_to(
            partner, lease, url, Written.of(body), method="POST", from_party=owner, to_party=to_party
        )

    return written_each([lease for lease in leases if lease not in early], write, now=now)


def _before_what_they_are_about(
    leases: list[Lease], records: Mapping[int, ChargeDetailRecord], now: datetime
) -> dict[Lease, Untold]:
    guests = _guests(records.values())
    sessions = earlier.untold(Kind.SESSION, set(guests.values()), now=now)
    credits_of = _credits_of(records.values())
    named = {pk for row in records.values() for pk in (row.credits_id, row.replaces_id) if pk is not None}
    others = earlier.untold(Kind.CDR, named | set(credits_of.values()), now=now)

    def first(lease: Lease) -> Untold | None:
        record, partner_id = records.get(lease.object_id), lease.partner_id
        if record is None:
            return None
        session = sessions.get((partner_id, guests.get(record.pk, 0)))
        if session is not None and session.is_coming:
            return session
        if record.credits_id is not None:
            # A credit of what the partner would not take has nothing to take back.
            return others.get((partner_id, record.credits_id))
        return _replaced(others, partner_id, record.replaces_id or 0, credits_of)

    found = {lease: first(lease) for lease in leases}
    return {lease: one for lease, one in found.items() if one is not None}


def _replaced(others: Told, partner_id: int, record_id: int, credits_of: Mapping[int, int]) -> Untold | None:
    """The record, else its credit, where it is on its way: what replaces one that is refused is what the partner may take."""
    one = others.get((partner_id, record_id)) or others.get((partner_id, credits_of.get(record_id, 0)))
    return one if one is not None and one.is_coming else None


def _credits_of(records: Collection[ChargeDetailRecord]) -> dict[int, int]:
    """By what was replaced, its credit."""
    replaced = {record.replaces_id for record in records if record.replaces_id is not None}
    if not replaced:
        return {}
    rows = ChargeDetailRecord.objects.filter(credits__in=replaced).values_list("credits", "pk")
    return {of: pk for of, pk in rows if of is not None}


def _guests(records: Collection[ChargeDetailRecord]) -> dict[int, int]:
    """By record, the row of the session that its partner is told of; a reservation that nobody used is one too."""
    of_session = {record.pk: record.session_id for record in records if record.session_id is not None}
    unused = {
        record.pk: record.booking_id for record in records if record.session_id is None and record.booking_id
    }
    rows = GuestSession.objects.filter(
        Q(session__in=set(of_session.values())) | Q(session=None, reservation__in=set(unused.values()))
    )
    found = list(rows.values_list("pk", "session_id", "reservation_id"))
    by_session = {session_id: pk for pk, session_id, _ in found}
    by_booking = {booking_id: pk for pk, _, booking_id in found}
    known = {pk: by_session.get(session_id) for pk, session_id in of_session.items()}
    known |= {pk: by_booking.get(booking_id) for pk, booking_id in unused.items()}
    return {pk: guest for pk, guest in known.items() if guest is not None}
