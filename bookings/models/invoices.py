"""Who owes whom: invoices and what was paid on them, what an agreement asks before a promise."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Upper

from bookings.actors import ActorKind
from bookings.models.cdrs import ChargeDetailRecord
from depots.models import Agreement, Organisation


class NumberSequence(models.Model):
    """Numbers without a gap: `last` is raised under the row's lock, in the transaction that uses the number, which locks it
    last. `series` is "cdr", or the kind of document and its year."""

    organisation = models.ForeignKey(Organisation, models.PROTECT, related_name="+", db_index=False)
    series = models.CharField(max_length=30)
    last = models.BigIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organisation", "series"], name="number_sequence_once")
        ]

    def __str__(self) -> str:
        return f"{self.organisation_id} {self.series}: {self.last}"


class Invoice(models.Model):
    """A document about the records of one month, supplier, customer and currency. Issued once and never changed (trigger), but
    for when it was sent and settled; corrected by a credit note, which `corrects` it.

    `issuer` gives the number. Direct billing: the depot's operator; reverse billing (`is_reverse`): the customer, who credits
    the operator. Amounts are in the currency's decimals and negative in no document. `tax_breakdown` has
    `[{"category", "rate", "before_taxes", "taxes", "note"}]` (EN 16931 BG-23), `parties` both as they were then.
    """

    class Kind(models.TextChoices):
        INVOICE = "invoice", "Invoice"
        CREDIT_NOTE = "credit_note", "Credit note"

    issuer = models.ForeignKey(Organisation, models.PROTECT, related_name="invoices_issued", db_index=False)
    supplier = models.ForeignKey(
        Organisation, models.PROTECT, related_name="invoices_supplied", db_index=False
    )
    customer = models.ForeignKey(Organisation, models.PROTECT, related_name="invoices_due", db_index=False)
    kind = models.CharField(max_length=11, choices=Kind)
    is_reverse = models.BooleanField(default=False)
    year = models.PositiveIntegerField()
    sequence = models.BigIntegerField()
    number = models.CharField(max_length=40)
    month = models.DateField(help_text="the first day of the month billed")
    currency = models.CharField(max_length=3)
    issued_on = models.DateField()
    due_on = models.DateField()
    before_taxes = models.DecimalField(max_digits=16, decimal_places=4)
    taxes = models.DecimalField(max_digits=16, decimal_places=4)
    total = models.DecimalField(max_digits=16, decimal_places=4)
    tax_breakdown = models.JSONField(default=list)
    parties = models.JSONField(default=dict)
    cdr_count = models.PositiveIntegerField()
    corrects = models.ForeignKey("self", models.PROTECT, related_name="corrected_by", null=True, blank=True)
    reason = models.CharField(max_length=300, blank=True)
    made_at = models.DateTimeField()
    made_by_kind = models.CharField(max_length=10, choices=ActorKind)
    made_by_name = models.CharField(max_length=120, blank=True)
    sent_at = models.DateTimeField(null=True, blank=True)
    settled_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(F("issuer"), Upper("number"), name="invoice_number_once"),
            models.UniqueConstraint(
                fields=["issuer", "kind", "year", "sequence"], name="invoice_sequence_once"
            ),
            models.CheckConstraint(
                name="invoice_kind_known", condition=Q(kind__in=["invoice", "credit_note"])
            ),
            models.CheckConstraint(
                name="invoice_adds_up", condition=Q(total=F("before_taxes") + F("taxes"), total__gte=0)
            ),
        ]
        indexes = [
            models.Index(fields=["supplier", "month"], name="invoice_of_supplier"),
            models.Index(fields=["customer", "month"], name="invoice_of_customer"),
            models.Index(
                fields=["due_on"], name="invoice_open", condition=Q(settled_at__isnull=True, kind="invoice")
            ),
        ]

    def __str__(self) -> str:
        return self.number


class InvoicedCdr(models.Model):
    """A record on the one document that bills it: a primary key, so that nothing is billed twice."""

    # Neither is ever deleted (triggers). Checking the keys of a month's rows would take longer than all else of its run.
    cdr = models.OneToOneField(
        ChargeDetailRecord, models.PROTECT, primary_key=True, related_name="invoiced", db_constraint=False
    )
    invoice = models.ForeignKey(Invoice, models.PROTECT, related_name="cdrs", db_constraint=False)

    def __str__(self) -> str:
        return f"{self.cdr_id} on {self.invoice_id}"


class InvoiceFile(models.Model):
    """The document as it was sent: a PDF/A-3 that carries the EN 16931 invoice as XML."""

    invoice = models.OneToOneField(Invoice, models.PROTECT, primary_key=True, related_name="file")
    pdf = models.BinaryField()
    xml = models.TextField()
    made_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"file of {self.invoice_id}"


class Payment(models.Model):
    """Money that came for an invoice (or went, for a credit note). `reference` makes the same one told twice the same one."""

    class Means(models.TextChoices):
        TRANSFER = "transfer", "Transfer"
        DIRECT_DEBIT = "direct_debit", "Direct debit"
        PREPAID = "prepaid", "Prepaid balance"
        PROVIDER = "provider", "Payment provider"
        CREDIT_NOTE = "credit_note", "Credit note"

    invoice = models.ForeignKey(Invoice, models.PROTECT, related_name="payments")
    amount = models.DecimalField(max_digits=16, decimal_places=4)
    paid_on = models.DateField()
    means = models.CharField(max_length=12, choices=Means)
    reference = models.CharField(max_length=140, blank=True)
    recorded_at = models.DateTimeField()
    recorded_by_kind = models.CharField(max_length=10, choices=ActorKind)
    recorded_by_name = models.CharField(max_length=120, blank=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["invoice", "reference"], name="payment_once", condition=~Q(reference="")
            ),
            models.CheckConstraint(name="payment_positive", condition=Q(amount__gt=0)),
        ]

    def __str__(self) -> str:
        return f"{self.amount} for {self.invoice_id}"


# The reasons of ISO 20022 (external return reason codes) that accounts see.
RETURN_REASONS = {
    "AC01": "the account number is wrong", "AC04": "the account is closed", "AC06": "the account is blocked",
    "AC13": "a consumer's account", "AG01": "the account allows no direct debit", "AG02": "wrong operation",
    "AM04": "insufficient funds", "AM05": "collected twice", "BE05": "the creditor is not known", "FOCR": "called back",
    "MD01": "no mandate", "MD06": "objected to by the payer", "MD07": "the payer has died", "MS02": "refused by the payer",
    "MS03": "no reason told", "RC01": "the bank's code is wrong", "RR04": "regulation", "SL01": "the payer's bank blocks it",
}  # fmt: skip


class PaymentReturn(models.Model):
    """A bank took money back: its `payment`, which then counts no more; null as long as nobody has told of that. `reason` is of
    ISO 20022 (AM04, MD06 …), `reference` makes the same one told twice the same one."""

    invoice = models.ForeignKey(Invoice, models.PROTECT, related_name="payment_returns", db_index=False)
    payment = models.OneToOneField(Payment, models.PROTECT, related_name="returned", null=True, blank=True)
    amount = models.DecimalField(max_digits=16, decimal_places=4)
    returned_on = models.DateField()
    reason = models.CharField(max_length=4)
    reference = models.CharField(max_length=140)
    recorded_at = models.DateTimeField()
    recorded_by_kind = models.CharField(max_length=10, choices=ActorKind)
    recorded_by_name = models.CharField(max_length=120, blank=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["invoice", "reference"], name="payment_return_once"),
            models.CheckConstraint(name="payment_return_positive", condition=Q(amount__gt=0)),
        ]

    def __str__(self) -> str:
        return f"{self.amount} of {self.invoice_id} taken back"

    @property
    def reason_words(self) -> str:
        """`AM04, insufficient funds`."""
        return ", ".join(filter(None, [self.reason, RETURN_REASONS.get(self.reason, "")]))


class Reminder(models.Model):
    """An invoice is overdue and its customer reminded, for the `level`-th time: once, `sent_at` null until then."""

    invoice = models.ForeignKey(Invoice, models.PROTECT, related_name="reminders", db_index=False)
    level = models.PositiveSmallIntegerField()
    sent_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["invoice", "level"]
        constraints = [models.UniqueConstraint(fields=["invoice", "level"], name="reminder_once")]

    def __str__(self) -> str:
        return f"reminder {self.level} of {self.invoice_id}"


class PaymentTerms(models.Model):
    """How who comes under an agreement pays: before the promise or after, up to which debt, who writes the invoice.

    What is asked `before` comes from the prepaid balance, or through the payment provider of that name
    (bookings.payments.providers); a booking waits for it for `payment_min`. Beyond the credit limit (open invoices, what is not
    billed yet, and what live bookings were quoted, less what is prepaid) a booking needs approval, or is refused. Without a row
    nothing is asked before, there is no limit, and the operator bills.
    """

    class Before(models.TextChoices):
        NOTHING = "nothing", "Nothing"
        PREPAYMENT = "prepayment", "Prepayment"
        GUARANTEE = "guarantee", "A guarantee"

    class Beyond(models.TextChoices):
        APPROVE = "approve", "Ask the depot"
        REFUSE = "refuse", "Refuse"

    agreement = models.OneToOneField(Agreement, models.CASCADE, related_name="payment_terms")
    before = models.CharField(max_length=10, choices=Before, default=Before.NOTHING)
    provider = models.CharField(max_length=30, default="prepaid")
    payment_min = models.PositiveSmallIntegerField(default=60)
    credit_limit = models.DecimalField(max_digits=14, decimal_places=2, null=True, blank=True)
    currency = models.CharField(max_length=3, default="EUR")
    beyond = models.CharField(max_length=7, choices=Beyond, default=Beyond.REFUSE)
    is_reverse = models.BooleanField(default=False)
    due_days = models.PositiveSmallIntegerField(default=14)
    mandate_reference = models.CharField(max_length=35, blank=True)
    mandate_signed_on = models.DateField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="credit_limit_not_negative",
                condition=Q(credit_limit__isnull=True) | Q(credit_limit__gte=0),
            ),
            models.CheckConstraint(name="payment_min_positive", condition=Q(payment_min__gt=0)),
        ]

    def __str__(self) -> str:
        return f"payment under {self.agreement_id}"
