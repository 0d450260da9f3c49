"""Reconciliation records of invoices made here, as the partners see them that they concern."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from django.db.models import Q, QuerySet

from bookings.models import InvoiceReconciliationRecord
from depots.models import Organisation
from roaming.models import Partner

# So long a partner is told all again of an invoice, and asked what it has of it: as long as is known what it got.
TOLD_FOR = timedelta(days=90)


def owner_of(record: InvoiceReconciliationRecord) -> tuple[str, str]:
    """Country and party of who invoices: of its depots or, where it writes what it owes itself, of its fleet."""
    owner = record.owner
    party = owner.emsp_party_id if record.is_reverse else owner.cpo_party_id
    return owner.country_code.upper(), party.upper()


def role_addressed(record: InvoiceReconciliationRecord) -> str:
    """The role of the other side."""
    return "CPO" if record.is_reverse else "EMSP"


def invoice_records(
    partners: Collection[Partner], *, owner: Organisation | None = None
) -> QuerySet[InvoiceReconciliationRecord]:
    """Those that concern these partners, with their owners, oldest first; of an owner without a party there is none."""
    nameless = Q(is_reverse=False, owner__cpo_party_id="") | Q(is_reverse=True, owner__emsp_party_id="")
    rows = InvoiceReconciliationRecord.objects.filter(
        counterparty__in=[partner.organisation_id for partner in partners], invoice__isnull=False, is_withdrawn=False,
        owner__is_partner=False,
    ).exclude(nameless)  # fmt: skip
    rows = rows.exclude(owner__country_code="").select_related("owner").order_by("pk")
    return rows.filter(owner=owner) if owner is not None else rows


def still_told(partner: Partner, now: datetime) -> set[int]:
    """The invoices of which a partner is told again."""
    rows = invoice_records([partner]).filter(last_updated__gte=now - TOLD_FOR)
    return set(rows.order_by().values_list("invoice", flat=True))
