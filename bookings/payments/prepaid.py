"""The prepaid balance as a payment: what a customer has paid an operator in, in one currency, of which bookings reserve.

Who takes of it or gives back holds the account's lock (bookings.rules.credit), behind all others; what is available is kept by
the database and never below zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from bookings.actors import SCHEDULER, Actor
from bookings.errors import AmountInvalid, BalanceTooLow, ChangedMeanwhile, TopUpReferenceInUse
from bookings.models import BookingPayment, PrepaidBalance, PrepaidEntry
from bookings.payments.providers import Outcome, PaymentAnswer, PaymentAsk
from bookings.rules.credit import lock_account
from bookings.signals import balance_raised

Kind = PrepaidEntry.Kind
MOST = Decimal("999999999.99")


@dataclass(frozen=True)
class Account:
    """A customer's money with an operator in one currency."""

    operator_id: int
    customer_id: int
    currency: str

    @classmethod
    def of(cls, payment: BookingPayment) -> Account:
        return cls(payment.operator_id, payment.customer_id, payment.currency)

    def lock(self) -> None:
        """Until the transaction ends."""
        lock_account(self.operator_id, self.customer_id)

    def available(self) -> Decimal:
        """What no booking has reserved."""
        rows = PrepaidBalance.objects.filter(
            operator=self.operator_id, customer=self.customer_id, currency=self.currency
        )
        return rows.values_list("available", flat=True).first() or Decimal(0)

    def version(self) -> int:
        """Rises with every movement that a person recorded; never 0."""
        by_people = self.entries().filter(kind__in=[Kind.TOP_UP, Kind.PAID_OUT])
        return 1 + (by_people.order_by("-pk").values_list("pk", flat=True).first() or 0)

    def entry(self, kind: Kind, amount: Decimal, *, at: datetime, **about: Any) -> PrepaidEntry:
        """A movement, not saved yet."""
        return PrepaidEntry(
            operator_id=self.operator_id, customer_id=self.customer_id, currency=self.currency, kind=kind, amount=amount, at=at,
            **{**SCHEDULER.columns("made_by"), **about},
        )  # fmt: skip

    def entries(self) -> QuerySet[PrepaidEntry]:
        return PrepaidEntry.objects.filter(
            operator=self.operator_id, customer=self.customer_id, currency=self.currency
        )

    def tell_raised(self, at: datetime) -> None:
        balance_raised.send(sender=PrepaidBalance, account=self, at=at)


@dataclass(frozen=True)
class Prepaid:
    """The payment of one booking, whose row is locked, at one moment. It answers at once."""

    payment: BookingPayment
    at: datetime
    label: str = "The prepaid balance"

    def secure(self, ask: PaymentAsk) -> PaymentAnswer:
        """WAITING where too little is available. More than is reserved is reserved, less given back."""
        more = ask.amount - self.payment.reserved
        if more <= 0:
            self._give_back(-more)
        elif lacks := missing(Account.of(self.payment), more):
            return PaymentAnswer(Outcome.WAITING, f"{ask.currency} {lacks:.2f} are missing.")
        else:
            self._move(Kind.RESERVED, -more)
        return PaymentAnswer(Outcome.SECURED)

    def settle(self, ask: PaymentAsk, amount: Decimal) -> PaymentAnswer:
        """For `payment.invoice`: what is reserved is given back, and the amount taken of all there is. Its caller has locked
        the account and seen that it is enough."""
        self._move(Kind.RELEASED, self.payment.reserved)
        self._move(Kind.SETTLED, -amount, invoice_id=self.payment.invoice_id)
        return PaymentAnswer(Outcome.SECURED)

    def release(self, ask: PaymentAsk) -> None:
        self._give_back(self.payment.reserved)

    def _give_back(self, amount: Decimal) -> None:
        """Under the account's lock: who found too little there is seen waiting once they have committed."""
        if amount:
            Account.of(self.payment).lock()
            self._move(Kind.RELEASED, amount)

    def _move(self, kind: Kind, amount: Decimal, **about: Any) -> None:
        if not amount:
            return
        account = Account.of(self.payment)
        account.entry(kind, amount, at=self.at, booking_id=self.payment.pk, **about).save(force_insert=True)
        if kind != Kind.SETTLED:
            self.payment.reserved -= amount  # as the trigger has
        if kind == Kind.RELEASED:
            account.tell_raised(self.at)


def missing(account: Account, amount: Decimal) -> Decimal:
    """How much of it the balance lacks. Locks the account."""
    account.lock()
    return max(amount - account.available(), Decimal(0))


@dataclass(frozen=True)
class Movement:
    """Money that came or left, as a person records it. `seen_version` is the account's that they saw."""

    amount: Decimal
    reference: str = ""
    seen_version: int | None = None


def top_up(account: Account, movement: Movement, *, actor: Actor, now: datetime) -> tuple[PrepaidEntry, bool]:
    """The movement and whether it is new: the same reference told twice is one. What waits for it is answered by a job.

    Raises AmountInvalid, TopUpReferenceInUse when the reference stands for another amount, and ChangedMeanwhile when another
    was recorded since `seen_version`.
    """
    _check(movement.amount)
    with transaction.atomic():
        account.lock()
        entry, is_new = _once(account, Kind.TOP_UP, movement.amount, movement, actor, now)
        if is_new:
            account.tell_raised(now)
    return entry, is_new


def pay_out(
    account: Account, movement: Movement, *, actor: Actor, now: datetime
) -> tuple[PrepaidEntry, bool]:
    """The customer gets back what no booking has reserved, or a part of it. Raises BalanceTooLow, and what `top_up` does."""
    _check(movement.amount)
    with transaction.atomic():
        account.lock()
        entry, is_new = _once(account, Kind.PAID_OUT, -movement.amount, movement, actor, now)
    return entry, is_new


def _once(
    account: Account, kind: Kind, amount: Decimal, movement: Movement, actor: Actor, now: datetime
) -> tuple[PrepaidEntry, bool]:
    reference = movement.reference[:140]
    known = account.entries().filter(kind=kind, reference=reference).exclude(reference="").first()
    if known is not None:
        if known.amount != amount:
            raise TopUpReferenceInUse(f"{reference} was recorded with {abs(known.amount):.2f} already.")
        return known, False
    if movement.seen_version not in {None, account.version()}:
        raise ChangedMeanwhile("Money was recorded here meanwhile.")
    if account.available() + amount < 0:
        raise BalanceTooLow(f"No more than {account.currency} {account.available():.2f} can be paid out.")
    entry = account.entry(kind, amount, at=now, reference=reference, **actor.columns("made_by"))
    entry.save(force_insert=True)
    return entry, True


def _check(amount: Decimal) -> None:
    if not 0 < amount <= MOST or amount != amount.quantize(Decimal("0.01")):
        raise AmountInvalid(f"{amount} is no amount in whole cents above zero.")
