"""What was paid of an invoice, and what is still open. A payment told twice is one payment."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models import DecimalField, F, Q, QuerySet, Sum, Value
from django.db.models.functions import Coalesce

from bookings.actors import SCHEDULER, Actor
from bookings.billing.errors import PaymentReferenceInUse
from bookings.billing.versions import CHANGED, check_seen, invoice_version
from bookings.errors import AmountInvalid
from bookings.models import Invoice, Payment
from bookings.signals import invoice_settled

_MONEY: DecimalField[Any, Any] = DecimalField(max_digits=16, decimal_places=4)
MOST = Decimal("999999999.99")


def with_paid(rows: QuerySet[Invoice]) -> QuerySet[Invoice]:
    """Each with `paid` and with `still_due`, which is below zero where too much was paid. What a bank took back is not paid."""
    kept = Sum("payments__amount", filter=Q(payments__returned=None))
    paid = Coalesce(kept, Value(Decimal(0)), output_field=_MONEY)
    return rows.annotate(paid=paid).annotate(still_due=F("total") - F("paid"))


def record_payment(
    *,
    invoice_id: int,
    amount: Decimal,
    paid_on: date,
    means: Payment.Means,
    reference: str,
    seen_version: int | None = None,
    actor: Actor,
    now: datetime,
) -> tuple[Payment, bool]:
    """The payment and whether it is new. Paying more than is due is recorded too: the money has come.

    Raises AmountInvalid, PaymentReferenceInUse when the reference stands for another amount, and ChangedMeanwhile for one that
    is new where something of the invoice has changed since `seen_version`.
    """
    if not 0 < amount <= MOST or amount != amount.quantize(Decimal("0.01")):
        raise AmountInvalid(f"{amount} is no amount in whole cents above zero.")
    with transaction.atomic():
        invoice = Invoice.objects.select_for_update(no_key=True).get(pk=invoice_id)
        known = Payment.objects.filter(invoice=invoice, reference=reference[:140]).first()
        if known is not None and known.amount != amount:
            raise PaymentReferenceInUse(f"{reference} is a payment of {known.amount:.2f} already.")
        if known is not None:
            return known, False
        if seen_version is not None:
            check_seen(seen_version, invoice_version(invoice), CHANGED)
        payment = Payment.objects.create(
            invoice=invoice, amount=amount, paid_on=paid_on, means=means, reference=reference[:140], recorded_at=now,
            **actor.columns("recorded_by"),
        )  # fmt: skip
        settle(invoice, now)
    return payment, True


def offset(note: Invoice, *, now: datetime) -> Decimal:
    """Set what is open of a credit note off against what is open of the invoice it corrects; gives how much. The rest is to be
    paid back."""
    assert note.corrects_id is not None
    with transaction.atomic():
        original = Invoice.objects.select_for_update(no_key=True).get(pk=note.corrects_id)
        amount = max(min(still_due(original), still_due(note)), Decimal(0))
        if amount > 0:
            # Once more after a bank took a payment back: another payment than the first.
            before = Payment.objects.filter(invoice=note, means=Payment.Means.CREDIT_NOTE).count()
            for invoice, other in ((original, note), (note, original)):
                record_payment(
                    invoice_id=invoice.pk, amount=amount, paid_on=now.date() if before else note.issued_on,
                    means=Payment.Means.CREDIT_NOTE, reference=f"{other.number}/{before + 1}" if before else other.number,
                    actor=SCHEDULER, now=now,
                )  # fmt: skip
    return amount


def still_due(invoice: Invoice) -> Decimal:
    """Below zero where too much was paid."""
    paid = Payment.objects.filter(invoice=invoice, returned=None).aggregate(paid=Sum("amount"))["paid"]
    return Decimal(invoice.total - (paid or 0))


def settle(invoice: Invoice, now: datetime) -> None:
    """`settled_at` from when all of it is paid, as long as nothing of it is taken back; its caller has locked it."""
    is_paid = still_due(invoice) <= 0
    rows = Invoice.objects.filter(pk=invoice.pk, settled_at__isnull=is_paid)
    changed = rows.update(settled_at=now if is_paid else None)
    if is_paid and changed:
        invoice_settled.send(sender=Invoice, invoice=invoice, at=now)
