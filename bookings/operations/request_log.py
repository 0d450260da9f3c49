"""The asks of a booking and their decisions: what came in, what was answered, in order."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Q

from bookings.actors import RULE, Actor
from bookings.models import Booking, BookingOption, BookingRequest, BookingToken, Trailer, Vehicle
from bookings.rules.charging_duration import EnergyAsked
from bookings.rules.fit import Needs
from depots.models import Evse
from depots.periods import Period


@dataclass(frozen=True)
class ReceivedMessage:
    """A partner's message as it came, and what makes a repetition of it the same message; of our own people nothing."""

    body: dict[str, Any] | None = None
    fingerprint: str = ""


NO_MESSAGE = ReceivedMessage()
# What stands for a trailer where there is none any more.
NO_TRAILER = "none"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What one ask is about, in our words; None or "" is not asked."""

    period: Period | None = None
    option: BookingOption | None = None
    evse: Evse | None = None
    vehicle: Vehicle | None = None
    tokens: Sequence[BookingToken] | None = None
    power_w: int | None = None
    plate: str = ""
    authorization_reference: str = ""
    needs: Needs | None = None
    energy: EnergyAsked | None = None
    trailer: Trailer | None = None
    drops_trailer: bool = False
    reason: str = ""

    def to_json(self) -> dict[str, Any]:
        """Only as far as it is asked; the shape is BookingRequest's."""
        period, option, evse, vehicle, tokens = self.period, self.option, self.evse, self.vehicle, self.tokens
        asked: dict[str, Any] = {
            "period": period.as_json() if period else None,
            "option": option.code if option else None,
            "evse": evse.uid if evse else None,
            "evse_id": evse.pk if evse else None,
            "vehicle": vehicle.plate if vehicle else None,
            "vehicle_id": vehicle.pk if vehicle else None,
            "tokens": [_token(token) for token in tokens] if tokens is not None else None,
            "power_w": self.power_w,
            "plate": self.plate or None,
            "authorization_reference": self.authorization_reference or None,
            "needs": (self.needs.to_json() or None) if self.needs is not None else None,
            "energy": self.energy.to_json() if self.energy is not None else None,
            "trailer": self.trailer.plate if self.trailer else NO_TRAILER if self.drops_trailer else None,
            "trailer_id": self.trailer.pk if self.trailer else None,
            "reason": self.reason or None,
        }
        return {name: value for name, value in asked.items() if value is not None}


def log(
    booking: Booking,
    kind: str,
    asked: dict[str, Any],
    *,
    accepted: bool,
    message: ReceivedMessage = NO_MESSAGE,
    actor: Actor,
    now: datetime,
) -> BookingRequest:
    """Keep an ask, decided at once or pending."""
    made = entry(kind, asked, accepted=accepted, message=message, actor=actor, now=now)
    made.booking = booking
    made.save(force_insert=True)
    return made


def entry(
    kind: str,
    asked: dict[str, Any],
    *,
    accepted: bool,
    message: ReceivedMessage = NO_MESSAGE,
    actor: Actor,
    now: datetime,
) -> BookingRequest:
    """The same for a booking that is not saved yet either."""
    return BookingRequest(
        kind=kind,
        decision=BookingRequest.Decision.ACCEPTED if accepted else BookingRequest.Decision.PENDING,
        asked=asked,
        received=message.body,
        fingerprint=message.fingerprint,
        asked_at=now,
        decided_at=now if accepted else None,
        **actor.columns("asked_by"),
    )


def log_declined(
    booking: Booking,
    kind: str,
    asked: dict[str, Any],
    reason: str,
    *,
    message: ReceivedMessage,
    actor: Actor,
    now: datetime,
) -> BookingRequest:
    """Keep an ask that was refused by a rule."""
    return BookingRequest.objects.create(
        booking=booking,
        kind=kind,
        decision=BookingRequest.Decision.DECLINED,
        asked=asked,
        received=message.body,
        fingerprint=message.fingerprint,
        asked_at=now,
        decided_at=now,
        reason=reason[:300],
        **actor.columns("asked_by"),
        **RULE.columns("decided_by"),
    )


def needs_of(booking: Booking) -> Needs:
    """What must fit wherever it is put: its vehicle, or what a partner, whose vehicle we do not know, asked for."""
    return needs_by_booking([booking])[booking.pk]


def needs_by_booking(bookings: Collection[Booking]) -> dict[int, Needs]:
    """The same for many, in one query, and one more where some bring trailers."""
    trailers = _trailers(booking.trailer_id for booking in bookings)
    found = {
        booking.pk: Needs.of(booking.vehicle, trailers.get(booking.trailer_id or 0)) for booking in bookings
    }
    unknown = [booking.pk for booking in bookings if booking.vehicle is None]
    if not unknown:
        return found
    # Of a live booking what made it was granted, is to be decided, or was answered with an offer.
    in_force = Q(decision=BookingRequest.Decision.ACCEPTED) | Q(kind=BookingRequest.Kind.CREATE)
    asks = BookingRequest.objects.filter(in_force, booking__in=unknown, asked__has_key="needs").order_by("pk")
    for booking_id, asked in asks.values_list("booking_id", "asked"):
        found[booking_id] = Needs.from_json(asked["needs"])
    return found


def needs_of_waiting(bookings: Collection[Booking]) -> dict[int, Needs]:
    """What must fit where a change that waits would put a booking, by booking id, in three queries."""
    waiting = BookingRequest.objects.filter(
        booking__in=bookings, decision=BookingRequest.Decision.PENDING, kind=BookingRequest.Kind.CHANGE
    )
    asked = dict(waiting.values_list("booking_id", "asked"))
    vehicles = Vehicle.objects.in_bulk([ask["vehicle_id"] for ask in asked.values() if "vehicle_id" in ask])
    by_id = {booking.pk: booking for booking in bookings if booking.pk in asked}
    found = needs_by_booking(by_id.values())
    then = {pk: trailer_asked(ask, by_id[pk]) for pk, ask in asked.items()}
    trailers = _trailers(then.values())
    for booking_id, ask in asked.items():
        booking = by_id[booking_id]
        if ask.get("vehicle_id") in vehicles or then[booking_id] != booking.trailer_id:
            vehicle = vehicles.get(ask.get("vehicle_id", 0), booking.vehicle)
            found[booking_id] = Needs.of(vehicle, trailers.get(then[booking_id] or 0))
        elif "needs" in ask:
            found[booking_id] = Needs.from_json(ask["needs"])
    return found


def trailer_asked(asked: Mapping[str, Any], booking: Booking) -> int | None:
    """The id of the trailer that a booking will have by an ask (BookingRequest.asked)."""
    if "trailer" not in asked:
        return booking.trailer_id
    found: int | None = asked.get("trailer_id")
    return found


def _trailers(ids: Iterable[int | None]) -> dict[int, Trailer]:
    wanted = {pk for pk in ids if pk is not None}
    return Trailer.objects.in_bulk(wanted) if wanted else {}


def settle(
    request: BookingRequest,
    decision: BookingRequest.Decision,
    *,
    reason: str = "",
    actor: Actor,
    now: datetime,
) -> None:
    """Write the decision of a pending ask; it is final afterwards."""
    written = {"decision": decision, "reason": reason[:300], "decided_at": now, **actor.columns("decided_by")}
    for column, value in written.items():
        setattr(request, column, value)
    request.save(update_fields=list(written))


def decline_pending(booking: Booking, reason: str, *, actor: Actor, now: datetime) -> BookingRequest | None:
    """An open ask that events have overtaken is declined: nothing of the booking waits for a decision any more."""
    request = booking.pending_request
    decline(booking, request, reason, actor=actor, now=now)
    return request


def decline(
    booking: Booking, request: BookingRequest | None, reason: str, *, actor: Actor, now: datetime
) -> None:
    """The same of its open ask, or None, which is known."""
    if request is not None:
        settle(request, BookingRequest.Decision.DECLINED, reason=reason, actor=actor, now=now)
    if booking.decide_until is not None:
        booking.decide_until = None
        booking.save(update_fields=["decide_until"])


def _token(token: BookingToken) -> dict[str, str]:
    return {
        "uid": token.uid,
        "type": token.type,
        "country_code": token.country_code,
        "party_id": token.party_id,
        "contract_id": token.contract_id,
    }
