"""Who writes which kind of delivery. A worker takes the kinds it finds here: one of an older version leaves newer kinds alone."""

from __future__ import annotations

from functools import partial

from roaming.commands import sent
from roaming.models import Delivery
from roaming.outbound.pushes import Writer
from roaming.outbound.writers import (
    active_profiles,
    bookings,
    cdrs,
    command_results,
    invoice_records,
    locations,
    offers,
    sessions,
    tariffs,
    tokens,
)
from roaming.outbound.writers.offer_book import OfferBook


def writers() -> dict[Delivery.Kind, Writer]:
    """For one sending loop, which keeps for a moment what it has written for many partners."""
    return {
        Delivery.Kind.COMMAND: sent.commands_written,
        Delivery.Kind.COMMAND_RESULT: command_results.results_written,
        Delivery.Kind.BOOKING: bookings.bookings_written,
        Delivery.Kind.SESSION: sessions.sessions_written,
        Delivery.Kind.ACTIVE_PROFILE: active_profiles.profiles_written,
        Delivery.Kind.CDR: cdrs.cdrs_written,
        Delivery.Kind.INVOICE_RECORD: invoice_records.invoice_records_written,
        Delivery.Kind.TARIFF: tariffs.tariffs_written,
        Delivery.Kind.LOCATION: locations.locations_written,
        Delivery.Kind.EVSE: locations.evses_written,
        Delivery.Kind.TOKEN: tokens.tokens_written,
        Delivery.Kind.BOOKING_LOCATION: partial(offers.offers_written, book=OfferBook()),
    }
