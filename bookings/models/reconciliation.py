"""What people and Berth found out when records and invoices were matched, and that need not be found out again."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from bookings.actors import ActorKind
from bookings.models.cdrs import ChargeDetailRecord
from depots.models import Organisation


class AcceptedFinding(models.Model):
    """An organisation lets a finding of its reconciliation rest, with the reason (bookings.billing.reconciliation).

    `key` says which finding, `facts` on what it rested: with other facts it comes up again. Reopened, the row stays.
    """

    organisation = models.ForeignKey(Organisation, models.PROTECT, related_name="+", db_index=False)
    key = models.CharField(max_length=300)
    facts = models.CharField(max_length=300, blank=True)
    reason = models.CharField(max_length=300)
    accepted_at = models.DateTimeField()
    accepted_by_kind = models.CharField(max_length=10, choices=ActorKind)
    accepted_by_name = models.CharField(max_length=120, blank=True)
    reopened_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "key"],
                name="accepted_finding_once",
                condition=Q(reopened_at__isnull=True),
            )
        ]

    def __str__(self) -> str:
        return self.key


class PriceCheck(models.Model):
    """What a record's tariffs price now, from the record's own periods, in the currency's decimals; null where it cannot be
    priced again."""

    cdr = models.OneToOneField(
        ChargeDetailRecord, models.CASCADE, primary_key=True, related_name="price_check"
    )
    before_taxes = models.DecimalField(max_digits=14, decimal_places=4, null=True, blank=True)
    taxes = models.DecimalField(max_digits=14, decimal_places=4, null=True, blank=True)
    checked_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.cdr_id}"
