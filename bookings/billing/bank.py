"""Files for the bank, and what the bank says: debits under mandates, transfers of what is to be paid, and what has come."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from bookings.actors import Actor
from bookings.billing import run as billing_run
from bookings.billing.bank_statements import BankEntry, read_statement
from bookings.billing.errors import NothingToOrder, ParticularsMissing, PaymentReferenceInUse
from bookings.billing.returned_payments import known_return, record_return, take_back_at_once
from bookings.billing.sepa import (
    BankAccount,
    Creditor,
    Debit,
    DebitSequence,
    Mandate,
    Transfer,
    direct_debit_file,
    transfer_file,
)
from bookings.billing.settlement import record_payment, with_paid
from bookings.billing.versions import ORDERED, check_seen, order_version
from bookings.errors import AmountInvalid, TopUpReferenceInUse
from bookings.models import (
    BankOrder,
    BankOrderLine,
    Invoice,
    Payment,
    PaymentReturn,
    PaymentTerms,
    PrepaidEntry,
)
from bookings.payments.balance_references import balances_named
from bookings.payments.prepaid import Account, Movement, top_up
from bookings.rules.content_version import version_of
from depots.models import Organisation

_ONE_AT_A_TIME = "SELECT pg_advisory_xact_lock(hashtextextended('bank_order', %s))"
# Banks want a debit some days before it is collected.
NOTICE = timedelta(days=2)
_NUMBER = re.compile(r"\b(?:INV|CN)-\d{4}-\d{6,}\b")


def collectable(organisation: Organisation) -> list[tuple[Any, Mandate]]:
    """Open invoices in euros to customers who gave a mandate, in no file yet, each with `still_due`; and the mandate."""
    rows = _open(Q(supplier=organisation, kind=Invoice.Kind.INVOICE, is_reverse=False, customer__iban__gt=""))
    mandates = _mandates(organisation)
    return [(row, mandates[row.customer_id]) for row in rows if row.customer_id in mandates]


def payable(organisation: Organisation) -> list[Any]:
    """What it has to pay of its own accord: credit notes it owes, and invoices that it wrote itself; each with `still_due`."""
    owed_back = Q(supplier=organisation, kind=Invoice.Kind.CREDIT_NOTE, customer__iban__gt="")
    self_billed = Q(customer=organisation, kind=Invoice.Kind.INVOICE, is_reverse=True, supplier__iban__gt="")
    return list(_open(owed_back | self_billed))


def order_debits(
    *, organisation: Organisation, seen_version: int | None = None, actor: Actor, now: datetime
) -> BankOrder:
    """A pain.008 file of all that is collectable. Raises NothingToOrder, ParticularsMissing, PaymentFileRefused, and
    ChangedMeanwhile where that is something else than was seen."""
    _check_account(organisation, needed=("legal_name", "iban", "creditor_id"))
    with transaction.atomic():
        _queue(organisation)
        due = collectable(organisation)
        check_seen(seen_version, order_version(row for row, _ in due), ORDERED)
        creditor = Creditor(_account(organisation), organisation.creditor_id)
        debits = [
            Debit(
                end_to_end_id=row.number, amount=row.still_due, mandate=mandate, sequence=DebitSequence.RECURRENT,
                collect_on=max(row.due_on, (now + NOTICE).date()), remittance=f"Invoice {row.number}",
            )
            for row, mandate in due
        ]  # fmt: skip
        message_id = _message_id("DD", organisation, now)
        file = direct_debit_file(creditor, debits, message_id=message_id, now=now) if debits else b""
        return _keep(
            organisation, BankOrder.Kind.DEBIT, message_id, file, [row for row, _ in due], actor, now
        )


def order_transfers(
    *, organisation: Organisation, seen_version: int | None = None, actor: Actor, now: datetime
) -> BankOrder:
    """A pain.001 file of all that is payable. Raises NothingToOrder, ParticularsMissing, PaymentFileRefused, and
    ChangedMeanwhile where that is something else than was seen."""
    _check_account(organisation, needed=("legal_name", "iban"))
    with transaction.atomic():
        _queue(organisation)
        due = payable(organisation)
        check_seen(seen_version, order_version(due), ORDERED)
        transfers = [
            Transfer(
                end_to_end_id=row.number, amount=row.still_due, to=_account(_payee(row)), execute_on=max(row.due_on, now.date()),
                remittance=f"{row.get_kind_display()} {row.number}",
            )
            for row in due
        ]  # fmt: skip
        message_id = _message_id("CT", organisation, now)
        file = (
            transfer_file(_account(organisation), transfers, message_id=message_id, now=now) if due else b""
        )
        return _keep(organisation, BankOrder.Kind.TRANSFER, message_id, file, due, actor, now)


@dataclass
class ReadStatement:
    """What a statement came to: payments that were recorded now, what was paid into prepaid balances, what of both is known
    already, payments that were taken back, and movements that name neither; `set_aside` has those that cannot be recorded, each
    with the reason, `elsewhere` those of accounts that are not the organisation's."""

    recorded: list[Payment] = field(default_factory=list)
    topped_up: list[PrepaidEntry] = field(default_factory=list)
    known: list[Payment | PaymentReturn | PrepaidEntry] = field(default_factory=list)
    returned: list[PaymentReturn] = field(default_factory=list)
    unmatched: list[BankEntry] = field(default_factory=list)
    set_aside: list[tuple[BankEntry, str]] = field(default_factory=list)
    elsewhere: list[BankEntry] = field(default_factory=list)

    @property
    def other_accounts(self) -> list[str]:
        """Their IBANs, each once."""
        return sorted({entry.account for entry in self.elsewhere})


def record_statement(
    *, organisation: Organisation, file: bytes, seen_version: int | None = None, actor: Actor, now: datetime
) -> ReadStatement:
    """Record what a bank statement (camt.053) says was paid and taken back; told twice it is recorded once. An entry belongs to
    the invoice whose number is its end-to-end id, or stands in its words; one that names none may name a prepaid balance by its
    reference. Raises DocumentUnreadable, and ChangedMeanwhile where the account it is about is another than was seen."""
    check_seen(seen_version, account_version(organisation), "The particulars have changed meanwhile.")
    recording = _Recording(organisation, actor, now)
    entries: list[BankEntry] = []
    for entry in read_statement(file):
        (entries if entry.account == organisation.iban else recording.read.elsewhere).append(entry)
    with transaction.atomic():
        # What is paid gives guarantees back, on the accounts of several customers, as a run uses what they have paid in.
        billing_run.queue(organisation.pk)
        _queue(organisation)
        named = [(entry, _named_by(organisation, entry)) for entry in entries]
        paid_in: list[tuple[Account, BankEntry]] = []
        invoices = _locked({invoice_id for _, invoice_id in named if invoice_id is not None})
        for entry, invoice_id in named:
            invoice = invoices.get(invoice_id or 0)
            if not entry.amount:
                recording.read.set_aside.append((entry, "It is of nothing."))
            elif invoice_id is None and (account := _paid_in(organisation, entry)):
                paid_in.append((account, entry))
            elif invoice is None or entry.currency != invoice.currency:
                recording.read.unmatched.append(entry)
            elif entry.return_reason:
                recording.take_back(invoice, entry)
            else:
                recording.receive(invoice, entry)
        for account, entry in paid_in:  # behind the locks of all invoices and what guaranteed them
            recording.top_up(account, entry)
    return recording.read


def account_version(organisation: Organisation) -> int:
    return version_of({"iban": organisation.iban})


def _locked(ids: set[int]) -> dict[int, Invoice]:
    """By primary key, as a billing run does that sets credit notes off against them."""
    rows = Invoice.objects.filter(pk__in=ids).order_by("pk").select_for_update(no_key=True)
    return {invoice.pk: invoice for invoice in rows}


@dataclass(frozen=True)
class _Recording:
    organisation: Organisation
    actor: Actor
    now: datetime
    read: ReadStatement = field(default_factory=ReadStatement)

    def receive(self, invoice: Invoice, entry: BankEntry) -> None:
        ordered = BankOrderLine.objects.filter(
            invoice=invoice, order__organisation=self.organisation, order__kind=BankOrder.Kind.DEBIT
        )
        is_debit = entry.amount > 0 and ordered.exists()
        try:
            payment, is_new = record_payment(
                invoice_id=invoice.pk, amount=abs(entry.amount), paid_on=entry.booked_on, reference=f"bank {entry.id}",
                means=Payment.Means.DIRECT_DEBIT if is_debit else Payment.Means.TRANSFER, actor=self.actor, now=self.now,
            )  # fmt: skip
        except (AmountInvalid, PaymentReferenceInUse) as refusal:
            self.read.set_aside.append((entry, str(refusal)))
            return
        if is_new:
            take_back_at_once(payment, now=self.now)
        (self.read.recorded if is_new else self.read.known).append(payment)

    def top_up(self, account: Account, entry: BankEntry) -> None:
        movement = Movement(entry.amount, f"bank {entry.id}")
        try:
            paid_in, is_new = top_up(account, movement, actor=self.actor, now=self.now)
        except (AmountInvalid, TopUpReferenceInUse) as refusal:
            self.read.set_aside.append((entry, str(refusal)))
            return
        (self.read.topped_up if is_new else self.read.known).append(paid_in)

    def take_back(self, invoice: Invoice, entry: BankEntry) -> None:
        reference, amount = f"bank {entry.id}", abs(entry.amount)
        known = known_return(invoice, reference)
        if known is not None:
            self.read.known.append(known)
            return
        returned = record_return(
            invoice=invoice, organisation=self.organisation, amount=amount, returned_on=entry.booked_on,
            reason=entry.return_reason[:4], reference=reference, actor=self.actor, now=self.now,
        )  # fmt: skip
        if returned is None:
            self.read.unmatched.append(entry)
        else:
            self.read.returned.append(returned)


def _named_by(organisation: Organisation, entry: BankEntry) -> int | None:
    """Money that came is for what is owed to it, money that left for what it owes; what came back is the other way round.

    That an invoice is paid is for its supplier to say, or for who wrote it in its place: not for who owes it.
    """
    numbers = {entry.end_to_end_id, *_NUMBER.findall(entry.remittance.upper())} - {"", "NOTPROVIDED"}
    owed = Q(supplier=organisation, kind=Invoice.Kind.INVOICE) | Q(
        customer=organisation, kind=Invoice.Kind.CREDIT_NOTE
    )
    owing = Q(supplier=organisation, kind=Invoice.Kind.CREDIT_NOTE) | Q(
        customer=organisation, kind=Invoice.Kind.INVOICE, is_reverse=True
    )
    sides = owed if (entry.amount > 0) != bool(entry.return_reason) else owing
    found = Invoice.objects.filter(sides, number__in=numbers).values_list("pk", flat=True)[:2]
    return found[0] if len(found) == 1 else None


def _paid_in(organisation: Organisation, entry: BankEntry) -> Account | None:
    """The prepaid balance with it that money which came is meant for."""
    named = balances_named(f"{entry.end_to_end_id} {entry.remittance}")
    if (
        entry.amount < 0
        or entry.return_reason
        or len(named) != 1
        or not re.fullmatch("[A-Z]{3}", entry.currency)
    ):
        return None
    [(operator_id, customer_id)] = named
    is_known = (
        operator_id == organisation.pk != customer_id and Organisation.objects.filter(pk=customer_id).exists()
    )
    return Account(operator_id, customer_id, entry.currency) if is_known else None


def _open(of: Q) -> QuerySet[Any]:
    ordered = BankOrderLine.objects.filter(invoice=OuterRef("pk"), returned_at__isnull=True)
    rows = Invoice.objects.filter(of, ~Exists(ordered), currency="EUR", settled_at__isnull=True)
    found: QuerySet[Any] = with_paid(rows.select_related("supplier", "customer"))
    return found.filter(still_due__gt=0).order_by("due_on", "pk")


def _mandates(organisation: Organisation) -> dict[int, Mandate]:
    """By customer."""
    rows = PaymentTerms.objects.filter(
        agreement__depot__operator=organisation, agreement__guest__isnull=False, mandate_signed_on__isnull=False,
        mandate_reference__gt="",
    )  # fmt: skip
    found = {}
    for row in rows.select_related("agreement__guest").order_by("-pk"):
        guest, signed_on = row.agreement.guest, row.mandate_signed_on
        if guest is not None and signed_on is not None:
            found[guest.pk] = Mandate(row.mandate_reference, signed_on, _account(guest))
    return found


def _payee(invoice: Invoice) -> Organisation:
    return invoice.customer if invoice.kind == Invoice.Kind.CREDIT_NOTE else invoice.supplier


def _account(organisation: Organisation) -> BankAccount:
    return BankAccount(organisation.legal_name or organisation.name, organisation.iban)


def _check_account(organisation: Organisation, *, needed: Iterable[str]) -> None:
    faults = {
        name: f"The {name.replace('_', ' ')} of {organisation} is missing."
        for name in needed
        if not getattr(organisation, name)
    }
    if faults:
        raise ParticularsMissing(faults)


def _queue(organisation: Organisation) -> None:
    """Two files made at once would collect the same twice."""
    with connection.cursor() as cursor:
        cursor.execute(_ONE_AT_A_TIME, [organisation.pk])


def _message_id(prefix: str, organisation: Organisation, now: datetime) -> str:
    made = BankOrder.objects.filter(organisation=organisation).count()
    return f"{prefix}-{organisation.pk}-{now:%Y%m%d}-{made + 1}"


def _keep(
    organisation: Organisation,
    kind: BankOrder.Kind,
    message_id: str,
    file: bytes,
    rows: list[Any],
    actor: Actor,
    now: datetime,
) -> BankOrder:
    if not rows:
        raise NothingToOrder("Nothing is open that could stand in such a file.")
    order = BankOrder.objects.create(
        organisation=organisation, kind=kind, message_id=message_id, file=file, made_at=now,
        total=sum((row.still_due for row in rows), Decimal(0)), **actor.columns("made_by"),
    )  # fmt: skip
    BankOrderLine.objects.bulk_create(
        BankOrderLine(order=order, invoice=row, amount=row.still_due) for row in rows
    )
    return order
