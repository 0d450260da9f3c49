"""How long a vehicle charges for so much energy, or from one state of charge to another, and the shortest slot that does.

Pure. What counts at each moment is the least of the promised power, the most the vehicle takes and its charge curve: what it may
get beyond its promise shortens no slot. Where only energy is known: docs/decisions/0142.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from math import ceil, log
from typing import TYPE_CHECKING

from bookings.errors import EnergyImpossible
from bookings.rules.charge_curve import Curve, power_at
from bookings.rules.time_to_target import TAPERS_FROM_PERCENT, USUAL_TARGET_PERCENT

if TYPE_CHECKING:
    from bookings.models import Vehicle

# Full, a battery whose curve is not known takes this share of what it took before it tapers.
_FULL_SHARE = 4


@dataclass(frozen=True, kw_only=True)
class EnergyAsked:
    """What is to be charged: so much energy in Wh, or from one state of charge to another in percent. With energy one of the
    two may be given as well. Edges pass on what `checked` gave. Empty it asks for nothing, and is false."""

    energy_wh: int | None = None
    soc_from: int | None = None
    soc_to: int | None = None

    def __bool__(self) -> bool:
        return self != EnergyAsked()

    def to_json(self) -> dict[str, int]:
        """Only what is given; `EnergyAsked(**stored)` reads it."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def checked(self) -> EnergyAsked:
        """The same. Raises EnergyImpossible."""
        first, last = self.soc_from, self.soc_to
        for name, percent in (("soc_from", first), ("soc_to", last)):
            if percent is not None and not 0 <= percent <= 100:
                raise EnergyImpossible("A state of charge is 0 to 100 percent.", field=name)
        if self.energy_wh is not None and self.energy_wh <= 0:
            raise EnergyImpossible("The energy is more than nothing.")
        if first is not None and last is not None and last <= first:
            raise EnergyImpossible("It has so much charge already.", field="soc_to")
        if self.energy_wh is None and (first is None or last is None):
            missing = "soc_to" if first is not None else "soc_from"
            raise EnergyImpossible(
                "Say from which state of charge to which, or how much energy.", field=missing
            )
        if self.energy_wh is not None and first is not None and last is not None:
            raise EnergyImpossible(
                "Say how much energy, or to which state of charge: not both.", field="soc_to"
            )
        return self


@dataclass(frozen=True)
class Charging:
    """What is to be charged by a vehicle, with all that its time follows from. `soc_from` is None where the battery is not
    known: then the power is even."""

    energy_wh: int
    battery_wh: int | None = None
    soc_from: float | None = None
    max_power_w: int | None = None
    curve: Curve = ()

    @classmethod
    def of(cls, asked: EnergyAsked, vehicle: Vehicle | None) -> Charging:
        """Raises EnergyImpossible where the battery is too small for it, or what is asked cannot be said without one."""
        battery_wh = vehicle.battery_wh if vehicle is not None else None
        found = cls(
            asked.energy_wh or 0, battery_wh,
            max_power_w=vehicle.max_power_w if vehicle is not None else None,
            curve=vehicle.charge_curve if vehicle is not None else (),
        )  # fmt: skip
        if battery_wh is None:
            if asked.energy_wh is None:
                raise EnergyImpossible(
                    "The vehicle's battery is not known: say how much energy it needs.", field="soc_from"
                )
            return found
        if asked.energy_wh is None:
            assert asked.soc_from is not None  # checked
            assert asked.soc_to is not None
            wh = ceil(battery_wh * (asked.soc_to - asked.soc_from) / 100)
            return replace(found, energy_wh=wh, soc_from=float(asked.soc_from))
        return replace(found, soc_from=_begin(asked, battery_wh))

    def time_at(self, power_w: int) -> timedelta | None:
        """How long it takes with this power promised, rounded up to the second; None where nothing is."""
        limit_w = min(power_w, self.max_power_w or power_w)
        if limit_w <= 0:
            return None
        if self.battery_wh is None or self.soc_from is None:
            hours = self.energy_wh / limit_w
        else:
            hours = self._along_curve_h(self.battery_wh, self.soc_from, limit_w)
        return timedelta(seconds=ceil(round(hours * 3600, 6)))

    def _along_curve_h(self, battery_wh: int, soc_from: float, limit_w: int) -> float:
        """Between two points the power is a straight line over the state of charge: the time over it is a logarithm."""
        soc_to = min(soc_from + self.energy_wh / battery_wh * 100, 100.0)
        curve = self.curve or _usual_curve(self.max_power_w or limit_w)
        bends = [soc_from, *sorted(_bends(curve, limit_w)), soc_to]
        hours = 0.0
        for low, high in pairwise(soc for soc in bends if soc_from <= soc <= soc_to):
            first, last = (min(float(limit_w), power_at(curve, soc)) for soc in (low, high))
            mean = first if abs(first - last) < 1 else (last - first) / log(last / first)
            hours += battery_wh * (high - low) / 100 / mean
        return hours


def in_words(asked: EnergyAsked) -> str:
    """`300 kWh`, `20 to 80 %`, `300 kWh from 20 % on`, `300 kWh up to 80 %`; empty where nothing is asked."""
    if asked.energy_wh is None:
        return f"{asked.soc_from} to {asked.soc_to} %" if asked else ""
    if asked.soc_from is not None:
        return f"{_kwh(asked.energy_wh)} from {asked.soc_from} % on"
    return _kwh(asked.energy_wh) + (f" up to {asked.soc_to} %" if asked.soc_to is not None else "")


def shortest_end(
    earliest: datetime,
    latest: datetime,
    *,
    promised_w: Callable[[datetime], int],
    end_for: Callable[[int], datetime | None],
) -> tuple[datetime, int] | None:
    """The first end from `earliest` on until which the power that is promised suffices, and that power; None where none until
    `latest` does.

    A longer slot is never promised more (`promised_w` by its end), and with less it takes no less (`end_for`, on the step, None
    without power). So each end that the power of a shorter slot calls for is needed at least, and the first that calls for
    nothing later is the shortest. Each turn finds less power than the one before: there are as many as levels of power.
    """
    ends_at = earliest
    while ends_at <= latest:
        watts = promised_w(ends_at)
        needed = end_for(watts)
        if needed is None:
            return None
        if needed <= ends_at:
            return ends_at, watts
        ends_at = needed
    return None


def _begin(asked: EnergyAsked, battery_wh: int) -> float:
    """The state of charge it begins at: as said, or so that it ends at the usual one; above that only as far as it takes."""
    energy_wh = asked.energy_wh or 0
    share = energy_wh / battery_wh * 100
    if share > 100:
        raise EnergyImpossible(f"The battery holds {_kwh(battery_wh)}: it takes no {_kwh(energy_wh)}.")
    if asked.soc_from is not None:
        if asked.soc_from + share > 100:
            room = battery_wh * (100 - asked.soc_from) // 100
            raise EnergyImpossible(f"From {asked.soc_from} % on the battery takes {_kwh(room)}.")
        return float(asked.soc_from)
    last = max(USUAL_TARGET_PERCENT if asked.soc_to is None else asked.soc_to, share)
    if asked.soc_to is not None and share > asked.soc_to:
        held = battery_wh * asked.soc_to // 100
        raise EnergyImpossible(f"Up to {asked.soc_to} % the battery holds {_kwh(held)}.", field="soc_to")
    return last - share


def _usual_curve(power_w: int) -> Curve:
    """Even, then falling towards the full battery."""
    return ((0, power_w), (TAPERS_FROM_PERCENT, power_w), (100, power_w // _FULL_SHARE))


def _bends(curve: Curve, limit_w: int) -> set[float]:
    """Where the power changes its slope: at the curve's points, and where the limit cuts it."""
    found = {float(soc) for soc, _ in curve}
    for (low, low_w), (high, high_w) in pairwise(curve):
        if min(low_w, high_w) < limit_w < max(low_w, high_w):
            found.add(low + (high - low) * (limit_w - low_w) / (high_w - low_w))
    return found


def _kwh(wh: int) -> str:
    return f"{wh / 1000:g} kWh"
