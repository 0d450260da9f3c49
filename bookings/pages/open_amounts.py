"""What is open between an organisation and others, added up: what it is owed and what it owes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from bookings.billing.settlement import with_paid
from bookings.models import Invoice
from bookings.pages.money_access import InvoiceViewer


@dataclass
class OpenAmount:
    """Of one side (`receivable` or `payable`) and currency, of `count` documents.

    `overdue` is part of `amount`; what is to be paid back on credit notes is taken off."""

    side: str
    currency: str
    count: int = 0
    amount: Decimal = Decimal()
    overdue: Decimal = Decimal()


def open_amounts(viewer: InvoiceViewer, *, today: date) -> list[OpenAmount]:
    """What is owed to them first; one query. Between two of the viewer's own organisations it counts on both sides."""
    rows = with_paid(viewer.rows().select_related(None).filter(settled_at=None)).order_by()
    found: dict[tuple[str, str], OpenAmount] = {}
    columns = ("supplier", "customer", "currency", "kind", "due_on", "still_due")
    for supplier, customer, currency, kind, due_on, still_due in rows.values_list(*columns):
        for side in _sides(viewer, supplier, customer):
            each = found.setdefault((side, currency), OpenAmount(side, currency))
            _add(each, kind, still_due, is_overdue=due_on < today)
    return sorted(found.values(), key=lambda each: (each.side != "receivable", each.currency))


def _sides(viewer: InvoiceViewer, supplier: int, customer: int) -> Iterator[str]:
    if supplier in viewer.suppliers:
        yield "receivable"
    if customer in viewer.customers:
        yield "payable"


def _add(each: OpenAmount, kind: Any, still_due: Decimal, *, is_overdue: bool) -> None:
    each.count += 1
    if kind == Invoice.Kind.CREDIT_NOTE:
        each.amount -= still_due
        return
    each.amount += still_due
    each.overdue += still_due if is_overdue else 0
