"""OCPI 2.2.1, as the core asks for it (roaming/ocpi/dialect.py): a group for each module."""

from __future__ import annotations

from roaming.ocpi.v2_2_1.bookings import dialect as bookings
from roaming.ocpi.v2_2_1.cdrs import dialect as cdrs
from roaming.ocpi.v2_2_1.charging_profiles import dialect as charging_profiles
from roaming.ocpi.v2_2_1.commands import dialect as commands
from roaming.ocpi.v2_2_1.credentials import dialect as registration
from roaming.ocpi.v2_2_1.hubclientinfo import dialect as hub_clients
from roaming.ocpi.v2_2_1.invoicereconciliation import dialect as invoice_records
from roaming.ocpi.v2_2_1.locations import dialect as locations
from roaming.ocpi.v2_2_1.sessions import dialect as sessions
from roaming.ocpi.v2_2_1.tariffs import dialect as tariffs
from roaming.ocpi.v2_2_1.tokens import dialect as tokens
from roaming.ocpi.v2_2_1.versions.mapping import VERSION

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
