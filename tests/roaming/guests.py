"""Trucks of partners at our depots: booked by their partner, charging by the card it named."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from bookings.models import Booking
from depots.models import ChargingSession, Evse, Organisation
from roaming.models import Partner
from tests.billing_factories import priced
from tests.bookings.enforcement.charging_trucks import stop
from tests.bookings.enforcement.online_chargers import armed, evse_online, start
from tests.factories import at, make_depot, make_operator, option_of, slot
from tests.roaming.partners import Caller, data

TERMS: dict[str, Any] = {"arm_lead_min": 15, "early_start_min": 15, "no_show_min": 15, "turnaround_min": 0}


def our_evse(**terms: Any) -> Evse:
    """At a depot of the party NL*LPK."""
    operator = Organisation.objects.filter(cpo_party_id="LPK").first() or make_operator(cpo_party_id="LPK")
    return evse_online(make_depot(operator, terms={**TERMS, **terms}))


def booked(partner: Partner, evse: Evse | None = None, **changes: Any) -> Booking:
    """10 to 11 UTC by a BookingRequest of the partner's, armed, at 0.50 a kWh and 5 for the booking, and 19 % tax."""
    made = data(Caller(partner).book(option_of(evse or our_evse()), slot(10, 11), **changes))
    return armed(priced(Booking.objects.get(reference=made["id"])))


def begin(booking: Booking, now: datetime = at(10)) -> ChargingSession:
    assert booking.evse is not None
    session = start(booking.evse, booking.tokens.get().uid, now)
    assert session is not None
    return session


def end(session: ChargingSession, now: datetime = at(10, 30), wh: int | None = 100_000) -> None:
    stop(session, now, wh)
