"""What stands in a row of the board, as it was read."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from bookings.models import LIVE, BookingStatus, Closure, Enforcement, enforcement_words
from bookings.models.booking_states import INTERRUPTED_WHY
from bookings.models.bookings import expected_wh
from bookings.rules.terms import Terms
from depots.cards import card_ending
from depots.models import ChargingSession
from depots.periods import Period

# Nothing is left to see of these: a hold nobody confirmed, an ask that never became a booking.
UNSHOWN = {BookingStatus.EXPIRED.value, BookingStatus.FAILED.value}
# They take no time any more: the list tells of them, the timeline has others in their place.
GIVEN_UP = {BookingStatus.CANCELLED.value, BookingStatus.DECLINED.value, BookingStatus.NO_SHOW.value}
MOVABLE = {BookingStatus.REQUESTED.value, BookingStatus.CONFIRMED.value}
# The charger has, or had, something to do with these.
KEPT = {BookingStatus.CONFIRMED.value, BookingStatus.CHARGING.value}

_CHARGING, _COMPLETED = BookingStatus.CHARGING.value, BookingStatus.COMPLETED.value
_NOT_DUE, _AT_RISK = Enforcement.NOT_DUE.value, Enforcement.AT_RISK.value


class BookingFacts(NamedTuple):
    """What a board tells of a booking: a week shows thousands, each of them a row of a query and no model of its own.

    `step_min` and `late_stop_min` are of its terms, as text, None where they do not say; `quote` is there only of one whose
    charging broke off.
    """

    starts_at: datetime
    ends_at: datetime
    pk: int
    evse_id: int | None
    status: str
    enforcement: str
    enforcement_why: str
    version: int
    plate: str
    fleet_id: int
    fleet_name: str
    decide_until: datetime | None
    interrupted_at: datetime | None
    interrupted_why: str
    metered_wh: int | None
    quote: dict[str, Any] | None
    step_min: str | None
    late_stop_min: str | None
    token: str | None
    is_going_on: bool = False

    @property
    def is_interrupted(self) -> bool:
        return self.interrupted_at is not None

    @property
    def interrupted_sentence(self) -> str:
        return INTERRUPTED_WHY.get(self.interrupted_why, "")

    @property
    def enforcement_sentence(self) -> str:
        return enforcement_words.sentence(self.enforcement, self.enforcement_why)

    @property
    def expected_wh(self) -> int | None:
        return expected_wh(self.quote)

    @property
    def is_at_risk(self) -> bool:
        return self.enforcement == _AT_RISK and self.status in LIVE

    def overstays(self, now: datetime) -> bool:
        """As `Booking.overstays`: its session has outlived the slot and what its terms allow for a late stop."""
        if self.status != _CHARGING or self.is_going_on:
            return False
        return now >= self.ends_at + timedelta(minutes=int(self.late_stop_min or Terms.late_stop_min))


class Bar(NamedTuple):
    """A booking in its EVSE's row, or (`is_pending`) the change of it that waits, in the row it would move to.

    The span is what is occupied: early start and turnaround included.
    """

    booking: BookingFacts
    evse_uid: str
    starts_at: datetime
    ends_at: datetime
    span_starts_at: datetime
    span_ends_at: datetime
    is_pending: bool = False

    @property
    def can_move(self) -> bool:
        return self.booking.status in MOVABLE and not self.is_pending

    @property
    def shows_enforcement(self) -> bool:
        """Has the charger anything to do with it yet, or still?"""
        return self.booking.status in KEPT and self.booking.enforcement != _NOT_DUE

    @property
    def is_given_up(self) -> bool:
        return self.booking.status in GIVEN_UP

    @property
    def is_broken_off(self) -> bool:
        """Over, but not because it was done: "Completed" would be the wrong word."""
        return self.booking.is_interrupted and self.booking.status == _COMPLETED

    def is_over(self, now: datetime) -> bool:
        """Nothing of it is left to come: a phone leaves it out of today."""
        if self.booking.overstays(now):
            return False
        return self.ends_at <= now or self.is_given_up or self.booking.status == _COMPLETED

    def is_within(self, period: Period, now: datetime) -> bool:
        """Whether a board of these days shows it: a vehicle that outstays its slot, as long as it does."""
        is_here = self.starts_at < period.ends_at and self.ends_at > period.starts_at
        return is_here or self.booking.overstays(now)


@dataclass(frozen=True)
class OthersBar:
    """A span that is somebody else's, and no word more."""

    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True)
class Visit:
    """A session that uses no booking: somebody who just came, or a stranger in a booked slot. For the depot's eyes."""

    session: ChargingSession
    evse_uid: str

    @property
    def who(self) -> str:
        """The token's ending, as far as there is one: no more than of a booking's."""
        uid = self.session.token_uid
        return card_ending(uid) if uid else ""


@dataclass(frozen=True)
class Closed:
    closure: Closure
    evse_uid: str


def closed_of(closures: Collection[Closure], *, uids: dict[int, str]) -> list[Closed]:
    return [Closed(closure, uids[closure.evse_id]) for closure in closures if closure.evse_id in uids]
