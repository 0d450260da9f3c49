from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from django.db.models import Q, QuerySet

from bookings.models import Booking, BookingRequest, BookingStatus, Closure, Enforcement, Occupancy
from bookings.pages.access import BoardViewer
from bookings.pages.board.bars import UNSHOWN, Bar, Closed, Taken, Visit, bars_of, closed_of
from bookings.pages.board.states import RowState, bay, plugs, states_of
from bookings.pages.board.window import Window
from bookings.rules.terms import LONGEST_BOOKING
from depots.models import ChargingSession, Depot, Evse
from depots.periods import Period


@dataclass
class Row:
    """One EVSE: facts, live state (for those who look after the depot) and what stands in it, in order of time."""

    evse: Evse
    state: RowState | None
    bars: list[Bar] = field(default_factory=list)
    taken: list[Taken] = field(default_factory=list)
    closed: list[Closed] = field(default_factory=list)
    visits: list[Visit] = field(default_factory=list)

    @property
    def uid(self) -> str:
        return self.evse.uid

    @property
    def plugs(self) -> str:
        return plugs(self.evse)

    @property
    def bay(self) -> list[str]:
        return bay(self.evse)


@dataclass(frozen=True)
class Board:
    depot: Depot
    window: Window
    rows: list[Row]
    viewer: BoardViewer

    @property
    def bars(self) -> list[Bar]:
        return [bar for row in self.rows for bar in row.bars]

    @property
    def charging(self) -> int:
        return sum(row.state is not None and row.state.session is not None for row in self.rows)

    @property
    def at_risk(self) -> int:
        live = [bar.booking for bar in self.bars if not bar.is_pending and bar.booking.is_live]
        return sum(booking.enforcement == Enforcement.AT_RISK for booking in live)

    @property
    def online(self) -> int:
        return len({row.evse.charger_id for row in self.rows if row.state and row.state.is_online})

    @property
    def chargers(self) -> int:
        return len({row.evse.charger_id for row in self.rows})


def evses_of(depot: Depot) -> QuerySet[Evse]:
    """The rows of its board, as they stand in the yard."""
    rows = Evse.objects.filter(depot=depot, is_withdrawn=False).select_related("charger")
    return rows.prefetch_related("connectors").order_by("charger__cabinet", "charger_id", "number", "pk")


def read_board(viewer: BoardViewer, window: Window, *, now: datetime) -> Board:
    """What this person may see of these days, in a constant number of queries."""
    depot = viewer.depot
    evses = list(evses_of(depot))
    uids = {evse.pk: evse.uid for evse in evses}
    states = states_of(evses, now=now) if viewer.sees_all else {}
    rows = {evse.uid: Row(evse, states.get(evse.pk)) for evse in evses}
    occupied = _occupied(uids, window.period)
    bookings = _bookings(viewer, window.period, occupied, now)
    for bar in _bars(bookings, occupied, viewer, uids, now):
        if bar.period.overlaps(window.period) or bar.booking.overstays(now):
            rows[bar.evse_uid].bars.append(bar)
    if viewer.sees_all:
        for closed in closed_of(_closures(uids, window.period), uids=uids, zone=depot.zone, code=depot.code):
            rows[closed.evse_uid].closed.append(closed)
        for visit in visits_of(uids, window.period, zone=depot.zone, now=now):
            rows[visit.evse_uid].visits.append(visit)
    else:
        mine = {booking.pk for booking in bookings}
        for row in occupied:
            if row.holder not in mine:
                rows[uids[row.evse_id]].taken.append(Taken(row.span, depot.zone))
    for found in rows.values():
        found.bars.sort(key=lambda bar: (bar.period.starts_at, bar.booking.pk))
        found.taken.sort(key=lambda taken: taken.period)
    return Board(depot, window, list(rows.values()), viewer)


def shown_bookings() -> QuerySet[Booking]:
    """Bookings with all that a bar tells of them."""
    rows = Booking.objects.select_related("fleet", "depot", "vehicle").prefetch_related("tokens")
    return rows.exclude(status__in=UNSHOWN)


def visits_of(uids: dict[int, str], period: Period, *, zone: ZoneInfo, now: datetime) -> list[Visit]:
    """Sessions without a booking that touch a period, in order of time; `uids` are the EVSEs' by id."""
    here = Q(ended_at__gt=period.starts_at) | Q(ended_at__isnull=True)
    rows = ChargingSession.objects.filter(
        here, evse__in=list(uids), started_at__lt=period.ends_at, visit__isnull=True, booking__isnull=True
    )
    # No session is much longer than a booking may be; one whose end was never heard is no news after that.
    recent = rows.filter(started_at__gt=min(period.starts_at, now) - LONGEST_BOOKING)
    return [
        Visit(session, uids[session.evse_id], zone)
        for session in recent.order_by("started_at", "pk")
        if session.evse_id is not None
    ]


def _occupied(evse_ids: Iterable[int], period: Period) -> list[Occupancy]:
    return list(Occupancy.objects.filter(evse__in=list(evse_ids), span__overlap=period))


def _bookings(
    viewer: BoardViewer, period: Period, occupied: Collection[Occupancy], now: datetime
) -> list[Booking]:
    """Those that overlap the period, and those that only ask to be moved into it."""
    kept = [row.holder for row in occupied if row.kind == Occupancy.Kind.PENDING]
    # No booking is longer: how far back the index scan has to look.
    earliest = period.starts_at - LONGEST_BOOKING
    here = Q(starts_at__lt=period.ends_at, starts_at__gt=earliest, ends_at__gt=period.starts_at)
    rows = shown_bookings().filter(here | Q(pk__in=kept) | _outstaying(period, now), depot=viewer.depot)
    return list(rows if viewer.sees_all else rows.filter(fleet__in=viewer.fleet_ids))


def _outstaying(period: Period, now: datetime) -> Q:
    """Vehicles that still charge after their slot, however long ago it ended."""
    return Q(status=BookingStatus.CHARGING, ends_at__lte=now) if period.contains(now) else Q(pk__in=[])


def _bars(
    bookings: Collection[Booking],
    occupied: Iterable[Occupancy],
    viewer: BoardViewer,
    uids: dict[int, str],
    now: datetime,
) -> Iterable[Bar]:
    by_holder: dict[int, list[Occupancy]] = defaultdict(list)
    for row in occupied:
        by_holder[row.holder].append(row)
    requests = {
        request.booking_id: request
        for request in BookingRequest.objects.filter(
            decision=BookingRequest.Decision.PENDING, booking__depot=viewer.depot
        )
    }
    for booking in bookings:
        booking.depot = viewer.depot  # one object, one time zone
        yield from bars_of(
            booking, by_holder[booking.pk], requests.get(booking.pk),
            uids=uids, is_for_depot=viewer.sees_all, now=now,
        )  # fmt: skip


def _closures(evse_ids: Iterable[int], period: Period) -> list[Closure]:
    rows = Closure.objects.filter(
        evse__in=list(evse_ids),
        lifted_at__isnull=True,
        starts_at__lt=period.ends_at,
        ends_at__gt=period.starts_at,
    )
    return list(rows.order_by("starts_at"))
