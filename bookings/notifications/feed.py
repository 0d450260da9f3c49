"""What an organisation's own systems are told: a row for its fleet and one for the depot's operator, each with what it may see,
and a delivery for each of their webhooks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from django.db import connection
from django.db.models import QuerySet

from bookings.core.forgetting import delete_in_batches
from bookings.models import Booking, BookingEvent, FeedEvent, Occurrence
from bookings.notifications.booking_object import booking_object, offered_by
from depots.models import Organisation
from depots.notices import tell as notify

EVENTS_KEPT = timedelta(days=30)
# Where whoever calls webhooks listens.
WAKE_CHANNEL = "berth_webhooks"
CHANGED = "booking.changed"
OFFERED = "booking.offered"
WAITLIST_OFFERED = "waitlist.offered"
WAITLIST_EXPIRED = "waitlist.expired"
# Kinds of events after which a booking looks otherwise to its fleet, beside its moves of status.
_SHOWN = frozenset(
    {"changed", "change_accepted", "offer_ended", "booked_anew", "enforcement", "interrupted", "resumed"}
)
# Of a waiting list that is told by Occurrence: what no booking's event says.
TYPES = (
    "booking.held", "booking.requested", "booking.confirmed", "booking.charging", "booking.completed", "booking.cancelled",
    "booking.declined", "booking.no_show", "booking.failed", "booking.expired", CHANGED, OFFERED, WAITLIST_OFFERED,
    WAITLIST_EXPIRED,
)  # fmt: skip

_DELIVER = """
INSERT INTO bookings_webhookdelivery
    (webhook_id, event_id, booking_id, state, attempts, next_try_at, answer, error, took_ms, created_at)
SELECT w.id, e.id, e.booking_id, 'waiting', 0, %(now)s, '', '', 0, %(now)s
FROM bookings_feedevent e JOIN bookings_webhook w USING (organisation_id)
WHERE e.id = ANY(%(events)s::bigint[]) AND w.state IN ('active', 'paused') AND e.at >= w.created_at - interval '1 minute'
  AND (w.events = '{}' OR e.type = ANY(w.events))
ORDER BY e.id
"""


def tell(events: Sequence[BookingEvent], bookings: Mapping[int, Booking], *, now: datetime) -> None:
    """Write what these events are in the feeds, in their order, each booking as it was by then as far as its events say."""
    later = _Later.of(events)
    rows = []
    for event in events:
        booking = bookings[event.booking_id]
        if (named := type_of(event)) and event.at > now - EVENTS_KEPT:
            status, enforcement = later.states_at(event, booking)
            for organisation, is_fleet in _audience(booking):
                content = booking_object(booking, is_fleet=is_fleet)
                content |= {"status": status, "enforcement": enforcement}
                if named == OFFERED:
                    content["offer"] = offered_by(event, status)
                rows.append(
                    FeedEvent(organisation=organisation, source=event, booking=booking, type=named, content=content, at=event.at)
                )  # fmt: skip
    _write(rows, now)


def tell_occurrences(occurrences: Sequence[Occurrence], *, now: datetime) -> None:
    rows = [
        FeedEvent(
            organisation_id=one.organisation_id, booking_id=one.booking_id, type=one.feed_type, content=one.content, at=one.at
        )
        for one in occurrences
    ]  # fmt: skip
    _write(rows, now)


def type_of(event: BookingEvent) -> str:
    """Empty where nothing that is shown of a booking is another."""
    if event.kind == "status":
        return f"booking.{event.after}" if event.after != event.before else CHANGED
    if event.kind == "offered":
        return OFFERED
    return CHANGED if event.kind in _SHOWN else ""


def events_of(organisation: Organisation, *, after: int = 0) -> QuerySet[FeedEvent]:
    """What an organisation was told behind `after`, in its order."""
    return FeedEvent.objects.filter(organisation=organisation, pk__gt=after).order_by("pk")


def forget_old(*, now: datetime) -> None:
    delete_in_batches(FeedEvent.objects.filter(at__lte=now - EVENTS_KEPT))


class _Later:
    """What came after each event of some bookings, to know how a booking stood at an event that is told only now."""

    def __init__(self, moves: Mapping[tuple[int, str], list[tuple[int, str]]]) -> None:
        self._moves = moves

    @classmethod
    def of(cls, events: Sequence[BookingEvent]) -> _Later:
        first = min((event.pk for event in events), default=0)
        rows = BookingEvent.objects.filter(
            booking__in={event.booking_id for event in events},
            pk__gt=first,
            kind__in=["status", "enforcement"],
        )
        moves: dict[tuple[int, str], list[tuple[int, str]]] = {}
        for pk, booking_id, kind, before in rows.order_by("pk").values_list(
            "pk", "booking", "kind", "before"
        ):
            moves.setdefault((booking_id, kind), []).append((pk, before))
        return cls(moves)

    def states_at(self, event: BookingEvent, booking: Booking) -> tuple[str, str]:
        """Status and enforcement once the event had happened."""
        return (
            self._then(event, "status", booking.status),
            self._then(event, "enforcement", booking.enforcement),
        )

    def _then(self, event: BookingEvent, kind: str, now: str) -> str:
        """What the next move came from; without one, what is."""
        moves = self._moves.get((event.booking_id, kind), [])
        return next((before for pk, before in moves if pk > event.pk), now)


def _audience(booking: Booking) -> list[tuple[Organisation, bool]]:
    """Who has a feed with it, and whether as its fleet. Networks are told by their protocol."""
    found = [(booking.fleet, True)]
    operator = booking.depot.operator
    if not booking.depot.is_mirror and operator.pk != booking.fleet_id:
        found.append((operator, False))
    return [(organisation, is_fleet) for organisation, is_fleet in found if not organisation.is_partner]


def _write(rows: list[FeedEvent], now: datetime) -> None:
    if not rows:
        return
    FeedEvent.objects.bulk_create(rows)
    with connection.cursor() as cursor:
        cursor.execute(_DELIVER, {"now": now, "events": [row.pk for row in rows]})
        is_owed = cursor.rowcount > 0
    if is_owed:
        notify(WAKE_CHANNEL, ["due"])
