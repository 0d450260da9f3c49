"""Whose books are looked at: an organisation's month, as who owes or as who is owed, with everybody or one other."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property
from typing import Any

from bookings.billing.months import Month

# Another's invoice is waited for so long after its month.
INVOICE_WAITED_FOR = timedelta(days=14)


class Side(StrEnum):
    """PAYABLE: what its vehicles did at others' depots. RECEIVABLE: what others' vehicles did at its depots."""

    PAYABLE = "payable"
    RECEIVABLE = "receivable"


@dataclass(frozen=True)
class Books:
    organisation_id: int
    side: Side
    month: Month
    counterparty_id: int | None = None

    @property
    def is_payable(self) -> bool:
        return self.side is Side.PAYABLE

    def is_over(self, now: datetime, *, is_waited_for: bool) -> bool:
        """The month and, where another's invoice is waited for, the time for that."""
        waited_for = INVOICE_WAITED_FOR if is_waited_for else timedelta()
        return now.date() - waited_for >= self.month.next.first_day

    @cached_property
    def parameters(self) -> dict[str, Any]:
        """Of the fragments below."""
        first, after = self.month.first_day, self.month.next.first_day
        return {
            "organisation": self.organisation_id,
            "counterparty": self.counterparty_id,
            "first": first,
            "after": after,
        }

    def own(self, *, fleet: str, operator: str) -> str:
        """SQL: of these books, by the columns that name who charges and whose depot it is. Own vehicles at own depots owe
        nobody anything."""
        mine, theirs = (fleet, operator) if self.is_payable else (operator, fleet)
        found = f"{mine} = %(organisation)s AND {theirs} <> %(organisation)s"
        return found if self.counterparty_id is None else f"{found} AND {theirs} = %(counterparty)s"

    def counterparty(self, *, fleet: str, operator: str) -> str:
        return operator if self.is_payable else fleet

    @property
    def records(self) -> str:
        """SQL: the records of these books (`c` at depot `d`)."""
        return f"""
            SELECT c.id, c.code, c.kind, c.currency, c.before_taxes, c.taxes, c.plate, c.starts_at, c.ends_at, c.energy_wh,
                   c.booking_id, c.session_id, c.charging_tariff_id, c.booking_tariff_id, c.credits_id, c.issued_by_kind,
                   c.received IS NOT NULL AS is_received, d.name AS depot, d.time_zone,
                   {self.counterparty(fleet="c.customer_id", operator="c.operator_id")} AS counterparty_id
            FROM bookings_chargedetailrecord c JOIN depots_depot d ON d.id = c.depot_id
            WHERE {self.own(fleet="c.customer_id", operator="c.operator_id")} AND {in_month("c.ends_at", "d.time_zone")}
        """  # noqa: S608 - made of constants


def in_month(moment: str, zone: str) -> str:
    """SQL: by the clock at the depot; coarse bounds first, for the index: no zone is more than a day from UTC."""
    return (
        f"{moment} >= %(first)s::date - 1 AND {moment} < %(after)s::date + 1"
        f" AND timezone({zone}, {moment}) >= %(first)s AND timezone({zone}, {moment}) < %(after)s"
    )
