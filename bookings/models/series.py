"""Bookings that come again by a rule."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.urls import reverse

from bookings.models.fleet import Trailer, Vehicle
from bookings.models.offers import BookingOption
from depots.models import Evse, Organisation


class BookingSeries(models.Model):
    """A rule (RFC 5545) and what each of its slots asks for. Times are the depot's own clock.

    `first_date` and `first_time` are where the rule begins (DTSTART) and never change; a slot begins `shift` later and lasts
    `length`, null where it ends when it is charged. Each day of the rule that is no exception has its booking, or waits for the
    horizon of the depot: those from `next_date` on, the first of which is due at `due_at`. What could not be booked is an
    exception. `asked` holds `power_w`, `energy` (EnergyAsked) and `tokens` (TokenName) as far as they were given. `untold`
    are days that were refused while a look at what waits goes on: `starts_at`, `ends_at` and `note` (why) of the first, and how
    many `others`.
    """

    fleet = models.ForeignKey(Organisation, models.PROTECT, related_name="series", db_index=False)
    option = models.ForeignKey(BookingOption, models.PROTECT, related_name="+", db_index=False)
    evse = models.ForeignKey(Evse, models.PROTECT, related_name="+", null=True, blank=True, db_index=False)
    vehicle = models.ForeignKey(Vehicle, models.PROTECT, related_name="+", db_index=False)
    trailer = models.ForeignKey(
        Trailer, models.PROTECT, related_name="+", null=True, blank=True, db_index=False
    )
    asked = models.JSONField(default=dict, blank=True)
    rrule = models.CharField(max_length=300)
    exceptions = ArrayField(models.DateField(), default=list, blank=True)
    first_date = models.DateField()
    first_time = models.TimeField()
    shift = models.DurationField(default=timedelta)
    length = models.DurationField(null=True, blank=True)
    next_date = models.DateField(null=True, blank=True)
    due_at = models.DateTimeField(null=True, blank=True, help_text="when the next that waits is tried")
    claimed_until = models.DateTimeField(null=True, blank=True, help_text="a job is at it until then")
    untold = models.JSONField(null=True, blank=True)
    request_id = models.CharField(max_length=64)
    version = models.BigIntegerField(default=1)
    created_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True, help_text="when it was given up")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["fleet", "request_id"], name="series_request_once"),
            models.CheckConstraint(
                name="series_waits_until",
                condition=Q(next_date__isnull=True, due_at__isnull=True)
                | Q(next_date__isnull=False, due_at__isnull=False, ended_at__isnull=True),
            ),
            models.CheckConstraint(
                name="series_lasts", condition=Q(length__isnull=True) | Q(length__gt=timedelta())
            ),
        ]
        indexes = [
            models.Index(fields=["due_at"], name="series_due", condition=Q(due_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"series {self.pk}"

    def get_absolute_url(self) -> str:
        return reverse("bookings:series", args=[self.pk])

    @property
    def first_start(self) -> datetime:
        """By the depot's clock, without a zone."""
        return datetime.combine(self.first_date, self.first_time)
