"""Records that several invoices are about, or one several times, by what reconciliation records name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

from bookings.billing.reconciliation.announced import Announced, of_announced
from bookings.billing.reconciliation.families import Family
from bookings.billing.reconciliation.findings import Finding, FindingKind
from bookings.billing.reconciliation.incoming import IncomingMonth
from bookings.models import InvoiceReconciliationRecord

NOTHING = Decimal()


def named_twice(
    announced: Iterable[Announced], rows: Iterable[InvoiceReconciliationRecord], month: IncomingMonth
) -> Iterator[Finding]:
    """Of invoices that are not here; what is entered is held against the records line by line. `rows` are all that were told of,
    of whichever month: who named a record first may bill it."""
    first = _first_named(rows, month)
    for each in announced:
        number = each.record.invoice_number
        for code, times in Counter(each.codes).items():
            family = month.known.named_by(each.record, code)
            billed = family.invoice if family is not None else None
            named = billed[1] if billed is not None else first[each.record.owner_id, code]
            if times > 1:
                yield _finding(each, f"{number}, announced: it names {code} {times} times.", code, family)
            elif named.upper() != number.upper():
                yield _finding(each, f"{number}, announced: {code} is on {named} already.", code, family)


def _first_named(
    rows: Iterable[InvoiceReconciliationRecord], month: IncomingMonth
) -> dict[tuple[int | None, str], str]:
    """By who invoices and code the number of the invoice: those that are entered, then what was told first."""
    named: dict[tuple[int | None, str], str] = {}
    for invoice in sorted([*month.others, *month.rows], key=lambda invoice: invoice.pk):
        for code in month.codes(invoice):
            named.setdefault((invoice.sender_id, code), invoice.number)
    for row in sorted(rows, key=lambda row: (row.last_updated, row.pk)):
        for code in row.cdr_codes:
            named.setdefault((row.owner_id, str(code).upper()), row.invoice_number)
    return named


def _finding(each: Announced, words: str, code: str, family: Family | None) -> Finding:
    """What is claimed once more is what the record says."""
    of = [member for member in family.members if member.code.upper() == code] if family is not None else []
    told: dict[str, Any] = {"facts": words[:300]}
    if of:
        told |= {
            "cdr_id": of[0].id, "currency": of[0].currency, "expected": NOTHING, "found": of[0].before_taxes,
        }  # fmt: skip
    return of_announced(each, FindingKind.INVOICED_TWICE, words, code, **told)
