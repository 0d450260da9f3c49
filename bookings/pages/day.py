"""A dispatcher's day: which bookings it shows, and where each of them stands in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from django.db.models import F, Q, QuerySet

from bookings.models import Booking, BookingStatus, Enforcement
from bookings.pages.outcome import Outcome, charged_wh, outcome_of
from bookings.rules.own_slots import note_going_on
from bookings.rules.quotes import read_tariffs
from bookings.search.next_bay import next_bay_url

# Every place's today lies within this of now, whatever its zone.
REACH = timedelta(hours=38)
SOON = timedelta(hours=2)
# A change nobody has seen stays on the page this long after the slot itself is over.
UNSEEN_KEPT = timedelta(days=3)

GROUPS = {
    "now": "Now",
    "next": "Next two hours",
    "later": "Later today",
    "elsewhen": "Changed by a depot, another day",
    "done": "Done",
}


@dataclass(frozen=True)
class Entry:
    """One row of a list: a booking, where it stands in the day, and its times as the clock on the depot's wall shows
    them, naive, because templates would turn aware ones back into UTC."""

    booking: Booking
    group: str
    starts_at: datetime
    ends_at: datetime
    zone_name: str
    now: datetime

    @cached_property
    def outcome(self) -> Outcome | None:
        """What it came to. Rows of `access.booking_rows` know whether a fee was waived."""
        return outcome_of(self.booking, is_waived=getattr(self.booking, "is_waived", False))

    @property
    def charged_wh(self) -> int | None:
        return charged_wh(self.booking)

    @property
    def is_broken_off(self) -> bool:
        """Over, but not because it was done: "Completed" would be the wrong word."""
        return self.booking.is_interrupted and self.booking.status == BookingStatus.COMPLETED

    @property
    def needs_next_bay(self) -> bool:
        """Charging broke off, or its bay may not be ready for it."""
        return self.booking.is_interrupted or self.is_at_risk

    @property
    def next_bay_url(self) -> str:
        """Where the truck can charge instead, or go on."""
        return next_bay_url(self.booking, now=self.now)

    @property
    def ends_another_day(self) -> bool:
        return self.starts_at.date() != self.ends_at.date()

    @property
    def is_at_risk(self) -> bool:
        return self.booking.is_live and self.booking.enforcement == Enforcement.AT_RISK

    @property
    def shows_enforcement(self) -> bool:
        """Only a confirmed booking at a charger of ours has anything to tell."""
        return self.booking.is_ours and self.booking.status in {
            BookingStatus.CONFIRMED, BookingStatus.CHARGING,
        }  # fmt: skip


def entry(booking: Booking, now: datetime) -> Entry:
    starts_at, ends_at = (
        moment.astimezone(booking.depot.zone) for moment in (booking.starts_at, booking.ends_at)
    )
    return Entry(
        booking, group(booking, now), starts_at.replace(tzinfo=None), ends_at.replace(tzinfo=None),
        starts_at.tzname() or booking.depot.time_zone, now,
    )  # fmt: skip


def entries(bookings: Iterable[Booking], now: datetime) -> list[Entry]:
    """Of a list: what the tariffs of its outcomes say, and who goes on in another slot, is read at once."""
    rows = list(bookings)
    read_tariffs(rows)
    note_going_on(rows, now=now)
    return [entry(booking, now) for booking in rows]


def group(booking: Booking, now: datetime) -> str:
    """One of GROUPS. "Today" is the depot's: a truck in Lisbon has another midnight than one in Vilnius."""
    zone = booking.depot.zone
    if booking.status == BookingStatus.CHARGING or (booking.is_interrupted and now < booking.ends_at):
        return "now"
    if not booking.is_live or booking.ends_at <= now:
        return "done"
    if booking.starts_at <= now:
        return "now"
    if booking.starts_at - now <= SOON:
        return "next"
    is_today = booking.starts_at.astimezone(zone).date() == now.astimezone(zone).date()
    return "later" if is_today else "elsewhen"


def of_the_day(rows: QuerySet[Booking], now: datetime) -> list[Entry]:
    """Today's of these bookings by time, with changes by a depot that nobody has seen, whatever their day."""
    around = Q(starts_at__lt=now + REACH, ends_at__gt=now - REACH)
    changed = Q(changed_by_depot_at__isnull=False, ends_at__gt=now - UNSEEN_KEPT)
    unseen = Q(seen_by_fleet_at__isnull=True) | Q(seen_by_fleet_at__lt=F("changed_by_depot_at"))
    found = rows.filter(around | (changed & unseen) | Q(status=BookingStatus.CHARGING))
    told = entries(found.exclude(status=BookingStatus.EXPIRED).order_by("starts_at", "pk"), now)
    return [e for e in told if e.booking.is_changed_unseen or _is_of_today(e, now)]


def grouped(entries: Iterable[Entry]) -> list[tuple[str, str, list[Entry]]]:
    """(key, heading, entries) in the order of the day, done last; empty ones are left out."""
    by_key: dict[str, list[Entry]] = {key: [] for key in GROUPS}
    for one in entries:
        by_key[one.group].append(one)
    return [(key, GROUPS[key], rows) for key, rows in by_key.items() if rows]


@dataclass(frozen=True)
class Tally:
    """A number above the day. `selector` finds the rows it counts, by which an open page counts on (bookings.js)."""

    selector: str
    words: str
    level: str
    number: int


def tallies(entries: Iterable[Entry]) -> list[Tally]:
    """All of them, those of nothing too: a page shows none of those until there is something."""
    rows = list(entries)
    status = Counter(one.booking.status for one in rows)
    risky = sum(one.is_at_risk and one.shows_enforcement for one in rows)
    interrupted = sum(one.booking.is_interrupted for one in rows)
    changed = sum(one.booking.is_changed_unseen for one in rows)
    at_risk = "[data-enforcement=at_risk]:is([data-status=confirmed],[data-status=charging])"
    return [
        Tally("[data-status=charging]", "charging", "good", status["charging"]),
        Tally(at_risk, "at risk", "bad", risky),
        Tally("[data-interrupted]", "interrupted", "bad", interrupted),
        Tally("[data-changed]", "changed by a depot", "warn", changed),
        Tally("[data-status=requested]", "waiting for an answer", "warn", status["requested"]),
        Tally("[data-status=held]", "to confirm", "held", status["held"]),
    ]


def _is_of_today(one: Entry, now: datetime) -> bool:
    if one.group in {"now", "next"}:
        return True
    today = now.astimezone(one.booking.depot.zone).date()
    return one.starts_at.date() <= today <= one.ends_at.date()
