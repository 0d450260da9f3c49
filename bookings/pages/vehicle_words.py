"""What telematics told of a vehicle, in words, with its age."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from bookings.errors import EnergyImpossible
from bookings.models import Booking, BookingStatus, VehicleState
from bookings.operations.vehicle_states import next_booking
from bookings.rules.charging_duration import Charging, EnergyAsked
from depots.models import Depot
from depots.templatetags.berth import duration

# Older than this it is shown to nobody.
STALE = timedelta(hours=6)


@dataclass(frozen=True)
class ToldOfVehicle:
    """For a booking's page: when it comes and why its slot cannot wait for that; what its battery holds and until when it charges
    by that. Empty texts where nothing is to be said."""

    eta: str = ""
    why_late: str = ""
    soc: str = ""
    needs_until: str = ""


def told_of_vehicle(booking: Booking, *, is_fleet: bool, now: datetime) -> ToldOfVehicle:
    """Of the slot it drives to, and one in which it charges. What its battery holds is for its fleet alone."""
    if booking.vehicle_id is None or booking.status not in {BookingStatus.CONFIRMED, BookingStatus.CHARGING}:
        return ToldOfVehicle()
    state = VehicleState.objects.filter(vehicle=booking.vehicle_id).first()
    if state is None or booking.status == BookingStatus.CHARGING:
        return ToldOfVehicle()
    following = next_booking(booking.vehicle_id, now=now)
    if following is not None and following.pk != booking.pk:
        return ToldOfVehicle()
    eta, soc = eta_words(state, booking.depot, now=now), soc_words(state, now=now) if is_fleet else ""
    return ToldOfVehicle(
        eta, _why_late(booking) if eta else "", soc, _needs_until(booking, state) if soc else ""
    )


def _why_late(booking: Booking) -> str:
    """Of its last ETA that its slot could not follow, unless it was changed since."""
    told = next((e for e in reversed(booking.events.all()) if e.kind in {"eta_late", "changed"}), None)
    return f"The slot could not follow: {told.detail['reason']}" if told and told.kind == "eta_late" else ""


def _needs_until(booking: Booking, state: VehicleState) -> str:
    """What it takes from what the battery holds now to what was asked for, where that is another time than is booked."""
    if booking.soc_to is None or state.soc is None or state.soc >= booking.soc_to:
        return ""
    try:
        charging = Charging.of(EnergyAsked(soc_from=state.soc, soc_to=booking.soc_to), booking.vehicle)
    except EnergyImpossible:
        return ""
    needed = charging.time_at(booking.promised_power_w)
    if needed is None or abs(needed - booking.period.duration) < timedelta(minutes=5):
        return ""
    more = "longer" if needed > booking.period.duration else "shorter"
    return f"From there to {booking.soc_to} % takes {duration(needed)}, {more} than booked: change the slot if it is to fit."


def eta_words(state: VehicleState, depot: Depot, *, now: datetime) -> str:
    """`10:40, told 3 min ago`, by the depot's clock; empty where nothing fresh was told, or it should be there by now."""
    if state.eta is None or now - state.told_at > STALE or state.eta <= now - timedelta(hours=1):
        return ""
    return f"{state.eta.astimezone(depot.zone):%H:%M}, {_age(state, now)}"


def soc_words(state: VehicleState, *, now: datetime) -> str:
    """`34 %, told 3 min ago`; empty where nothing fresh was told."""
    if state.soc is None or now - state.told_at > STALE:
        return ""
    return f"{state.soc} %, {_age(state, now)}"


def _age(state: VehicleState, now: datetime) -> str:
    age = now - state.told_at
    return f"told {duration(age)} ago" if age >= timedelta(minutes=1) else "told just now"
