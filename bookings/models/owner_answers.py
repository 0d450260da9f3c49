from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models

from depots.models import Charger, Organisation


class OwnerAnswer(models.Model):
    """What was heard of a token at a charger from the network that issued it, the last time it was asked.

    `number` and `type` name what the charger read (depots.token_numbers). `reference` is the network's, for session and record;
    `evse_uids`, unless empty, are where it lets the token charge. `owner` is null where nobody knew it, or nobody said so; beside
    it stands which of its parties was asked.
    """

    class Outcome(models.TextChoices):
        ALLOWED = "allowed", "It may charge"
        BLOCKED = "blocked", "It is blocked"
        EXPIRED = "expired", "It has expired"
        NO_CREDIT = "no_credit", "Its holder has no credit"
        NOT_ALLOWED = "not_allowed", "It may not charge here"
        UNKNOWN = "unknown", "Nobody knows it"
        SILENT = "silent", "Nobody answered"

    charger = models.ForeignKey(Charger, models.CASCADE, related_name="owner_answers", db_index=False)
    number = models.CharField(max_length=64)
    type = models.CharField(max_length=12, blank=True)
    owner = models.ForeignKey(Organisation, models.CASCADE, related_name="+", null=True, blank=True)
    country_code = models.CharField(max_length=2, blank=True, db_default="")
    party_id = models.CharField(max_length=5, blank=True, db_default="")
    outcome = models.CharField(max_length=11, choices=Outcome)
    reference = models.CharField(max_length=64, blank=True)
    evse_uids = ArrayField(models.CharField(max_length=64), default=list, blank=True)
    info = models.CharField(max_length=512, blank=True)
    answered_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["charger", "number", "type"], name="owner_answer_once"),
        ]

    def __str__(self) -> str:
        return f"{self.number}: {self.outcome}"
