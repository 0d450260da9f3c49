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
    """Where the connection's energy went in the seconds in which somebody wanted more than it got; watt-hours."""

    kept_for_free_wh: float = 0
    not_taken_wh: float = 0
    not_given_wh: float = 0

    def add(self, *, limit_w: int, taken: int, offered: int, possible: int, wanted: int) -> None:
        if wanted > taken:
            self.kept_for_free_wh += (possible - offered) / 3600
            self.not_taken_wh += (offered - taken) / 3600
            self.not_given_wh += (limit_w - possible) / 3600


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
