from __future__ import annotations

from typing import Any

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import RangeOperators
from django.db import models
from django.db.models import Deferrable, F, Q
from django.db.models.fields.related_lookups import RelatedExact, RelatedIn

from bookings.actors import Actor, ActorKind
from bookings.models.fleet import Vehicle
from bookings.models.holders import NextHolder
from depots.models import Evse
from depots.periods import Period, PeriodField


class EvseKey(models.ForeignKey[Evse, Evse]):
    """Is compared with ids as bigint. Those of one EVSE come as integer otherwise, for which the constraint's index cannot
    be used: PostgreSQL read all that the EVSE ever had, or everybody's time in the span."""

    def deconstruct(self) -> Any:
        name, _, args, kwargs = super().deconstruct()
        return name, "django.db.models.ForeignKey", args, kwargs


@EvseKey.register_lookup
class _IsEvse(RelatedExact):
    def process_rhs(self, compiler: Any, connection: Any) -> Any:
        sql, values = super().process_rhs(compiler, connection)
        return sql.replace("%s", "%s::bigint") if self.rhs_is_direct_value() else sql, values


@EvseKey.register_lookup
class _IsOneOfEvses(RelatedIn):
    def process_rhs(self, compiler: Any, connection: Any) -> Any:
        sql, values = super().process_rhs(compiler, connection)
        return sql.replace("%s", "%s::bigint") if self.rhs_is_direct_value() else sql, values


class Occupancy(models.Model):
    """Whatever takes an EVSE of ours, and for how long. The constraint is the last word on double booking.

    Rows exist exactly while a booking is held, requested, confirmed or charging (completed: until it really ended, plus
    turnaround), while a change of it is pending, and in the gaps of a closure. Written by bookings.core.occupancy alone.
    """

    class Kind(models.TextChoices):
        BOOKING = "booking", "Booking"
        PENDING = "pending", "Pending change"
        CLOSURE = "closure", "Closure"

    # The constraint's index begins with it.
    evse = EvseKey(Evse, models.CASCADE, related_name="occupancy", db_index=False)
    span = PeriodField()
    holder = models.BigIntegerField()
    kind = models.CharField(max_length=8, choices=Kind)
    power_w = models.BigIntegerField(default=0, help_text="the floor promised in this span")

    class Meta:
        constraints = [
            ExclusionConstraint(
                name="occupancy_evse_once",
                deferrable=Deferrable.IMMEDIATE,
                expressions=[
                    ("evse", RangeOperators.EQUAL),
                    ("span", RangeOperators.OVERLAPS),
                    ("holder", RangeOperators.NOT_EQUAL),
                ],
            ),
            models.UniqueConstraint(
                fields=["holder"], name="occupancy_booking_row_once", condition=Q(kind="booking"),
            ),
            models.UniqueConstraint(
                fields=["holder"], name="occupancy_pending_row_once", condition=Q(kind="pending"),
            ),
            models.CheckConstraint(name="occupancy_not_empty", condition=Q(span__isempty=False)),
        ]  # fmt: skip
        indexes = [models.Index(fields=["holder"], name="occupancy_holder")]

    def __str__(self) -> str:
        return f"{self.kind} {self.holder} on {self.evse_id}"


class Claim(models.Model):
    """A token or vehicle that may not be in two places; written only where the terms forbid overlapping bookings."""

    holder = models.BigIntegerField()
    span = PeriodField()
    token_key = models.CharField(max_length=60, blank=True, help_text="COUNTRY*PARTY*UID*TYPE, folded")
    # The index of claim_vehicle_once begins with it.
    vehicle = models.ForeignKey(
        Vehicle, models.CASCADE, related_name="claims", null=True, blank=True, db_index=False
    )

    class Meta:
        constraints = [
            ExclusionConstraint(
                name="claim_token_once",
                expressions=[
                    ("token_key", RangeOperators.EQUAL),
                    ("span", RangeOperators.OVERLAPS),
                    ("holder", RangeOperators.NOT_EQUAL),
                ],
                condition=~Q(token_key=""),
            ),
            ExclusionConstraint(
                name="claim_vehicle_once",
                expressions=[
                    ("vehicle", RangeOperators.EQUAL),
                    ("span", RangeOperators.OVERLAPS),
                    ("holder", RangeOperators.NOT_EQUAL),
                ],
                condition=Q(vehicle__isnull=False),
            ),
        ]
        indexes = [models.Index(fields=["holder"], name="claim_holder")]

    def __str__(self) -> str:
        return f"{self.token_key or self.vehicle_id} for {self.holder}"


class Closure(models.Model):
    """An EVSE is out of use for a span. What is already booked stays until it is moved or cancelled. `act` is the decision it is
    part of."""

    id = models.BigIntegerField(primary_key=True, db_default=NextHolder(), editable=False)
    evse = models.ForeignKey(Evse, models.CASCADE, related_name="closures")
    act = models.ForeignKey(
        "bookings.ClosureAct", models.SET_NULL, related_name="closures", null=True, blank=True
    )
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    reason = models.CharField(max_length=200, blank=True)
    created_by_kind = models.CharField(max_length=10, choices=ActorKind)
    created_by_name = models.CharField(max_length=120, blank=True, db_column="created_by")
    created_at = models.DateTimeField()
    lifted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(name="closure_ends_after_start", condition=Q(ends_at__gt=F("starts_at")))
        ]
        indexes = [
            models.Index(
                fields=["evse", "ends_at"], name="closure_in_force", condition=Q(lifted_at__isnull=True)
            )
        ]

    def __str__(self) -> str:
        return f"{self.evse} closed"

    @property
    def created_by(self) -> Actor:
        return Actor(ActorKind(self.created_by_kind), self.created_by_name)

    @property
    def period(self) -> Period:
        return Period(self.starts_at, self.ends_at)
