from __future__ import annotations

from django.db import models

from depots.models import Organisation


class SchedulerTick(models.Model):
    """One row a name: the moment its last tick was claimed, so that a tick happens once with any number of workers."""

    name = models.CharField(max_length=40, primary_key=True)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name} {self.at}"


class ScheduledBilling(models.Model):
    """An operator's month was asked to be billed by the clock; `finished_at` null as long as its job has not come to its end."""

    operator = models.ForeignKey(Organisation, models.PROTECT, related_name="+", db_index=False)
    month = models.DateField(help_text="the first day of the month billed")
    asked_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["operator", "month"], name="scheduled_billing_once"),
        ]

    def __str__(self) -> str:
        return f"{self.month:%Y-%m} of {self.operator_id}"
