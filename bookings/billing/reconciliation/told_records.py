"""Reconciliation records that others tell of: whose records they name, kept, corrected and withdrawn (OCPI 2.3.0 edition 2)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from django.db import connection, transaction

from bookings.models import InvoiceReconciliationRecord
from depots.models import Organisation

# By direction and by who is on the other side, how many records of these codes there are. Records are found by their operator,
# party and code, so of those issued here the operators are gone through.
_NAMED = """
WITH told AS (SELECT DISTINCT upper(code) AS code FROM unnest(%(codes)s::text[]) AS u (code)),
found AS (
    SELECT false AS is_reverse, c.customer_id AS other_id, told.code
    FROM told JOIN bookings_chargedetailrecord c ON c.operator_id = %(owner)s AND c.party = %(party)s
        AND upper(c.code) = told.code
    UNION ALL
    SELECT true, o.id, told.code
    FROM depots_organisation o CROSS JOIN told
    JOIN bookings_chargedetailrecord c ON c.operator_id = o.id AND c.party = '' AND upper(c.code) = told.code
    WHERE NOT o.is_partner AND c.customer_id = %(owner)s
)
SELECT is_reverse, other_id, count(DISTINCT code) FROM found WHERE other_id <> %(owner)s
GROUP BY is_reverse, other_id ORDER BY 3 DESC, is_reverse, other_id
"""


@dataclass(frozen=True)
class NamedRecords:
    """`count` of the records that somebody's invoice names are between it and this organisation. `is_reverse`: its own trucks
    charged."""

    is_reverse: bool
    organisation_id: int
    count: int


@dataclass(frozen=True)
class ToldRecord:
    """A reconciliation record as `owner` told it; `cdr_codes` as often as it names them."""

    owner: Organisation
    owner_party: str
    code: str
    invoice_number: str
    cdr_codes: tuple[str, ...]
    is_reverse: bool
    last_updated: datetime


def named_records(codes: Collection[str], *, owner_id: int, owner_party: str) -> list[NamedRecords]:
    """With whom the records of these codes are, those with most of them first. One statement. `owner_party` as a record of it
    has it."""
    with connection.cursor() as cursor:
        cursor.execute(_NAMED, {"codes": list(codes), "owner": owner_id, "party": owner_party})
        return [NamedRecords(*row) for row in cursor.fetchall()]


def keep_told(told: ToldRecord, *, counterparty_id: int) -> InvoiceReconciliationRecord:
    """New, or in the place of what was told before; one that was withdrawn stands again."""
    values = {
        "counterparty_id": counterparty_id, "invoice_number": told.invoice_number, "cdr_codes": list(told.cdr_codes),
        "is_reverse": told.is_reverse, "is_withdrawn": False, "last_updated": told.last_updated,
    }  # fmt: skip
    with transaction.atomic():
        row, _ = InvoiceReconciliationRecord.objects.update_or_create(
            owner=told.owner,
            owner_party__iexact=told.owner_party,
            code__iexact=told.code,
            defaults=values,
            create_defaults={
                **values, "owner": told.owner, "owner_party": told.owner_party, "code": told.code,
            },
        )  # fmt: skip
    return row


def counterparty_of(*, owner_id: int, owner_party: str, code: str) -> int | None:
    """Whom a record that stands concerns."""
    standing = InvoiceReconciliationRecord.objects.filter(
        owner=owner_id, owner_party__iexact=owner_party, code__iexact=code, is_withdrawn=False
    )
    return standing.values_list("counterparty", flat=True).first()


def withdraw_told(*, owner_id: int, owner_party: str, code: str) -> None:
    """It was an error; an invoice is judged without it from now on."""
    InvoiceReconciliationRecord.objects.filter(
        owner=owner_id, owner_party__iexact=owner_party, code__iexact=code, invoice=None
    ).update(is_withdrawn=True)
