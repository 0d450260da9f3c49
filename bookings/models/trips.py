"""Several bookings of one journey, made all or none."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.urls import reverse

from bookings.actors import ActorKind
from depots.models import Organisation


class TripQuerySet(models.QuerySet["Trip"]):
    def asking(self) -> TripQuerySet:
        return self.filter(status=Trip.Status.ASKING)


class Trip(models.Model):
    """Its stops are bookings (Booking.trip), whose status is the truth of each.

    While it is ASKING some of them wait for a depot's, a partner's or a payment's answer, at most until `answers_until`, and
    those that wait for nobody are held. `failure` says why it came to nothing, for people.
    """

    class Status(models.TextChoices):
        ASKING = "asking", "waiting for answers"
        BOOKED = "booked", "booked"
        FAILED = "failed", "not booked"
        CANCELLED = "cancelled", "cancelled"

    fleet = models.ForeignKey(Organisation, models.PROTECT, related_name="trips", db_index=False)
    status = models.CharField(max_length=9, choices=Status)
    answers_until = models.DateTimeField(null=True, blank=True)
    failure = models.CharField(max_length=300, blank=True)
    asked_at = models.DateTimeField()
    asked_by_kind = models.CharField(max_length=10, choices=ActorKind)
    asked_by_name = models.CharField(max_length=120, blank=True)
    settled_at = models.DateTimeField(null=True, blank=True)

    objects = TripQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="trip_status_known",
                condition=Q(status__in=["asking", "booked", "failed", "cancelled"]),
            ),
            models.CheckConstraint(
                name="trip_waits_until_a_time",
                condition=Q(status="asking", answers_until__isnull=False, settled_at__isnull=True)
                | (~Q(status="asking") & Q(settled_at__isnull=False)),
            ),
        ]
        indexes = [
            models.Index(fields=["fleet", "asked_at"], name="trip_of_fleet"),
            models.Index(fields=["answers_until"], name="trip_asking", condition=Q(status="asking")),
        ]

    def __str__(self) -> str:
        return f"Trip {self.pk}"

    def get_absolute_url(self) -> str:
        return reverse("bookings:trip", args=[self.pk])

    @property
    def is_asking(self) -> bool:
        return self.status == self.Status.ASKING
