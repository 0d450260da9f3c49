"""Berth's own invoices: records that are on none, and invoices that are not what their records make."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from datetime import datetime
from decimal import Decimal
from itertools import groupby
from typing import Any, NamedTuple

from django.db import connection

from bookings.billing import reverse_billing
from bookings.billing.customers import writing_elsewhere
from bookings.billing.parties import Party
from bookings.billing.reconciliation.books import Books
from bookings.billing.reconciliation.findings import Finding, FindingKind, Subject, amounts, finding_key
from bookings.billing.taxation import taxation
from bookings.billing.unbilled import DocumentKey, Sums
from bookings.errors import BookingError
from bookings.models import Invoice
from depots.templatetags.berth import money

Kind = FindingKind

# A record and its credit that are both on no invoice have nothing to be billed; a credit of what is billed has. What others'
# invoices name, or will, bills also what followed from it.
_UNINVOICED = """
WITH RECURSIVE r AS ({records}),
code AS (
    SELECT jsonb_array_elements_text(i.cdr_codes) AS code, CASE WHEN i.is_self_billed THEN NULL ELSE i.sender_id END AS issuer_id
    FROM bookings_incominginvoice i
    WHERE i.recipient_id = %(organisation)s AND i.state <> 'withdrawn' AND i.is_self_billed = %(self_billed)s
),
found AS (
    SELECT c.id, code.code, code.issuer_id, c.operator_id = code.issuer_id AS is_issuers
    FROM code JOIN bookings_chargedetailrecord c ON upper(c.code) = code.code AND c.{mine} = %(organisation)s
),
named (id) AS (
    (
        SELECT found.id FROM found
        WHERE found.is_issuers IS NOT FALSE OR NOT EXISTS (
            SELECT FROM found own WHERE own.is_issuers AND own.code = found.code AND own.issuer_id = found.issuer_id
        )
        UNION
        SELECT unnest(%(announced)s::bigint[])
    )
    UNION
    SELECT c.id FROM named JOIN bookings_chargedetailrecord c ON c.credits_id = named.id OR c.replaces_id = named.id
)
SELECT r.counterparty_id, o.name, r.currency, count(*), sum(r.before_taxes), min(r.code), min(r.id), bool_or(r.is_received),
       EXISTS (SELECT FROM bookings_invoice i WHERE i.month = %(first)s AND i.currency = r.currency AND i.kind = 'invoice'
           AND i.supplier_id = {supplier} AND i.customer_id = {customer})
FROM r
JOIN depots_organisation o ON o.id = r.counterparty_id
LEFT JOIN bookings_invoicedcdr billed ON billed.cdr_id = r.id
LEFT JOIN bookings_invoicedcdr original ON original.cdr_id = r.credits_id
LEFT JOIN bookings_chargedetailrecord credit ON credit.credits_id = r.id
WHERE billed.cdr_id IS NULL AND r.before_taxes <> 0
    AND (credit.id IS NULL AND r.credits_id IS NULL OR original.cdr_id IS NOT NULL)
    AND NOT EXISTS (SELECT FROM named WHERE named.id = r.id)
GROUP BY r.counterparty_id, o.name, r.currency
ORDER BY o.name, r.currency
"""
_INVOICED = """
SELECT i.id, i.number, i.kind, i.currency, i.before_taxes, i.taxes, i.cdr_count, i.parties, i.corrects_id, i.made_at,
       o.id, o.name, d.country, (part.told ->> 0)::numeric,
       count(*) FILTER (WHERE coalesce(part.number, 1) = 1),
       coalesce(sum(c.before_taxes) FILTER (WHERE coalesce(part.number, 1) = 1), 0),
       coalesce(sum((part.told ->> 1)::numeric), 0),
       count(*) FILTER (WHERE c.currency <> i.currency),
       count(*) FILTER (WHERE c.operator_id <> i.supplier_id OR c.customer_id <> i.customer_id)
FROM bookings_invoice i
JOIN depots_organisation o ON o.id = {counterparty}
LEFT JOIN bookings_invoicedcdr taken ON taken.invoice_id = i.id
LEFT JOIN bookings_chargedetailrecord c ON c.id = taken.cdr_id
LEFT JOIN depots_depot d ON d.id = c.depot_id
LEFT JOIN LATERAL jsonb_array_elements(c.net_by_rate) WITH ORDINALITY AS part (told, number) ON true
WHERE {own} AND i.month = %(first)s
GROUP BY i.id, o.id, d.country, (part.told ->> 0)::numeric
ORDER BY i.id
"""


class _Invoice(NamedTuple):
    """Of an invoice's row, what is the same in all its parts."""

    id: int
    number: str
    kind: str
    currency: str
    before_taxes: Decimal
    taxes: Decimal
    cdr_count: int
    parties_json: str
    corrects_id: int | None
    made_at: datetime
    counterparty_id: int
    counterparty: str

    def finding(
        self, kind: FindingKind, words: str, *, expected: Decimal | None = None, found: Decimal | None = None
    ) -> Finding:
        return Finding(
            kind=kind, key=finding_key(kind, "invoice", self.id), facts=amounts(expected, found), words=f"{self.number}: {words}",
            counterparty=self.counterparty, counterparty_id=self.counterparty_id, currency=self.currency, expected=expected,
            found=found, at=self.made_at, about=Subject(invoice_id=self.id),
        )  # fmt: skip


def uninvoiced_records(books: Books, announced: Collection[int], *, now: datetime) -> Iterator[Finding]:
    """One for each other party and currency: no invoice at all once the month is over, or what its invoice left out.
    `announced` are records that somebody said an invoice is about, which is on its way or here."""
    statement = _UNINVOICED.format(
        records=books.records,
        mine="customer_id" if books.is_payable else "operator_id",
        supplier="r.counterparty_id" if books.is_payable else "%(organisation)s",
        customer="%(organisation)s" if books.is_payable else "r.counterparty_id",
    )
    with connection.cursor() as cursor:
        cursor.execute(
            statement,
            books.parameters | {"self_billed": not books.is_payable, "announced": sorted(announced)},
        )
        rows = cursor.fetchall()
    others = _who_write(books, {row[0] for row in rows})
    for other, name, currency, count, net, code, pk, is_received, is_billed in rows:
        if not is_billed and not books.is_over(now, is_waited_for=other in others):
            continue
        kind = Kind.RECORD_UNINVOICED if is_billed else Kind.INVOICE_MISSING
        which = f"Record {code}" if count == 1 else f"{count} records"
        missing = "is not on the invoice" if count == 1 else "are not on the invoice"
        words = f"{which} {missing} of {books.month.first_day:%B %Y}."
        if not is_billed:
            words = f"{which} of {books.month.first_day:%B %Y}, and no invoice."
        yield Finding(
            kind=kind, key=finding_key(kind, books.side, books.month, other, currency), facts=f"{count}|{amounts(net)}",
            words=words, counterparty=name, counterparty_id=other, currency=currency, expected=net,
            about=Subject(
                cdr_id=pk if count == 1 else None, is_received=is_received or (not books.is_payable and other in others)
            ),
        )  # fmt: skip


def _who_write(books: Books, others: Collection[int]) -> set[int]:
    """Those of the others whose invoices are waited for: of whom one is owed by them, and of whom owes it by reverse billing."""
    if not others:
        return set()
    if books.is_payable:
        return set(others) - reverse_billing.agreed().suppliers
    return writing_elsewhere([books.organisation_id])[books.organisation_id] & set(others)


def wrong_invoices(books: Books) -> Iterator[Finding]:
    """Of the month: their sums, their VAT, their currency and parties against their records. One statement."""
    statement = _INVOICED.format(
        own=books.own(fleet="i.customer_id", operator="i.supplier_id"),
        counterparty=books.counterparty(fleet="i.customer_id", operator="i.supplier_id"),
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, books.parameters)
        rows = cursor.fetchall()
    for _, parts in groupby(rows, key=lambda row: row[0]):
        told = list(parts)
        yield from _wrong(_Invoice._make(told[0][:12]), [row[12:] for row in told])


def _wrong(invoice: _Invoice, parts: list[tuple[Any, ...]]) -> Iterator[Finding]:
    sums = Sums(DocumentKey(invoice.counterparty_id, invoice.currency, invoice.corrects_id))
    others = strangers = 0
    for country, rate, count, before_taxes, net, in_other_currency, of_others in parts:
        sums.cdrs += count if country is not None else 0
        sums.before_taxes += before_taxes
        sums.nets[country or "", rate] = net
        others, strangers = others + in_other_currency, strangers + of_others
    if others:
        yield invoice.finding(Kind.WRONG_CURRENCY, f"{others} of its records are not in {invoice.currency}.")
    if strangers:
        yield invoice.finding(Kind.WRONG_PARTY, f"{strangers} of its records are between others.")
    net = -sums.before_taxes if invoice.kind == Invoice.Kind.CREDIT_NOTE else sums.before_taxes
    if net != invoice.before_taxes or sums.cdrs != invoice.cdr_count:
        words = f"its {sums.cdrs} records add up to {money(net, invoice.currency)}."
        yield invoice.finding(Kind.SUM_DIFFERS, words, expected=net, found=invoice.before_taxes)
        return
    parties = json.loads(invoice.parties_json)
    taxes = expected_taxes(sums, parties) if parties else None
    if taxes is not None and taxes != invoice.taxes:
        words = f"by the rules its VAT is {money(taxes, invoice.currency)}."
        yield invoice.finding(Kind.VAT_DIFFERS, words, expected=taxes, found=invoice.taxes)


def expected_taxes(sums: Sums, parties: dict[str, Any]) -> Decimal | None:
    """By the rules and the parties as the invoice names them; None where these rules cannot tell."""
    seller, buyer = (Party.from_json(parties[side]) for side in ("supplier", "customer"))
    try:
        return taxation(sums, seller=seller, buyer=buyer).taxes
    except BookingError:
        return None
