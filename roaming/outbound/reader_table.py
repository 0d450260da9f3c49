"""The lists that are read of a partner, in the order in which they are: what an object refers to is known before it."""

from __future__ import annotations

from roaming.outbound.pulled_lists import PulledList
from roaming.outbound.readers.booking_locations import BOOKING_LOCATIONS
from roaming.outbound.readers.bookings import BOOKINGS
from roaming.outbound.readers.cdrs import CDRS
from roaming.outbound.readers.hub_clients import HUB_CLIENTS
from roaming.outbound.readers.invoice_records import INVOICE_RECORDS, SELF_BILLED_RECORDS
from roaming.outbound.readers.locations import LOCATIONS
from roaming.outbound.readers.sessions import SESSIONS
from roaming.outbound.readers.tariffs import TARIFFS
from roaming.outbound.readers.tokens import TOKENS

LISTS: dict[str, PulledList] = {
    one.name: one
    for one in (
        HUB_CLIENTS, TARIFFS, LOCATIONS, BOOKING_LOCATIONS, BOOKINGS, SESSIONS, CDRS, INVOICE_RECORDS, SELF_BILLED_RECORDS,
        TOKENS,
    )
}  # fmt: skip
