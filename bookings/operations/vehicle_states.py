"""What telematics tells of a vehicle, and what its ETA means for the slot it drives to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction

from bookings.actors import TELEMATICS
from bookings.core import lifecycle
from bookings.core.locking import lock_booking
from bookings.errors import (
    BookingError,
    ChangedMeanwhile,
    NothingToChange,
    PartnerSilent,
    PaymentAwaited,
    SlotTaken,
    WrongStatus,
)
from bookings.models import Booking, BookingStatus, Vehicle, VehicleState
from bookings.operations.late import delay_booking
from bookings.rules import quotes
from bookings.search import in_the_way
from bookings.signals import vehicle_told
from depots.periods import Period, utc_text

# An ETA so little after the start is none that is late, and what is moved begins on a whole number of these.
TOLERANCE = timedelta(minutes=5)
# Sooner nobody knows what the traffic will be.
ACTS_WITHIN = timedelta(hours=2)
# After acting on an ETA so long nothing is done by another.
PAUSE = timedelta(minutes=5)
# What was told longer ago is no ETA any more.
FRESH = timedelta(minutes=30)
# An ETA that differs by no more is the same news.
SAME = timedelta(minutes=15)
# Somebody else is at the booking, or was: that says nothing of the room there is for it.
NO_WANT_OF_ROOM = (WrongStatus, PaymentAwaited, PartnerSilent, NothingToChange)
MOST_LOOKS = 3


@dataclass(frozen=True)
class Told:
    """Percent, a moment, degrees; None is not told."""

    soc: int | None = None
    eta: datetime | None = None
    latitude: float | None = None
    longitude: float | None = None


def tell_vehicle_state(vehicle: Vehicle, told: Told, *, now: datetime) -> tuple[VehicleState, bool]:
    """Keep it in place of what was told before; whether it is the first. What its ETA means is a job's to find out, so that many
    of them in a moment are one."""
    with transaction.atomic():
        state, is_new = VehicleState.objects.update_or_create(
            vehicle=vehicle, defaults={**vars(told), "told_at": now}
        )
        if told.eta is not None:
            vehicle_told.send(sender=VehicleState, vehicle_id=vehicle.pk, at=now)
    return state, is_new


def follow_eta(*, vehicle_id: int, now: datetime) -> Booking | None:
    """Where the vehicle comes later than its next slot begins, what is done of a truck that is late: the slot slides as far as
    there is room, or it is asked where the depot or a partner decides. Where that cannot be done, or would cost more, its fleet
    is told.

    Gives the booking that was moved or asked about. Run twice it does nothing more. Raises ChangedMeanwhile where the booking is
    another whenever it is looked at, and is to be run again.
    """
    for _ in range(MOST_LOOKS - 1):
        try:
            return _follow(vehicle_id, now)
        except ChangedMeanwhile:
            continue
    return _follow(vehicle_id, now)


def next_booking(vehicle_id: int, *, now: datetime) -> Booking | None:
    """The slot the vehicle drives to: the first that is confirmed, not over, and not reached."""
    rows = Booking.objects.filter(
        vehicle=vehicle_id, status=BookingStatus.CONFIRMED, ends_at__gt=now, arrived_at=None
    )
    return rows.select_related("depot").order_by("starts_at", "pk").first()


def _follow(vehicle_id: int, now: datetime) -> Booking | None:
    state = VehicleState.objects.filter(pk=vehicle_id, told_at__gt=now - FRESH, eta__gt=now).first()
    booking = next_booking(vehicle_id, now=now) if state is not None else None
    if state is None or state.eta is None or booking is None or not _is_to_act(booking, state, now):
        return None
    try:
        moved = delay_booking(
            booking.pk, _delay(booking, state.eta), seen_version=booking.version,
            shown_price=quotes.brief(booking.quote), actor=TELEMATICS, now=now,
        )  # fmt: skip
    except ChangedMeanwhile:
        raise
    except NO_WANT_OF_ROOM:
        return None
    except BookingError as refusal:
        _tell(booking, state.eta, refusal, now)
        return None
    VehicleState.objects.filter(pk=vehicle_id).update(acted_at=now)
    return moved


def _is_to_act(booking: Booking, state: VehicleState, now: datetime) -> bool:
    """Not of what is far ahead, not twice within minutes, and not while an earlier ask waits for its answer."""
    if state.eta is None or state.eta <= booking.starts_at + TOLERANCE:
        return False
    if booking.starts_at - now > ACTS_WITHIN or booking.pending_request is not None:
        return False
    return state.acted_at is None or now - state.acted_at >= PAUSE


def _delay(booking: Booking, eta: datetime) -> timedelta:
    """Up to the next whole number of minutes that slots are moved by."""
    return -(-(eta - booking.starts_at) // TOLERANCE) * TOLERANCE


def _in_its_way(booking: Booking, eta: datetime) -> str:
    late = _delay(booking, eta)
    return in_the_way.sentence(booking, Period(booking.starts_at + late, booking.ends_at + late))


def _tell(booking: Booking, eta: datetime, refusal: BookingError, now: datetime) -> None:
    """Once for about the same ETA."""
    with transaction.atomic():
        locked = lock_booking(booking.pk)
        last = locked.events.filter(kind="eta_late").order_by("-id").first()
        if last is not None and abs(datetime.fromisoformat(last.detail["eta"]) - eta) < SAME:
            return
        if locked.status == BookingStatus.CONFIRMED:
            reason = f"{refusal} {_in_its_way(locked, eta) if isinstance(refusal, SlotTaken) else ''}".strip()
            detail = {"eta": utc_text(eta), "reason": reason, "code": refusal.code}
            lifecycle.record(locked, kind="eta_late", actor=TELEMATICS, at=now, detail=detail)
