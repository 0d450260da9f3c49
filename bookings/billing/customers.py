"""How an operator's customers pay: by the payment terms of the agreements they come under."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from bookings.billing import reverse_billing
from bookings.models import PaymentTerms
from depots.models import Organisation

DUE_DAYS = 14


@dataclass(frozen=True)
class InvoiceTerms:
    """`is_reverse`: the customer writes the invoice and gives it a number of its own (ocpi.md §5.10). `mandate` is the reference
    of one that it has signed."""

    is_reverse: bool = False
    due_days: int = DUE_DAYS
    mandate: str = ""


class InvoiceTermsOf:
    """By customer of one operator, read once. An invoice is about all of its depots: terms of agreements that name the
    customer go before those with everybody; reverse billing agreed anywhere holds, and the shortest time to pay."""

    def __init__(self, operator_id: int, rows: Iterable[PaymentTerms] | None = None) -> None:
        self._by_guest: dict[int | None, list[PaymentTerms]] = {}
        for row in _terms([operator_id]) if rows is None else rows:
            self._by_guest.setdefault(row.agreement.guest_id, []).append(row)

    def of(self, customer_id: int) -> InvoiceTerms:
        return _joined(self._by_guest.get(customer_id) or self._by_guest.get(None, []))

    def reverse_billed(self, customer_ids: Collection[int]) -> set[int]:
        """Those of them that write the invoices about what they owe."""
        return {pk for pk in customer_ids if self.of(pk).is_reverse} if self._by_guest else set()


def writing_elsewhere(operator_ids: Collection[int]) -> dict[int, set[int]]:
    """By operator the networks that write what they owe it in a system of their own. Three queries."""
    networks = set(Organisation.objects.filter(is_partner=True).values_list("pk", flat=True))
    everywhere = reverse_billing.agreed().customers
    by_operator: dict[int, list[PaymentTerms]] = {pk: [] for pk in operator_ids}
    for row in _terms(operator_ids):
        by_operator[row.agreement.depot.operator_id].append(row)
    return {
        operator_id: InvoiceTermsOf(operator_id, rows).reverse_billed(networks) | everywhere
        for operator_id, rows in by_operator.items()
    }


def _terms(operator_ids: Collection[int]) -> Iterable[PaymentTerms]:
    rows = PaymentTerms.objects.filter(agreement__depot__operator__in=operator_ids)
    return rows.select_related("agreement__depot").order_by("pk")


def _joined(rows: Iterable[PaymentTerms]) -> InvoiceTerms:
    rows = list(rows)
    if not rows:
        return InvoiceTerms()
    signed = (row.mandate_reference for row in rows if row.agreement.guest_id and row.mandate_signed_on)
    mandate = next(filter(None, signed), "")  # the oldest, as a file for the bank has it
    return InvoiceTerms(any(row.is_reverse for row in rows), min(row.due_days for row in rows), mandate)
