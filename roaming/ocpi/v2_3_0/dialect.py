"""OCPI 2.3.0 with Bookings 1.1, as the core asks for it (roaming/ocpi/dialect.py): a group for each module."""

from __future__ import annotations

from roaming.ocpi.v2_3_0.bookings import dialect as bookings
from roaming.ocpi.v2_3_0.cdrs import dialect as cdrs
from roaming.ocpi.v2_3_0.charging_profiles import dialect as charging_profiles
from roaming.ocpi.v2_3_0.commands import dialect as commands
from roaming.ocpi.v2_3_0.credentials import dialect as registration
from roaming.ocpi.v2_3_0.hubclientinfo import dialect as hub_clients
from roaming.ocpi.v2_3_0.invoicereconciliation import dialect as invoice_records
from roaming.ocpi.v2_3_0.locations import dialect as locations
from roaming.ocpi.v2_3_0.sessions import dialect as sessions
from roaming.ocpi.v2_3_0.tariffs import dialect as tariffs
from roaming.ocpi.v2_3_0.tokens import dialect as tokens
from roaming.ocpi.v2_3_0.versions.mapping import VERSION

__all__ = [
    "VERSION",
    "bookings",
    "cdrs",
    "charging_profiles",
    "commands",
    "hub_clients",
    "invoice_records",
    "locations",
    "registration",
    "sessions",
    "tariffs",
    "tokens",
]
