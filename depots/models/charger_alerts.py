"""What chargers report of their own parts."""

from __future__ import annotations

from django.db import models

from depots.models.chargers import Charger


class ChargerAlert(models.Model):
    """A part of a charger that is not as it should be (OCPP 2.x NotifyEvent, 2.1 NotifyDERAlarm), in the charger's own words,
    until it says that it is over. `evse_number` is empty where the part belongs to none; `severity` is OCPP's, 0 danger to
    6 warning, empty where it is not told."""

    charger = models.ForeignKey(Charger, models.CASCADE, related_name="alerts", db_index=False)
    evse_number = models.PositiveIntegerField(null=True)
    component = models.CharField(max_length=101)
    variable = models.CharField(max_length=101)
    value = models.CharField(max_length=100, blank=True)
    code = models.CharField(max_length=50, blank=True)
    info = models.CharField(max_length=255, blank=True)
    severity = models.PositiveSmallIntegerField(null=True)
    at = models.DateTimeField(help_text="since when, by the charger's clock, never later than ours")
    received_at = models.DateTimeField(help_text="when it was told last")
    over_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["charger", "-id"], name="charger_alerts")]

    def __str__(self) -> str:
        return f"{self.component} {self.variable} of {self.charger_id} since {self.at}"
