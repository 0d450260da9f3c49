"""What a viewer may see of a depot's days, in a constant number of queries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, NamedTuple

from django.contrib.postgres.aggregates import ArrayAgg
from django.db.models import Case, F, OuterRef, Q, QuerySet, Subquery, Value, When
from django.db.models.fields.json import KT
from django.db.models.functions import Concat
from django.utils.safestring import SafeString

from bookings.models import Booking, BookingRequest, BookingStatus, BookingToken, Closure, Occupancy
from bookings.models.fleet import GROUP, GROUP_SHOWN
from bookings.pages.access import BoardViewer
from bookings.pages.board.bars import UNSHOWN, Bar, BookingFacts, OthersBar, Visit, closed_of
from bookings.pages.board.entries import Entries
from bookings.pages.board.row_states import RowState, bay, plugs, states_of
from bookings.pages.board.seconds import DatetimeBySecond, Seconds
from bookings.pages.board.window import Window
from bookings.rules.own_slots import later_slots
from bookings.rules.terms import LONGEST_BOOKING
from depots.models import ChargingSession, Depot, Evse
from depots.periods import Period

_PENDING = Occupancy.Kind.PENDING.value
# A card's number in full, a group as it is shown: see bookings.models.fleet.shown_again.
_TOKEN = Case(When(type=GROUP, then=Concat(Value(GROUP_SHOWN), "uid")), default="uid")


@dataclass
class BoardRow:
    """One EVSE: facts, live state (for those who look after the depot) and the entries that stand in it, in order of time."""

    evse: Evse
    plugs: str
    state: RowState | None
    bars: list[Bar] = field(default_factory=list)
    entries: list[SafeString] = field(default_factory=list)

    @property
    def html(self) -> SafeString:
        """All entries in one: a template's turn for each would cost more than writing them."""
        return SafeString("".join(self.entries))

    @property
    def uid(self) -> str:
        return self.evse.uid

    @property
    def bay(self) -> list[str]:
        return bay(self.evse)


@dataclass(frozen=True)
class Board:
    depot: Depot
    window: Window
    rows: list[BoardRow]
    viewer: BoardViewer

    @cached_property
    def bars(self) -> list[Bar]:
        return [bar for row in self.rows for bar in row.bars]

    @property
    def charging(self) -> int:
        return sum(row.state is not None and row.state.session is not None for row in self.rows)

    @property
    def at_risk(self) -> int:
        return sum(bar.booking.is_at_risk for bar in self.bars if not bar.is_pending)

    @property
    def online(self) -> int:
        return len({row.evse.charger_id for row in self.rows if row.state and row.state.is_online})

    @property
    def chargers(self) -> int:
        return len({row.evse.charger_id for row in self.rows})


class Occupied(NamedTuple):
    """A span that takes an EVSE; `asked` is what a pending change asks for (`BookingRequest.asked`)."""

    starts_at: datetime
    ends_at: datetime
    evse_id: int
    holder: int
    kind: str
    asked: dict[str, Any] | None


def evses_of(depot: Depot) -> QuerySet[Evse]:
    """The rows of its board, as they stand in the yard."""
    rows = Evse.objects.filter(depot=depot, is_withdrawn=False).select_related("charger")
    return rows.prefetch_related("connectors").order_by("charger__cabinet", "charger_id", "number", "pk")


def read_board(viewer: BoardViewer, window: Window, *, now: datetime) -> Board:
    depot, period = viewer.depot, window.period
    found = evses_of(depot).prefetch_related(None)
    standards = ArrayAgg("connectors__standard", order_by="connectors__pk", default=[])
    evses = list(found.annotate(standards=standards))
    uids = {evse.pk: evse.uid for evse in evses}
    running, visits = _sessions(uids, period, now) if viewer.sees_all else ([], [])
    states = states_of(evses, running, now=now) if viewer.sees_all else {}
    rows = {evse.uid: BoardRow(evse, plugs(evse.standards), states.get(evse.pk)) for evse in evses}
    occupied = _occupied(Q(evse__in=list(uids), span__overlap=period))
    facts = facts_of(_shown_here(viewer, period, occupied, now), now=now)
    for bar in sorted(_bars(facts, occupied, uids), key=lambda bar: (bar.starts_at, bar.booking.pk)):
        if bar.is_within(period, now):
            rows[bar.evse_uid].bars.append(bar)
    writer = Entries(depot, is_for_depot=viewer.sees_all, now=now)
    if viewer.sees_all:
        _write_depots(rows, writer, _closures(uids, period), visits, uids)
    for row in rows.values():
        row.entries += map(writer.bar, row.bars)
    if not viewer.sees_all:
        _write_taken(rows, writer, occupied, {fact.pk for fact in facts}, uids)
    return Board(depot, window, list(rows.values()), viewer)


def entries_of(
    bookings: Collection[Booking], *, is_for_depot: Collection[bool], now: datetime
) -> dict[int, list[list[tuple[str, SafeString]]]]:
    """By booking id, for each viewer asked about: EVSE and entry of what a board shows; empty where it shows it no longer.

    In three statements however many there are, four where one outlives its slot; the bookings come with their depots.
    """
    ids = [booking.pk for booking in bookings]
    depots = {booking.depot_id: booking.depot for booking in bookings}
    facts = facts_of(Q(pk__in=ids), now=now)
    uids = dict(Evse.objects.filter(depot__in=list(depots)).values_list("pk", "uid"))
    bars: dict[int, list[Bar]] = defaultdict(list)
    for bar in _bars(facts, _occupied(Q(holder__in=ids)), uids):
        bars[bar.booking.pk].append(bar)
    writers = {
        pk: [Entries(depot, is_for_depot=side, now=now) for side in is_for_depot]
        for pk, depot in depots.items()
    }
    return {
        booking.pk: [
            [(bar.evse_uid, writer.bar(bar)) for bar in bars[booking.pk]]
            for writer in writers[booking.depot_id]
        ]
        for booking in bookings
    }


def facts_of(which: Q, *, now: datetime) -> list[BookingFacts]:
    """What boards tell of these bookings, but of those that no board shows. A second query where one outlives its slot."""
    named = BookingToken.objects.filter(booking=OuterRef("pk")).order_by("position")
    first_token = named.values(told=_TOKEN)[:1]
    is_interrupted = When(interrupted_at__isnull=False, then=F("quote"))
    rows = Booking.objects.filter(which).exclude(status__in=UNSHOWN).values_list(
        Seconds("starts_at"), Seconds("ends_at"), "pk", "evse_id", "status", "enforcement", "enforcement_why", "version",
        "plate", "fleet_id", "fleet__name", "decide_until", "interrupted_at", "interrupted_why", "metered_wh",
        Case(is_interrupted), KT("terms_json__slot_step_min"), KT("terms_json__late_stop_min"), Subquery(first_token),
    )  # fmt: skip
    moments = DatetimeBySecond()
    facts = [BookingFacts(moments[starts], moments[ends], *rest) for starts, ends, *rest in rows]
    slots = later_slots({fact.evse_id for fact in facts if fact.overstays(now)}, now=now)
    if not slots:
        return facts
    return [
        fact._replace(is_going_on=slots.get(fact.evse_id, fact.starts_at) > fact.starts_at) for fact in facts
    ]


def visits_of(uids: dict[int, str], period: Period, *, now: datetime) -> list[Visit]:
    """Sessions without a booking that touch a period, in order of time; `uids` are the EVSEs' by id."""
    return [_visit(session, uids) for session in _unbooked(uids, period, now).order_by("started_at", "pk")]


def _occupied(which: Q) -> list[Occupied]:
    asks = BookingRequest.objects.filter(
        booking=OuterRef("holder"), decision=BookingRequest.Decision.PENDING
    ).values("asked")[:1]
    rows = Occupancy.objects.filter(which).values_list(
        Seconds("span__startswith"), Seconds("span__endswith"), "evse_id", "holder", "kind",
        Case(When(kind=_PENDING, then=Subquery(asks))),
    )  # fmt: skip
    moments = DatetimeBySecond()
    return [Occupied(moments[starts], moments[ends], *rest) for starts, ends, *rest in rows]


def _shown_here(viewer: BoardViewer, period: Period, occupied: Collection[Occupied], now: datetime) -> Q:
    """Bookings that overlap the period, those that only ask to be moved into it, and vehicles that outstay."""
    kept = [row.holder for row in occupied if row.kind == _PENDING]
    # No booking is longer: how far back the index scan has to look.
    earliest = period.starts_at - LONGEST_BOOKING
    here = Q(starts_at__lt=period.ends_at, starts_at__gt=earliest, ends_at__gt=period.starts_at)
    if kept:
        here |= Q(pk__in=kept)
    if period.contains(now):
        here |= Q(status=BookingStatus.CHARGING, ends_at__lte=now)
    mine = Q() if viewer.sees_all else Q(fleet__in=viewer.fleet_ids)
    return here & mine & Q(depot=viewer.depot)


def _bars(facts: Iterable[BookingFacts], occupied: Iterable[Occupied], uids: dict[int, str]) -> Iterator[Bar]:
    """The bars of bookings on these EVSEs, and of the changes of them that wait."""
    places: dict[int, dict[str, Occupied]] = defaultdict(dict)
    for row in occupied:
        places[row.holder][row.kind] = row
    for booking in facts:
        if booking.evse_id not in uids:
            continue
        starts_at, ends_at = booking.starts_at, booking.ends_at
        place = places[booking.pk].get(Occupancy.Kind.BOOKING.value)
        span = (place.starts_at, place.ends_at) if place else (starts_at, ends_at)
        yield Bar(booking, uids[booking.evse_id], starts_at, ends_at, *span)
        kept = places[booking.pk].get(_PENDING)
        if kept is not None and kept.evse_id in uids:
            asked = _asked_span(kept.asked) or (starts_at, ends_at)
            yield Bar(booking, uids[kept.evse_id], *asked, kept.starts_at, kept.ends_at, is_pending=True)


def _asked_span(asked: dict[str, Any] | None) -> tuple[datetime, datetime] | None:
    period = asked.get("period") if asked else None
    if not period:
        return None
    return datetime.fromisoformat(period["start"]), datetime.fromisoformat(period["end"])


def _write_depots(
    rows: dict[str, BoardRow],
    writer: Entries,
    closures: Collection[Closure],
    visits: Iterable[Visit],
    uids: dict[int, str],
) -> None:
    """What only those see who look after the depot."""
    for closed in closed_of(closures, uids=uids):
        rows[closed.evse_uid].entries.append(writer.closed(closed))
    for visit in visits:
        rows[visit.evse_uid].entries.append(writer.visit(visit))


def _write_taken(
    rows: dict[str, BoardRow],
    writer: Entries,
    occupied: Iterable[Occupied],
    mine: set[int],
    uids: dict[int, str],
) -> None:
    for row in sorted(occupied, key=lambda row: (row.starts_at, row.ends_at)):
        if row.holder not in mine:
            taken = OthersBar(row.starts_at, row.ends_at)
            rows[uids[row.evse_id]].entries.append(writer.taken(taken))


def _sessions(
    uids: dict[int, str], period: Period, now: datetime
) -> tuple[list[ChargingSession], list[Visit]]:
    """What runs at these EVSEs, and what used no booking in the period: in one statement, each by its own index."""
    running = ChargingSession.objects.filter(evse__in=list(uids), ended_at__isnull=True)
    visiting = _unbooked(uids, period, now).annotate(is_visit=Value(True))
    both = running.annotate(is_visit=Value(False)).union(visiting, all=True).order_by("started_at", "id")
    rows = list(both)
    return [row for row in rows if not row.is_visit], [_visit(row, uids) for row in rows if row.is_visit]


def _unbooked(evse_ids: Iterable[int], period: Period, now: datetime) -> QuerySet[ChargingSession]:
    here = Q(ended_at__gt=period.starts_at) | Q(ended_at__isnull=True)
    rows = ChargingSession.objects.filter(
        here, evse__in=list(evse_ids), started_at__lt=period.ends_at, visit__isnull=True, booking__isnull=True
    )
    # No session is much longer than a booking may be; one whose end was never heard is no news after that.
    return rows.filter(started_at__gt=min(period.starts_at, now) - LONGEST_BOOKING)


def _visit(session: ChargingSession, uids: dict[int, str]) -> Visit:
    assert session.evse_id is not None
    return Visit(session, uids[session.evse_id])


def _closures(evse_ids: Iterable[int], period: Period) -> list[Closure]:
    rows = Closure.objects.filter(
        evse__in=list(evse_ids),
        lifted_at__isnull=True,
        starts_at__lt=period.ends_at,
        ends_at__gt=period.starts_at,
    )
    return list(rows.order_by("starts_at"))
