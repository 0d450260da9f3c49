"""Which CDRs our invoices are about, to the partner that each concerns (OCPI 2.3.0 edition 2, mod_invoice_reconciliation)."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, NamedTuple

from roaming.models import Delivery
from roaming.ocpi.client import Written
from roaming.ocpi.dialect import dialect_of
from roaming.outbound.deliveries import Lease
from roaming.outbound.pushes import Push, partners_of, party_of, push_to, written_each
from roaming.published_invoices import invoice_records, owner_of, role_addressed


class _SoFar(NamedTuple):
    was_sent: bool
    attempts: int


def invoice_records_written(leases: list[Lease], *, now: datetime) -> list[Push]:
    """The calls of many; a partner without the module is told nothing."""
    partners, so_far = partners_of(leases), _so_far(leases)
    rows = invoice_records(partners.values()).filter(invoice__in={lease.object_id for lease in leases})
    found = {row.invoice_id: row for row in rows}

    def write(lease: Lease) -> Push | None:
        partner, record = partners[lease.partner_id], found.get(lease.object_id)
        told = dialect_of(partner).invoice_records
        if record is None or record.counterparty_id != partner.organisation_id or not told.url(partner):
            return None
        method = _method(so_far[lease.delivery_id])
        url = told.url(partner) if method == "POST" else told.object_url(partner, record)
        return push_to(
            partner, lease, url, Written.of(told.write(record)), method=method, from_party=owner_of(record),
            to_party=party_of(partner, role_addressed(record)),
        )  # fmt: skip

    return written_each(leases, write, now=now)


def _method(so_far: _SoFar) -> Literal["POST", "PUT"]:
    """A new one is POSTed, a known one PUT. Which of the two it is there is not known once an answer was lost: after a failure
    it is tried the other way."""
    return "PUT" if so_far.was_sent != bool(so_far.attempts % 2) else "POST"


def _so_far(leases: list[Lease]) -> dict[int, _SoFar]:
    rows = Delivery.objects.filter(pk__in=[lease.delivery_id for lease in leases])
    return {
        pk: _SoFar(at is not None, attempts)
        for pk, at, attempts in rows.values_list("pk", "delivered_at", "attempts")
    }
