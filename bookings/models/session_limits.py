"""What the customer of a session wants it to take at most."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from operator import itemgetter

from django.db import models

from bookings.models.power_schedules import Step
from depots.models import ChargingSession


class SessionLimit(models.Model):
    """A wish of whose customer charges: it lowers what the depot's plan gives the session, and never raises it.

    `steps` are [[moment in UTC, watts]…], ever later. Before the first of them and from `ends_at` on nothing is wished; lifted,
    there are none. `least_w` is what the vehicle charges with at least. `serial` counts what was asked; while `is_awaited` nobody
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

    def __str__(self) -> str:
        return f"{self.session_id}: {self.steps}"

    def wish(self, schedule: Sequence[Step], ends_at: datetime | None, least_w: int) -> None:
        """Another one, of which nobody knows yet whether it is kept."""
        self.steps = [[_written(step.at), step.watts] for step in schedule]
        self.ends_at, self.least_w = ends_at, least_w
        self.serial += 1
        self.is_awaited = True

    def watts_at(self, moment: datetime) -> int | None:
        """None where nothing is wished."""
        if self.ends_at is not None and self.ends_at <= moment:
            return None
        begun = self._begun(moment)
        return int(self.steps[begun - 1][1]) if begun else None

    def changes(self, after: datetime) -> Iterator[datetime]:
        """The moments at which something else is wished than before, the next first."""
        if not self.steps:
            return
        for at, _ in islice(self.steps, self._begun(after), None):
            moment = datetime.fromisoformat(at)
            if self.ends_at is not None and moment >= self.ends_at:
                break
            yield moment
        if self.ends_at is not None and self.ends_at > after:
            yield self.ends_at

    def next_rise(self, after: datetime) -> datetime | None:
        """When more is wished than just before."""
        before = self.watts_at(after)
        for at in self.changes(after):
            watts = self.watts_at(at)
            if before is not None and (watts is None or watts > before):
                return at
            before = watts
        return None

    def _begun(self, moment: datetime) -> int:
        """How many steps have begun. Found by their text: there may be a thousand of them, and a plan asks for those of all
        sessions of a depot."""
        return bisect_right(self.steps, _written(moment), key=itemgetter(0))


def _written(moment: datetime) -> str:
    """In UTC, in which later moments are written by later texts."""
    return moment.astimezone(UTC).isoformat()
