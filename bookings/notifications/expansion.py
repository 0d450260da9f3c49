"""A batch of events becomes what each organisation and person is told, in as many statements for hundreds as for one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

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
    news = [news for event in fresh for news in resolving.news_of(event, bookings[event.booking_id])]
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


def _bookings(ids: Iterable[int]) -> dict[int, Booking]:
    rows = Booking.objects.select_related("depot__operator", "option", "evse", "vehicle", "fleet")
    return rows.prefetch_related("tokens").in_bulk(ids)
