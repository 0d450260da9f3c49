"""The list of tokens that a charger keeps for when it cannot ask."""

from __future__ import annotations

from django.db import models

from depots.models.chargers import Charger


class LocalList(models.Model):
    """What a charger's list is to hold and what it holds. An entry is {"uid": as its reader gives it, "type": OCPI's or ours,
    "group": str, "until": "…Z"}; a list is in order of uid.

    `held` is null where it is not known: nothing was sent yet, an answer was lost, or the charger started again.
    `state_of_wanted` names what `wanted` was made from, for whoever keeps it up to date.
    """

    charger = models.OneToOneField(Charger, models.CASCADE, primary_key=True, related_name="local_list")
    wanted = models.JSONField(default=list)
    held = models.JSONField(null=True, blank=True)
    version = models.PositiveIntegerField(default=0, help_text="of the last list that was sent")
    state_of_wanted = models.CharField(max_length=64, blank=True)
    checked_at = models.DateTimeField(null=True, blank=True)
    synced_at = models.DateTimeField(
        null=True, blank=True, help_text="since when it holds what it is to hold; null while it does not"
    )
    next_try_at = models.DateTimeField(null=True, blank=True)
    is_refused = models.BooleanField(default=False, help_text="it takes no list, until it starts again")

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="local_list_synced_when_known",
                condition=models.Q(synced_at__isnull=True) | models.Q(held__isnull=False),
            )
        ]

    def __str__(self) -> str:
        return f"list {self.version} of {self.charger_id}"
