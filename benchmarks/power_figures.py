"""What a simulated day of shared power is made of and what is counted of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime


@dataclass
class Fault:
    """What befalls a station: `silent` for a while, or a `reboot`, which ends what it was at."""

    kind: str
    place: int
    begins_at: datetime
    ends_at: datetime


@dataclass
class Ledger:
    """Where the connection's energy went in the seconds in which somebody wanted more than it got; watt-hours by cause.

    Kept: for free EVSEs, for the promise of a vehicle that takes less, as a margin above what another takes. Not given: while
    chargers were just being told, while one is silent, and for the rest because of whole steps and small raises.
    """

    by_cause: dict[str, float] = field(default_factory=dict)

    def add(self, cause: str, watts: float) -> None:
        if watts > 0:
            self.by_cause[cause] = self.by_cause.get(cause, 0) + watts / 3600


@dataclass
class Figures:
    """Power in watts, energy in watt-hours."""

    limit_w: int
    most_taken_w: int = 0
    most_possible_w: int = 0
    short_s: int = 0
    promised_visits: int = 0
    charged_wh: float = 0
    messages: int = 0
    ledger: Ledger = field(default_factory=Ledger)
