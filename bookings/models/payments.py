"""Money before the promise: what customers have paid in, and what each booking that asks for it has secured."""

from __future__ import annotations

import uuid
from datetime import datetime
from decimal import Decimal

from django.db import models
from django.db.models import F, Q

from bookings.actors import ActorKind
from bookings.models.bookings import Booking
from bookings.models.invoices import Invoice, PaymentTerms
from depots.models import Organisation

ZERO = Decimal(0)


class PrepaidEntry(models.Model):
    """A movement of what a customer has paid an operator in advance, never changed (trigger). What is available is the sum in
    one currency; a trigger keeps it in PrepaidBalance, and what of it a booking has reserved in BookingPayment."""

    class Kind(models.TextChoices):
        TOP_UP = "top_up", "Paid in"
        RESERVED = "reserved", "Reserved for a booking"
        RELEASED = "released", "Given back"
        SETTLED = "settled", "Used for an invoice"
        PAID_OUT = "paid_out", "Paid out"

    operator = models.ForeignKey(Organisation, models.PROTECT, related_name="+", db_index=False)
    customer = models.ForeignKey(Organisation, models.PROTECT, related_name="+")
    currency = models.CharField(max_length=3)
    amount = models.DecimalField(max_digits=14, decimal_places=4)
    kind = models.CharField(max_length=8, choices=Kind)
    booking = models.ForeignKey(Booking, models.PROTECT, related_name="prepaid", null=True, blank=True)
    invoice = models.ForeignKey(Invoice, models.PROTECT, related_name="prepaid", null=True, blank=True)
    reference = models.CharField(max_length=140, blank=True)
    at = models.DateTimeField()
    made_by_kind = models.CharField(max_length=10, choices=ActorKind)
    made_by_name = models.CharField(max_length=120, blank=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["operator", "customer", "kind", "reference"],
                name="top_up_once",
                condition=Q(kind__in=["top_up", "paid_out"]) & ~Q(reference=""),
            ),
            models.UniqueConstraint(
                fields=["booking"], name="prepaid_settles_once", condition=Q(kind="settled")
            ),
            models.CheckConstraint(
                name="prepaid_entry_signed",
                condition=Q(kind__in=["top_up", "released"], amount__gt=0)
                | Q(kind__in=["reserved", "settled", "paid_out"], amount__lt=0),
            ),
            models.CheckConstraint(
                name="prepaid_entry_about",
                condition=Q(kind__in=["reserved", "released"], booking__isnull=False)
                | Q(kind="settled", invoice__isnull=False, booking__isnull=False)
                | Q(kind__in=["top_up", "paid_out"], booking__isnull=True, invoice__isnull=True),
            ),
        ]
        indexes = [models.Index(fields=["operator", "customer", "currency"], name="prepaid_balance")]

    def __str__(self) -> str:
        return f"{self.amount} {self.currency}"


class PrepaidBalance(models.Model):
    """What of a customer's money with an operator no booking has reserved. Only the trigger of PrepaidEntry writes it."""

    operator = models.ForeignKey(
        Organisation, models.PROTECT, related_name="prepaid_of_customers", db_index=False
    )
    customer = models.ForeignKey(Organisation, models.PROTECT, related_name="prepaid_balances")
    currency = models.CharField(max_length=3)
    available = models.DecimalField(max_digits=14, decimal_places=4, default=ZERO)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["operator", "customer", "currency"], name="prepaid_balance_once"),
            models.CheckConstraint(name="prepaid_balance_not_negative", condition=Q(available__gte=0)),
        ]

    def __str__(self) -> str:
        return f"{self.available} {self.currency} of {self.customer_id} with {self.operator_id}"


class BookingPayment(models.Model):
    """What a booking asks for before it is promised, where its agreement says so; written with the booking, under its lock.

    PLANNED while the booking is held, ASKED while it waits until `until`, SECURED, then USED for its invoice or RELEASED;
    REFUSED by its provider. `reserved` is what it holds of the prepaid balance (trigger of PrepaidEntry). `key` is the same for
    all a provider is told of it; `owed` is what the provider has yet to be told, at `next_try_at`, and nobody else tells it
    anything before `calling_until`. `approved_at` is when the depot said yes while the payment was still waited for. `invoice`
    is the first that bills the booking, of which `settles` is to be paid through the provider.
    """

    class Status(models.TextChoices):
        PLANNED = "planned", "Not asked for yet"
        ASKED = "asked", "Waited for"
        SECURED = "secured", "Secured"
        REFUSED = "refused", "Refused"
        RELEASED = "released", "Given back"
        USED = "used", "Used"

    class Owed(models.TextChoices):
        SECURE = "secure", "Ask"
        SETTLE = "settle", "Take"
        RELEASE = "release", "Give back"

    booking = models.OneToOneField(Booking, models.PROTECT, primary_key=True, related_name="payment")
    operator = models.ForeignKey(Organisation, models.PROTECT, related_name="+", db_index=False)
    customer = models.ForeignKey(Organisation, models.PROTECT, related_name="+", db_index=False)
    before = models.CharField(max_length=10, choices=PaymentTerms.Before)
    provider = models.CharField(max_length=30)
    payment_min = models.PositiveSmallIntegerField()
    currency = models.CharField(max_length=3, blank=True)
    amount = models.DecimalField(max_digits=14, decimal_places=4)
    reserved = models.DecimalField(max_digits=14, decimal_places=4, default=ZERO)
    settles = models.DecimalField(max_digits=14, decimal_places=4, default=ZERO)
    status = models.CharField(max_length=8, choices=Status, default=Status.PLANNED)
    reason = models.CharField(max_length=300, blank=True)
    key = models.UUIDField(default=uuid.uuid4, editable=False)
    reference = models.CharField(max_length=140, blank=True)
    url = models.URLField(max_length=500, blank=True)
    asked_at = models.DateTimeField(null=True, blank=True)
    until = models.DateTimeField(null=True, blank=True)
    approved_at = models.DateTimeField(null=True, blank=True)
    changed_at = models.DateTimeField()
    invoice = models.ForeignKey(Invoice, models.PROTECT, related_name="+", null=True, blank=True)
    owed = models.CharField(max_length=7, choices=Owed, blank=True)
    next_try_at = models.DateTimeField(null=True, blank=True)
    calling_until = models.DateTimeField(null=True, blank=True)
    tries = models.PositiveSmallIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["key"], name="booking_payment_key_once"),
            models.CheckConstraint(
                name="booking_payment_status_known",
                condition=Q(status__in=["planned", "asked", "secured", "refused", "released", "used"]),
            ),
            models.CheckConstraint(name="booking_payment_not_negative", condition=Q(amount__gte=0)),
            models.CheckConstraint(
                name="booking_payment_reserved_once",
                condition=Q(reserved=0) | Q(reserved__gt=0, reserved__lte=F("amount"), status="secured"),
            ),
            models.CheckConstraint(
                name="booking_payment_has_deadline", condition=~Q(status="asked") | Q(until__isnull=False)
            ),
            models.CheckConstraint(
                name="booking_payment_owed_has_time",
                condition=Q(owed="", next_try_at__isnull=True)
                | Q(owed__in=["secure", "settle", "release"], next_try_at__isnull=False),
            ),
        ]
        indexes = [
            models.Index(
                fields=["operator", "customer", "currency"],
                name="booking_payment_live",
                condition=Q(status__in=["planned", "asked", "secured"]),
            ),
            models.Index(
                fields=["next_try_at"], name="booking_payment_owed", condition=Q(next_try_at__isnull=False)
            ),
            models.Index(
                fields=["invoice"], name="booking_payment_of_invoice", condition=Q(status="secured")
            ),
        ]

    def __str__(self) -> str:
        return f"{self.amount} {self.currency} for {self.booking_id}, {self.status}"

    @property
    def is_waited_for(self) -> bool:
        return self.status == self.Status.ASKED

    @property
    def is_secured(self) -> bool:
        return self.status == self.Status.SECURED

    @property
    def is_guarantee(self) -> bool:
        return self.before == PaymentTerms.Before.GUARANTEE

    def can_still_come(self, now: datetime) -> bool:
        return self.is_waited_for and self.until is not None and now < self.until
