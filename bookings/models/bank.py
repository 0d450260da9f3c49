"""What a bank was asked to collect or to send: files that were made, and the invoices in them."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from bookings.actors import ActorKind
from bookings.models.invoices import Invoice
from depots.models import Organisation


class BankOrder(models.Model):
    """A SEPA file of an organisation's, kept as it was made; `message_id` is what a bank knows it by."""

    class Kind(models.TextChoices):
        DEBIT = "debit", "Direct debits"
        TRANSFER = "transfer", "Transfers"

    organisation = models.ForeignKey(Organisation, models.PROTECT, related_name="bank_orders")
    kind = models.CharField(max_length=8, choices=Kind)
    message_id = models.CharField(max_length=35)
    total = models.DecimalField(max_digits=16, decimal_places=4)
    file = models.BinaryField()
    made_at = models.DateTimeField()
    made_by_kind = models.CharField(max_length=10, choices=ActorKind)
    made_by_name = models.CharField(max_length=120, blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["message_id"], name="bank_order_once")]

    def __str__(self) -> str:
        return self.message_id


class BankOrderLine(models.Model):
    """An invoice in such a file. It stands in no other until the bank has told that this one came back."""

    order = models.ForeignKey(BankOrder, models.PROTECT, related_name="lines")
    invoice = models.ForeignKey(Invoice, models.PROTECT, related_name="bank_lines", db_index=False)
    amount = models.DecimalField(max_digits=16, decimal_places=4)
    returned_at = models.DateTimeField(null=True, blank=True)
    return_reason = models.CharField(max_length=4, blank=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["invoice"], name="bank_order_line_once", condition=Q(returned_at__isnull=True)
            )
        ]

    def __str__(self) -> str:
        return f"{self.amount} of {self.invoice_id}"
