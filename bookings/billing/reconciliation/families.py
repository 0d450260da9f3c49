"""Records as invoices name them: a record, its credit and what replaced it are one thing that was delivered and billed."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from django.db import connection

from bookings.models import InvoiceReconciliationRecord

# By each code its eldest record, and of that all that followed from it.
_FAMILIES = """
WITH RECURSIVE named AS (
    SELECT c.id, upper(c.code) AS code, coalesce(c.credits_id, c.replaces_id) AS parent_id
    FROM unnest(%(codes)s::text[]) AS told (code)
    JOIN bookings_chargedetailrecord c ON upper(c.code) = told.code AND c.{mine} = %(organisation)s
),
up (code, id, parent_id) AS (
    SELECT code, id, parent_id FROM named
    UNION
    SELECT up.code, c.id, coalesce(c.credits_id, c.replaces_id)
    FROM up JOIN bookings_chargedetailrecord c ON c.id = up.parent_id
),
eldest AS (SELECT code, id FROM up WHERE parent_id IS NULL),
down (eldest_id, id) AS (
    SELECT DISTINCT id, id FROM eldest
    UNION
    SELECT down.eldest_id, c.id FROM down JOIN bookings_chargedetailrecord c
        ON c.credits_id = down.id OR c.replaces_id = down.id
)
SELECT down.eldest_id, (SELECT array_agg(eldest.code) FROM eldest WHERE eldest.id = down.eldest_id),
       c.id, c.code, c.credits_id, c.before_taxes, c.currency, c.operator_id, c.party,
       c.customer_id, c.ends_at, c.net_by_rate, c.plate,
       d.name, d.country, d.time_zone, c.booking_id, i.id, i.number,
       (SELECT min(said.id) FROM bookings_dispute said WHERE said.cdr_id = c.id AND said.outcome = 'open')
FROM down
JOIN bookings_chargedetailrecord c ON c.id = down.id
JOIN depots_depot d ON d.id = c.depot_id
LEFT JOIN bookings_invoicedcdr billed ON billed.cdr_id = c.id
LEFT JOIN bookings_invoice i ON i.id = billed.invoice_id
ORDER BY down.eldest_id, c.id
"""


class Member(NamedTuple):
    """A record of a family, and the invoice of Berth's that bills it."""

    id: int
    code: str
    credits_id: int | None
    before_taxes: Decimal
    currency: str
    operator_id: int
    party: str
    customer_id: int
    ends_at: datetime
    net_by_rate_json: str
    plate: str
    depot: str
    country: str
    time_zone: str
    booking_id: int | None
    invoice_id: int | None
    invoice_number: str | None
    dispute_id: int | None


@dataclass
class Family:
    members: list[Member] = field(default_factory=list)

    @property
    def latest(self) -> Member:
        """The record that stands, or the last that did."""
        return [member for member in self.members if member.credits_id is None][-1]

    @property
    def before_taxes(self) -> Decimal:
        """What all of it comes to: credits take back."""
        return sum((member.before_taxes for member in self.members), Decimal())

    @property
    def invoice(self) -> tuple[int, str] | None:
        """Of Berth's, on which one of it stands."""
        found = (
            (m.invoice_id, m.invoice_number or "")
            for m in self.members
            if m.invoice_id is not None and m.credits_id is None
        )
        return next(found, None)

    def nets(self) -> Iterable[tuple[str, Decimal | None, Decimal]]:
        """Country, rate and amount before taxes."""
        for member in self.members:
            for rate, net in json.loads(member.net_by_rate_json) or [[None, str(member.before_taxes)]]:
                yield member.country, None if rate is None else Decimal(rate), Decimal(net)


class Families:
    """Found by what names them: two operators, and two parties of one, may give their records the same code."""

    def __init__(self) -> None:
        self._by_code: dict[str, list[Family]] = {}

    def add(self, codes: Iterable[str], family: Family) -> None:
        for code in codes:
            self._by_code.setdefault(code, []).append(family)

    def of(self, code: str, operator_id: int | None = None, party: str = "") -> Family | None:
        """Of this operator's, and where a party is named of that one's alone; else of anybody's, the eldest."""
        found = self._by_code.get(code.upper(), [])
        theirs = [family for family in found if family.latest.operator_id == operator_id]
        if theirs and party:
            theirs = [family for family in theirs if family.latest.party == party.upper()]
            return theirs[0] if theirs else None
        return next(iter([*theirs, *found]), None)

    def named_by(self, record: InvoiceReconciliationRecord, code: str) -> Family | None:
        """As whoever told the reconciliation record means it: of its own, or where it writes what it owes of the other side's."""
        if record.is_reverse:
            return self.of(code, record.counterparty_id)
        return self.of(code, record.owner_id, record.owner_party)


def families(codes: Collection[str], *, organisation_id: int, is_payable: bool) -> Families:
    """Of the records of these codes (in capitals) that are this organisation's. One statement."""
    found = Families()
    if not codes:
        return found
    statement = _FAMILIES.format(mine="customer_id" if is_payable else "operator_id")
    with connection.cursor() as cursor:
        cursor.execute(statement, {"codes": sorted(codes), "organisation": organisation_id})
        rows = cursor.fetchall()
    by_eldest: dict[int, Family] = {}
    for eldest_id, names, *told in rows:
        family = by_eldest.get(eldest_id)
        if family is None:
            family = by_eldest[eldest_id] = Family()
            found.add(names, family)
        family.members.append(Member._make(told))
    return found
