"""The trucks a depot expects next, and those that stand there and do not charge yet."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q

from bookings.models import Booking, BookingStatus, VehicleState
from bookings.pages.vehicle_words import eta_words
from depots.models import Depot

AHEAD = timedelta(hours=3)
MOST = 30


@dataclass(frozen=True)
class ExpectedTruck:
    """`eta` is what telematics told of it, with its age, in words; `may_come` whether it may be told to be here by now."""

    booking: Booking
    eta: str
    is_late: bool
    may_come: bool


def expected_trucks(depot: Depot, now: datetime) -> list[ExpectedTruck]:
    """The next first. Two queries."""
    rows = Booking.objects.here().filter(
        Q(starts_at__lte=now + AHEAD), depot=depot, status=BookingStatus.CONFIRMED, ends_at__gt=now
    )
    found = list(rows.select_related("evse", "fleet").order_by("starts_at", "pk")[:MOST])
    states = {
        state.vehicle_id: state
        for state in VehicleState.objects.filter(vehicle__in={booking.vehicle_id for booking in found})
    }
    return [_expected(booking, depot, states.get(booking.vehicle_id or 0), now) for booking in found]


def _expected(booking: Booking, depot: Depot, state: VehicleState | None, now: datetime) -> ExpectedTruck:
    eta = eta_words(state, depot, now=now) if state is not None else ""
    is_late = bool(eta) and state is not None and state.eta is not None and state.eta > booking.starts_at
    may_come = now >= booking.starts_at - booking.terms.early_start
    return ExpectedTruck(booking, eta, is_late, may_come)
