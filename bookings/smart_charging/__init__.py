"""Booked power at the plug: what each EVSE of a depot may give, told to chargers so that no limit is exceeded at any moment
(docs/decisions/0090 to 0092)."""

from bookings.smart_charging.customer_limits import (
    Wish,
    drop_limit,
    given_limits,
    lift_session_limit,
    limit_session,
    why_not_limited,
)
from bookings.smart_charging.planning import plan_depot, plan_due
from bookings.smart_charging.profile_answers import read_schedule, take_profile_answer
from bookings.smart_charging.promises import note_shortfalls, tell_lifted, tell_limit

__all__ = [
    "Wish",
    "drop_limit",
    "given_limits",
    "lift_session_limit",
    "limit_session",
    "note_shortfalls",
    "plan_depot",
    "plan_due",
    "read_schedule",
    "take_profile_answer",
    "tell_lifted",
    "tell_limit",
    "why_not_limited",
]
