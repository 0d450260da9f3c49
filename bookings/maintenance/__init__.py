"""Care of chargers: what a manager has one do, restarts, and templates of settings, with an eye on who has booked there."""

from bookings.maintenance.gaps import bookings_in, next_gap, running_sessions
from bookings.maintenance.restarts import restart_in_gaps

__all__ = ["bookings_in", "next_gap", "restart_in_gaps", "running_sessions"]
