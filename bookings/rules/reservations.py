"""A reservation: a charger kept from now on until a moment, for a customer of a partner network who is on the way.

To us it is a short booking with terms of its own; who may have it, for how long and with how much power is decided where every
booking is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bookings.errors import InThePast, TooLong
from bookings.models import Booking, Enforcement
from bookings.rules.terms import LIMITS, Overstay, Terms
from depots.periods import Period, utc_text

# A charger that is kept stands empty, and many keep none for long.
KEPT_BEFORE = timedelta(minutes=15)
LONGEST_RESERVATION = timedelta(hours=2)
_MINUTE = timedelta(minutes=1)
# Of the terms of a booking that is one: its time to the second, where slots are whole minutes.
_TIME = "reserved"
# The charger keeps it, or we do where it cannot.
KEPT = frozenset({Enforcement.ARMED, Enforcement.SOFT})


@dataclass(frozen=True)
class ReservedTime:
    """From when it was made (of one that took another's place: from when that was) until it expires."""

    since: datetime
    until: datetime

    def to_json(self) -> dict[str, dict[str, str]]:
        """For the terms that its booking keeps."""
        return {_TIME: self.as_json()}

    def as_json(self) -> dict[str, str]:
        return {"since": utc_text(self.since), "until": utc_text(self.until)}


def reserved_time(booking: Booking) -> ReservedTime:
    """Of a booking that is a reservation."""
    told = booking.terms_json.get(_TIME)
    if told is None:
        return ReservedTime(booking.created_at, booking.ends_at)
    return ReservedTime(*(datetime.fromisoformat(told[name]) for name in ("since", "until")))


def kept_before(starts_at: datetime, *, now: datetime) -> Period | None:
    """For how long a partner's charger is kept for a slot by best effort; None for one that begins already."""
    since = max(starts_at - KEPT_BEFORE, now)
    return Period(since, starts_at) if since < starts_at else None


def terms_of_reservation(terms: Terms) -> Terms:
    """The place's terms without those that are about slots ahead: it is decided at once, is kept until it ends, and whoever
    charges by then charges on like one who has not booked."""
    return replace(
        terms,
        approval=False,
        arm_lead_min=0,
        early_start_min=0,
        lead_min=0,
        slot_step_min=1,
        min_duration_min=1,
        max_duration_min=int(LONGEST_RESERVATION / _MINUTE) + 1,
        no_show_min=LIMITS["no_show_min"].most,
        change_until_min=0,
        cancel_until_min=0,
        late_cancel=False,
        late_stop_min=0,
        end_warning_min=0,
        overstay=Overstay.TELL.value,
    )


def period_of_reservation(until: datetime, *, now: datetime) -> Period:
    """What it takes of the place, in whole minutes, as all slots are. Raises InThePast, TooLong."""
    if until <= now:
        raise InThePast("The reservation would be over already.")
    if until - now > LONGEST_RESERVATION:
        most = LONGEST_RESERVATION // _MINUTE
        raise TooLong(f"A charger is kept for {most} minutes at most; book a slot for later.")
    starts_at = now.replace(second=0, microsecond=0)
    ends_at = until.replace(second=0, microsecond=0)
    return Period(starts_at, ends_at if ends_at == until else ends_at + _MINUTE)
