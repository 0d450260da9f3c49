"""What was answered to a POST of the JSON API, kept under its Idempotency-Key."""

from __future__ import annotations

from django.db import models

from depots.models import Organisation


class KeptAnswer(models.Model):
    """An answer as it went out, refusals too, written in the transaction of what it tells.

    `fingerprint` is of the method, the address and the body that it answers. `headers` are those that belong to the answer.
    """

    organisation = models.ForeignKey(Organisation, models.CASCADE, related_name="+", db_index=False)
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField()
    headers = models.JSONField(default=dict)
    body = models.TextField(blank=True)
    created_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["organisation", "key"], name="answer_kept_once")]

    def __str__(self) -> str:
        return f"{self.status} under {self.key}"
