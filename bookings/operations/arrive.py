"""A truck that stands at its depot: from then on it is no no-show as long as its slot lasts, whether or not it charges yet."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from bookings.actors import Actor
from bookings.core import calendars, lifecycle
from bookings.core.locking import lock_booking
from bookings.core.versions import check_version
from bookings.errors import BookingUnknown, NotAtPartner, NotYetStartable, WrongStatus
from bookings.models import Booking, BookingStatus, Token
from bookings.rules.periods import local_time
from depots.models import Depot
from depots.name_keys import name_key
from depots.token_numbers import is_same, spellings

# So far ahead a booking is named to a truck that comes too early for it.
AHEAD = timedelta(hours=12)
_LOOKED_AT = [BookingStatus.CONFIRMED, BookingStatus.CHARGING, BookingStatus.REQUESTED, BookingStatus.NO_SHOW]


def truck_arrived(*, depot: Depot, plate: str = "", token: str = "", actor: Actor, now: datetime) -> Booking:
    """What a gate saw: the booking the vehicle, its trailer or its card has here by now, marked as arrived. Told again it is the
    same. Of plates letters and digits count.

    Raises BookingUnknown where nothing is booked, NotYetStartable (with the slot as `nearest`) before its early start,
    WrongStatus where its booking waits for the depot or was given up.
    """
    found = _booked(depot, plate, token, now)
    if not found:
        raise BookingUnknown(f"Nothing is booked at {depot.name} for {plate or f'the card {token}'} now.")
    return mark_arrived(
        booking_id=min(found, key=lambda booking: _rank(booking, now)).pk, actor=actor, now=now
    )


def mark_arrived(*, booking_id: int, seen_version: int | None = None, actor: Actor, now: datetime) -> Booking:
    """Its vehicle is here. Raises as `truck_arrived`, NotAtPartner, ChangedMeanwhile."""
    with calendars.one_operation():
        booking = _locked(booking_id, seen_version)
        if booking.status == BookingStatus.CHARGING or booking.arrived_at is not None:
            return booking
        _check(booking, now)
        booking.arrived_at = now
        lifecycle.record(booking, kind="arrived", actor=actor, at=now, fields=["arrived_at"])
    return booking


def withdraw_arrival(
    *, booking_id: int, seen_version: int | None = None, actor: Actor, now: datetime
) -> Booking:
    """It was another truck, or it has left again: its no-show time counts as before. Raises NotAtPartner, WrongStatus,
    ChangedMeanwhile."""
    with calendars.one_operation():
        booking = _locked(booking_id, seen_version)
        if booking.arrived_at is None:
            return booking
        if booking.status != BookingStatus.CONFIRMED:
            raise WrongStatus(booking.status, "not here", "Its vehicle has begun to charge.")
        booking.arrived_at = None
        lifecycle.record(booking, kind="not_arrived", actor=actor, at=now, fields=["arrived_at"])
    return booking


def _locked(booking_id: int, seen_version: int | None) -> Booking:
    booking = lock_booking(booking_id)
    if not booking.is_ours:
        raise NotAtPartner("At a partner's depot the partner sees who comes.")
    check_version(booking, seen_version, [])
    return booking


def _check(booking: Booking, now: datetime) -> None:
    """Raises WrongStatus, NotYetStartable."""
    if booking.status != BookingStatus.CONFIRMED:
        raise WrongStatus(booking.status, "arrived", _WHY_NOT.get(booking.status, ""))
    may_come = booking.starts_at - booking.terms.early_start
    if now < may_come:
        begins, comes = (local_time(booking.depot, moment) for moment in (booking.starts_at, may_come))
        early = NotYetStartable(f"Its slot begins at {begins}; it may come from {comes} on.")
        early.nearest = booking.period
        raise early


_WHY_NOT: dict[str, str] = {
    BookingStatus.REQUESTED: "Its booking waits for an answer.",
    BookingStatus.NO_SHOW: "It came too late: its slot was given to others.",
}


def _booked(depot: Depot, plate: str, token: str, now: datetime) -> list[Booking]:
    """What it may come for now or soon. A constant number of queries."""
    rows = Booking.objects.here().filter(
        depot=depot, status__in=_LOOKED_AT, ends_at__gt=now, starts_at__lte=now + AHEAD
    )
    near = list(rows.select_related("vehicle", "trailer").prefetch_related("tokens"))
    return [one for one in near if _is_named(one, plate)] if plate else _opened(near, token)


def _rank(booking: Booking, now: datetime) -> tuple[bool, bool, datetime]:
    """Of several the one that can be used now, by its start."""
    is_soon = now >= booking.starts_at - booking.terms.early_start
    is_usable = booking.status in {BookingStatus.CONFIRMED, BookingStatus.CHARGING}
    return not (is_soon and is_usable), not is_usable, booking.starts_at


def _is_named(booking: Booking, plate: str) -> bool:
    """A camera reads neither blanks nor hyphens, and from behind it sees the trailer."""
    vehicle = booking.vehicle.plate if booking.vehicle else booking.plate
    trailer = booking.trailer.plate if booking.trailer else ""
    return _signs(plate) in {_signs(vehicle), _signs(trailer)} - {""}


def _signs(plate: str) -> str:
    return "".join(sign for sign in name_key(plate) if sign.isalnum())


def _opened(bookings: Sequence[Booking], uid: str) -> list[Booking]:
    """Those that name the card, or a group it belongs to."""
    groups = _groups(uid, {booking.fleet_id for booking in bookings})
    return [
        booking
        for booking in bookings
        if any(
            (booking.fleet_id, token.uid.upper()) in groups
            if token.is_group
            else is_same(uid, token.type, token.uid, token.type)
            for token in booking.tokens.all()
        )
    ]


def _groups(uid: str, fleet_ids: Collection[int]) -> set[tuple[int, str]]:
    """(fleet, name) of the groups the card is in."""
    rows = Token.objects.filter(fleet__in=fleet_ids, uid__card__in=spellings(uid), is_blocked=False)
    named = rows.exclude(group_name="").values_list("fleet_id", "group_name")
    return {(fleet_id, name.upper()) for fleet_id, name in named}
