"""What the customer of a session wants it to take at most."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import models

from bookings.models.power_schedules import Step
from depots.models import ChargingSession


class SessionLimit(models.Model):
    """A wish of whose customer charges: it lowers what the depot's plan gives the session, and never raises it.

    `steps` are [[moment, watts]…], ever later. Before the first of them and from `ends_at` on nothing is wished; lifted, there
    are none. `least_w` is what the vehicle charges with at least. `serial` counts what was asked; while `is_awaited` nobody
    knows whether the charger keeps the last of it. Of one that `was_kept` once its customer hears whenever `given_w`, what the
    EVSE may give by what stands at its charger, is another.
    """

    session = models.OneToOneField(
        ChargingSession, models.CASCADE, primary_key=True, related_name="customer_limit"
    )
    steps = models.JSONField(default=list, blank=True)
    ends_at = models.DateTimeField(null=True, blank=True)
    least_w = models.BigIntegerField(default=0)
    serial = models.BigIntegerField(default=0)
    is_awaited = models.BooleanField(default=False)
    was_kept = models.BooleanField(default=False)
    given_w = models.BigIntegerField(null=True, blank=True)

    _read: tuple[list[list[Any]], list[Step]] | None = None

    def __str__(self) -> str:
        return f"{self.session_id}: {self.steps}"

    @property
    def schedule(self) -> list[Step]:
        """Read once for all that is asked of one wish: it may have a thousand steps."""
        if self._read is None or self._read[0] is not self.steps:
            self._read = self.steps, [Step(datetime.fromisoformat(at), watts) for at, watts in self.steps]
        return self._read[1]

    def wish(self, schedule: Sequence[Step], ends_at: datetime | None, least_w: int) -> None:
        """Another one, of which nobody knows yet whether it is kept."""
        self.steps = [[step.at.isoformat(), step.watts] for step in schedule]
        self.ends_at, self.least_w = ends_at, least_w
        self.serial += 1
        self.is_awaited = True

    def watts_at(self, moment: datetime) -> int | None:
        """None where nothing is wished."""
        if self.ends_at is not None and self.ends_at <= moment:
            return None
        begun = bisect_right(self.schedule, moment, key=lambda step: step.at)
        return self.schedule[begun - 1].watts if begun else None

    def changes(self, after: datetime) -> list[datetime]:
        """The moments at which something else is wished than before."""
        if not self.steps:
            return []
        ends = [self.ends_at] if self.ends_at is not None else []
        begun = [step.at for step in self.schedule if self.ends_at is None or step.at < self.ends_at]
        return [at for at in (*begun, *ends) if at > after]

    def next_rise(self, after: datetime) -> datetime | None:
        """When more is wished than just before."""
        before = self.watts_at(after)
        for at in self.changes(after):
            watts = self.watts_at(at)
            if before is not None and (watts is None or watts > before):
                return at
            before = watts
        return None
