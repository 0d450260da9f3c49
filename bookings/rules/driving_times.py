"""How long one driver may drive, by Regulation (EC) No 561/2006: driving periods, breaks, daily driving and daily rest.

Pure, and about what a plan of one journey can know: a single driver who begins rested. The week's limits (56 hours, 90 in two
weeks, two days of ten hours, three reduced rests: Articles 6 and 8) need the driver's record and are not judged here; who plans
says which day it is by `Limits`. A daily rest in two parts (3 + 9 hours), ferries (Article 9) and double manning (Article 8(5))
are not proposed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum

# Article 7, first paragraph: after so much driving a break is due, no shorter than that.
DRIVING_PERIOD = timedelta(hours=4, minutes=30)
FULL_BREAK = timedelta(minutes=45)
# Article 7, second paragraph: the same in two parts, in this order, within the driving period.
FIRST_PART = timedelta(minutes=15)
SECOND_PART = timedelta(minutes=30)
# Article 8(2): within 24 hours of the end of the last rest the next must have been taken.
DAY = timedelta(hours=24)
NONE = timedelta()


class DrivingTooLong(Exception):
    """More driving than the driver may do before the next break or rest."""


class Breaks(StrEnum):
    """How the break after four and a half hours is to be taken."""

    WHOLE = "45"
    IN_PARTS = "15+30"


@dataclass(frozen=True)
class Limits:
    """What holds on a day. Article 6(1): 9 hours, 10 at most twice a week; Article 4(g): a rest of 11 hours, reduced 9."""

    daily_driving: timedelta = timedelta(hours=9)
    daily_rest: timedelta = timedelta(hours=11)

    @property
    def on_duty(self) -> timedelta:
        """From the end of a rest to the begin of the next, breaks included."""
        return DAY - self.daily_rest


ORDINARY_DAY = Limits()
EXTENDED_DAY = Limits(daily_driving=timedelta(hours=10))


@dataclass(frozen=True)
class Duty:
    """What a driver has behind since the last daily rest: driving since the last break, whether the first part of one was taken
    since, driving in all, and how long the rest is over."""

    since_break: timedelta = NONE
    has_first_part: bool = False
    today: timedelta = NONE
    on_duty: timedelta = NONE
    limits: Limits = ORDINARY_DAY

    @property
    def until_break(self) -> timedelta:
        return DRIVING_PERIOD - self.since_break

    @property
    def left_today(self) -> timedelta:
        return max(min(self.limits.daily_driving - self.today, self.limits.on_duty - self.on_duty), NONE)

    @property
    def may_drive(self) -> timedelta:
        """Without another stop."""
        return min(self.until_break, self.left_today)

    @property
    def whole_break(self) -> timedelta:
        """How long a stop must be for a new driving period to begin."""
        return SECOND_PART if self.has_first_part else FULL_BREAK

    def driven(self, time: timedelta) -> Duty:
        """After driving so long. Raises DrivingTooLong."""
        if time > self.may_drive:
            raise DrivingTooLong
        return replace(
            self, since_break=self.since_break + time, today=self.today + time, on_duty=self.on_duty + time
        )

    def waited(self, time: timedelta) -> Duty:
        """After time that is no rest for sure: a queue, a move to another bay."""
        return replace(self, on_duty=self.on_duty + time)

    def rested(self, time: timedelta) -> Duty:
        """After a stop that is used for nothing but rest; less than a quarter of an hour counts as none."""
        if time >= self.limits.daily_rest:
            return Duty(limits=self.limits)
        later = replace(self, on_duty=self.on_duty + time)
        if time >= self.whole_break:
            return replace(later, since_break=NONE, has_first_part=False)
        return replace(later, has_first_part=True) if time >= FIRST_PART else later


RESTED = Duty()


def next_break(duty: Duty, breaks: Breaks) -> timedelta:
    """How long the next stop is at least, taken as is wished."""
    if breaks is Breaks.IN_PARTS and not duty.has_first_part and duty.since_break > NONE:
        return FIRST_PART
    return duty.whole_break


def least_time(driving: timedelta, duty: Duty = RESTED) -> timedelta:
    """How long so much driving takes at least, with the breaks and daily rests that fall due on the way, none after it."""
    passed = NONE
    while driving > NONE:
        stretch = min(driving, duty.may_drive)
        if stretch > NONE:
            duty, driving, passed = duty.driven(stretch), driving - stretch, passed + stretch
        if driving > NONE:
            stop = _next_stop(duty)
            duty, passed = duty.rested(stop), passed + stop
    return passed


def _next_stop(duty: Duty) -> timedelta:
    """A break where one can still drive after it, else the daily rest."""
    after = duty.rested(duty.whole_break)
    return duty.whole_break if after.may_drive > NONE else duty.limits.daily_rest
