"""What an organisation's own systems call the JSON API with."""

from __future__ import annotations

from django.db import models

from depots.models.organisations import Organisation


class ApiToken(models.Model):
    """A token of an organisation, found by its keyed hash; the token itself is shown once and kept nowhere.

    `last_used_at` is to the minute at most. A revoked one stays in the list.
    """

    organisation = models.ForeignKey(Organisation, models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=64, help_text="which system uses it")
    token_hash = models.CharField(max_length=64)
    is_read_only = models.BooleanField(default=False)
    created_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at", "-pk"]
        constraints = [models.UniqueConstraint(fields=["token_hash"], name="api_token_once")]

    def __str__(self) -> str:
        return self.name


class ApiUse(models.Model):
    """How many requests an organisation's systems have made in a minute, while a rate is set for them."""

    organisation = models.ForeignKey(Organisation, models.CASCADE, related_name="+", db_index=False)
    minute = models.DateTimeField()
    requests = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["organisation", "minute"], name="api_use_once")]

    def __str__(self) -> str:
        return f"{self.requests} requests of {self.organisation_id}"
