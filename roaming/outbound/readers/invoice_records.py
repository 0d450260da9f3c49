"""Which CDRs a partner's invoices are about: of its depots, and of its own trucks at ours where it writes what it owes itself."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.db.models import Q

from bookings.models import ChargeDetailRecord, InvoiceReconciliationRecord
from roaming.mirror import partner_invoice_records
from roaming.models import Partner
from roaming.ocpi.auth import speaks_for
from roaming.ocpi.client import Party
from roaming.ocpi.dialect import dialect_of
from roaming.outbound.pulled_lists import Page, PulledList, is_of, one_by_one


def _url(partner: Partner) -> str:
    return dialect_of(partner).invoice_records.list_url(partner)


def _keep(page: Page, raw: Any) -> list[str]:
    """One address may list those of all parties; each is read as its owner's."""
    read = dialect_of(page.partner).invoice_records.read(raw)
    told = read.value
    if not is_of(page.party, told.country_code, told.party_id):
        is_its_own = speaks_for(page.partner, told.country_code, told.party_id)
        return [] if is_its_own else ["invoice_record.of_another_party"]
    page.seen.add(told.id)
    partner_invoice_records.adopt_record(page.partner, read, raw, now=page.now)
    return []


def _withdraw(*, is_reverse: bool) -> Callable[[Partner, Party, set[str], datetime], object]:
    def withdraw(partner: Partner, party: Party, seen: set[str], before: datetime) -> int:
        return partner_invoice_records.withdraw_missing(
            partner, party, is_reverse=is_reverse, seen=seen, before=before
        )

    return withdraw


def _charged_there(partner: Partner) -> Q:
    charged = ChargeDetailRecord.objects.filter(operator=partner.organisation_id)
    return Q(pk__in=charged.values("customer")) | _was_told(partner)


def _charged_here(partner: Partner) -> Q:
    charged = ChargeDetailRecord.objects.filter(customer=partner.organisation_id)
    return Q(pk__in=charged.values("operator")) | _was_told(partner)


def _was_told(partner: Partner) -> Q:
    """Who does not ask would lose what it was told of."""
    records = InvoiceReconciliationRecord.objects.filter(owner=partner.organisation_id)
    return Q(pk__in=records.values("counterparty"))


INVOICE_RECORDS = PulledList(
    "invoice_record",
    _url,
    one_by_one("invoice_record", _keep),
    withdraw=_withdraw(is_reverse=False),
    complete_every=None,
    asks_for_each=True,
    concerns=_charged_there,
)
SELF_BILLED_RECORDS = PulledList(
    "self_billed_record",
    _url,
    one_by_one("invoice_record", _keep),
    owner="EMSP",
    withdraw=_withdraw(is_reverse=True),
    complete_every=None,
    asks_for_each=True,
    concerns=_charged_here,
)
