"""Reconciliation records of partners' invoices: posted, corrected, or read of a list. All of them end here.

Whose invoice it is about is said by the party addressed, else by the CDRs named. Of nobody here it waits until a CDR of it comes.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction

from bookings.billing.reconciliation import told_records
from bookings.billing.reconciliation.told_records import NamedRecords, ToldRecord
from bookings.models import InvoiceReconciliationRecord
from depots.models import Organisation
from roaming import deviations
from roaming.mirror.kept_objects import INVOICE_RECORD, forget_unmatched, keep
from roaming.mirror.values import ToldInvoiceRecord
from roaming.models import Partner, PartnerObject
from roaming.ocpi.auth import Party, speaks_for
from roaming.ocpi.dialect import dialect_of
from roaming.ocpi.wire_object import Read, UnreadableError

LACKING = "invoice_record.cdr_unknown"


@dataclass(frozen=True)
class AdoptedRecord:
    """`lacks_cdrs`: it names some that are not here."""

    is_new: bool
    lacks_cdrs: bool = False


def adopt_record(
    partner: Partner,
    read: Read[ToldInvoiceRecord],
    raw: dict[str, Any],
    *,
    to: Organisation | None = None,
    is_new: bool = False,
    now: datetime,
) -> AdoptedRecord:
    """Take over a record as a partner told it, with the message itself; what is older than known is dropped. `to` is who was
    addressed; `is_new`: the partner says so, and raises UnreadableError where it is known with other content."""
    told = read.value
    owner = told.country_code, told.party_id
    with transaction.atomic():
        kept, is_first = keep(partner, INVOICE_RECORD, owner, told.id, raw, now=now)
        if is_new and not is_first and _content(kept.raw) != _content(raw):
            raise UnreadableError("id", "is the one of another record: PUT what corrects it")
        if kept.last_updated is not None and told.last_updated < kept.last_updated:
            return AdoptedRecord(is_new=False)
        kept.raw, kept.last_updated, kept.received_at = raw, told.last_updated, now
        named = _named(partner, told)
        kept.is_unmatched = not _keep_matched(partner, told, named, to)
        kept.save()
        if is_first and kept.is_unmatched:
            forget_unmatched(partner, INVOICE_RECORD)
    odd = _oddities(told, named, is_unmatched=kept.is_unmatched)
    deviations.count(partner, [*read.deviations, *odd])
    return AdoptedRecord(is_first, lacks_cdrs=LACKING in odd)


def match_waiting(partner: Partner, party: Party, cdr_id: str) -> None:
    """A CDR of this party has come: those of its records that name it may be somebody's here now. Needs a transaction."""
    rows = PartnerObject.objects.filter(
        partner=partner, kind=INVOICE_RECORD, country_code__iexact=party[0], party_id__iexact=party[1], is_unmatched=True,
        raw__cdrs__icontains=json.dumps(cdr_id),
    )  # fmt: skip
    for kept in rows.order_by("pk").select_for_update(no_key=True):
        told = dialect_of(partner).invoice_records.read(kept.raw).value
        if _keep_matched(partner, told, _named(partner, told), None):
            kept.is_unmatched = False
            kept.save(update_fields=["is_unmatched"])


def withdraw_record(partner: Partner, kept: PartnerObject) -> None:
    """It was an error, says its owner."""
    party = _party(kept.country_code, kept.party_id)
    with transaction.atomic():
        told_records.withdraw_told(owner_id=partner.organisation_id, owner_party=party, code=kept.key)
        kept.delete()


def withdraw_missing(
    partner: Partner, party: Party, *, is_reverse: bool, seen: Collection[str], before: datetime
) -> int:
    """Those of a party that a complete crawl begun at `before` did not list: they hold no more (mod_invoice_reconciliation,
    Response Data of GET). One of nobody here goes on waiting: no list is asked for in nobody's name. Says how many."""
    known = PartnerObject.objects.filter(
        partner=partner, kind=INVOICE_RECORD, country_code__iexact=party[0], party_id__iexact=party[1],
        is_unmatched=False, received_at__lt=before,
    )  # fmt: skip
    left_alone = {code.upper() for code in seen} | codes_of_other_way(partner, party, is_reverse=is_reverse)
    missing = [kept for kept in known if kept.key.upper() not in left_alone]
    for kept in missing:
        withdraw_record(partner, kept)
    return len(missing)


def codes_of_other_way(partner: Partner, party: Party, *, is_reverse: bool) -> set[str]:
    """In capitals, of a party's records that stand in its other list."""
    rows = InvoiceReconciliationRecord.objects.filter(
        owner=partner.organisation_id, owner_party__iexact=_party(*party), is_reverse=not is_reverse
    )
    return {code.upper() for code in rows.values_list("code", flat=True)}


def _content(raw: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in raw.items() if name != "last_updated" and value is not None}


def _keep_matched(
    partner: Partner, told: ToldInvoiceRecord, named: list[NamedRecords], to: Organisation | None
) -> bool:
    """Keep it where it is known whom it concerns."""
    is_reverse = _is_reverse(partner, told, named)
    other = next((one.organisation_id for one in named if one.is_reverse == is_reverse), None)
    party = _party(told.country_code, told.party_id)
    counterparty_id = to.pk if to is not None else other
    if (
        counterparty_id is None
    ):  # corrected to CDRs that are not here, or read of a list after somebody was addressed
        counterparty_id = told_records.counterparty_of(
            owner_id=partner.organisation_id, owner_party=party, code=told.id
        )
    if counterparty_id is None:
        return False
    record = ToldRecord(
        partner.organisation, party, told.id, told.invoice_id, told.cdr_ids, is_reverse, told.last_updated
    )
    told_records.keep_told(record, counterparty_id=counterparty_id)
    return True


def _named(partner: Partner, told: ToldInvoiceRecord) -> list[NamedRecords]:
    party = _party(told.country_code, told.party_id)
    return told_records.named_records(told.cdr_ids, owner_id=partner.organisation_id, owner_party=party)


def _is_reverse(partner: Partner, told: ToldInvoiceRecord, named: list[NamedRecords]) -> bool:
    """By the owner's role or, where it has both, by the CDRs."""
    charges = speaks_for(partner, told.country_code, told.party_id, "EMSP")
    if charges and speaks_for(partner, told.country_code, told.party_id, "CPO"):
        return bool(named) and named[0].is_reverse
    return charges


def _oddities(told: ToldInvoiceRecord, named: list[NamedRecords], *, is_unmatched: bool) -> list[str]:
    codes = [code.upper() for code in told.cdr_ids]
    distinct = set(codes)
    found = {
        LACKING: len(distinct) > sum(one.count for one in named),
        "invoice_record.cdr_repeated": len(codes) > len(distinct),
        "invoice_record.of_nobody_here": is_unmatched,
    }
    return [name for name, is_so in found.items() if is_so]


def _party(country_code: str, party_id: str) -> str:
    return f"{country_code}*{party_id}".upper()
