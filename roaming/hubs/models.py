from __future__ import annotations

from django.db import models
from django.db.models import F
from django.db.models.functions import Upper


class HubClient(models.Model):
    """A party behind a hub, in one role, as the hub last told of it (OCPI ClientInfo); `raw` is what it sent."""

    class Status(models.TextChoices):
        CONNECTED = "CONNECTED"
        OFFLINE = "OFFLINE"
        PLANNED = "PLANNED"
        SUSPENDED = "SUSPENDED"

    partner = models.ForeignKey("roaming.Partner", models.CASCADE, related_name="hub_clients", db_index=False)
    country_code = models.CharField(max_length=2)
    party_id = models.CharField(max_length=5)
    role = models.CharField(max_length=10)
    status = models.CharField(max_length=10, choices=Status)
    last_updated = models.DateTimeField()
    raw = models.JSONField(default=dict)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                F("partner"), Upper("country_code"), Upper("party_id"), F("role"), name="hub_client_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.role} {self.country_code}*{self.party_id} ({self.status})"
