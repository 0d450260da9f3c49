"""Who can say that a booking will be paid: the invoice, the prepaid balance, and payment providers that an operator plugs in.

A provider is a class named in settings.PAYMENT_PROVIDERS that is called without arguments. It may be asked the same twice, by
several processes and after any of them was killed: `ask.key` makes it the same. It is called by a job, under no lock, and has
CALL_TIMEOUT to answer; what it raises is tried again. docs/operators/billing.md has the rules in full.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from typing import Protocol, cast
from uuid import UUID

from django.conf import settings
from django.utils.module_loading import import_string

from bookings.models import BookingPayment, PaymentTerms

PREPAID = "prepaid"
# A provider that is asked answers or gives up within so long; nobody tells it anything else about the same booking meanwhile.
CALL_TIMEOUT = timedelta(seconds=30)


class Outcome(StrEnum):
    SECURED = "secured"
    REFUSED = "refused"
    WAITING = "waiting"


@dataclass(frozen=True)
class PaymentAnswer:
    """`reason` is a sentence for the dispatcher, of a refusal or of what is waited for; `url` where whoever pays is sent to;
    `reference` the provider's own."""

    outcome: Outcome
    reason: str = ""
    url: str = ""
    reference: str = ""


@dataclass(frozen=True)
class PaymentAsk:
    """What is to be secured for one booking, with taxes. `before` is of PaymentTerms.Before; `reference` what the provider
    called it in an earlier answer."""

    key: UUID
    booking: str
    operator_id: int
    customer_id: int
    customer: str
    before: str
    amount: Decimal
    currency: str
    until: datetime | None
    reference: str = ""

    @classmethod
    def of(cls, payment: BookingPayment) -> PaymentAsk:
        return cls(
            payment.key, payment.booking.reference, payment.operator_id, payment.customer_id, payment.customer.name,
            payment.before, payment.amount, payment.currency, payment.until, payment.reference,
        )  # fmt: skip


class Payments(Protocol):
    """One way to be paid. `label` is what people read."""

    label: str

    def secure(self, ask: PaymentAsk) -> PaymentAnswer:
        """Reserve the amount, or say why not, or that it is waited for: then the same is asked again."""

    def settle(self, ask: PaymentAsk, amount: Decimal) -> PaymentAnswer:
        """Take so much of what was secured and give the rest back. SECURED says that it was taken."""

    def release(self, ask: PaymentAsk) -> None:
        """Give all of it back; also what was never secured, and what was given back before."""


def provider(name: str) -> Payments:
    """One that is plugged in, by its name. Raises KeyError for one that is not any more."""
    return _provider(settings.PAYMENT_PROVIDERS[name])


def choices() -> list[tuple[str, str]]:
    """Names and labels of what an agreement may ask for before a promise."""
    plugged_in = [(name, provider(name).label) for name in settings.PAYMENT_PROVIDERS]
    return [(PREPAID, "The prepaid balance"), *plugged_in]


def label_of(name: str) -> str:
    """Also of one that is plugged in no more."""
    return dict(choices()).get(name, name)


def asks_before(terms: PaymentTerms | None) -> bool:
    return terms is not None and terms.before != PaymentTerms.Before.NOTHING


@lru_cache
def _provider(path: str) -> Payments:
    return cast(Payments, import_string(path)())
