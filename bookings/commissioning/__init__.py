"""What a charger is told by its manager, or to become what it should be, with an eye on who has booked there."""

from bookings.commissioning.gaps import bookings_in, next_gap, running_sessions
from bookings.commissioning.restarts import restart_in_gaps

__all__ = ["bookings_in", "next_gap", "restart_in_gaps", "running_sessions"]
