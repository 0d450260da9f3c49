"""What a charger was given beyond promises expires by itself, so that one that falls silent gives it back.

A profile says an amount now, and from later moments on less (bookings.models.power_schedules). They are times of the charger's
clock: a step counts once it must have come by the worst of it. While the charger is online it is told anew in time.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from bookings.models.power_schedules import PowerSchedule, Step
from depots.models import Charger

# How long a silent charger keeps what it was given beyond what is always its own.
LASTS = timedelta(minutes=5)
# It is renewed when so little is left; chargers of a depot do not do so all at once.
RENEWED_BEFORE = timedelta(seconds=75)
JITTER_S = 45
# A step that is nearer than this is made at once.
NEAR = timedelta(seconds=3)
# Messages take their time, whole seconds are rounded; a clock that was never seen may be a minute off.
CLOCK_WITHIN_S, UNKNOWN_CLOCK_S, WORST_CLOCK_S = 3, 60, 60


def clock_margin(charger: Charger) -> timedelta | None:
    """How much later than meant a step may come; None where the clock is too far off to rely on."""
    offset_s = charger.clock_offset_s
    if offset_s is None:
        return timedelta(seconds=UNKNOWN_CLOCK_S)
    return timedelta(seconds=CLOCK_WITHIN_S + abs(offset_s)) if abs(offset_s) <= WORST_CLOCK_S else None


def expiring(
    watts: int, *, promised_w: int, promise_ends_at: datetime | None, always_w: int, ends_at: datetime
) -> PowerSchedule:
    """An amount of which what is beyond a promise ends at `ends_at`, and the promise with its slot.

    `always_w` is what the EVSE has whoever else comes.
    """
    floor = max(promised_w, always_w)
    steps = [Step(ends_at, floor)] if watts > floor else []
    if promise_ends_at is not None and min(watts, floor) > always_w:
        steps = [step for step in steps if step.at < promise_ends_at]
        steps.append(Step(promise_ends_at, always_w))
    return PowerSchedule(watts, tuple(steps))


def is_to_be_renewed(
    standing: Sequence[Step], wanted: Sequence[Step], *, evse_id: int, now: datetime
) -> bool:
    """Lasts longer than it may for a promise made since, or ends soon and need not."""
    if not standing or not wanted:
        return bool(standing or wanted)
    if standing[0].at > wanted[0].at or standing[-1].watts > wanted[-1].watts:
        return True
    before = RENEWED_BEFORE + timedelta(seconds=evse_id * 7 % JITTER_S)
    return standing[0].at - now <= before and wanted[0].at - standing[0].at > NEAR


def expiry(next_start: datetime | None, margin: timedelta, now: datetime) -> datetime:
    """When that ends which is nobody's promise: in time for the next one, whatever the charger's clock."""
    at = now + LASTS if next_start is None else min(now + LASTS, next_start - margin)
    return at.replace(microsecond=0)
