"""What tariffs, credit and payments refuse."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bookings.pricing.tariff_checks import TariffFault

from bookings.errors.base import BookingError


class TariffRefused(BookingError):
    """`faults` say which of the drafts, counted from 0, is wrong at which field."""

    code = "tariff_refused"
    field = "tariff"

    def __init__(self, faults: Sequence[tuple[int, TariffFault]]) -> None:
        super().__init__("; ".join(f"{fault.field}: {fault.text}" for _, fault in faults) + ".")
        self.faults = tuple(faults)


class CreditLimitReached(BookingError):
    """The booking would take the customer's debt to the operator beyond what was agreed."""

    code = "credit_limit"


class AmountInvalid(BookingError):
    code = "amount_invalid"
    field = "amount"


class PaymentMissing(BookingError):
    """What has to be paid or guaranteed first is not there, and no time is left to wait for it, or it is a change that costs
    more. `amount` is how much is missing."""

    code = "payment_missing"

    def __init__(self, sentence: str, amount: Decimal) -> None:
        super().__init__(sentence)
        self.amount = amount


class PaymentAwaited(BookingError):
    """The booking waits for its payment: until that is there it is neither confirmed nor changed."""

    code = "payment_awaited"


class BalanceTooLow(BookingError):
    code = "balance_too_low"
    field = "amount"


class TopUpReferenceInUse(BookingError):
    """The same reference was recorded for this customer with another amount."""

    code = "top_up_reference_in_use"
    field = "reference"
