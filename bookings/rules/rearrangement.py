"""Making room at a depot that is not full: which bookings go to which other EVSEs so that one more finds a place.

A pure search over spans of time. Of bookings the times stay as they are. A chain of moves is an augmenting path: who comes takes
an EVSE, who stood there goes to another, and so on until everybody stands somewhere. Fewest moves first, so that few hear of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from time import thread_time
from typing import NamedTuple

from bookings.rules import fit
from bookings.rules.configuration import Bay
from bookings.rules.fit import Needs
from depots.periods import Period

# A chain of more moves is not looked for: each of them is told to somebody.
MOST_MOVES = 6


class Block(NamedTuple):
    """What takes an EVSE for a span: a booking or closure, by the id of its holder."""

    span: Period
    holder: int


class Movable(NamedTuple):
    """A booking that may stand elsewhere: the span that it keeps wherever it goes, and the EVSEs it may go to, best first."""

    span: Period
    evse_ids: Sequence[int]


class Spot(NamedTuple):
    """An EVSE, and a span in which it would be taken."""

    evse_id: int
    span: Period


class Arrangement(NamedTuple):
    """Where the one that comes is put, and where those go that make room, by holder."""

    spot: Spot
    moves: Mapping[int, Spot]


@dataclass(frozen=True)
class Rearrangement:
    """The same where times stay as they are."""

    evse_id: int
    moves: Mapping[int, int]


def may_go_to(pool: Iterable[Bay], needs: Needs, *, power_w: int, but: int) -> list[int]:
    """Where a booking may stand as well as at the EVSE `but`: others of what it was booked as that it fits and that have the
    power it was promised, the tightest first."""
    others = [
        bay for bay in pool
        if bay.pk != but and bay.max_power_w >= power_w and not fit.misfits(needs, bay)
    ]  # fmt: skip
    return [bay.pk for bay in tightest_first(others, needs)]


def tightest_first(pool: Iterable[Bay], needs: Needs) -> list[Bay]:
    """In the order in which places are tried for somebody."""
    return sorted(pool, key=lambda bay: (fit.tightness(needs, bay), bay.pk))


@dataclass
class Budget:
    """How long may be looked: so many placings tried, and so many seconds of this thread's processor time."""

    tries: int = 4_000
    seconds: float = 0.05
    _until: float = field(default=0.0, init=False, repr=False)

    def spend(self) -> bool:
        """Whether one more may be tried. The clock is looked at now and then."""
        self.tries -= 1
        if self.tries % 64 == 0:
            self._until = self._until or thread_time() + self.seconds
            if thread_time() > self._until:
                self.tries = 0
        return self.tries > 0


def rearrangements(
    wanted: Period,
    evse_ids: Sequence[int],
    taken: Mapping[int, Sequence[Block]],
    movable: Mapping[int, Movable],
    *,
    budget: Budget,
) -> Iterator[Rearrangement]:
    """The arrangements, those of fewest moves first, until the budget is spent.

    `wanted` must be free all through at one of `evse_ids`, best first; `taken` is what stands at every EVSE that a movable one
    may come from or go to.
    """
    if not can_have_room(wanted, evse_ids, taken, movable):
        return
    spots = {
        holder: [Spot(evse_id, span) for evse_id in others] for holder, (span, others) in movable.items()
    }
    here = [Spot(evse_id, wanted) for evse_id in evse_ids]
    for found in arrangements(here, taken, spots, budget=budget):
        yield Rearrangement(
            found.spot.evse_id, {holder: spot.evse_id for holder, spot in found.moves.items()}
        )


def arrangements(
    spots: Sequence[Spot],
    taken: Mapping[int, Sequence[Block]],
    movable: Mapping[int, Sequence[Spot]],
    *,
    budget: Budget,
) -> Iterator[Arrangement]:
    """The ways to put one more at one of some spots, those of fewest moves first, until the budget is spent; `movable` has where
    and when else each may stand that can make room, by holder."""
    for most in range(MOST_MOVES + 1):
        search = _Search(taken, movable, budget, most)
        # Shorter ones were found before.
        yield from (found for found in search.arrangements(spots) if len(found.moves) == most)
        # Where no chain was cut off for its length, longer ones find nothing more.
        if budget.tries <= 0 or not search.is_cut:
            return


def can_have_room(
    wanted: Period,
    evse_ids: Sequence[int],
    taken: Mapping[int, Sequence[Block]],
    movable: Mapping[int, Movable],
) -> bool:
    """False where no arrangement can make room: at some moment all EVSEs within reach are taken, or each of those that would do
    by something that cannot be moved. Says so at once for a depot that is full."""
    open_ids = [pk for pk in evse_ids if not _fixed_in(wanted, taken.get(pk, ()), movable)]
    if not open_ids:
        return False
    reach = _reach(open_ids, wanted, taken, movable)
    spans = [block.span for pk in reach for block in taken.get(pk, ()) if block.span.overlaps(wanted)]
    return _most_at_once(spans, wanted) < len(reach)


def _fixed_in(span: Period, blocks: Iterable[Block], movable: Mapping[int, Movable]) -> bool:
    return any(block.span.overlaps(span) and block.holder not in movable for block in blocks)


def _reach(
    evse_ids: Iterable[int],
    wanted: Period,
    taken: Mapping[int, Sequence[Block]],
    movable: Mapping[int, Movable],
) -> set[int]:
    """The EVSEs that a chain can come to."""
    found, new = set[int](), set(evse_ids)
    while new:
        found |= new
        in_the_way = {
            block.holder for pk in new for block in taken.get(pk, ()) if block.span.overlaps(wanted)
        }
        new = {pk for holder in in_the_way & movable.keys() for pk in movable[holder].evse_ids} - found
    return found


def _most_at_once(spans: Collection[Period], within: Period) -> int:
    """How many of the spans, each by its EVSE alone there, are there at one moment."""
    steps = [(max(span.starts_at, within.starts_at), 1) for span in spans]
    steps += [(min(span.ends_at, within.ends_at), -1) for span in spans]
    most = count = 0
    for _, step in sorted(steps):  # at one moment those that leave come first
        count += step
        most = max(most, count)
    return most


class _Search:
    """Depth first through chains of at most so many moves. `is_cut` says that one was given up for its length."""

    def __init__(
        self,
        taken: Mapping[int, Sequence[Block]],
        movable: Mapping[int, Sequence[Spot]],
        budget: Budget,
        most: int,
    ) -> None:
        self._taken, self._movable, self._budget, self._most = taken, movable, budget, most
        self._placed: dict[int, list[Period]] = {}
        self._moves: dict[int, Spot | None] = {}
        self.is_cut = False

    def arrangements(self, spots: Sequence[Spot]) -> Iterator[Arrangement]:
        for spot in spots:
            for _ in self._at(spot, []):
                yield Arrangement(spot, {holder: to for holder, to in self._moves.items() if to is not None})

    def _at(self, spot: Spot, waiting: list[int]) -> Iterator[None]:
        """Put somebody there, then all who wait for a place, and who stood in the way. Yields once each time all have one."""
        if not self._budget.spend():
            return
        in_the_way = self._in_the_way(spot)
        if in_the_way is None:
            return
        if len(self._moves) + len(in_the_way) > self._most:
            self.is_cut = True
            return
        self._placed.setdefault(spot.evse_id, []).append(spot.span)
        self._moves |= dict.fromkeys(in_the_way)
        yield from self._rest([*waiting, *in_the_way])
        for holder in in_the_way:
            del self._moves[holder]
        self._placed[spot.evse_id].pop()

    def _rest(self, waiting: list[int]) -> Iterator[None]:
        if not waiting:
            yield
            return
        holder, *others = waiting
        for spot in self._movable[holder]:
            self._moves[holder] = spot
            yield from self._at(spot, others)
        self._moves[holder] = None

    def _in_the_way(self, spot: Spot) -> list[int] | None:
        """The holders that would have to go; None where one cannot."""
        span = spot.span
        if any(placed.overlaps(span) for placed in self._placed.get(spot.evse_id, ())):
            return None
        blocks = self._taken.get(spot.evse_id, ())
        found = [b.holder for b in blocks if b.span.overlaps(span) and b.holder not in self._moves]
        return found if all(holder in self._movable for holder in found) else None
