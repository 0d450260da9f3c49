"""The time for which a reservation keeps a charger, as a period of what is billed: before the charging, or by itself.

It ends when its customer begins to charge, when it is given back, or when it expires (OCPI 2.3.0 mod_tariffs,
TariffRestrictions.reservation).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from bookings.billing.charging_periods import MeteredUse
from bookings.models import Booking
from bookings.pricing.visits import ChargingPeriod, SessionUse, whole_second
from bookings.rules.reservations import reserved_time


def with_reservation(use: MeteredUse, booking: Booking) -> MeteredUse:
    """What a session used, with the reservation before it."""
    begun_at = use.starts_at
    kept = _reserved(booking, begun_at)
    return replace(use, use=SessionUse((kept, *use.use.periods), use.ends_at))


def reservation_alone(booking: Booking, *, until: datetime) -> MeteredUse:
    """Of one that is not used, or not yet, as far as it has come by then."""
    kept = _reserved(booking, until)
    return _alone(kept, until=max(kept.starts_at, min(whole_second(until), _expires_at(booking))))


def expired_reservation(booking: Booking) -> MeteredUse:
    """Of one that nobody used."""
    until = _expires_at(booking)
    kept = _reserved(booking, until)
    return _alone(replace(kept, reserved_s=None, expired_s=kept.reserved_s), until=until)


def _reserved(booking: Booking, until: datetime) -> ChargingPeriod:
    """Clocks of chargers may be behind: it takes no time then."""
    since = min(whole_second(reserved_time(booking).since), whole_second(until))
    seconds = (min(whole_second(until), _expires_at(booking)) - since).total_seconds()
    return ChargingPeriod(since, reserved_s=max(int(seconds), 0))


def _expires_at(booking: Booking) -> datetime:
    return whole_second(reserved_time(booking).until)


def _alone(kept: ChargingPeriod, *, until: datetime) -> MeteredUse:
    return MeteredUse(SessionUse((kept,), until), energy_wh=0, charging_s=0, parking_s=0)
