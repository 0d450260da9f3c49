"""What was delivered and what it costs: charge detail records, and what is said against them."""

from __future__ import annotations

from django.db import models
from django.db.models import Case, F, Q, Value, When
from django.db.models.fields.json import KT
from django.db.models.functions import Coalesce, Concat, Upper

from bookings.actors import ActorKind
from bookings.models.bookings import Booking
from bookings.models.fleet import Vehicle
from bookings.models.tariffs import TariffVersion
from depots.models import ChargingSession, Depot, Organisation

# Of a network's record: networks have many parties, each with ids of its own.
_TEXT = models.TextField()
_NONE = Value("", _TEXT)
_PARTY = Upper(Concat(KT("place__country_code"), Value("*", _TEXT), KT("place__party_id")))


class ChargeDetailRecord(models.Model):
    """One session, no-show, late cancellation or stay with its price, as it was issued; of a reservation that expired or was
    given back, too. Never changed (trigger): it is credited by another one, and issued anew by a third.

    `code` is its id towards the customer (OCPI: CDR.id), `party` which of a network's parties gave it ("FR*CPO"; empty for what
    was issued here). `number` counts the operator's own without a gap; one that came from
    a partner's depot has none, and is kept as it came in `received`; its booking may be filled in later, once. `bill` is a
    bookings.pricing.bill.Bill as JSON, `before_taxes` and `taxes` its totals in the currency's decimals, negative in a credit;
    `net_by_rate` has `[["19", "12.34"], …]`, the sums of lines before taxes by tax rate (null: none told), as an invoice
    taxes them.
    `periods` are the charging periods it was priced by (bookings.pricing), `place` and `token` what it names, as it stood then.
    """

    class Kind(models.TextChoices):
        SESSION = "session", "Charging session"
        NO_SHOW = "no_show", "No-show"
        CANCELLATION = "cancellation", "Late cancellation"
        # Its truck charged on by the session of the booking before, whose record has what was charged.
        STAY = "stay", "Slot without a session of its own"

    operator = models.ForeignKey(Organisation, models.PROTECT, related_name="cdrs_issued", db_index=False)
    customer = models.ForeignKey(Organisation, models.PROTECT, related_name="cdrs_received", db_index=False)
    depot = models.ForeignKey(Depot, models.PROTECT, related_name="cdrs", db_index=False)
    number = models.BigIntegerField(null=True, blank=True)
    code = models.CharField(max_length=64)
    party = models.GeneratedField(
        expression=Case(When(received__isnull=True, then=_NONE), default=Coalesce(_PARTY, _NONE)),
        output_field=models.CharField(max_length=8),
        db_persist=True,
    )
    kind = models.CharField(max_length=12, choices=Kind)
    booking = models.ForeignKey(Booking, models.PROTECT, related_name="cdrs", null=True, blank=True)
    session = models.ForeignKey(ChargingSession, models.PROTECT, related_name="cdrs", null=True, blank=True)
    vehicle = models.ForeignKey(
        Vehicle, models.PROTECT, related_name="cdrs", null=True, blank=True, db_index=False
    )
    plate = models.CharField(max_length=20, blank=True)
    token = models.JSONField(default=dict, blank=True)
    place = models.JSONField(default=dict, blank=True)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    charging_tariff = models.ForeignKey(
        TariffVersion, models.PROTECT, related_name="+", null=True, blank=True, db_index=False
    )
    booking_tariff = models.ForeignKey(
        TariffVersion, models.PROTECT, related_name="+", null=True, blank=True, db_index=False
    )
    periods = models.JSONField(default=list, blank=True)
    energy_wh = models.BigIntegerField(default=0)
    charging_s = models.BigIntegerField(default=0)
    parking_s = models.BigIntegerField(default=0)
    currency = models.CharField(max_length=3)
    bill = models.JSONField(default=dict)
    before_taxes = models.DecimalField(max_digits=14, decimal_places=4)
    taxes = models.DecimalField(max_digits=14, decimal_places=4)
    net_by_rate = models.JSONField(default=list)
    credits = models.OneToOneField("self", models.PROTECT, related_name="credited_by", null=True, blank=True)
    replaces = models.OneToOneField("self", models.PROTECT, related_name="replaced_by", null=True, blank=True)
    reason = models.CharField(max_length=300, blank=True, help_text="why it was credited or issued anew")
    remark = models.CharField(max_length=255, blank=True)
    flags = models.JSONField(default=list, blank=True, help_text="what a person should look at")
    received = models.JSONField(null=True, blank=True)
    issued_at = models.DateTimeField()
    issued_by_kind = models.CharField(max_length=10, choices=ActorKind)
    issued_by_name = models.CharField(max_length=120, blank=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(F("operator"), F("party"), Upper("code"), name="cdr_code_once"),
            models.UniqueConstraint(
                fields=["operator", "number"], name="cdr_number_once", condition=Q(number__isnull=False)
            ),
            models.UniqueConstraint(
                fields=["session"],
                name="cdr_of_session_once",
                condition=Q(kind="session", credits__isnull=True, replaces__isnull=True),
            ),
            models.UniqueConstraint(
                fields=["booking", "kind"],
                name="cdr_of_booking_once",
                condition=Q(
                    kind__in=["no_show", "cancellation", "stay"],
                    credits__isnull=True,
                    replaces__isnull=True,
                    received__isnull=True,
                ),
            ),
            models.CheckConstraint(
                name="cdr_kind_known", condition=Q(kind__in=["session", "no_show", "cancellation", "stay"])
            ),
            models.CheckConstraint(
                name="cdr_negative_only_as_credit",
                condition=Q(credits__isnull=False, before_taxes__lte=0, taxes__lte=0)
                | Q(credits__isnull=True, before_taxes__gte=0, taxes__gte=0),
            ),
            models.CheckConstraint(name="cdr_ends_after_start", condition=Q(ends_at__gte=F("starts_at"))),
        ]
        indexes = [
            models.Index(fields=["operator", "ends_at"], name="cdr_of_operator"),
            models.Index(fields=["customer", "ends_at"], name="cdr_of_customer"),
        ]

    def __str__(self) -> str:
        return self.code

    @property
    def is_credit(self) -> bool:
        return self.credits_id is not None

    @property
    def is_of_charging(self) -> bool:
        """A partner's as well, whose session is none of ours."""
        return self.kind == self.Kind.SESSION

    @property
    def is_of_reservation_alone(self) -> bool:
        """Of ours: without a session it is the tariff of charging that prices it."""
        return self.session_id is None and self.charging_tariff_id is not None

    @property
    def kind_words(self) -> str:
        """What it is of, for people."""
        words = _OF_RESERVATION.get(self.kind) if self.is_of_reservation_alone else None
        return words or self.get_kind_display()


_OF_RESERVATION: dict[str, str] = {
    ChargeDetailRecord.Kind.NO_SHOW: "Expired reservation",
    ChargeDetailRecord.Kind.CANCELLATION: "Reservation given back",
}


class Dispute(models.Model):
    """What a fleet says against a record, or one of its lines (`line` counts from 0), and what the depot answered."""

    class Outcome(models.TextChoices):
        OPEN = "open", "Not answered"
        ACCEPTED = "accepted", "Accepted"
        REJECTED = "rejected", "Rejected"

    cdr = models.ForeignKey(ChargeDetailRecord, models.PROTECT, related_name="disputes")
    line = models.PositiveIntegerField(null=True, blank=True)
    reason = models.CharField(max_length=500)
    raised_at = models.DateTimeField()
    raised_by_kind = models.CharField(max_length=10, choices=ActorKind)
    raised_by_name = models.CharField(max_length=120, blank=True)
    outcome = models.CharField(max_length=8, choices=Outcome, default=Outcome.OPEN)
    answer = models.CharField(max_length=500, blank=True)
    answered_at = models.DateTimeField(null=True, blank=True)
    answered_by_kind = models.CharField(max_length=10, choices=ActorKind, blank=True)
    answered_by_name = models.CharField(max_length=120, blank=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["cdr", "line"],
                name="dispute_open_once",
                condition=Q(outcome="open"),
                nulls_distinct=False,
            ),
            models.CheckConstraint(
                name="dispute_answered",
                condition=Q(outcome="open", answered_at__isnull=True)
                | Q(outcome__in=["accepted", "rejected"], answered_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.outcome} dispute of {self.cdr_id}"
