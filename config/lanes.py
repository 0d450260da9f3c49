"""Who waits for a thread behind whom: requests stand in lanes, one for each partner network, and lanes take turns.

In one line for all, whoever asks most would have all the threads, and everybody else would wait behind what it has asked.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass, field
from threading import Condition
from typing import Any, Generic, TypeVar

from roaming.ocpi import auth
from roaming.ocpi.transport import is_ocpi, is_registration

T = TypeVar("T")

# Pages and all that is no OCPI: people are not told apart here, and have all the threads.
PAGES = "pages"
# Below /ocpi whoever this process has not yet seen let in, in one lane together.
STRANGERS = "strangers"
# Threads of one lane of OCPI: while nobody else has asked just now; beside others; and beside others of one that has taken much
# of the processor.
MOST_ALONE, MOST_BESIDE_OTHERS, MOST_OF_HEAVY = 6, 2, 1
BESIDE_S = 1.0
# Seconds of processor time that make a lane heavy, and how many of them are forgotten with each second that passes.
HEAVY_S, FORGOTTEN = 0.3, 0.1
# Beyond so many that wait in a lane the next is refused.
LONGEST_LANE = 1000
MOST_KNOWN = 10_000
# A partner that has used up its rate is looked up again after so long; until then it is answered as before, and not at once.
ASKED_ANEW_S, PAUSE_S = 1.0, 0.2


@dataclass
class _Lane(Generic[T]):
    waiting: deque[T] = field(default_factory=deque)
    running: int = 0
    asked_at: float = 0.0
    used_s: float = 0.0
    used_at: float = 0.0

    def use(self, seconds: float, now: float) -> None:
        self.used_s, self.used_at = self.used_until(now) + seconds, now

    def used_until(self, now: float) -> float:
        return max(0.0, self.used_s - (now - self.used_at) * FORGOTTEN)


class LaneFull(Exception):
    """So many wait there already that nobody else is to."""


class Lanes(Generic[T]):
    """A queue between threads. `take` gives the next of the lane whose turn it is; whoever took it says `done`."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lanes: OrderedDict[str, _Lane[T]] = OrderedDict()  # whose turn is last stands last
        self._changed = Condition()

    def put(self, name: str, one: T) -> None:
        """Raises LaneFull."""
        with self._changed:
            lane = self._lanes.setdefault(name, _Lane())
            if len(lane.waiting) >= LONGEST_LANE:
                raise LaneFull
            lane.asked_at = self._clock()
            lane.waiting.append(one)
            self._changed.notify()

    def take(self) -> tuple[str, T]:
        """Waits until there is one."""
        with self._changed:
            while (name := self._next()) is None:
                self._changed.wait()
            lane = self._lanes[name]
            lane.running += 1
            self._lanes.move_to_end(name)
            return name, lane.waiting.popleft()

    def done(self, name: str, used_s: float = 0.0) -> None:
        """`used_s` is the processor time that it took."""
        with self._changed:
            lane = self._lanes[name]
            lane.running -= 1
            lane.use(used_s, self._clock())
            self._changed.notify()

    def _next(self) -> str | None:
        now = self._clock()
        self._forget(now)
        for name, lane in self._lanes.items():
            if lane.waiting and (name == PAGES or lane.running < self._most(lane, now)):
                return name
        return None

    def _most(self, lane: _Lane[T], now: float) -> int:
        if len(self._lanes) < 2:
            return MOST_ALONE
        return MOST_OF_HEAVY if lane.used_until(now) > HEAVY_S else MOST_BESIDE_OTHERS

    def _forget(self, now: float) -> None:
        """Lanes in which nobody has asked for a while."""
        over = [
            name
            for name, lane in self._lanes.items()
            if not lane.waiting and not lane.running and lane.asked_at <= now - BESIDE_S
        ]
        for name in over:
            del self._lanes[name]


class Callers:
    """Which lane a request belongs to: by its Authorization header, once `partner_of` has said whose that is; it asks the
    database. Of one process; between threads.
    """

    def __init__(
        self,
        partner_of: Callable[[str], int | None] = auth.partner_of_header,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._partner_of = partner_of
        self._clock = clock
        self._known: OrderedDict[bytes, str] = OrderedDict()
        self._resting: dict[
            str, tuple[float, float]
        ] = {}  # until it is looked up again, and until it may ask

    def lane_of(self, scope: MutableMapping[str, Any]) -> str:
        if not is_ocpi(scope["path"]):
            return PAGES
        lane = self._known.get(_authorization(scope), STRANGERS)
        # A partner that registers may call us before it answers what we ask of it meanwhile: its calls wait for none of those
        # in which it registers.
        return f"{lane} registers" if lane != STRANGERS and is_registration(scope["path"]) else lane

    def rests_s(self, lane: str) -> float:
        """For how many seconds yet a partner is to wait that has used up its rate; 0 for whom that must be asked of anew."""
        asked_anew_at, may_ask_at = self._resting.get(lane, (0.0, 0.0))
        now = self._clock()
        return may_ask_at - now if now < asked_anew_at else 0.0

    def find(self, scope: MutableMapping[str, Any]) -> str:
        """The lane of a request that came as a stranger's."""
        partner = self._partner_of(_authorization(scope).decode("latin-1"))
        self._note(_authorization(scope), partner)
        return self.lane_of(scope)

    def learn(self, scope: MutableMapping[str, Any], environ: dict[str, Any]) -> None:
        """What the answer to a request says of who sent it."""
        if not is_ocpi(scope["path"]):
            return
        self._note(_authorization(scope), environ.get(auth.PARTNER))
        lane = self.lane_of(scope)
        self._resting.pop(lane, None)
        if auth.RESTS_S in environ:
            now, rests_s = self._clock(), environ[auth.RESTS_S]
            self._resting[lane] = now + min(rests_s, ASKED_ANEW_S), now + rests_s

    def _note(self, header: bytes, partner: int | None) -> None:
        self._known.pop(header, None)
        if partner is not None:
            self._known[header] = f"partner {partner}"
        if len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)


def _authorization(scope: MutableMapping[str, Any]) -> bytes:
    return b",".join(value for name, value in scope["headers"] if name == b"authorization")
