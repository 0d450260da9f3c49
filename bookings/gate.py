"""May this token charge here now? The one answer behind Authorize and behind every start of a transaction.

It is the second lock: it holds where a charger keeps no reservations, forgets them, or never asked.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from django.db.models import Q, QuerySet

from bookings.enforcement.state import AT_CHARGER
from bookings.models import Booking, BookingStatus, Occupancy, Token
from depots.gate import Answer
from depots.models import Charger, Evse

UNBOOKED = Answer(allowed=True)
# Who comes this much too early is told "not yet" instead of being taken for a walk-in.
SOON = timedelta(hours=1)


def may_charge(
    *,
    charger: Charger,
    evse: Evse | None,
    token_uid: str,
    token_type: str = "",
    group: str = "",
    now: datetime,
) -> Answer:
    """Called by depots.gate. `evse` is None for an Authorize, which names none: then the charger's EVSEs are answered for.

    A token may be known by several types at different chargers, so its type does not decide, only its uid does.
    """
    slots = _Slots(charger, now)
    mine = slots.of_token(token_uid, group)
    left = slots.left_early(token_uid, group)
    if evse is not None:
        return _at_evse(slots, mine, left, evse, token_uid)
    return _somewhere(slots, mine, left, charger, token_uid)


def _at_evse(slots: _Slots, mine: list[Booking], left: set[int], evse: Evse, token_uid: str) -> Answer:
    holder = slots.holder(evse.pk)
    for booking in mine:
        if holder is not None and booking.pk != holder:
            continue
        if booking.evse_id == evse.pk or slots.is_alternative(booking, evse):
            if slots.has_begun(booking, evse):
                return _granted(booking)
            return Answer(allowed=False, reason="not_yet")
    if holder is not None and holder not in left:
        return Answer(allowed=False, reason="booked_by_another")
    if slots.is_closed(evse.pk):
        return Answer(allowed=False, reason="elsewhere")
    return _walk_in(token_uid, is_guest=bool(left))


def _somewhere(
    slots: _Slots, mine: list[Booking], left: set[int], charger: Charger, token_uid: str
) -> Answer:
    """Authorize may come long before the start, also as the charger's check of a reservation it was just sent."""
    evses = list(charger.evses.all())
    free = [e for e in evses if slots.holder(e.pk) in {None, *left} and not slots.is_closed(e.pk)]
    numbers = [e.number for e in free]
    here = [b for b in mine if any(e.pk == b.evse_id for e in evses)]
    if here:
        number = next(e.number for e in evses if e.pk == here[0].evse_id)
        return replace(_granted(here[0]), evse_numbers=[number, *numbers])
    walk_in = _walk_in(token_uid, is_guest=bool(left))
    if not walk_in.allowed:
        return _beside(slots, mine, free) or walk_in
    if not free:
        return Answer(allowed=False, reason="booked_by_another")
    return Answer(allowed=True, evse_numbers=None if len(free) == len(evses) else numbers)


def _beside(slots: _Slots, mine: list[Booking], free: list[Evse]) -> Answer | None:
    """Who is let in for a booking only, and stands at another charger of what was booked, is let in there."""
    for booking in mine:
        numbers = [e.number for e in free if slots.is_alternative(booking, e) and slots.has_begun(booking, e)]
        if numbers:
            return replace(_granted(booking), evse_numbers=numbers)
    return None


def _granted(booking: Booking) -> Answer:
    return Answer(allowed=True, group=f"B{booking.reservation_id}", reservation_id=booking.reservation_id)


def _walk_in(token_uid: str, *, is_guest: bool) -> Answer:
    """Nobody has booked: whoever a fleet has given a token may charge, and whoever has charged in a slot that goes on.

    A charger that asks for no token decides itself.
    """
    if not token_uid:
        return UNBOOKED
    known = list(Token.objects.filter(uid__iexact=token_uid))
    if known and all(token.is_blocked for token in known):
        return Answer(allowed=False, reason="blocked")
    if not known and not is_guest:
        return Answer(allowed=False, reason="unknown_token")
    return UNBOOKED


class _Slots:
    """The bookings around a charger at one moment: whose the EVSEs are, and which of them a token may use."""

    def __init__(self, charger: Charger, now: datetime) -> None:
        self._now, self._charger = now, charger
        evse_ids = list(charger.evses.values_list("pk", flat=True))
        rows = Occupancy.objects.filter(evse__in=evse_ids, span__contains=now).exclude(
            kind=Occupancy.Kind.PENDING
        )
        self._inside = {row.evse_id: row for row in rows}
        armed = Booking.objects.filter(
            evse__in=evse_ids, status=BookingStatus.CONFIRMED, enforcement__in=AT_CHARGER, ends_at__gt=now
        )
        self._next = {booking.evse_id: booking.pk for booking in armed.order_by("-starts_at")}

    def holder(self, evse_id: int) -> int | None:
        """Whose the EVSE is now: who occupies it, else the next one, once its slot is being prepared."""
        row = self._inside.get(evse_id)
        if row is not None and row.kind == Occupancy.Kind.BOOKING:
            return row.holder
        return self._next.get(evse_id)

    def is_closed(self, evse_id: int) -> bool:
        row = self._inside.get(evse_id)
        return row is not None and row.kind == Occupancy.Kind.CLOSURE

    def has_begun(self, booking: Booking, evse: Evse) -> bool:
        """Early start reaches as far as the occupied span does, and as its terms say once the one before has left."""
        if evse.pk not in self._inside and booking.starts_at - booking.terms.early_start <= self._now:
            return True
        spans = Occupancy.objects.filter(holder=booking.pk, kind=Occupancy.Kind.BOOKING).values_list(
            "span", flat=True
        )
        return any(span.contains(self._now) for span in spans)

    def is_alternative(self, booking: Booking, evse: Evse) -> bool:
        """A driver who takes another free EVSE of what was booked uses the booking there."""
        is_free = self.holder(evse.pk) is None and not self.is_closed(evse.pk)
        return is_free and booking.option.evses.filter(pk=evse.pk).exists()

    def left_early(self, token_uid: str, group: str) -> set[int]:
        """Bookings that were over before their time: a truck whose session broke off starts again, and one that started
        in time at a charger without connection is heard of after it was given up."""
        over = Booking.objects.filter(
            depot=self._charger.depot_id,
            status__in=[BookingStatus.COMPLETED, BookingStatus.NO_SHOW],
            ends_at__gt=self._now,
        )
        found = self._named(over, token_uid, group).distinct()
        return {b.pk for b in found if b.status == BookingStatus.COMPLETED or self._now < b.no_show_at()}

    def of_token(self, token_uid: str, group: str) -> list[Booking]:
        """Bookings of the depot whose time is now or soon and that the token may use, the nearest first."""
        live = Booking.objects.filter(
            depot=self._charger.depot_id,
            status__in=[BookingStatus.CONFIRMED, BookingStatus.CHARGING],
            ends_at__gt=self._now,
        ).filter(
            Q(enforcement__in=AT_CHARGER)
            | Q(status=BookingStatus.CHARGING)
            | Q(starts_at__lte=self._now + SOON)
        )
        found = self._named(live, token_uid, group).select_related("option").distinct()
        return sorted(found, key=lambda b: (b.status != BookingStatus.CONFIRMED, b.starts_at))

    @staticmethod
    def _named(bookings: QuerySet[Booking], token_uid: str, group: str) -> QuerySet[Booking]:
        """Those that the token may use by its name, or by a group we made."""
        named = Q(tokens__uid__iexact=token_uid) if token_uid else Q(pk__in=[])
        return bookings.filter(named | Q(pk__in=_ids_of_groups([token_uid, group])))


def _ids_of_groups(names: Iterable[str]) -> list[int]:
    """`B123`: the token or group we made for booking 123 ourselves."""
    digits = [name[1:] for name in names if name[:1] in {"B", "b"}]
    return [int(number) for number in digits if number.isascii() and number.isdigit() and len(number) <= 10]
