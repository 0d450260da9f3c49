"""Asks that wait for a depot's answer, each with what stands around it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.db.models import Q, QuerySet

from bookings.models import Booking, BookingPayment, BookingRequest, Occupancy
from bookings.operations.change_request import read_period
from depots.models import Depot, Evse, User

# How far around a slot its neighbours are told.
AROUND = timedelta(hours=6)


@dataclass(frozen=True)
class Neighbour:
    """Who stands before or after on the same EVSE, and how much time lies between the two occupied spans."""

    words: str
    gap: timedelta


@dataclass(frozen=True)
class WaitingAsk:
    """One ask: what there is (None for a new booking) and what is wanted, both on the depot's clock.

    What is wanted may be over by now: then it can only be declined.
    """

    request: BookingRequest
    evse_uid: str
    wanted: tuple[datetime, datetime]
    now_in_force: tuple[datetime, datetime] | None
    before: Neighbour | None
    after: Neighbour | None
    is_over: bool
    payment: BookingPayment | None = None

    @property
    def awaits_payment(self) -> bool:
        return self.payment is not None

    @property
    def is_for_depot(self) -> bool:
        """Whether the depot's answer is one of those that are missing."""
        return self.payment is None or (self.booking.terms.approval and self.payment.approved_at is None)

    @property
    def booking(self) -> Booking:
        return self.request.booking

    @property
    def is_change(self) -> bool:
        return self.request.kind == BookingRequest.Kind.CHANGE

    @property
    def may_be_offered(self) -> bool:
        """Whether something else can be offered: partner networks' protocol has no place for it."""
        return not self.is_change and not self.awaits_payment and not self.booking.fleet.is_partner

    @property
    def other_evse(self) -> bool:
        return self.is_change and self.booking.evse is not None and self.booking.evse.uid != self.evse_uid


def waiting(depots: QuerySet[Depot], *, now: datetime) -> list[WaitingAsk]:
    """What the depots have to answer, the oldest deadline first, in a constant number of queries."""
    asked_here = BookingRequest.objects.filter(booking__depot__in=depots, booking__depot__is_mirror=False)
    rows = asked_here.for_answer().select_related(
        "booking__depot", "booking__fleet", "booking__evse", "booking__vehicle"
    )
    requests = sorted(rows.prefetch_related("booking__tokens"), key=_urgency)
    places = _places(requests)
    around = _around(requests, places)
    awaited = _awaited(requests)
    return [
        replace(
            _waiting(request, places[request.booking_id], around, now),
            payment=awaited.get(request.booking_id),
        )
        for request in requests
    ]


def decided_by_another(booking: Booking) -> str:
    """What became of an ask that no longer waits, in a sentence for the one who came second. Of people a colleague is
    named, never who asked for something else instead."""
    last = booking.requests.exclude(decided_at=None).order_by("-decided_at").first()
    if last is None or last.decided_at is None:
        return "Nothing of this booking waits for a decision any more."
    at = last.decided_at.astimezone(booking.depot.zone)
    colleagues = User.objects.filter(memberships__organisation=booking.depot.operator_id)
    name = last.decided_by.name if last.decided_by is not None and last.decided_by.is_person else ""
    by = f" by {name}" if name and colleagues.filter(email__iexact=name.lower()).exists() else ""
    return f"Too late: it was {last.get_decision_display().lower()}{by} at {at:%H:%M}."


def _urgency(request: BookingRequest) -> tuple[bool, datetime, int]:
    deadline = request.booking.decide_until
    return deadline is None, deadline or request.asked_at, request.pk


def _awaited(requests: Collection[BookingRequest]) -> dict[int, BookingPayment]:
    """The payments that these wait for as well, by booking; no query where none asks for one."""
    paying = [request.booking_id for request in requests if request.booking.pays_before]
    return BookingPayment.objects.filter(status=BookingPayment.Status.ASKED).in_bulk(paying) if paying else {}


def _places(requests: Collection[BookingRequest]) -> dict[int, Occupancy | None]:
    """What each booking would take: the place kept for a change, else its own."""
    found: dict[int, Occupancy | None] = {request.booking_id: None for request in requests}
    rows = Occupancy.objects.filter(holder__in=list(found)).select_related("evse")
    for row in sorted(rows, key=lambda row: row.kind == Occupancy.Kind.PENDING):
        found[row.holder] = row
    return found


def _around(
    requests: Collection[BookingRequest], places: dict[int, Occupancy | None]
) -> dict[int, list[tuple[Occupancy, str]]]:
    """What else stands on these EVSEs near these times, by EVSE, each with words for it."""
    spans = [place for place in places.values() if place is not None]
    if not spans:
        return {}
    near = Q()
    for place in spans:
        near |= Q(evse=place.evse_id, span__overlap=place.span.widened(AROUND, AROUND))
    rows = list(Occupancy.objects.filter(near).order_by("span"))
    holders = [row.holder for row in rows if row.kind != Occupancy.Kind.CLOSURE]
    names = dict(Booking.objects.filter(pk__in=holders).values_list("pk", "plate"))
    found: dict[int, list[tuple[Occupancy, str]]] = defaultdict(list)
    for row in rows:
        words = "Closed" if row.kind == Occupancy.Kind.CLOSURE else names.get(row.holder) or "A booking"
        found[row.evse_id].append((row, words))
    return found


def _waiting(
    request: BookingRequest,
    place: Occupancy | None,
    around: dict[int, list[tuple[Occupancy, str]]],
    now: datetime,
) -> WaitingAsk:
    booking = request.booking
    zone = booking.depot.zone
    is_change = request.kind == BookingRequest.Kind.CHANGE
    asked = request.asked.get("period") if is_change else None
    wanted = read_period(asked) if asked else booking.period
    before, after = _neighbours(booking, place, around.get(place.evse_id, []) if place else [])
    return WaitingAsk(
        request,
        _uid(place.evse if place else booking.evse),
        (wanted.starts_at.astimezone(zone), wanted.ends_at.astimezone(zone)),
        (booking.starts_at.astimezone(zone), booking.ends_at.astimezone(zone)) if is_change else None,
        before,
        after,
        is_over=wanted.ends_at <= now,
    )


def _neighbours(
    booking: Booking, place: Occupancy | None, rows: Iterable[tuple[Occupancy, str]]
) -> tuple[Neighbour | None, Neighbour | None]:
    if place is None:
        return None, None
    zone = booking.depot.zone
    before = after = None
    for row, words in rows:
        if row.holder == booking.pk:
            continue
        if row.span.ends_at <= place.span.starts_at:
            until = row.span.ends_at.astimezone(zone)
            before = Neighbour(f"{words} until {until:%H:%M}", place.span.starts_at - row.span.ends_at)
        elif after is None and row.span.starts_at >= place.span.ends_at:
            start = row.span.starts_at.astimezone(zone)
            after = Neighbour(f"{words} from {start:%H:%M}", row.span.starts_at - place.span.ends_at)
    return before, after


def _uid(evse: Evse | None) -> str:
    return evse.uid if evse else ""
