"""OCPI 2.2.1-d2, where it is not as 2.3.0; Bookings are a module agreed with a partner."""
