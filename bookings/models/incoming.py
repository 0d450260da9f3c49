"""Invoices of others, and what either side says an invoice is about."""

from __future__ import annotations

from decimal import Decimal

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Upper

from bookings.actors import ActorKind
from bookings.models.invoices import Invoice
from depots.models import Organisation
from depots.name_keys import NameKey


class IncomingInvoice(models.Model):
    """An invoice an organisation got from somebody who bills outside Berth: read from an EN 16931 file, or typed.

    `sender` wrote it, where it is an organisation here: the supplier or, where it is self-billed, the customer, who then owes
    the recipient. `month` is the first day of the month it bills. Amounts are positive, also of a credit note.
    `cdr_codes` are the records it says it bills; `lines` `[{"text", "cdr", "before_taxes"}]` as far as they were told.
    `told` has what the file says of both parties (`seller`, `buyer`: `{"name", "vat_id"}`) and `differences`, the sentences
    in which it contradicts itself; it is empty for what was typed.
    """

    class Kind(models.TextChoices):
        INVOICE = "invoice", "Invoice"
        CREDIT_NOTE = "credit_note", "Credit note"

    class Source(models.TextChoices):
        FILE = "file", "Read from a file"
        TYPED = "typed", "Typed"

    class State(models.TextChoices):
        OPEN = "open", "To be checked"
        AGREED = "agreed", "Agreed"
        DISPUTED = "disputed", "Disputed"
        PAID = "paid", "Paid"
        WITHDRAWN = "withdrawn", "Withdrawn"

    recipient = models.ForeignKey(
        Organisation, models.PROTECT, related_name="incoming_invoices", db_index=False
    )
    sender = models.ForeignKey(Organisation, models.PROTECT, related_name="+", null=True, blank=True)
    sender_name = models.CharField(max_length=100)
    sender_key = NameKey("sender_name")
    sender_vat_id = models.CharField(max_length=20, blank=True)
    iban = models.CharField(max_length=34, blank=True)
    kind = models.CharField(max_length=11, choices=Kind, default=Kind.INVOICE)
    is_self_billed = models.BooleanField(default=False)
    number = models.CharField(max_length=255)
    number_key = NameKey("number", max_length=800)
    issued_on = models.DateField()
    due_on = models.DateField(null=True, blank=True)
    month = models.DateField(help_text="the first day of the month it bills")
    currency = models.CharField(max_length=3)
    before_taxes = models.DecimalField(max_digits=16, decimal_places=4)
    taxes = models.DecimalField(max_digits=16, decimal_places=4)
    source = models.CharField(max_length=5, choices=Source)
    file = models.BinaryField(null=True, blank=True)
    told = models.JSONField(default=dict, blank=True)
    lines = models.JSONField(default=list, blank=True)
    cdr_codes = models.JSONField(default=list, blank=True)
    state = models.CharField(max_length=9, choices=State, default=State.OPEN)
    said = models.CharField(max_length=300, blank=True, help_text="why it is in this state")
    paid_on = models.DateField(null=True, blank=True)
    version = models.PositiveIntegerField(default=1)
    entered_at = models.DateTimeField()
    entered_by_kind = models.CharField(max_length=10, choices=ActorKind)
    entered_by_name = models.CharField(max_length=120, blank=True)
    changed_at = models.DateTimeField(null=True, blank=True)
    changed_by_kind = models.CharField(max_length=10, choices=ActorKind, blank=True)
    changed_by_name = models.CharField(max_length=120, blank=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            # What was withdrawn may be entered again.
            models.UniqueConstraint(
                fields=["recipient", "sender_key", "number_key"],
                name="incoming_invoice_once",
                condition=~Q(state="withdrawn"),
            ),
            models.CheckConstraint(
                name="incoming_invoice_paid_on",
                condition=Q(state="paid", paid_on__isnull=False)
                | (~Q(state="paid") & Q(paid_on__isnull=True)),
            ),
            models.CheckConstraint(
                name="incoming_invoice_not_negative",
                condition=Q(before_taxes__gte=0, taxes__gte=0),
            ),
        ]
        indexes = [models.Index(fields=["recipient", "month"], name="incoming_of_recipient")]

    def __str__(self) -> str:
        return f"{self.number} of {self.sender_name}"

    @property
    def total(self) -> Decimal:
        return self.before_taxes + self.taxes

    @property
    def is_ours_to_pay(self) -> bool:
        """Its recipient owes it; else the sender does: credit notes, and what the sender wrote in the recipient's place."""
        return (self.kind == self.Kind.INVOICE) != self.is_self_billed


class InvoiceReconciliationRecord(models.Model):
    """Which records an invoice is about (OCPI 2.3.0 edition 2, invoicereconciliation): of our invoices made here, of others'
    as they were told. No amount: each side adds up its own records.

    `owner` is who invoices, `owner_party` which of its parties told of it ("FR*CPO"; empty for what was made here). `is_reverse`:
    the owner charged, and writes what it owes.
    """

    owner = models.ForeignKey(
        Organisation, models.PROTECT, related_name="reconciliation_records", db_index=False
    )
    counterparty = models.ForeignKey(Organisation, models.PROTECT, related_name="+")
    owner_party = models.CharField(max_length=8, blank=True, db_default="")
    is_reverse = models.BooleanField(default=False, db_default=False)
    code = models.CharField(max_length=64)
    invoice_number = models.CharField(max_length=255)
    cdr_codes = models.JSONField(default=list)
    invoice = models.OneToOneField(
        Invoice, models.PROTECT, related_name="reconciliation", null=True, blank=True
    )
    incoming = models.OneToOneField(
        IncomingInvoice, models.SET_NULL, related_name="reconciliation", null=True, blank=True
    )
    is_withdrawn = models.BooleanField(default=False)
    last_updated = models.DateTimeField()

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                F("owner"), Upper("owner_party"), Upper("code"), name="reconciliation_record_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.code} for {self.invoice_number}"
