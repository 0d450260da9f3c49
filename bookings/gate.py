"""May this token charge here now? The one answer behind Authorize and behind every start of a transaction.

It is the second lock: it holds where a charger keeps no reservations, forgets them, or never asked.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db.models import Q

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
    if evse is not None:
        return _at_evse(slots, mine, evse, token_uid, now)
    return _somewhere(slots, mine, charger, token_uid, now)


def _at_evse(slots: _Slots, mine: list[Booking], evse: Evse, token_uid: str, now: datetime) -> Answer:
    holder = slots.holder(evse.pk)
    for booking in mine:
        if holder is not None and booking.pk != holder:
            continue
        if booking.evse_id == evse.pk or (holder is None and slots.is_alternative(booking, evse)):
            if slots.has_begun(booking):
                return _granted(booking)
            return Answer(allowed=False, reason="not_yet")
    if holder is not None:
        return Answer(allowed=False, reason="booked_by_another")
    if slots.is_closed(evse.pk):
        return Answer(allowed=False, reason="elsewhere")
    return _walk_in(token_uid, charger=evse.charger)


def _somewhere(slots: _Slots, mine: list[Booking], charger: Charger, token_uid: str, now: datetime) -> Answer:
    """Authorize may come long before the start, also as the charger's check of a reservation it was just sent."""
    evses = list(charger.evses.all())
    free = [e.number for e in evses if slots.holder(e.pk) is None and not slots.is_closed(e.pk)]
    here = [b for b in mine if any(e.pk == b.evse_id for e in evses)]
    if here:
        granted = _granted(here[0])
        number = next(e.number for e in evses if e.pk == here[0].evse_id)
        return Answer(True, "", granted.group, granted.reservation_id, [number, *free])
    walk_in = _walk_in(token_uid, charger=charger)
    if not walk_in.allowed:
        return walk_in
    if not free:
        return Answer(allowed=False, reason="booked_by_another")
    return Answer(allowed=True, evse_numbers=None if len(free) == len(evses) else free)


def _granted(booking: Booking) -> Answer:
    return Answer(allowed=True, group=f"B{booking.reservation_id}", reservation_id=booking.reservation_id)


def _walk_in(token_uid: str, *, charger: Charger | None) -> Answer:
    """Nobody has booked: whoever a fleet has given a token may charge. A charger that asks for none decides itself."""
    if not token_uid:
        return UNBOOKED
    known = Token.objects.filter(uid__iexact=token_uid)
    if not known:
        return Answer(allowed=False, reason="unknown_token")
    if all(token.is_blocked for token in known):
        return Answer(allowed=False, reason="blocked")
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

    def has_begun(self, booking: Booking) -> bool:
        """Early start reaches as far as the occupied span does."""
        spans = Occupancy.objects.filter(holder=booking.pk, kind=Occupancy.Kind.BOOKING).values_list(
            "span", flat=True
        )
        return any(span.contains(self._now) for span in spans)

    def is_alternative(self, booking: Booking, evse: Evse) -> bool:
        """A driver who takes another free EVSE of what was booked uses the booking there."""
        return booking.option.evses.filter(pk=evse.pk).exists()

    def of_token(self, token_uid: str, group: str) -> list[Booking]:
        """Bookings of the depot whose time is now or soon and that the token may use, the nearest first."""
        if not token_uid and not group:
            return []
        live = Booking.objects.filter(
            depot=self._charger.depot_id,
            status__in=[BookingStatus.CONFIRMED, BookingStatus.CHARGING],
            ends_at__gt=self._now,
        ).filter(
            Q(enforcement__in=AT_CHARGER)
            | Q(status=BookingStatus.CHARGING)
            | Q(starts_at__lte=self._now + SOON)
        )
        named = Q(tokens__uid__iexact=token_uid) if token_uid else Q(pk__in=[])
        by_group = _ids_of_groups([token_uid, group])
        found = live.filter(named | Q(pk__in=by_group)).select_related("option").distinct()
        return sorted(found, key=lambda b: (b.status != BookingStatus.CONFIRMED, b.starts_at))


def _ids_of_groups(names: Iterable[str]) -> list[int]:
    """`B123`: the token or group we made for booking 123 ourselves."""
    digits = [name[1:] for name in names if name[:1] in {"B", "b"}]
    return [int(number) for number in digits if number.isascii() and number.isdigit() and len(number) <= 10]
