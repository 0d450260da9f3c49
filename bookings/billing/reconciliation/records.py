"""What is wrong with records by themselves: recorded twice, for no booking, not as quoted, not by their tariff."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from django.db import connection

from bookings.billing.reconciliation.books import Books
from bookings.billing.reconciliation.findings import Finding, FindingKind, Subject, amounts, finding_key
from depots.templatetags.berth import money

Kind = FindingKind

_TWIN = """
    SELECT t.id, t.code FROM bookings_chargedetailrecord t
    WHERE t.id < r.id AND t.credits_id IS NULL
        AND NOT EXISTS (SELECT FROM bookings_chargedetailrecord taken WHERE taken.credits_id = t.id)
        AND (t.session_id = r.session_id OR t.booking_id = r.booking_id AND (
            t.kind = 'no_show' AND r.kind = 'session' OR t.kind = 'session' AND r.kind = 'no_show'
            OR t.kind = r.kind AND t.session_id IS NULL AND r.session_id IS NULL
                AND t.starts_at <= r.ends_at AND r.starts_at <= t.ends_at))
    ORDER BY t.id LIMIT 1
"""
# A partner's record names no version of a tariff; more money for no more energy is what no estimate explains.
_UNLIKE_QUOTE = """
    r.charging_tariff_id IS NOT NULL AND b.charging_tariff_id IS DISTINCT FROM r.charging_tariff_id
    OR r.booking_tariff_id IS NOT NULL AND b.booking_tariff_id IS DISTINCT FROM r.booking_tariff_id
    OR r.is_received AND b.quote #>> '{bill,currency}' = r.currency AND r.energy_wh <= (b.quote ->> 'energy_wh')::bigint
        AND r.before_taxes > (b.quote #>> '{bill,total,before_taxes}')::numeric
"""
# What another reckoned may differ by a cent before and after taxes: nobody's rounding is the only one.
_UNLIKE_TARIFF = """
    p.cdr_id IS NOT NULL AND (p.before_taxes IS NULL OR p.taxes IS NULL
        OR abs(p.before_taxes - r.before_taxes) + abs(p.taxes - r.taxes) > CASE WHEN r.is_received THEN 0.02 ELSE 0 END)
"""
_ODD = """
WITH r AS ({records})
SELECT r.id, r.code, r.currency, r.before_taxes, r.taxes, r.plate, r.ends_at, r.depot, r.time_zone, o.id, o.name,
       r.booking_id, b.reference, r.kind = 'session' AND r.booking_id IS NULL, twin.id, twin.code,
       b.id IS NOT NULL AND ({unlike_quote}), (b.quote #>> '{{bill,total,before_taxes}}')::numeric,
       ({unlike_tariff}), p.before_taxes,
       (SELECT min(said.id) FROM bookings_dispute said WHERE said.cdr_id = r.id AND said.outcome = 'open')
FROM r
JOIN depots_organisation o ON o.id = r.counterparty_id
LEFT JOIN bookings_booking b ON b.id = r.booking_id
LEFT JOIN bookings_chargedetailrecord credit ON credit.credits_id = r.id
LEFT JOIN bookings_pricecheck p ON p.cdr_id = r.id
LEFT JOIN LATERAL ({twin}) twin ON true
WHERE r.credits_id IS NULL AND credit.id IS NULL
    AND (r.booking_id IS NULL AND r.kind = 'session' OR twin.id IS NOT NULL OR b.id IS NOT NULL AND ({unlike_quote})
        OR ({unlike_tariff}))
ORDER BY r.ends_at, r.id
"""


class _Row(NamedTuple):
    id: int
    code: str
    currency: str
    before_taxes: Decimal
    taxes: Decimal
    plate: str
    ends_at: datetime
    depot: str
    time_zone: str
    counterparty_id: int
    counterparty: str
    booking_id: int | None
    reference: str | None
    is_unbooked: bool
    twin_id: int | None
    twin_code: str | None
    is_unlike_quote: bool
    quoted: Decimal | None
    is_unlike_tariff: bool
    priced: Decimal | None
    dispute_id: int | None

    @property
    def what(self) -> str:
        return f"{self.code}{f', {self.plate},' if self.plate else ''} at {self.depot}"

    def finding(
        self, kind: FindingKind, words: str, facts: str, expected: Decimal | None, of: object = ""
    ) -> Finding:
        return Finding(
            kind=kind, key=finding_key(kind, self.id, *([of] if of else [])), facts=facts, words=words,
            counterparty=self.counterparty, counterparty_id=self.counterparty_id, currency=self.currency, expected=expected,
            found=self.before_taxes, at=self.ends_at, time_zone=self.time_zone,
            about=Subject(cdr_id=self.id, booking_id=self.booking_id, dispute_id=self.dispute_id),
        )  # fmt: skip


def odd_records(books: Books) -> Iterator[Finding]:
    """One statement."""
    statement = _ODD.format(
        records=books.records, twin=_TWIN, unlike_quote=_UNLIKE_QUOTE, unlike_tariff=_UNLIKE_TARIFF
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, books.parameters)
        for row in map(_Row._make, cursor.fetchall()):
            yield from _findings(row)


def _findings(row: _Row) -> Iterator[Finding]:
    claimed = amounts(row.before_taxes)
    if row.twin_id is not None:
        words = f"{row.what}: {row.twin_code} records the same."
        yield row.finding(Kind.RECORDED_TWICE, words, claimed, Decimal(0), row.twin_id)
    if row.is_unlike_quote:
        words = f"{row.what}: priced by another tariff than booking {row.reference} was promised."
        yield row.finding(Kind.QUOTE_DIFFERS, words, amounts(row.before_taxes, row.quoted), row.quoted)
    if row.is_unlike_tariff:
        yield row.finding(
            Kind.TARIFF_DIFFERS, _priced_words(row), amounts(row.before_taxes, row.priced), row.priced
        )
    if row.is_unbooked:
        yield row.finding(Kind.RECORD_UNBOOKED, f"{row.what}: nobody had booked.", claimed, None)


def _priced_words(row: _Row) -> str:
    if row.priced is None:
        return f"{row.what}: its tariff cannot price its periods."
    if row.priced == row.before_taxes:
        return f"{row.what}: its tariff makes another tax of its periods."
    return f"{row.what}: its tariff makes {money(row.priced, row.currency)} of its periods."
