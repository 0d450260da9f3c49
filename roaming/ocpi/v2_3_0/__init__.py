"""OCPI 2.3.0 with the Bookings module 1.1."""
