"""A simulated day whose trucks are booked beforehand, and what became of each booking."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.conf import settings

from bookings.actors import COMMAND
from bookings.errors import BookingError
from bookings.models import Booking, BookingOption, BookingStatus, Token
from bookings.operations import SlotRequest, request_booking
from depots.models import Evse
from depots.periods import Period
from depots.token_numbers import spellings
from simulators.charger.day import ChargerDay, TruckStory
from simulators.charger.day_script import DayScript, Visit

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
QUARTER = timedelta(minutes=15)
# For a truck whose stay the script leaves open.
USUAL_STAY = timedelta(hours=1)


@dataclass
class BookedTrip:
    """`why_not` says why there is no booking."""

    visit: Visit
    identity: str
    booking: Booking | None = None
    why_not: str = ""


def book_trips(script: DayScript, begins_at: datetime, *, now: datetime) -> list[BookedTrip]:
    """Book every truck of the script at the EVSE to which it comes, for its vehicle here, in whole quarters of an hour."""
    trips = [
        BookedTrip(event, each.options.identity)
        for each in script.chargers
        for event in each.events
        if isinstance(event, Visit)
    ]
    for trip in trips:
        try:
            trip.booking = _book(trip, begins_at, now)
        except BookingError as refusal:
            trip.why_not = str(refusal)
    return trips


def outcomes(trips: list[BookedTrip], days: list[ChargerDay]) -> Iterator[dict[str, object]]:
    """A line a truck: what it got, and where its booking's story stands."""
    stories = {(s.charger, s.truck, s.token): s for day in days for s in day.stories}
    for trip in trips:
        story = stories.get((trip.identity, trip.visit.truck, trip.visit.token.uid))
        yield {"truck": trip.visit.truck, "charger": trip.identity, **_got(story), **_promised(trip)}


def rate(trips: list[BookedTrip]) -> dict[str, object]:
    """How many of the bookings were honoured: their truck charged by them."""
    booked = [trip.booking.pk for trip in trips if trip.booking is not None]
    honoured = sum(is_honoured(booking) for booking in Booking.objects.filter(pk__in=booked))
    return {
        "booked": len(booked),
        "honoured": honoured,
        "rate": round(honoured / len(booked), 3) if booked else None,
    }


def is_honoured(booking: Booking) -> bool:
    """Its truck charged by it, or charged on in its slot by the session of the booking before."""
    stays = booking.status in {BookingStatus.CHARGING, BookingStatus.COMPLETED}
    return booking.session_id is not None or stays


def _book(trip: BookedTrip, begins_at: datetime, now: datetime) -> Booking | None:
    token = (
        Token.objects.filter(uid__in=spellings(trip.visit.token.uid), vehicle__isnull=False)
        .select_related("vehicle__fleet")
        .first()
    )
    evse = Evse.objects.filter(charger__identity__iexact=trip.identity, number=trip.visit.evse).first()
    option = BookingOption.objects.filter(evses=evse).first() if evse is not None else None
    if token is None or token.vehicle is None or evse is None or option is None:
        trip.why_not = "No vehicle here has this token." if token is None else "No such EVSE can be booked."
        return None
    comes = begins_at + trip.visit.at
    starts_at = comes - (comes - EPOCH) % QUARTER
    if starts_at < now:
        starts_at += QUARTER  # it comes early
    stays = trip.visit.stays if trip.visit.stays < Visit.stays else USUAL_STAY
    quarters = max(1, -((starts_at - comes - stays) // QUARTER))
    period = Period(starts_at, starts_at + quarters * QUARTER)
    asked = SlotRequest(
        fleet=token.vehicle.fleet, vehicle=token.vehicle, option=option, evse=evse, period=period
    )
    return request_booking(asked, actor=COMMAND, now=now)


def _got(story: TruckStory | None) -> dict[str, object]:
    if story is None:
        return {"outcome": "did not come"}
    return {"outcome": story.outcome, "energy_kwh": round(story.energy_wh / 1000, 1)}


def _promised(trip: BookedTrip) -> dict[str, object]:
    if trip.booking is None:
        return {"booking": None, "why_not": trip.why_not}
    booking = Booking.objects.select_related("depot", "evse", "fleet", "session").get(pk=trip.booking.pk)
    return {
        "booking": booking.reference,
        "status": booking.status,
        "evse": booking.evse.uid if booking.evse else None,
        "enforcement_text": booking.enforcement_in_full,
        "is_honoured": is_honoured(booking),
        "story": settings.BERTH_BASE_URL + booking.get_absolute_url(),
    }
