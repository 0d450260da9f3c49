"""What charging and booking cost: tariffs, what each of their versions says, and what they are bound to."""

from __future__ import annotations

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import RangeOperators
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Upper

from bookings.models.offers import BookingOption
from depots.models import Agreement, Depot, Evse, Organisation
from depots.periods import PeriodField


class Tariff(models.Model):
    """A tariff of a depot operator, named by `code` (OCPI: its id), and at a network by which of its parties has it, too: `party`
    ("FR*CPO"; empty for tariffs of ours). What it says stands in its versions.

    One that prices charging never holds elements about booking: a network that does not know them would charge them on
    every session (OCPI 2.3.0, Bookings 1.1).
    """

    class Kind(models.TextChoices):
        CHARGING = "charging", "Charging"
        BOOKING = "booking", "Booking"

    operator = models.ForeignKey(Organisation, models.PROTECT, related_name="tariffs", db_index=False)
    party = models.CharField(max_length=8, blank=True, db_default="")
    code = models.CharField(max_length=36)
    kind = models.CharField(max_length=8, choices=Kind)
    name = models.CharField(max_length=100, blank=True)
    is_withdrawn = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["operator", "code"]
        constraints = [
            models.UniqueConstraint(F("operator"), F("party"), Upper("code"), name="tariff_code_once"),
            models.CheckConstraint(name="tariff_kind_known", condition=Q(kind__in=["charging", "booking"])),
        ]

    def __str__(self) -> str:
        return self.name or self.code


class TariffVersion(models.Model):
    """What a tariff says from `valid.starts_at` on; a change is a new version, and no version is ever changed (trigger).

    `content` is a bookings.pricing.tariff_content.TariffContent as JSON. A booking keeps the version it was made under.
    """

    tariff = models.ForeignKey(Tariff, models.PROTECT, related_name="versions", db_index=False)
    number = models.PositiveIntegerField()
    currency = models.CharField(max_length=3)
    content = models.JSONField()
    starts_at = models.DateTimeField(null=True, blank=True, help_text="null: always was")
    ends_at = models.DateTimeField(null=True, blank=True, help_text="null: until another version begins")
    source = models.JSONField(
        null=True, blank=True, help_text="the document it was read from, unknown fields too"
    )
    made_at = models.DateTimeField()
    made_by_kind = models.CharField(max_length=10)
    made_by_name = models.CharField(max_length=120, blank=True)

    class Meta:
        ordering = ["tariff", "number"]
        constraints = [
            models.UniqueConstraint(fields=["tariff", "number"], name="tariff_version_once"),
            models.CheckConstraint(
                name="tariff_version_ends_after_start",
                condition=Q(starts_at__isnull=True) | Q(ends_at__isnull=True) | Q(ends_at__gt=F("starts_at")),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.tariff_id} version {self.number}"


class TariffBinding(models.Model):
    """Where a tariff holds, and when: at a depot, an option, an EVSE, or for whom an agreement admits. At one moment one owner
    has one tariff of a kind; the narrowest owner's holds (bookings/rules/precedence.py)."""

    tariff = models.ForeignKey(Tariff, models.CASCADE, related_name="bindings")
    kind = models.CharField(max_length=8, choices=Tariff.Kind, help_text="the tariff's")
    depot = models.ForeignKey(Depot, models.CASCADE, related_name="tariff_bindings", null=True, blank=True)
    option = models.ForeignKey(
        BookingOption, models.CASCADE, related_name="tariff_bindings", null=True, blank=True
    )
    evse = models.ForeignKey(Evse, models.CASCADE, related_name="tariff_bindings", null=True, blank=True)
    agreement = models.ForeignKey(
        Agreement, models.CASCADE, related_name="tariff_bindings", null=True, blank=True
    )
    valid = PeriodField(help_text="open ends are the first and the last moment a calendar knows")
    from_file = models.BooleanField(
        default=False, help_text="a depot file bound it, and ends it when it no longer names it"
    )

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="tariff_binding_of_one_owner",
                condition=Q(
                    depot__isnull=False, option__isnull=True, evse__isnull=True, agreement__isnull=True
                )
                | Q(depot__isnull=True, option__isnull=False, evse__isnull=True, agreement__isnull=True)
                | Q(depot__isnull=True, option__isnull=True, evse__isnull=False, agreement__isnull=True)
                | Q(depot__isnull=True, option__isnull=True, evse__isnull=True, agreement__isnull=False),
            ),
            *(
                ExclusionConstraint(
                    name=f"one_tariff_of_{owner}",
                    expressions=[
                        (owner, RangeOperators.EQUAL),
                        ("kind", RangeOperators.EQUAL),
                        ("valid", RangeOperators.OVERLAPS),
                    ],
                    condition=Q(**{f"{owner}__isnull": False}),
                )
                for owner in ("depot", "option", "evse", "agreement")
            ),
        ]

    def __str__(self) -> str:
        owner = self.depot_id or self.option_id or self.evse_id or self.agreement_id
        return f"{self.tariff_id} of {owner}"
