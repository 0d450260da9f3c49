"""Invoices of others, and what either side says an invoice is about."""

from __future__ import annotations

from django.db import models
from django.db.models import F
from django.db.models.functions import Upper

from bookings.actors import ActorKind
from bookings.models.invoices import Invoice
from depots.models import Organisation


class IncomingInvoice(models.Model):
    """An invoice an organisation got from somebody who bills outside Berth: read from an EN 16931 file, or typed.

    `cdr_codes` are the records it says it bills; `lines` `[{"text", "cdr", "before_taxes"}]` as far as they were told.
    """

    class Source(models.TextChoices):
        FILE = "file", "Read from a file"
        TYPED = "typed", "Typed"

    recipient = models.ForeignKey(Organisation, models.PROTECT, related_name="incoming_invoices")
    supplier = models.ForeignKey(Organisation, models.PROTECT, related_name="+", null=True, blank=True)
    supplier_name = models.CharField(max_length=100)
    number = models.CharField(max_length=255)
    issued_on = models.DateField()
    due_on = models.DateField(null=True, blank=True)
    starts_on = models.DateField(null=True, blank=True)
    ends_on = models.DateField(null=True, blank=True)
    currency = models.CharField(max_length=3)
    before_taxes = models.DecimalField(max_digits=16, decimal_places=4)
    taxes = models.DecimalField(max_digits=16, decimal_places=4)
    source = models.CharField(max_length=5, choices=Source)
    file = models.BinaryField(null=True, blank=True)
    lines = models.JSONField(default=list)
    cdr_codes = models.JSONField(default=list)
    entered_at = models.DateTimeField()
    entered_by_kind = models.CharField(max_length=10, choices=ActorKind)
    entered_by_name = models.CharField(max_length=120, blank=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                F("recipient"), Upper("supplier_name"), Upper("number"), name="incoming_invoice_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.number} of {self.supplier_name}"


class InvoiceReconciliationRecord(models.Model):
    """Which records an invoice is about (OCPI 2.3.0 edition 2, invoicereconciliation): of our invoices made here, of others'
    as they were told. No amount: each side adds up its own records. `owner` is who invoices."""

    owner = models.ForeignKey(Organisation, models.PROTECT, related_name="reconciliation_records")
    counterparty = models.ForeignKey(Organisation, models.PROTECT, related_name="+")
    code = models.CharField(max_length=36)
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
        constraints = [models.UniqueConstraint(F("owner"), Upper("code"), name="reconciliation_record_once")]

    def __str__(self) -> str:
        return f"{self.code} for {self.invoice_number}"
