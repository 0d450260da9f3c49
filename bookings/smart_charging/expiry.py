"""What a charger was given expires by itself: beyond promises it falls, so that one that falls silent gives it back; below a
promise it rises to it, so that nobody is short there.

A profile says an amount now, and from later moments on another (bookings.models.power_schedules). They are times of the charger's
clock: a fall counts once it must have come by the worst of it, a rise once it may have. While the charger is online it is told
anew in time.
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
# What a vehicle leaves of its promise is given on for so long; it rises again after all that could use it has fallen.
LEFT_FOR = timedelta(minutes=15)
# A step that is nearer than this is made at once.
NEAR = timedelta(seconds=3)
# Messages take their time, whole seconds are rounded; a clock that was never seen may be a minute off.
CLOCK_WITHIN_S, UNKNOWN_CLOCK_S, WORST_CLOCK_S = 3, 60, 60


def clock_margin(charger: Charger) -> timedelta | None:
    """How much later than meant a step may come, or earlier; None where the clock is too far off to rely on."""
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


def rising(
    watts: int, *, promised_w: int, begins_at: datetime, ends_at: datetime, always_w: int
) -> PowerSchedule:
    """An amount below a promise, which holds from `begins_at` on, until its slot is over."""
    if begins_at >= ends_at:
        return PowerSchedule(watts)
    over = [Step(ends_at, always_w)] if always_w < promised_w else []
    return PowerSchedule(watts, (Step(begins_at, promised_w), *over))


def is_to_be_renewed(
    standing: Sequence[Step], wanted: Sequence[Step], *, evse_id: int, now: datetime, before: timedelta
) -> bool:
    """Lasts longer than it may for a promise made since, or ends soon (within `before`) and need not."""
    if not standing or not wanted:
        return bool(standing or wanted)
    if standing[0].at > wanted[0].at or standing[-1].watts > wanted[-1].watts:
        return True
    before += timedelta(seconds=evse_id * 7 % JITTER_S)
    return standing[0].at - now <= before and wanted[0].at - standing[0].at > NEAR


def expires_at(next_rise: datetime | None, margin: timedelta, now: datetime) -> datetime:
    """When that ends which is nobody's promise: in time for the next one, whatever the charger's clock."""
    at = now + LASTS if next_rise is None else min(now + LASTS, next_rise - margin)
    return at.replace(microsecond=0)


def rises_at(promise_begins_at: datetime, margin: timedelta) -> datetime:
    """When what is promised from a moment on begins by a charger's clock: not before, whatever the clock."""
    at = promise_begins_at + margin
    return at if at.microsecond == 0 else at.replace(microsecond=0) + timedelta(seconds=1)
