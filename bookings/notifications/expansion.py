"""A batch of events becomes what each organisation and person is told, in as many statements for hundreds as for one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from django.db.models import Q

from bookings.models import Booking, BookingEvent, Occurrence
from bookings.notifications import feed, inbox, mails, recipients, resolving
from bookings.notifications.gathering import gathered
from bookings.notifications.resolving import News

# What happened longer ago, a worker having been away, is history: it stands in the feed, but nobody is disturbed with it.
NEWS_FOR = timedelta(days=1)


def tell(events: Sequence[BookingEvent], *, now: datetime) -> None:
    """Within the transaction that moves the cursor."""
    bookings = _bookings({event.booking_id for event in events})
    feed.tell(events, bookings, now=now)
    fresh = [event for event in events if event.at > now - NEWS_FOR]
    heard = _heard(fresh)
    news = [
        one
        for event in fresh
        for one in resolving.news_of(event, bookings[event.booking_id], heard=heard.get(event.pk))
    ]
    _tell_people(gathered(news), now=now)


def tell_occurrences(occurrences: Sequence[Occurrence], *, now: datetime) -> None:
    """The same for what is no event of a booking."""
    feed.tell_occurrences([found for found in occurrences if found.feed_type], now=now)
    news = [resolving.news_of_occurrence(found) for found in occurrences if found.kind]
    _tell_people(gathered(news), now=now)


def _tell_people(news: Sequence[News], *, now: datetime) -> None:
    if not news:
        return
    told = recipients.who_hears(news)
    inbox.deliver(told, now=now)
    mails.deliver(told, now=now)


def _heard(events: Iterable[BookingEvent]) -> dict[int, tuple[str, str]]:
    """What people heard last, before each event that says how its slot is kept: the state and why, where no move to another
    place or time, of which they hear as well, lies between. One query, none without such an event."""
    ids = {e.pk: e.booking_id for e in events if e.kind == "enforcement" and e.after in resolving.HEARD}
    if not ids:
        return {}
    told = Q(kind="enforcement", after__in=resolving.HEARD) | Q(kind="changed")
    rows = BookingEvent.objects.filter(told, booking__in=set(ids.values())).order_by("pk")
    found, last = dict[int, tuple[str, str]](), dict[int, tuple[str, str]]()
    for pk, booking_id, after, detail in rows.values_list("pk", "booking", "after", "detail"):
        if pk in ids and booking_id in last:
            found[pk] = last[booking_id]
        last[booking_id] = (after, str(detail.get("why") or ""))
    return found


def _bookings(ids: Iterable[int]) -> dict[int, Booking]:
    rows = Booking.objects.select_related("depot__operator", "option", "evse", "vehicle", "fleet")
    return rows.prefetch_related("tokens").in_bulk(ids)
