"""What is promised at EVSEs that an import is about to change."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.db.models import Q

from bookings.imports.schemas import OfferedDepotRow
from bookings.models import Booking, Occupancy
from bookings.operations import request_log
from bookings.rules import fit, power
from bookings.rules.fit import Needs
from depots.models import ChargingSession, Connector, Depot, Evse
from depots.periods import Period

LONG = timedelta(days=3660)


@dataclass(frozen=True)
class Promised:
    """A booking at an EVSE, or to be at it when a change is granted, and what must fit there."""

    evse_id: int
    reference: str
    needs: Needs


@dataclass(frozen=True)
class OnEvses:
    """Live bookings, running sessions and promised power at some locked EVSEs, as they are before the import.

    `plugs` are the EVSEs' connector standards.
    """

    bookings: list[Booking]
    sessions: dict[int, ChargingSession]
    floors: list[Occupancy]
    promised: list[Promised]
    plugs: dict[int, set[str]]

    @classmethod
    def at(cls, evses: Collection[Evse], *, now: datetime) -> OnEvses:
        ids = [evse.pk for evse in evses]
        rows = Booking.objects.live().filter(Q(evse__in=ids) | Q(armed_evse__in=ids))
        bookings = list(rows.select_related("vehicle", "depot", "evse").order_by("starts_at"))
        sessions = ChargingSession.objects.filter(evse__in=ids, ended_at__isnull=True)
        floors = Occupancy.objects.filter(evse__in=ids, span__endswith__gt=now).exclude(
            kind=Occupancy.Kind.CLOSURE
        )
        plugs: dict[int, set[str]] = {}
        for evse_id, standard in Connector.objects.filter(evse__in=ids).values_list("evse_id", "standard"):
            plugs.setdefault(evse_id, set()).add(standard)
        return cls(
            bookings,
            {session.evse_id: session for session in sessions if session.evse_id is not None},
            list(floors),
            _promised(bookings, list(floors)),
            plugs,
        )

    def what_stands_on(self, evse: Evse) -> str:
        """A phrase naming it; empty when the EVSE is free of promises."""
        for booking in self.bookings:
            if evse.pk in (booking.evse_id, booking.armed_evse_id):
                return f"booking {booking.reference} of {booking.starts_at:%Y-%m-%d %H:%M} UTC stands on it"
        if evse.pk in self.sessions:
            return f"session {self.sessions[evse.pk].transaction} is running on it"
        pending = any(row.evse_id == evse.pk for row in self.floors)
        return "a change that waits for a decision stands on it" if pending else ""

    def broken_by(self, evse: Evse) -> Iterator[tuple[str, str]]:
        """(field, why) for everything about the EVSE, as it is written now, that breaks a promise."""
        promised = max((row.power_w for row in self.floors if row.evse_id == evse.pk), default=0)
        if evse.max_power_w < promised:
            names = self._names(evse)
            yield (
                "max_power_kw",
                f"{evse.max_power_w / 1000:g} is less than the {promised / 1000:g} kW promised to {names}",
            )
        for promised_place in self.promised:
            if promised_place.evse_id != evse.pk:
                continue
            if misfits := self._misfits(promised_place.needs, evse):
                name = promised_place.reference
                yield "uid", f"the vehicle of booking {name} would not fit {evse.uid}: {misfits[0]}"

    def _misfits(self, needs: Needs, evse: Evse) -> list[str]:
        """Who did not say which plug they have booked the one there was."""
        before = self.plugs.get(evse.pk, set())
        if not needs.connector_standards and before:
            needs = replace(needs, connector_standards=frozenset(before))
        return fit.misfits(needs, evse)

    def _names(self, evse: Evse) -> str:
        names = [booking.reference for booking in self.bookings if booking.evse_id == evse.pk]
        return f"booking {names[0]}" if names else "a booking"


def _promised(bookings: Collection[Booking], floors: Collection[Occupancy]) -> list[Promised]:
    needs = request_log.needs_by_booking(bookings)
    found = [Promised(b.evse_id, b.reference, needs[b.pk]) for b in bookings if b.evse_id is not None]
    kept = [row for row in floors if row.kind == Occupancy.Kind.PENDING]
    changed = Booking.objects.filter(pk__in=[row.holder for row in kept]).select_related("vehicle").in_bulk()
    wanted = request_log.needs_of_waiting(list(changed.values()))
    return found + [
        Promised(row.evse_id, changed[row.holder].reference, wanted[row.holder])
        for row in kept
        if row.holder in wanted
    ]


def broken_limits(
    depot: Depot, row: OfferedDepotRow, *, now: datetime
) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """(place in the depot, why) for the grid limit and every cabinet that would carry less than is promised on it."""
    within = Period(now, now + LONG)
    floors = Occupancy.objects.filter(evse__depot=depot, span__overlap=within, power_w__gt=0)
    by_evse: dict[int, list[tuple[Period, int]]] = {}
    for evse_id, span, watts in floors.values_list("evse_id", "span", "power_w"):
        by_evse.setdefault(evse_id, []).append((span, watts))
    if not by_evse:
        return
    if depot.grid_limit_w is not None:
        promised = power.peak([floor for floors in by_evse.values() for floor in floors], within)
        if promised > depot.grid_limit_w:
            yield ("grid_limit_kw",), _too_little(depot.grid_limit_w, promised)
    yield from _broken_cabinets(depot, row, by_evse, within)


def _broken_cabinets(
    depot: Depot, row: OfferedDepotRow, by_evse: dict[int, list[tuple[Period, int]]], within: Period
) -> Iterator[tuple[tuple[str | int, ...], str]]:
    floors: dict[str, list[tuple[Period, int]]] = {}
    limits: dict[str, int] = {}
    for evse in Evse.objects.filter(depot=depot, charger__cabinet_limit_w__isnull=False).select_related(
        "charger"
    ):
        assert evse.charger is not None  # the filter says so
        assert evse.charger.cabinet_limit_w is not None
        name = evse.charger.cabinet or evse.charger.identity
        limits[name] = evse.charger.cabinet_limit_w
        floors.setdefault(name, []).extend(by_evse.get(evse.pk, []))
    for c, charger in enumerate(row.chargers):
        name = charger.cabinet or charger.identity
        if name in limits and (promised := power.peak(floors[name], within)) > limits[name]:
            yield ("chargers", c, "cabinet_limit_kw"), _too_little(limits.pop(name), promised)


def _too_little(limit_w: int, promised_w: int) -> str:
    return f"{limit_w / 1000:g} is less than the {promised_w / 1000:g} kW promised there at one moment"
