"""Whose truck a session is, and the slots that this truck has after the one it charges in."""

from __future__ import annotations

from bookings.models import Booking
from bookings.rules.identification import identify
from depots.models import ChargingSession


def is_own(session: ChargingSession, booking: Booking) -> bool:
    """Whether the session is the booking's truck, which began before its time: without a booking, or in one before. One whose
    token its fleet has blocked since is anybody's."""
    shown = identify(session.token_uid, session.token_type)
    return session.is_entitled and any(shown.opens(named, booking) for named in booking.tokens.all())
