"""What holds of a depot at any moment, whoever did what: counted anew from the rows alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from bookings.models import LIVE, AccessRule, Booking, BookingEvent, Occupancy
from depots.models import Charger, Depot

# What a booking is, as far as anybody was promised it or is told of it.
PROMISED = (
    "status", "starts_at", "ends_at", "option_id", "evse_id", "vehicle_id", "plate", "promised_power_w", "terms_json", "quote",
    "cancelled_by", "cancel_reason",
)  # fmt: skip


class Broken(AssertionError):
    """`truth` is the one that does not hold."""

    def __init__(self, truth: str, found: object) -> None:
        super().__init__(f"{truth}: {found}")
        self.truth = truth


class Truths:
    """Looks at one depot after each step; of what was before it remembers what must not have changed."""

    def __init__(self, depot: Depot) -> None:
        self._depot = depot
        self._rules = list(AccessRule.objects.filter(depot=depot).select_related("agreement"))
        self._last: dict[int, tuple[Any, ...]] = {}
        self._over: dict[int, tuple[Any, ...]] = {}
        self._version: dict[int, int] = {}

    def check(self, now: datetime) -> None:
        """Raises Broken."""
        bookings = {booking.pk: booking for booking in Booking.objects.filter(depot=self._depot)}
        rows = list(Occupancy.objects.filter(evse__depot=self._depot).select_related("evse__charger"))
        run_out = {pk for pk, one in bookings.items() if one.status == "held" and one.held_until <= now}
        kept = [row for row in rows if row.holder not in run_out]
        check_places(rows)
        check_power(self._depot, kept)
        check_quotas(self._depot, self._rules, kept, bookings)
        self._check_finals(bookings)
        self._check_events(bookings)

    def _check_finals(self, bookings: Mapping[int, Booking]) -> None:
        for pk, booking in bookings.items():
            if booking.status not in LIVE:
                promised = tuple(getattr(booking, name) for name in PROMISED)
                if self._over.setdefault(pk, promised) != promised:
                    raise Broken("final", (pk, self._over[pk], promised))
        if gone := self._over.keys() - bookings.keys():
            raise Broken("final", gone)

    def _check_events(self, bookings: Mapping[int, Booking]) -> None:
        """Whatever differs since the last look has an event, and the moves join up to what the booking is."""
        changed = []
        for pk, booking in bookings.items():
            promised = tuple(getattr(booking, name) for name in PROMISED)
            if self._last.get(pk) != promised:
                changed.append(pk)
            self._last[pk] = promised
        events: dict[int, list[BookingEvent]] = defaultdict(list)
        for event in BookingEvent.objects.filter(booking__in=changed).order_by("pk"):
            events[event.booking_id].append(event)
        for pk in changed:
            booking, before = bookings[pk], self._version.get(pk, 0)
            told = [event for event in events[pk] if event.version > before]
            if not told or told[-1].version != booking.version:
                raise Broken("event", (pk, booking.version, [(one.kind, one.version) for one in told]))
            moves = [event for event in events[pk] if event.kind == "status"]
            if moves[-1].after != booking.status or any(a.after != b.before for a, b in pairwise(moves)):
                raise Broken("event", (pk, booking.status, [(one.before, one.after) for one in moves]))
        self._version |= {pk: booking.version for pk, booking in bookings.items()}


def check_places(rows: Iterable[Occupancy]) -> None:
    """No two at one EVSE at one time. Raises Broken."""
    at: dict[int, list[Occupancy]] = defaultdict(list)
    for row in rows:
        at[row.evse_id].append(row)
    for here in at.values():
        for index, one in enumerate(here):
            for other in here[index + 1 :]:
                if one.holder != other.holder and one.span.overlaps(other.span):
                    raise Broken("overlap", (one.holder, one.span, other.holder, other.span))


def check_power(depot: Depot, rows: Sequence[Occupancy]) -> None:
    """Promises within the limits of grid and cabinets. Of a booking and the change of it that waits, the larger counts at one
    EVSE, once. Raises Broken."""
    for moment in {row.span.starts_at for row in rows}:
        floors: dict[tuple[Charger | None, int], int] = {}
        for row in rows:
            if row.span.contains(moment):
                place = row.evse.charger, row.evse_id
                floors[place] = max(floors.get(place, 0), row.power_w)
        if depot.grid_limit_w is not None and sum(floors.values()) > depot.grid_limit_w:
            raise Broken("power", (moment, floors))
        limits = {one.cabinet: one.cabinet_limit_w for one, _ in floors if one is not None and one.cabinet}
        for cabinet, limit_w in limits.items():
            watts = [
                watts for (one, _), watts in floors.items() if one is not None and one.cabinet == cabinet
            ]
            if limit_w is not None and sum(watts) > limit_w:
                raise Broken("power", (moment, cabinet, floors))


def check_quotas(
    depot: Depot, rules: Iterable[AccessRule], rows: Sequence[Occupancy], bookings: Mapping[int, Booking]
) -> None:
    """No customer, nor all guests, have more at the same time than the rules of that hour say, and no more EVSEs are booked than
    leave those kept for walk-ins, of which a depot may close any. Raises Broken."""
    evses = depot.evses.filter(is_withdrawn=False).count()
    moments = {
        row.span.starts_at: [other for other in rows if other.span.contains(row.span.starts_at)]
        for row in rows
    }
    for rule in rules:
        for moment, there in moments.items():
            if not holds_at(rule, depot, moment):
                continue
            used, most = _used(rule, depot, there, bookings), _most(rule, evses)
            if most is not None and used > most:
                raise Broken("quota", (moment, rule.kind, rule.amount, rule.unit, used))


def holds_at(rule: AccessRule, depot: Depot, moment: datetime) -> bool:
    """By the wall clock of that moment at the depot."""
    local = moment.astimezone(depot.zone)
    minute = local.hour * 60 + local.minute
    if rule.from_minute < rule.to_minute:
        return local.isoweekday() in rule.weekdays and rule.from_minute <= minute < rule.to_minute
    yesterday = (local - timedelta(days=1)).isoweekday()
    is_late = local.isoweekday() in rule.weekdays and minute >= rule.from_minute
    return is_late or (yesterday in rule.weekdays and minute < rule.to_minute)


def _most(rule: AccessRule, evses: int) -> int | None:
    amount = rule.amount or 0
    if rule.kind == "walk_in":
        return evses - amount
    if rule.kind != "quota":
        return None
    return {"evses": amount, "kw": amount * 1000, "percent": evses * amount // 100}[rule.unit]


def _used(
    rule: AccessRule, depot: Depot, there: Collection[Occupancy], bookings: Mapping[int, Booking]
) -> int:
    if rule.kind == "walk_in":
        return len({row.evse_id for row in there if row.holder in bookings})
    guest_id = rule.agreement.guest_id if rule.agreement else None
    mine: dict[int, int] = {}
    for row in there:
        booking = bookings.get(row.holder)
        if booking is None:  # a closure
            continue
        if booking.fleet_id == guest_id or (guest_id is None and booking.fleet_id != depot.operator_id):
            mine[row.holder] = max(mine.get(row.holder, 0), row.power_w)
    return sum(mine.values()) if rule.unit == "kw" else len(mine)
