"""A truck as its charger sees it: a battery that fills."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass
class Truck:
    """A battery on its way to a charger. `takes_w` is what it accepts while it is not nearly full."""

    comes_at: datetime
    battery_wh: int
    takes_w: int
    soc_percent: float
    leaves_at_percent: float

    def power_w(self, soc_percent: float) -> int:
        """Full power up to 80 %, then less and less, as batteries do."""
        if soc_percent <= 80:
            return self.takes_w
        return round(self.takes_w * max(0.1, (100 - soc_percent) / 20))
