"""How an operator's customers pay: by the payment terms of the agreements they come under."""

from __future__ import annotations

from collections.abc import Iterable
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

    def __init__(self, operator_id: int) -> None:
        rows = PaymentTerms.objects.filter(agreement__depot__operator=operator_id).select_related("agreement")
        self._by_guest: dict[int | None, list[PaymentTerms]] = {}
        for row in rows.order_by("pk"):
            self._by_guest.setdefault(row.agreement.guest_id, []).append(row)

    def of(self, customer_id: int) -> InvoiceTerms:
        return _joined(self._by_guest.get(customer_id) or self._by_guest.get(None, []))

    def writing_elsewhere(self) -> set[int]:
        """Networks that write what they owe this operator in a system of their own. Two queries."""
        networks = Organisation.objects.filter(is_partner=True).values_list("pk", flat=True)
        by_terms = {pk for pk in networks if self.of(pk).is_reverse} if self._by_guest else set()
        return by_terms | reverse_billing.agreed().customers


def _joined(rows: Iterable[PaymentTerms]) -> InvoiceTerms:
    rows = list(rows)
    if not rows:
        return InvoiceTerms()
    signed = (row.mandate_reference for row in rows if row.agreement.guest_id and row.mandate_signed_on)
    mandate = next(filter(None, signed), "")  # the oldest, as a file for the bank has it
    return InvoiceTerms(any(row.is_reverse for row in rows), min(row.due_days for row in rows), mandate)
