"""What stands in a row of the board, in the words and attributes the page shows."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from django.urls import reverse

from bookings.models import Booking, BookingRequest, BookingStatus, Closure, Enforcement, Occupancy
from bookings.search.next_bay import next_bay_url
from depots.cards import card_ending
from depots.models import ChargingSession
from depots.periods import Period, utc_text

# Nothing is left to see of these: a hold nobody confirmed, an ask that never became a booking.
UNSHOWN = {BookingStatus.EXPIRED, BookingStatus.FAILED}
# They take no time any more: the list tells of them, the timeline has others in their place.
GIVEN_UP = {BookingStatus.CANCELLED, BookingStatus.DECLINED, BookingStatus.NO_SHOW}
MOVABLE = {BookingStatus.REQUESTED, BookingStatus.CONFIRMED}


@dataclass(frozen=True)
class Bar:
    """A booking in its EVSE's row, or (`is_pending`) the change of it that waits, in the row it would move to.

    `span` is what is occupied: early start and turnaround included. Times for the eye are the depot's.
    """

    booking: Booking
    evse_uid: str
    period: Period
    span: Period
    zone: ZoneInfo
    url: str
    is_for_depot: bool
    now: datetime
    is_pending: bool = False

    @property
    def starts(self) -> str:
        return utc_text(self.period.starts_at)

    @property
    def ends(self) -> str:
        return utc_text(self.period.ends_at)

    @property
    def span_starts(self) -> str:
        return utc_text(self.span.starts_at)

    @property
    def span_ends(self) -> str:
        return utc_text(self.span.ends_at)

    @property
    def when(self) -> str:
        return clock(self.period, self.zone)

    @property
    def day(self) -> str:
        return f"{self.period.starts_at.astimezone(self.zone):%a %-d %b}"

    @property
    def plate(self) -> str:
        return self.booking.plate or "No plate"

    @property
    def who(self) -> str:
        """Whose it is, for those who look after the depot: fleet and token ending."""
        return " · ".join(
            [self.booking.fleet.name, *[token.ending for token in self.booking.tokens.all()][:1]]
        )

    @property
    def step_min(self) -> int:
        return int(self.booking.terms_json.get("slot_step_min", 15))

    @property
    def can_move(self) -> bool:
        return self.booking.status in MOVABLE and not self.is_pending

    @property
    def shows_enforcement(self) -> bool:
        """Has the charger anything to do with it yet, or still?"""
        is_kept = self.booking.status in {BookingStatus.CONFIRMED, BookingStatus.CHARGING}
        return is_kept and self.booking.enforcement != Enforcement.NOT_DUE

    @property
    def is_given_up(self) -> bool:
        return self.booking.status in GIVEN_UP

    @property
    def outstays_since(self) -> str:
        """From when on its session outlives the slot; empty where it does not."""
        return self.ends if self.booking.overstays(self.now) else ""

    @property
    def is_over(self) -> bool:
        """Nothing of it is left to come: a phone leaves it out of today."""
        if self.booking.overstays(self.now):
            return False
        return (
            self.period.ends_at <= self.now
            or self.is_given_up
            or self.booking.status == BookingStatus.COMPLETED
        )

    @property
    def is_broken_off(self) -> bool:
        """Over, but not because it was done: "Completed" would be the wrong word."""
        return self.booking.is_interrupted and self.booking.status == BookingStatus.COMPLETED

    @property
    def next_bay_url(self) -> str:
        """Where its fleet finds a bay to go on; empty where it need not. The depot's panel names the bay itself."""
        if self.is_for_depot or not self.booking.is_interrupted:
            return ""
        return next_bay_url(self.booking, now=self.now)

    @property
    def waits(self) -> bool:
        """Is there an ask the depot has to answer?"""
        return self.booking.decide_until is not None


@dataclass(frozen=True)
class Taken:
    """A span that is somebody else's, and no word more."""

    period: Period
    zone: ZoneInfo

    @property
    def starts(self) -> str:
        return utc_text(self.period.starts_at)

    @property
    def ends(self) -> str:
        return utc_text(self.period.ends_at)

    @property
    def when(self) -> str:
        return clock(self.period, self.zone)


@dataclass(frozen=True)
class Visit:
    """A session that uses no booking: somebody who just came, or a stranger in a booked slot. For the depot's eyes."""

    session: ChargingSession
    evse_uid: str
    zone: ZoneInfo

    @property
    def starts(self) -> str:
        return utc_text(self.session.started_at)

    @property
    def ends(self) -> str:
        """Empty while it runs."""
        return utc_text(self.session.ended_at) if self.session.ended_at else ""

    @property
    def when(self) -> str:
        started_at, ended_at = self.session.started_at, self.session.ended_at
        if ended_at is None or ended_at <= started_at:
            return f"{started_at.astimezone(self.zone):%H:%M}–"
        return clock(Period(started_at, ended_at), self.zone)

    @property
    def who(self) -> str:
        """The token's ending, as far as there is one: no more than of a booking's."""
        uid = self.session.token_uid
        return card_ending(uid) if uid else ""


@dataclass(frozen=True)
class Closed:
    closure: Closure
    evse_uid: str
    zone: ZoneInfo
    url: str

    @property
    def starts(self) -> str:
        return utc_text(self.closure.starts_at)

    @property
    def ends(self) -> str:
        return utc_text(self.closure.ends_at)

    @property
    def when(self) -> str:
        return clock(self.closure.period, self.zone)


def bars_of(
    booking: Booking,
    rows: Iterable[Occupancy],
    request: BookingRequest | None,
    *,
    uids: dict[int, str],
    is_for_depot: bool,
    now: datetime,
) -> list[Bar]:
    """The bars of a booking here; `rows` is what it occupies, `uids` the depot's EVSEs by id, `request` what waits."""
    if booking.evse_id is None or booking.evse_id not in uids or booking.status in UNSHOWN:
        return []
    spans = {row.kind: row for row in rows}
    zone, url = booking.depot.zone, _url(booking, is_for_depot)
    place = spans.get(Occupancy.Kind.BOOKING)
    bars = [
        Bar(
            booking, uids[booking.evse_id], booking.period, place.span if place else booking.period,
            zone, url, is_for_depot, now,
        )
    ]  # fmt: skip
    kept = spans.get(Occupancy.Kind.PENDING)
    if kept is not None and kept.evse_id in uids:
        asked = _asked_period(request) or booking.period
        bars.append(Bar(booking, uids[kept.evse_id], asked, kept.span, zone, url, is_for_depot, now, True))
    return bars


def closed_of(
    closures: Collection[Closure], *, uids: dict[int, str], zone: ZoneInfo, code: str
) -> list[Closed]:
    url = reverse("bookings:closures", args=[code])
    return [
        Closed(closure, uids[closure.evse_id], zone, url) for closure in closures if closure.evse_id in uids
    ]


def clock(period: Period, zone: ZoneInfo) -> str:
    """`10:00–10:45`; with the day where it ends on another, with the offset where clocks change in it."""
    starts_at, ends_at = period.starts_at.astimezone(zone), period.ends_at.astimezone(zone)
    if starts_at.utcoffset() != ends_at.utcoffset():
        return f"{starts_at:%H:%M} ({_offset(starts_at)})–{ends_at:%H:%M} ({_offset(ends_at)})"
    if starts_at.date() != ends_at.date():
        return f"{starts_at:%H:%M}–{ends_at:%a %H:%M}"
    return f"{starts_at:%H:%M}–{ends_at:%H:%M}"


def _offset(moment: datetime) -> str:
    return f"UTC{moment:%z}"[:-2].replace("+0", "+").replace("-0", "-")


def _asked_period(request: BookingRequest | None) -> Period | None:
    asked = request.asked.get("period") if request else None
    if not asked:
        return None
    return Period(datetime.fromisoformat(asked["start"]), datetime.fromisoformat(asked["end"]))


def _url(booking: Booking, is_for_depot: bool) -> str:
    if is_for_depot:
        return reverse("bookings:board_booking", args=[booking.depot.code, booking.pk])
    return booking.get_absolute_url()
