"""How EVSEs were, and when their chargers were connected: one row a change."""

from __future__ import annotations

from django.db import models

from depots.models.chargers import Charger, Evse


class EvseStatusChange(models.Model):
    """From `at` on, by the charger's time (never later than ours, `received_at`), the EVSE had this status. In order of
    their keys: statuses count as they arrive."""

    evse = models.ForeignKey(Evse, models.CASCADE, related_name="status_changes", db_index=False)
    at = models.DateTimeField()
    received_at = models.DateTimeField()
    status = models.CharField(max_length=12, choices=Evse.Status)
    error_code = models.CharField(max_length=50, blank=True)

    class Meta:
        indexes = [models.Index(fields=["evse", "received_at"], name="status_changes_of_evse")]

    def __str__(self) -> str:
        return f"{self.evse_id} {self.status} from {self.at}"


class ConnectionChange(models.Model):
    """From `at` on the charger was connected, or was not. `is_by_gateway`: Berth's own gateway stopped, or died."""

    charger = models.ForeignKey(Charger, models.CASCADE, related_name="connection_changes", db_index=False)
    at = models.DateTimeField()
    is_online = models.BooleanField()
    is_by_gateway = models.BooleanField(default=False, db_default=False)

    class Meta:
        indexes = [models.Index(fields=["charger", "at"], name="connection_changes")]

    def __str__(self) -> str:
        return f"{self.charger_id} {'online' if self.is_online else 'offline'} from {self.at}"
