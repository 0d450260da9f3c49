"""May a customer have a slot at that time? As periods.check_period, by what its agreement says of hours."""

from __future__ import annotations

from datetime import datetime, timedelta

from bookings.errors import OutsideGuestHours, OwnFleetFirst
from bookings.rules import periods
from bookings.rules.allowance import Allowance
from bookings.rules.configuration import Site
from bookings.rules.terms import Terms
from depots.periods import Period

# How far ahead the nearest time is looked for: hours come again every week.
LOOKED_AHEAD = timedelta(days=8)


def check_hours(allowance: Allowance, terms: Terms, site: Site, period: Period, *, now: datetime) -> None:
    """Raises OutsideGuestHours or OwnFleetFirst, with the nearest time from then on that is allowed."""
    if allowance.is_always:
        return
    if not any(span.covers(period) for span in allowance.window_spans(_around(period), site.zone)):
        raise OutsideGuestHours(
            _sentence(allowance, site, period), nearest=_nearest(allowance, terms, site, period, now)
        )
    for rule in allowance.own_first:
        kept = rule.kept(_around(period), site.zone, now)
        if any(span.overlaps(period) for span in kept) and not _is_near(rule.ahead, period, now):
            told = "are for the depot's own fleet" if rule.ahead is None else _until(rule.ahead)
            raise OwnFleetFirst(
                f"Slots here ({rule.hours}) {told}.", nearest=_nearest(allowance, terms, site, period, now)
            )


def _is_near(ahead: timedelta | None, period: Period, now: datetime) -> bool:
    """What begins so soon may reach into hours that are still kept."""
    return ahead is not None and period.starts_at <= now + ahead


def _around(period: Period) -> Period:
    """Whole days, so that windows that touch at midnight are one."""
    return period.widened(timedelta(days=1), timedelta(days=1))


def _until(ahead: timedelta) -> str:
    minutes = int(ahead.total_seconds()) // 60
    hours, rest = divmod(minutes, 60)
    text = f"{hours} h" if hours and not rest else f"{minutes} minutes"
    return f"are for the depot's own fleet until {text} before they start"


def _sentence(allowance: Allowance, site: Site, period: Period) -> str:
    if allowance.ends_at is not None and period.ends_at > allowance.ends_at:
        return (
            f"The agreement by which you may book here ends at {periods.local_time(site, allowance.ends_at)}."
        )
    hours = "; ".join(str(hours) for hours in allowance.windows)
    return f"Guests may have slots here {hours} ({site.time_zone})."


def _nearest(allowance: Allowance, terms: Terms, site: Site, period: Period, now: datetime) -> Period | None:
    """The same length in the next time that has room for it, whether or not an EVSE is free then."""
    since = max(period.starts_at, periods.first_start(terms, site, now))
    latest = now + timedelta(days=terms.horizon_days)
    for span in allowance.open_spans(Period(since, since + LOOKED_AHEAD), site.zone, now=now):
        start = periods.aligned_up(span.starts_at, terms.slot_step_min, site)
        found = periods.fitted(terms, site, start, period.duration)
        if found is not None and span.covers(found) and site.is_open(found) and found.starts_at <= latest:
            return found
    return None
