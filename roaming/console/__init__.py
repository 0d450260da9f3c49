"""What people see of partner networks and do about them: their health, their deviations, what waits, what was said."""
