"""Many bookings that are asked for at once: what each asks, and what becomes of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from bookings.errors import BookingError, KeptForWalkIns, PowerUnavailable, QuotaReached, SlotTaken
from bookings.models import Booking
from bookings.operations.slot_request import SlotRequest
from bookings.rules import content_version, quotes
from depots.periods import Period

# So many are taken at once.
MOST_AT_ONCE = 200


@dataclass(frozen=True)
class ManyWish:
    """One of many: `requests` names the options of one depot that would do, the preferred first, and is the same in all else. A
    vehicle that can wait may begin later than its period as long as it ends by `latest_end`."""

    requests: Sequence[SlotRequest]
    latest_end: datetime | None = None

    @property
    def request(self) -> SlotRequest:
        return self.requests[0]

    @property
    def depot_id(self) -> int:
        return self.request.option.depot_id

    @property
    def is_ours(self) -> bool:
        return not self.request.option.is_mirror

    @property
    def patience(self) -> timedelta:
        """How much later than asked for it may begin."""
        latest_end = self.latest_end or self.request.period.ends_at
        return max(latest_end - self.request.period.ends_at, timedelta())


# What is asked for, or why that cannot even be asked (an unknown vehicle or option).
Asked = ManyWish | BookingError


@dataclass(frozen=True)
class ManyOutcome:
    """What became, or in a dry run would become, of one: the booking, or why there is none."""

    booking: Booking | None = None
    refusal: BookingError | None = None

    @property
    def lacks_room(self) -> bool:
        """Whether another place or time might do."""
        return isinstance(self.refusal, SlotTaken | PowerUnavailable | QuotaReached | KeptForWalkIns)

    @property
    def code(self) -> str | None:
        return self.refusal.code if self.refusal else None

    @property
    def detail(self) -> str:
        return str(self.refusal) if self.refusal else ""

    @property
    def nearest(self) -> Period | None:
        return self.refusal.nearest if self.refusal else None


def version_of(outcomes: Sequence[ManyOutcome]) -> int:
    """For the form of a page that shows them: the same for the same times at the same prices, and the same refusals."""
    return content_version.version_of([_shown(outcome) for outcome in outcomes])


def _shown(outcome: ManyOutcome) -> list[Any]:
    booking = outcome.booking
    if booking is None:
        return [outcome.code]
    return [booking.option_id, booking.period.as_json(), quotes.brief(booking.quote)]


def keyed(asked: Sequence[Asked], key: str) -> list[Asked]:
    """Each under an id that follows from the key and from all it asks for; of several alike also from how many came before."""
    before: Counter[str] = Counter()
    found: list[Asked] = []
    for one in asked:
        if not key or not isinstance(one, ManyWish):
            found.append(one)
            continue
        content = _content_of(one)
        request_id = str(uuid5(NAMESPACE_URL, f"{key} {content} {before[content]}"))
        before[content] += 1
        found.append(replace(one, requests=[replace(ask, request_id=request_id) for ask in one.requests]))
    return found


def _content_of(wish: ManyWish) -> str:
    request = wish.request
    named = [
        request.fleet.pk,
        request.vehicle and request.vehicle.pk,
        request.trailer and request.trailer.pk,
        request.evse and request.evse.pk,
    ]
    asked = [request.plate, request.power_w, str(request.energy), str(request.needs)]
    options = [one.option.pk for one in wish.requests]
    return str([named, options, request.period.as_json(), str(wish.latest_end), asked, str(request.tokens)])
