"""A bank takes money back: a debit that was not honoured or was objected to, a transfer that was recalled or did not arrive."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal

from django.db.models import Q

from bookings.actors import Actor
from bookings.billing.payment_use import take_up_guarantees
from bookings.billing.settlement import offset, settle
from bookings.models import BankOrder, BankOrderLine, Invoice, Payment, PaymentReturn
from depots.models import Organisation


def known_return(invoice: Invoice, reference: str) -> PaymentReturn | None:
    return PaymentReturn.objects.filter(invoice=invoice, reference=reference[:140]).first()


def record_return(
    *,
    invoice: Invoice,
    organisation: Organisation,
    amount: Decimal,
    returned_on: date,
    reason: str,
    reference: str,
    actor: Actor,
    now: datetime,
) -> PaymentReturn | None:
    """What an organisation's bank has taken back of an invoice, which its caller has locked: the payment counts no more, and what
    was ordered of the bank can be ordered again. None where nothing is known that could have come back.

    A bank may tell of the return first: the payment is then taken back once it is told (`take_back_at_once`).
    """
    payment = _taken_back(invoice, organisation, amount, returned_on)
    line = BankOrderLine.objects.filter(
        invoice=invoice,
        order__organisation=organisation,
        returned_at=None,
        order__made_at__date__lte=returned_on,
    ).first()
    if payment is None and line is None:
        return None
    if line is not None:
        line.returned_at, line.return_reason = now, reason
        line.save(update_fields=["returned_at", "return_reason"])
    returned = PaymentReturn.objects.create(
        invoice=invoice, payment=payment, amount=amount, returned_on=returned_on, reason=reason, reference=reference[:140],
        recorded_at=now, **actor.columns("recorded_by"),
    )  # fmt: skip
    _reopen(invoice, now)
    return returned


def take_back_at_once(payment: Payment, *, now: datetime) -> None:
    """Of a payment that a bank tells of after it has told that it came back; its invoice is locked."""
    waiting = PaymentReturn.objects.filter(
        invoice=payment.invoice, payment=None, amount=payment.amount, returned_on__gte=payment.paid_on
    ).first()
    if waiting is not None:
        waiting.payment = payment
        waiting.save(update_fields=["payment"])
        _reopen(payment.invoice, now)


def _taken_back(
    invoice: Invoice, organisation: Organisation, amount: Decimal, returned_on: date
) -> Payment | None:
    """The latest of this amount that came over the account, or that who is owed has typed. A debit comes back whole, whatever a
    bank adds for its trouble."""
    over_its_account = Q(reference__startswith=f"bank {organisation.iban}/")
    typed = ~Q(reference__startswith="bank ") if invoice.supplier_id == organisation.pk else Q(pk=None)
    paid = Payment.objects.filter(
        over_its_account | typed, invoice=invoice, returned=None, paid_on__lte=returned_on,
        means__in=[Payment.Means.TRANSFER, Payment.Means.DIRECT_DEBIT],
    )  # fmt: skip
    latest: Iterable[Payment] = paid.order_by("-pk")
    alike = (one for one in latest if one.amount == amount)
    debits = (one for one in latest if one.means == Payment.Means.DIRECT_DEBIT)
    return next(alike, None) or next(debits, None)


def _reopen(invoice: Invoice, now: datetime) -> None:
    """It is due again, unless a credit note that was not paid back yet makes up for it; what guaranteed it does so again."""
    settle(invoice, now)
    notes = [invoice] if invoice.corrects_id else invoice.corrected_by.filter(settled_at=None).order_by("pk")
    for note in notes:
        if not _is_on_its_way(note):
            offset(note, now=now)
    take_up_guarantees(invoice, now=now)


def _is_on_its_way(note: Invoice) -> bool:
    return BankOrderLine.objects.filter(
        invoice=note, returned_at=None, order__kind=BankOrder.Kind.TRANSFER
    ).exists()
