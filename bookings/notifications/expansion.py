"""A batch of events becomes what each organisation and person is told, in as many statements for hundreds as for one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from django.db.models import Q

from bookings.models import Booking, BookingEvent, Enforcement, Occurrence
from bookings.notifications import feed, inbox, mails, recipients, resolving
from bookings.notifications.gathering import gathered
from bookings.notifications.resolving import News

# What happened longer ago, a worker having been away, is history: it stands in the feed, but nobody is disturbed with it.
NEWS_FOR = timedelta(days=1)
# Ways in which a slot is kept that people hear of.
_TOLD = [Enforcement.ARMED, Enforcement.AT_RISK, Enforcement.SOFT]


def tell(events: Sequence[BookingEvent], *, now: datetime) -> None:
    """Within the transaction that moves the cursor."""
    bookings = _bookings({event.booking_id for event in events})
    feed.tell(events, bookings, now=now)
    fresh = [event for event in events if event.at > now - NEWS_FOR]
    again = _kept_again(fresh)
    news = [
        one
        for event in fresh
        for one in resolving.news_of(event, bookings[event.booking_id], is_kept_again=event.pk in again)
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


def _kept_again(events: Iterable[BookingEvent]) -> set[int]:
    """Of the events that say that a charger holds a slot those before which it was told to be at risk: no move to another place
    or time, of which people hear as well, lies between. One query, none where no charger holds anything."""
    held = {e.pk: e.booking_id for e in events if e.kind == "enforcement" and e.after == Enforcement.ARMED}
    if not held:
        return set()
    told = Q(kind="enforcement", after__in=_TOLD) | Q(kind="changed")
    rows = BookingEvent.objects.filter(told, booking__in=set(held.values())).order_by("pk")
    found, last = set(), dict[int, str]()
    for pk, booking_id, after in rows.values_list("pk", "booking", "after"):
        if pk in held and last.get(booking_id) == Enforcement.AT_RISK:
            found.add(pk)
        last[booking_id] = after
    return found


def _bookings(ids: Iterable[int]) -> dict[int, Booking]:
    rows = Booking.objects.select_related("depot__operator", "option", "evse", "vehicle", "fleet")
    return rows.prefetch_related("tokens").in_bulk(ids)
