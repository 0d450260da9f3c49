"""Secret addresses for calendar programs: read-only, of one organisation, revocable."""

from __future__ import annotations

from datetime import datetime, timedelta
from hashlib import sha256

from django.db.models import QuerySet

from bookings.errors import TooManyCalendars
from bookings.models import Booking, BookingStatus, CalendarFeed, Vehicle
from bookings.notifications import calendar_file
from depots.models import Depot, Organisation, User
from depots.secrets import hash_token, hash_token_under_each_key, new_token

MOST_FEEDS = 100
PAST, MOST_ENTRIES = timedelta(days=30), 2000
_SHOWN = (
    BookingStatus.HELD, BookingStatus.REQUESTED, BookingStatus.CONFIRMED, BookingStatus.CHARGING, BookingStatus.COMPLETED
)  # fmt: skip


def make_feed(
    *,
    organisation: Organisation,
    vehicle: Vehicle | None = None,
    depot: Depot | None = None,
    by: User,
    now: datetime,
) -> tuple[CalendarFeed, str]:
    """A feed and its secret, which is shown this once. Raises TooManyCalendars."""
    if CalendarFeed.objects.filter(organisation=organisation, revoked_at=None).count() >= MOST_FEEDS:
        raise TooManyCalendars(f"An organisation has {MOST_FEEDS} calendars at most.")
    secret = new_token()
    feed = CalendarFeed.objects.create(
        organisation=organisation, vehicle=vehicle, depot=depot, secret_hash=hash_token(secret), made_by=by.email,
        created_at=now,
    )  # fmt: skip
    return feed, secret


def revoke(feed: CalendarFeed, *, now: datetime) -> None:
    CalendarFeed.objects.filter(pk=feed.pk, revoked_at=None).update(revoked_at=now)


def find_feed(secret: str) -> CalendarFeed | None:
    """The one of this secret, unless it was revoked."""
    rows = CalendarFeed.objects.filter(secret_hash__in=hash_token_under_each_key(secret), revoked_at=None)
    return rows.select_related("organisation", "vehicle", "depot").first()


def bookings_of(feed: CalendarFeed, *, now: datetime) -> QuerySet[Booking]:
    """What its organisation may see: of a depot all that is booked there, else its fleet's own; from a month ago on."""
    rows = Booking.objects.filter(status__in=_SHOWN, ends_at__gt=now - PAST)
    if feed.depot_id is not None:
        rows = rows.filter(depot=feed.depot_id, depot__operator=feed.organisation_id, depot__is_mirror=False)
    elif feed.vehicle_id is not None:
        rows = rows.filter(vehicle=feed.vehicle_id, fleet=feed.organisation_id)
    else:
        rows = rows.filter(fleet=feed.organisation_id)
    return rows.order_by("starts_at", "pk")[:MOST_ENTRIES]


def etag(feed: CalendarFeed, *, now: datetime) -> str:
    """Another one whenever an entry is, by one query."""
    entries = list(bookings_of(feed, now=now).values_list("pk", "version"))
    return sha256(repr((feed.pk, entries)).encode()).hexdigest()[:32]


def content(feed: CalendarFeed, *, now: datetime) -> bytes:
    rows = bookings_of(feed, now=now).select_related("depot__operator", "evse", "vehicle", "fleet")
    return calendar_file.feed(rows, name=name_of(feed))


def name_of(feed: CalendarFeed) -> str:
    return str(feed.vehicle or feed.depot or feed.organisation)
