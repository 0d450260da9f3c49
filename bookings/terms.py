"""What a booking may do and until when: one object, resolved depot → agreement → option, kept with the booking."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Any

from depots.periods import Period


@dataclass(frozen=True)
class Terms:
    """Minutes unless the name says otherwise; deadlines count back from the start of the booked period."""

    approval: bool = False
    decision_min: int = 15
    arm_lead_min: int = 15
    slot_step_min: int = 15
    early_start_min: int = 15
    late_stop_min: int = 0
    turnaround_min: int = 5
    no_show_min: int = 15
    change_until_min: int = 60
    cancel_until_min: int = 30
    min_duration_min: int = 30
    max_duration_min: int = 240
    lead_min: int = 0
    horizon_days: int = 14
    overlapping_tokens: bool = True

    @classmethod
    def resolve(cls, overrides: Iterable[Any]) -> Terms:
        """The defaults, overridden by each given object in turn; attributes that are None or missing inherit."""
        terms = cls()
        for override in overrides:
            given = {f.name: getattr(override, f.name, None) for f in fields(cls)}
            terms = replace(terms, **{name: value for name, value in given.items() if value is not None})
        return terms

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Terms:
        """Terms as they were kept; a term that did not exist yet has its default."""
        known = {f.name for f in fields(cls)}
        return cls(**{name: value for name, value in stored.items() if name in known})

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def arm_lead(self) -> timedelta:
        """An armed EVSE must be free from the first minute the driver may come."""
        return timedelta(minutes=max(self.arm_lead_min, self.early_start_min))

    @property
    def early_start(self) -> timedelta:
        return timedelta(minutes=self.early_start_min)

    @property
    def tail(self) -> timedelta:
        """How long after the booked end the EVSE is not free yet: late stop or turnaround, whichever is longer."""
        return timedelta(minutes=max(self.late_stop_min, self.turnaround_min))

    def no_show_at(self, period: Period) -> datetime:
        """When a truck that has not come has lost its slot; never after the slot itself has ended."""
        return min(period.starts_at + timedelta(minutes=self.no_show_min), period.ends_at)

    def change_deadline(self, period: Period) -> datetime:
        return period.starts_at - timedelta(minutes=self.change_until_min)

    def cancel_deadline(self, period: Period) -> datetime:
        return period.starts_at - timedelta(minutes=self.cancel_until_min)

    def due_at(self, period: Period) -> datetime:
        return period.starts_at - self.arm_lead
