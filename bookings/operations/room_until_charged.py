"""Room by moves for a slot whose end is still to be found: at whichever length one that is asked for by time would find it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice

from bookings.errors import SlotTaken
from bookings.operations.make_room import Newcomer, Place, RoomGround
from bookings.operations.places import Beside
from bookings.rules.configuration import Configuration
from bookings.rules.energy_slots import EnergySlot
from bookings.rules.rearrangement import Budget, Rearrangement
from depots.periods import Period

# All lengths that are tried share this, in seconds of the thread's processor time: others wait for the locks.
LOOKED_FOR_S = 0.1
# Of one length so many arrangements are looked at, those of fewest moves first: what does not suffice in these
# lacks power, and more moves find no more of it.
MOST_LOOKED_AT = 8


@dataclass(frozen=True)
class Room:
    """A slot for which there is room by these moves."""

    period: Period
    plan: Rearrangement
    place: Place
    ground: RoomGround


def make_room_until_charged(
    slot: EnergySlot,
    comer: Callable[[Period], Newcomer],
    there: Configuration,
    locked: Beside,
    *,
    now: datetime,
) -> tuple[Period, Place]:
    """What `room_until_charged` finds, made free. Raises SlotTaken or ReachesFurther, as `make_room` does."""
    found = room_until_charged(slot, comer, there, now=now)
    return found.period, found.ground.carried_out(found.plan, comer(found.period), locked, now)


def room_until_charged(
    slot: EnergySlot, comer: Callable[[Period], Newcomer], there: Configuration, *, now: datetime
) -> Room:
    """The shortest slot for which others can make room and in which its promised power suffices; `comer` is who needs it for so
    long. Raises SlotTaken."""
    longest = comer(slot.longest)
    ground = RoomGround.read(longest, there, now)
    lengths = list(slot.lengths(_most_w(longest)))
    search = _Search(slot, comer, ground, now)
    found = search.in_few_steps(lengths) or search.one_by_one()
    if found is None:
        raise SlotTaken(ground.why_full(comer(lengths[0])))
    return found


def _most_w(comer: Newcomer) -> int:
    """More is never promised it."""
    given = max(bay.max_power_w for bay in comer.pool)
    return min(w for w in (given, comer.wish_w, comer.needs.max_power_w, comer.terms.max_promise_w) if w)


@dataclass
class _Search:
    slot: EnergySlot
    comer: Callable[[Period], Newcomer]
    ground: RoomGround
    now: datetime
    budget: Budget = field(default_factory=lambda: Budget(seconds=LOOKED_FOR_S))
    passed_over: list[Period] = field(default_factory=list)

    def in_few_steps(self, lengths: Iterable[Period]) -> Room | None:
        """Passes over each length for which what was promised in a shorter one does not suffice."""
        most_w = None
        for period in lengths:
            if most_w is not None and not self.slot.suffices(period, most_w):
                self.passed_over.append(period)
                continue
            if not self.ground.can_have_room(self.comer(period)):
                break
            found, most_w = self._tried(period)
            if found is not None:
                return found
        return None

    def one_by_one(self) -> Room | None:
        """What was passed over: moves that only a longer slot needs may bring it power."""
        for period in self.passed_over:
            found, _ = self._tried(period)
            if found is not None:
                return found
        return None

    def _tried(self, period: Period) -> tuple[Room | None, int | None]:
        """What suffices for this length; else the most that would be promised, None where nothing would."""
        powers = []
        found = self.ground.rooms(self.comer(period), self.budget, now=self.now)
        for plan, place in islice(found, MOST_LOOKED_AT):
            if self.slot.suffices(period, place.watts):
                return Room(period, plan, place, self.ground), place.watts
            powers.append(place.watts)
        return None, max(powers, default=None)
