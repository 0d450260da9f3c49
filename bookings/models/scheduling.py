from __future__ import annotations

from django.db import models


class SchedulerTick(models.Model):
    """One row a name: the moment its last tick was claimed, so that a tick happens once with any number of workers."""

    name = models.CharField(max_length=40, primary_key=True)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name} {self.at}"
