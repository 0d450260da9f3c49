from __future__ import annotations

from django.db import models
from django.db.models import Q

from bookings.models.fleet import Vehicle


class VehicleState(models.Model):
    """What telematics told of a vehicle last, whole: what it did not say is null. Percent, degrees; `told_at` is when.

    `acted_at` is when a booking of the vehicle was last moved, or asked about, by an ETA.
    """

    vehicle = models.OneToOneField(Vehicle, models.CASCADE, related_name="state", primary_key=True)
    soc = models.PositiveSmallIntegerField(null=True, blank=True)
    eta = models.DateTimeField(null=True, blank=True)
    latitude = models.FloatField(null=True, blank=True)
    longitude = models.FloatField(null=True, blank=True)
    told_at = models.DateTimeField()
    acted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="vehicle_state_on_earth",
                condition=(Q(soc__isnull=True) | Q(soc__lte=100))
                & (Q(latitude__isnull=True) | Q(latitude__gte=-90, latitude__lte=90))
                & (Q(longitude__isnull=True) | Q(longitude__gte=-180, longitude__lte=180)),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.vehicle_id} at {self.told_at}"
