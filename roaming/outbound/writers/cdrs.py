"""Records of what partners' customers charged and booked here: each POSTed once, and never changed (OCPI mod_cdrs)."""

from __future__ import annotations

from datetime import datetime, timedelta

from bookings.models import ChargeDetailRecord
from bookings.rules.tariff_contents import contents
from roaming import access
from roaming.models import Delivery
from roaming.ocpi.client import Written
from roaming.ocpi.dialect import dialect_of
from roaming.ocpi.style import style_of
from roaming.outbound import deliveries
from roaming.outbound.deliveries import Lease
from roaming.outbound.pushes import Push, partners_of, push_to, written_each
from roaming.published_sessions import tariffs_of

EARLIER_FIRST = timedelta(seconds=1)


def cdrs_written(leases: list[Lease], *, now: datetime) -> list[Push]:
    """The POSTs of many. A credit, and what replaces a record, goes when the partner has what it is about."""
    partners = partners_of(leases)
    records = access.cdrs_of_ours().in_bulk({lease.object_id for lease in leases})
    early = _before_what_they_are_about(leases, records)
    deliveries.postpone(*early, until=now + EARLIER_FIRST)
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


def _before_what_they_are_about(leases: list[Lease], records: dict[int, ChargeDetailRecord]) -> list[Lease]:
    about = {
        pk: {one for one in (row.credits_id, row.replaces_id) if one is not None}
        for pk, row in records.items()
    }
    earlier = {pk for named in about.values() for pk in named}
    untold = deliveries.on_their_way(Delivery.Kind.CDR, earlier) if earlier else set()
    return [
        lease
        for lease in leases
        if any((lease.partner_id, pk) in untold for pk in about.get(lease.object_id, ()))
    ]
