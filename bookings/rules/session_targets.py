"""Running sessions with what their time to target is told from: what is booked, and the battery of the vehicle."""

from __future__ import annotations

from typing import Any

from django.db.models import F, QuerySet, TextField
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast, Coalesce

from bookings.models import Booking
from bookings.models.bookings import expected_wh
from bookings.rules.own_slots import session_under_way
from bookings.rules.time_to_target import in_words, time_to_target
from depots.models import ChargingSession


def with_targets(sessions: QuerySet[ChargingSession]) -> QuerySet[ChargingSession]:
    """In the same query: `booked_wh` (text, or null), `battery_wh` and `charge_curve`."""
    return sessions.annotate(
        booked_wh=Coalesce(
            Cast("visit__booking__energy_wh", TextField()),
            KeyTextTransform("energy_wh", "visit__booking__quote"),
        ),
        battery_wh=F("visit__booking__vehicle__battery_wh"),
        charge_curve=F("visit__booking__vehicle__charge_curve"),
    )


def session_of(booking: Booking) -> ChargingSession | None:
    """The one that uses it now, with the same: of the booking it began in, as on the pages that read it with `with_targets`."""
    session: Any = session_under_way(booking)
    if session is not None:
        began_in = booking if session.pk == booking.session_id else session.visit.booking
        session.booked_wh = began_in.energy_wh or expected_wh(began_in.quote)
        session.battery_wh = began_in.vehicle.battery_wh if began_in.vehicle is not None else None
        session.charge_curve = began_in.vehicle.charge_curve if began_in.vehicle is not None else None
    return session


def words_of_target(session: Any) -> str:
    """`25–40 min to 80 %`, or nothing; of a session that was read without what it is told from, nothing."""
    booked, battery_wh = getattr(session, "booked_wh", None), getattr(session, "battery_wh", None)
    if session.ended_at is not None:
        return ""
    found = time_to_target(
        power_w=session.power_w,
        delivered_wh=session.energy_wh,
        booked_wh=int(booked) if booked and str(booked).isdigit() else None,
        soc_percent=session.soc_percent,
        battery_wh=battery_wh,
        curve=getattr(session, "charge_curve", None) or (),
    )
    return in_words(found) if found is not None else ""
