"""What a booking may do and until when: one object, resolved depot → agreement → option, kept with the booking."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Any

from django.db import models

from depots.periods import Period


@dataclass(frozen=True)
class Bounds:
    """The least and the most a term may be, both included."""

    least: int
    most: int

    def nearest(self, value: int) -> int:
        return min(max(value, self.least), self.most)


_DAY, _WEEK, _MONTH = 24 * 60, 7 * 24 * 60, 30 * 24 * 60

# What a term may be: files, forms and partners' terms are held to it, and code that looks back or ahead relies on it.
LIMITS: dict[str, Bounds] = {
    "decision_min": Bounds(1, _WEEK),
    "arm_lead_min": Bounds(0, _DAY),
    "slot_step_min": Bounds(1, _DAY),
    "early_start_min": Bounds(0, _DAY),
    "late_stop_min": Bounds(0, _DAY),
    "turnaround_min": Bounds(0, _DAY),
    "no_show_min": Bounds(1, _DAY),
    "change_until_min": Bounds(0, _MONTH),
    "cancel_until_min": Bounds(0, _MONTH),
    "min_duration_min": Bounds(1, _WEEK),
    "max_duration_min": Bounds(1, _WEEK),
    "lead_min": Bounds(0, _MONTH),
    "horizon_days": Bounds(1, 366),
    "max_promise_kw": Bounds(1, 100_000),
    "max_open_bookings": Bounds(1, 1_000_000),
    "max_unused_holds": Bounds(1, 10_000),
    "hold_min": Bounds(1, _DAY),
    "offer_min": Bounds(1, _DAY),
    "end_warning_min": Bounds(0, _DAY),
    "overstay_min": Bounds(0, _DAY),
}


class WalkIn(models.TextChoices):
    """Whose trucks may charge without a booking while nobody has booked the EVSE."""

    OWN = "own", "The operator's own"
    AGREED = "agreed", "The operator's own and guests with an agreement in force"
    KNOWN = "known", "Every card that is registered here"
    ANYBODY = "anybody", "Everybody"


class PowerOrder(models.TextChoices):
    """Whose promise of power is kept first while the depot has less than it promised."""

    CHARGING_FIRST = "charging_first", "Who charges already, then who comes, each by time of booking"
    OWN_FIRST = "own_first", "The operator's own trucks, then as above"
    OWN_LAST = "own_last", "The guests', then the operator's own"


class Overstay(models.TextChoices):
    """What the depot does about a session that has outlived its slot, beside telling everybody."""

    TELL = "tell", "Nothing more"
    STOP_FOR_NEXT = "stop_for_next", "Stop it where somebody else's slot is next"
    STOP = "stop", "Stop it"


@dataclass(frozen=True)
class Terms:
    """Minutes unless the name says otherwise; deadlines count back from the start of the booked period.

    None is a term that sets no bound.
    """

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
    walk_in: str = WalkIn.AGREED.value
    max_promise_kw: int | None = None
    max_open_bookings: int | None = None
    max_unused_holds: int | None = None
    hold_min: int = 10
    offer_min: int = 15
    late_cancel: bool = False
    end_warning_min: int = 10
    overstay: str = Overstay.TELL.value
    overstay_min: int = 10
    power_order: str = PowerOrder.CHARGING_FIRST.value

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
        known = cls.__dataclass_fields__
        return cls(**{name: value for name, value in stored.items() if name in known})

    def to_json(self) -> dict[str, Any]:
        return dict(vars(self))

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

    @property
    def end_warning(self) -> timedelta:
        """How long before its end a session is warned of; nothing where it is not."""
        return timedelta(minutes=self.end_warning_min)

    @property
    def stop_after(self) -> timedelta | None:
        """How long after the booked end its session is stopped, where the depot stops any: late stop, and some patience."""
        if self.overstay == Overstay.TELL:
            return None
        return timedelta(minutes=self.late_stop_min + self.overstay_min)

    @property
    def hold_time(self) -> timedelta:
        """How long a slot is kept for a dispatcher who reads the terms."""
        return timedelta(minutes=self.hold_min)

    @property
    def offer_time(self) -> timedelta:
        """How long a slot that came free is offered to who waits for it."""
        return timedelta(minutes=self.offer_min)

    @property
    def max_promise_w(self) -> int | None:
        return None if self.max_promise_kw is None else self.max_promise_kw * 1000

    def no_show_at(self, period: Period) -> datetime:
        """When a truck that has not come has lost its slot; never after the slot itself has ended."""
        return min(period.starts_at + timedelta(minutes=self.no_show_min), period.ends_at)

    def change_deadline(self, period: Period) -> datetime:
        return period.starts_at - timedelta(minutes=self.change_until_min)

    def cancel_deadline(self, period: Period) -> datetime:
        return period.starts_at - timedelta(minutes=self.cancel_until_min)

    def due_at(self, period: Period) -> datetime:
        return period.starts_at - self.arm_lead


def impossible(terms: Terms) -> tuple[str, str] | None:
    """The term under which nothing could ever be booked, and why; None where something can."""
    longest, step = terms.max_duration_min, terms.slot_step_min
    if longest < terms.min_duration_min:
        return "max_duration_min", f"{longest} is less than min_duration_min, {terms.min_duration_min}"
    if longest // step * step < max(terms.min_duration_min, step):
        return (
            "max_duration_min",
            f"no whole number of steps of {step} minutes lies between {terms.min_duration_min} and {longest}",
        )
    if terms.lead_min >= terms.horizon_days * 24 * 60:
        return "lead_min", f"{terms.lead_min} minutes reach beyond horizon_days, {terms.horizon_days}"
    return None


def _most(*names: str) -> timedelta:
    return timedelta(minutes=max(LIMITS[name].most for name in names))


LONGEST_BOOKING = _most("max_duration_min")
LONGEST_EARLY_START = _most("early_start_min")
LONGEST_LEAD = _most("arm_lead_min", "early_start_min")
LONGEST_TAIL = _most("late_stop_min", "turnaround_min")
