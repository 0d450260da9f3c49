"""What a simulated day of shared power is made of and what is counted of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple


@dataclass
class Fault:
    """What befalls a station: `silent` for a while, or a `reboot`, which ends what it was at."""

    kind: str
    place: int
    begins_at: datetime
    ends_at: datetime


class AtPlace(NamedTuple):
    """A second at an EVSE."""

    number: int
    offered_w: int
    taken_w: int = 0
    wanted_w: int = 0
    promised_w: int = 0
    is_silent: bool = False
    is_free: bool = False


@dataclass
class Ledger:
    """Where the connection's energy went in the seconds in which somebody wanted more than it got; watt-hours by cause.

    Kept: for free EVSEs, for the promise of a vehicle that takes less, as a margin above what another takes. Not given: while
    chargers were just being told, while one is silent, and for the rest because of whole steps and small raises.
    """

    by_cause: dict[str, float] = field(default_factory=dict)

    def add_second(self, places: Iterable[AtPlace], cause: str, not_given_w: int) -> None:
        """`cause` is that of what nobody was given."""
        for place in places:
            silent = "_silent" if place.is_silent else ""
            if place.is_free:
                self._add("free_evses" + silent, place.offered_w)
                continue
            within_promise = min(place.offered_w, place.promised_w) - place.taken_w
            self._add("promise_not_taken" + silent, within_promise)
            self._add("margin" + silent, place.offered_w - max(place.taken_w, place.promised_w))
        self._add(cause, not_given_w)

    def _add(self, cause: str, watts: float) -> None:
        if watts > 0:
            self.by_cause[cause] = self.by_cause.get(cause, 0) + watts / 3600


@dataclass
class Figures:
    """Power in watts, energy in watt-hours."""

    limit_w: int
    most_taken_w: int = 0
    most_possible_w: int = 0
    short_s: int = 0
    over_s: int = 0
    last_over_at: datetime | None = None
    promised_visits: int = 0
    charged_wh: float = 0
    messages: int = 0
    ledger: Ledger = field(default_factory=Ledger)
