"""The promise to a driver: what is offered on which terms, who booked it, and what it occupies."""

from bookings.models.booking_history import BookingEvent, BookingRequest
from bookings.models.booking_states import (
    ENFORCEMENT_WHY,
    INTERRUPTED_WHY,
    LIVE,
    BookingStatus,
    Enforcement,
)
from bookings.models.bookings import Booking, BookingSession, BookingToken, CancelReason
from bookings.models.fleet import Token, Vehicle
from bookings.models.occupancy import Claim, Closure, Occupancy
from bookings.models.offers import BookingOption, CalendarMark, OfferedSlot, Tariff, TermsOverride
from bookings.models.scheduling import SchedulerTick

__all__ = [
    "ENFORCEMENT_WHY",
    "INTERRUPTED_WHY",
    "LIVE",
    "Booking",
    "BookingEvent",
    "BookingOption",
    "BookingRequest",
    "BookingSession",
    "BookingStatus",
    "BookingToken",
    "CalendarMark",
    "CancelReason",
    "Claim",
    "Closure",
    "Enforcement",
    "Occupancy",
    "OfferedSlot",
    "SchedulerTick",
    "Tariff",
    "TermsOverride",
    "Token",
    "Vehicle",
]
