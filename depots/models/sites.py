from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime
from zoneinfo import ZoneInfo

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Upper

from depots import opening
from depots.models.organisations import Organisation
from depots.periods import Period


class Fallback(models.TextChoices):
    """Another way than a reservation to keep an EVSE for a truck, where the depot allows it."""

    AVAILABILITY = "availability", "Take the EVSE out of service until the truck is there"
    PROFILE_0 = "profile_0", "Give the EVSE no power until the slot begins"
    LOCAL_LIST = "local_list", "Keep the booked cards at the charger, for bad connections"


class Depot(models.Model):
    """A place where vehicles charge: ours, or the mirror of a partner network's.

    `code` names it everywhere here; `location_id` is its OCPI Location.id at its operator (the same for our own).
    Power in watts. A grid limit of null means that the connection cannot bind.
    """

    operator = models.ForeignKey(Organisation, models.PROTECT, related_name="depots", db_index=False)
    code = models.CharField(max_length=120)
    location_id = models.CharField(max_length=64)
    is_mirror = models.BooleanField(
        default=False, help_text="a partner's depot; the partner is the truth there"
    )
    name = models.CharField(max_length=255)
    address = models.CharField(max_length=255, blank=True)
    city = models.CharField(max_length=45, blank=True)
    postal_code = models.CharField(max_length=10, blank=True)
    country = models.CharField(max_length=3, blank=True, help_text="ISO 3166-1 alpha-3")
    latitude = models.DecimalField(max_digits=9, decimal_places=6, null=True)
    longitude = models.DecimalField(max_digits=9, decimal_places=6, null=True)
    time_zone = models.CharField(max_length=64, default="UTC")
    state = models.CharField(max_length=45, blank=True, help_text="or province")
    help_phone = models.CharField(max_length=25, blank=True, help_text="whom a driver calls")
    directions = models.JSONField(default=list, blank=True, help_text='the way there: [{"language", "text"}]')
    facilities = ArrayField(models.CharField(max_length=30), default=list, blank=True)
    images = models.JSONField(
        default=list, blank=True, help_text='[{"url", "thumbnail", "category", "type", "width", "height"}]'
    )
    energy_mix = models.JSONField(
        null=True,
        blank=True,
        help_text='{"is_green_energy", "energy_sources", "environ_impact", "supplier_name", "energy_product_name"}',
    )
    exceptional_hours = models.JSONField(
        null=True,
        blank=True,
        help_text='where its hours differ, as a partner told: [{"starts_at", "ends_at", "is_open"}]',
    )
    grid_limit_w = models.BigIntegerField(null=True, blank=True)
    charging_when_closed = models.BooleanField(default=True)
    fallbacks = ArrayField(
        models.CharField(max_length=12, choices=Fallback),
        default=list,
        blank=True,
        help_text="how EVSEs may be kept whose charger keeps no reservation",
    )
    is_listed = models.BooleanField(
        default=False, db_default=False, help_text="fleets it is not open to see it, and may ask for access"
    )
    is_withdrawn = models.BooleanField(default=False, help_text="no longer offered; its bookings stand")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(Upper("code"), name="depot_code_once"),
            # A network has many parties, each with ids of its own: its depots are told apart by their codes.
            models.UniqueConstraint(
                F("operator"), Upper("location_id"), name="depot_location_once", condition=Q(is_mirror=False)
            ),
            models.CheckConstraint(
                name="depot_grid_limit_positive",
                condition=Q(grid_limit_w__isnull=True) | Q(grid_limit_w__gt=0),
            ),
            models.CheckConstraint(
                name="depot_fallbacks_known", condition=Q(fallbacks__contained_by=Fallback.values)
            ),
        ]
        indexes = [models.Index(fields=["latitude", "longitude"], name="depot_place")]

    def __str__(self) -> str:
        return self.name

    @property
    def is_green(self) -> bool | None:
        """Whether all of its energy is renewable; None where nothing is said of it."""
        return bool(self.energy_mix.get("is_green_energy")) if self.energy_mix else None

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)

    def is_open(self, period: Period) -> bool:
        """See opening.is_open."""
        hours = list(self.opening_hours.all())
        return opening.is_open(hours, self.zone, period, charging_when_closed=self.charging_when_closed)

    def open_spans(self, within: Period) -> list[Period]:
        """See opening.open_spans."""
        return opening.open_spans(list(self.opening_hours.all()), self.zone, within)


class ConfigurationVersion(models.Model):
    """Another number after each change of what can be booked at a depot of ours, and on which terms; none comes twice.

    Written by triggers in the changing transaction (depots/migrations/0006), so that bulk writes and SQL count as well. Who
    changes a depot's configuration holds the depot's lock: this row is locked last, and waits for nobody else. With its depot
    it goes by a foreign key of the database's own (0008).
    """

    depot = models.OneToOneField(
        Depot, models.DO_NOTHING, primary_key=True, db_constraint=False, related_name="configuration"
    )
    version = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.depot_id}: {self.version}"


class OpeningHours(models.Model):
    """One stretch of a weekday, in minutes of local wall clock; 1440 is the midnight that ends the day."""

    depot = models.ForeignKey(Depot, models.CASCADE, related_name="opening_hours")
    weekday = models.PositiveSmallIntegerField(help_text="1 is Monday")
    from_minute = models.PositiveSmallIntegerField()
    to_minute = models.PositiveSmallIntegerField()

    class Meta:
        ordering = ["weekday", "from_minute"]
        constraints = [
            models.CheckConstraint(
                name="opening_hours_sensible",
                condition=Q(weekday__range=(1, 7), from_minute__lt=F("to_minute"), to_minute__lte=1440),
            )
        ]

    def __str__(self) -> str:
        return f"{self.weekday} {self.from_minute}-{self.to_minute}"

    def on(self, day: date, zone: ZoneInfo) -> Period | None:
        """These hours on one local day; None where a change of clocks swallows them whole."""
        return opening.stretch(day, self.from_minute, self.to_minute, zone)


class AgreementQuerySet(models.QuerySet["Agreement"]):
    def in_force(self, now: datetime) -> AgreementQuerySet:
        return self.filter(Q(ends_at__isnull=True) | Q(ends_at__gt=now), starts_at__lte=now)

    def admitting(self, organisation_ids: Collection[int]) -> AgreementQuerySet:
        """Those by which one of these may come as a guest: their own, and what is open to everybody."""
        return self.filter(Q(guest__in=organisation_ids) | Q(guest__isnull=True))


class Agreement(models.Model):
    """A depot opened to a fleet or partner network; without a guest to everybody (`open_depot --to all`)."""

    depot = models.ForeignKey(Depot, models.CASCADE, related_name="agreements", db_index=False)
    guest = models.ForeignKey(Organisation, models.CASCADE, related_name="agreements", null=True, blank=True)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(null=True, blank=True)

    objects = AgreementQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["depot", "guest"], name="agreement_once", nulls_distinct=False),
            models.CheckConstraint(
                name="agreement_ends_after_start",
                condition=Q(ends_at__isnull=True) | Q(ends_at__gt=F("starts_at")),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.depot} open to {self.guest or 'all'}"

    def is_in_force(self, now: datetime) -> bool:
        """As `AgreementQuerySet.in_force`."""
        return self.starts_at <= now and (self.ends_at is None or self.ends_at > now)

    def admits(self, organisation_id: int) -> bool:
        """As `AgreementQuerySet.admitting`."""
        return self.guest_id is None or self.guest_id == organisation_id
