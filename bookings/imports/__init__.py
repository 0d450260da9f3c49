"""Files an operator brings, with what bookings add: terms, options, tariffs, vehicles and tokens."""
