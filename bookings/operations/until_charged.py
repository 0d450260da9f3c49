"""The shortest slot that charges what is asked for, at one of the EVSEs that may be taken; under their locks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Generic

from bookings.core import occupancy
from bookings.core.standing import Taken
from bookings.errors import BookingError, PowerUnavailable, SlotTaken
from bookings.operations.places import FreePlace, Spot
from bookings.rules.energy_slots import EnergySlot
from bookings.rules.power import Supply
from depots.periods import Period


def shortest(
    slot: EnergySlot,
    pool: Sequence[Spot],
    taken: Mapping[int, Sequence[Taken]],
    promised_w: Callable[[FreePlace[Spot]], int],
    *,
    holder: int | None = None,
    now: datetime,
) -> tuple[Period, list[Spot]]:
    """The shortest of the EVSEs' shortest slots, and those where that is it; all else there is read as for `free_places`.

    `promised_w` is what a free place would be promised. Raises SlotTaken, PowerUnavailable or TooLong, the mildest of what stands
    in the way.
    """
    found: list[tuple[Period, Spot]] = []
    refused: list[BookingError] = []
    for evse in pool:
        spans = [row.span for row in taken.get(evse.pk, ()) if row.holder != holder]
        try:
            found.append((_Candidate(slot, evse, spans, promised_w, now).shortest(), evse))
        except BookingError as refusal:
            refused.append(refusal)
    if not found:
        raise max(refused, key=_mildness)
    best = min((period for period, _ in found), key=lambda period: period.ends_at)
    return best, [evse for period, evse in found if period == best]


def length(
    slot: EnergySlot, pool: Sequence[Spot], supply: Supply, wish_w: int | None, vehicle_max_w: int | None
) -> Period:
    """About how long it takes there, whoever is there: to look for another time by."""

    def shortest_at(evse: Spot) -> Period:
        most_w = slot.terms.max_promise_w
        return slot.found(lambda span: supply.promise(evse, span, wish_w, vehicle_max_w, most_w=most_w))[0]

    found = []
    for evse in pool:
        with suppress(BookingError):
            found.append(shortest_at(evse))
    return min(found, key=lambda period: period.ends_at, default=slot.longest)


@dataclass(frozen=True)
class _Candidate(Generic[Spot]):
    """An EVSE with what others take of it."""

    slot: EnergySlot
    evse: Spot
    spans: Sequence[Period]
    promised_w: Callable[[FreePlace[Spot]], int]
    now: datetime

    def shortest(self) -> Period:
        """Raises SlotTaken, PowerUnavailable or TooLong."""
        self._check_free(self.slot.least)
        period, _ = self.slot.found(self._promised_w)
        self._check_free(period)
        return period

    def _promised_w(self, period: Period) -> int:
        span = occupancy.occupied_span(period, self.slot.terms, self.spans, now=self.now)
        return self.promised_w(FreePlace(self.evse, span))

    def _check_free(self, period: Period) -> None:
        wanted = Period(period.starts_at, period.ends_at + self.slot.terms.tail)
        if any(span.overlaps(wanted) for span in self.spans):
            raise SlotTaken


def _mildness(refusal: BookingError) -> tuple[int, int]:
    """Another time may be free; less power or time is the place's own."""
    if isinstance(refusal, PowerUnavailable):
        return 1, refusal.available_w
    return (2 if isinstance(refusal, SlotTaken) else 0), 0
