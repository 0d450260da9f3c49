"""Booking, session, record and invoice matched, for who owes and for who is owed: report.py is the way in."""
