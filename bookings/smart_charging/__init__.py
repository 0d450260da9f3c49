"""Booked power at the plug: what each EVSE of a depot may give, told to chargers so that no limit is exceeded at any moment
(docs/decisions/0090 to 0092)."""
