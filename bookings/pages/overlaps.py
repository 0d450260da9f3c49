"""One truck in two places: bookings of a vehicle or of its cards that overlap, where the terms allow it too.

Terms that forbid it are held by claims (bookings.core.occupancy); here a person is only told before it happens.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime

from django.db.models import Q, QuerySet

from bookings.actors import Actor
from bookings.models import Booking, BookingEvent, Vehicle
from bookings.pages import wording
from depots.models import Organisation
from depots.periods import Period
from depots.token_numbers import spellings


def overlapping(
    fleet: Organisation,
    within: Period,
    *,
    vehicle: Vehicle | None,
    uids: Collection[str] | None = None,
    besides: int = 0,
) -> list[Booking]:
    """The fleet's live bookings in a span of this vehicle or of one of these tokens (the vehicle's unless given), in order;
    without the booking `besides`."""
    if vehicle is None and not uids:
        return []
    if uids is None:
        uids = [token.uid for token in vehicle.tokens.all()] if vehicle else []
    same = Q(tokens__uid__card__in={form for uid in uids for form in spellings(uid)})
    if vehicle is not None:
        same |= Q(vehicle=vehicle)
    rows = Booking.objects.live().overlapping(within).filter(same, fleet=fleet).exclude(pk=besides)
    return list(_with_places(rows).distinct().order_by("starts_at", "pk"))


def unheard_of(
    found: Iterable[Booking], *, told: Collection[int], since: datetime | None, actor: Actor
) -> list[Booking]:
    """Those that somebody has not been told of: not shown to them, nor made by themselves since `since`."""
    left = [booking for booking in found if booking.pk not in told]
    if not left or since is None:
        return left
    own = BookingEvent.objects.filter(
        booking__in=left, **actor.columns("actor"), before="", kind="status", at__gte=since
    )
    mine = set(own.values_list("booking", flat=True))
    return [booking for booking in left if booking.pk not in mine]


def sentence(found: Iterable[Booking], vehicle: Vehicle | None) -> str:
    """`HH-NF 100 is booked at Kassel Süd, KAS-1, 10:30–11:30 as well.`, empty for none."""
    told = []
    for booking in found:
        same = vehicle is not None and booking.vehicle_id == vehicle.pk
        who = booking.plate or "A vehicle" if same or vehicle is None else f"A card of {vehicle.plate}"
        where = ", ".join(filter(None, [booking.depot.name, booking.evse.uid if booking.evse else ""]))
        ends = booking.ends_at.astimezone(booking.depot.zone)
        starts = wording.local(booking.starts_at, booking.period, booking.depot)
        told.append(f"{who} is booked at {where}, {starts}–{ends:%H:%M} as well.")
    return " ".join(told)


def _with_places(rows: QuerySet[Booking]) -> QuerySet[Booking]:
    return rows.select_related("depot__operator", "evse", "vehicle")
