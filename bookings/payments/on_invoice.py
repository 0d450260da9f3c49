"""The invoice as a payment: a promise to pay later, good as far as the customer's credit limit goes."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from bookings.errors import CreditLimitReached
from bookings.models import PaymentTerms
from bookings.payments.providers import Outcome, PaymentAnswer, PaymentAsk
from bookings.rules import credit


@dataclass(frozen=True)
class OnInvoice:
    """Under the terms of one agreement; `pays_before` is whether the booking is paid or guaranteed otherwise before its promise,
    `without` a booking whose price the ask replaces. It answers at once, and WAITING says that the depot is to be asked. Its
    caller's transaction keeps the account locked."""

    terms: PaymentTerms
    pays_before: bool
    without: int | None = None
    label: str = "The invoice"

    def secure(self, ask: PaymentAsk) -> PaymentAnswer:
        # What is paid or guaranteed before the promise is owed to nobody.
        amount = Decimal(0) if self.pays_before else ask.amount
        try:
            beyond = credit.needs_approval(
                self.terms, operator_id=ask.operator_id, customer_id=ask.customer_id,
                quote={"currency": ask.currency, "total": amount} if ask.currency else {}, without=self.without,
            )  # fmt: skip
        except CreditLimitReached as refusal:
            return PaymentAnswer(Outcome.REFUSED, str(refusal))
        return PaymentAnswer(Outcome.WAITING if beyond else Outcome.SECURED)

    def settle(self, ask: PaymentAsk, amount: Decimal) -> PaymentAnswer:
        """It is paid by whoever gets it."""
        return PaymentAnswer(Outcome.WAITING)

    def release(self, ask: PaymentAsk) -> None:
        """A booking that is not live any more is owed no more: nothing was kept."""
