"""A session walked from change to change: how much of each dimension which component prices."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from math import lcm
from typing import Any
from zoneinfo import ZoneInfo

from bookings.pricing.clock import FOREVER
from bookings.pricing.passes import ABOVE_ALL, BELOW_ALL, Flows, InForce, PassRules, PricedComponent
from bookings.pricing.ratios import Ratio, added
from bookings.pricing.visits import NO_ENERGY, ChargingPeriod, Stretch

LONG_AGO = datetime.min.replace(tzinfo=UTC)
SECOND = timedelta(seconds=1)
NONE_IN_FORCE = InForce(None, None, None, None)


class Usage:
    """Quantities by component, kWh and seconds, as they add up exactly; what was cut stands in `parts` as fractions.

    `last_*` is the last component that priced an amount above zero; `flat` the first that came into force.
    """

    def __init__(self) -> None:
        self.flat: PricedComponent | None = None
        self.whole: dict[PricedComponent, Any] = defaultdict(int)
        self.parts: dict[PricedComponent, Ratio] = {}
        self.last_energy: PricedComponent | None = None
        self.last_time: PricedComponent | None = None
        self.last_parking: PricedComponent | None = None

    def add(self, by: InForce, energy_kwh: Decimal, charging_s: int, parking_s: int) -> None:
        if energy_kwh and by.energy is not None:
            self.whole[by.energy] += energy_kwh
            self.last_energy = by.energy
        if charging_s and by.time is not None:
            self.whole[by.time] += charging_s
            self.last_time = by.time
        if parking_s and by.parking is not None:
            self.whole[by.parking] += parking_s
            self.last_parking = by.parking

    def add_part(self, share: Ratio, by: InForce, used: tuple[Decimal, int, int]) -> None:
        """The same of a share of a period's energy, charging and parking."""
        part, whole = share
        energy_kwh, charging_s, parking_s = used
        if energy_kwh and by.energy is not None:
            energy, scale = energy_kwh.as_integer_ratio()
            self._add_ratio(by.energy, (part * energy, whole * scale))
            self.last_energy = by.energy
        if charging_s and by.time is not None:
            self._add_ratio(by.time, (part * charging_s, whole))
            self.last_time = by.time
        if parking_s and by.parking is not None:
            self._add_ratio(by.parking, (part * parking_s, whole))
            self.last_parking = by.parking

    def _add_ratio(self, to: PricedComponent, ratio: Ratio) -> None:
        self.parts[to] = added(self.parts[to], ratio) if to in self.parts else ratio


def walk(
    rules: PassRules, stretches: Sequence[Stretch], zone: ZoneInfo, *, counted_from: datetime | None,
    used_kwh: Any = NO_ENERGY,
) -> Usage:  # fmt: skip
    """Durations count from `counted_from` (None: they stay 0), kWh from what was used before the first stretch.

    Energies are Decimals, or all Fractions where that of a period was shared out.
    """
    prices = _PricesInForce(rules, zone, counted_from)
    usage, by, until, kwh_until = prices.usage, prices.by, prices.until, prices.kwh_until
    # A run of periods under the same prices is added up before it is counted to them: energy from `counted_kwh` on.
    counted_kwh, charged, parked = used_kwh, 0, 0
    asks_flow = rules.asks_flow
    for period, ends_at in stretches:
        charging, parking = period.charging_s, period.parking_s or 0
        if charging is None:
            charging = 0 if period.parking_s is not None else (ends_at - period.starts_at) // SECOND
        reached = used_kwh + period.energy_kwh
        if (
            ends_at >= until
            or reached >= kwh_until
            or (asks_flow and not prices.flow_as_before(period, ends_at))
        ):
            usage.add(by, used_kwh - counted_kwh, charged, parked)
            counted_kwh, charged, parked = used_kwh, 0, 0
            is_cut = prices.find(period, ends_at, used_kwh, charging)
            by, until, kwh_until = prices.by, prices.until, prices.kwh_until
            if is_cut:
                used_kwh = counted_kwh = reached
                continue
        used_kwh = reached
        charged += charging
        parked += parking
    usage.add(by, used_kwh - counted_kwh, charged, parked)
    if by is NONE_IN_FORCE and stretches:
        prices.begin(*stretches[0], used_kwh)
    if usage.flat is None and rules.may_begin_at_the_end and stretches:
        prices.close(stretches[0][0].starts_at, stretches[-1][1], used_kwh)
    return usage


class _PricesInForce:
    """What is in force where the walk stands (`by`), and until when, until how many kWh, under which power and current."""

    def __init__(self, rules: PassRules, zone: ZoneInfo, counted_from: datetime | None) -> None:
        self.rules, self.zone = rules, zone
        self.turns = _turns(rules.durations_s, counted_from)
        self.kwhs = (*rules.kwhs, ABOVE_ALL)
        self.usage = Usage()
        self.by = NONE_IN_FORCE
        self.until, self.kwh_until = LONG_AGO, ABOVE_ALL
        self.flows: Flows = (None,) * 4
        self.least_from = self.least_until = self.greatest_from = self.greatest_until = BELOW_ALL

    def flow_as_before(self, period: ChargingPeriod, ends_at: datetime) -> bool:
        """Whether power and current of a period lie between the same limits as those of the one last looked at."""
        least, greatest = period.min_power_kw, period.max_power_kw
        if least is None or greatest is None or self.rules.asks_current:
            return self.rules.flows(period, ends_at - period.starts_at) == self.flows
        return (
            self.least_from <= least < self.least_until
            and self.greatest_from <= greatest < self.greatest_until
        )

    def begin(self, period: ChargingPeriod, ends_at: datetime, used_kwh: Any) -> None:
        """What is in force when a period begins."""
        rules = self.rules
        if rules.asks_flow:
            self.flows = rules.flows(period, ends_at - period.starts_at)
            self.least_from, self.least_until, self.greatest_from, self.greatest_until = rules.power_bands(
                self.flows
            )
        self._set(period.starts_at, bisect_right(self.kwhs, used_kwh))

    def find(self, period: ChargingPeriod, ends_at: datetime, used_kwh: Any, charging_s: int) -> bool:
        """What is in force in a period; one in which that changes is cut and counted (True)."""
        starts_at, energy_kwh, parking_s = period.starts_at, period.energy_kwh, period.parking_s or 0
        if not (energy_kwh or charging_s or parking_s or ends_at > starts_at):
            return False  # neither length nor quantity: no moment of the session
        self.begin(period, ends_at, used_kwh)
        reached = used_kwh + energy_kwh
        if ends_at <= self.until and reached <= self.kwh_until:
            return False
        kwh = bisect_right(self.kwhs, used_kwh)
        # Places in the period as whole numbers from 0 to `whole`, which every second and every kWh limit divides.
        length = (ends_at - starts_at) // SECOND
        places = [
            _place(limit, used_kwh, energy_kwh) for limit in self.kwhs[kwh : bisect_left(self.kwhs, reached)]
        ]
        whole = lcm(length or 1, *[scale for _, scale in places])
        limits = [place * (whole // scale) for place, scale in places]
        turns = [second * (whole // length) for second in self._changes(starts_at, ends_at)]
        for begin, end in pairwise((*sorted({0, *limits, *turns}), whole)):
            self._set(starts_at + SECOND * (begin * length // whole), kwh + bisect_right(limits, begin))
            self.usage.add_part((end - begin, whole), self.by, (energy_kwh, charging_s, parking_s))
        return True

    def close(self, starts_at: datetime, ends_at: datetime, used_kwh: Any) -> None:
        """The flat price of a least duration or energy that is reached exactly at the end; the clock is that just before."""
        holding, _ = self.rules.clock.at(max(starts_at, ends_at - SECOND), self.zone)
        duration, kwh = bisect_right(self.turns, ends_at), bisect_right(self.kwhs, used_kwh)
        self.usage.flat = self.rules.in_force(holding, duration, kwh, self.flows).flat

    def _set(self, moment: datetime, kwh: int) -> None:
        holding, until = self.rules.clock.at(moment, self.zone)
        duration = bisect_right(self.turns, moment)
        self.until = min(until, self.turns[duration])
        self.kwh_until = self.kwhs[kwh]
        self.by = self.rules.in_force(holding, duration, kwh, self.flows)
        if self.usage.flat is None:
            self.usage.flat = self.by.flat

    def _changes(self, moment: datetime, ends_at: datetime) -> Iterator[int]:
        """Seconds from a moment at which clock or duration change an answer before the end."""
        begin = moment
        while True:
            moment = min(
                self.rules.clock.at(moment, self.zone)[1], self.turns[bisect_right(self.turns, moment)]
            )
            if moment >= ends_at:
                return
            yield (moment - begin) // SECOND


def _place(limit_kwh: Decimal, used_kwh: Any, energy_kwh: Any) -> Ratio:
    """The share of a period's energy with which a limit is reached."""
    (limit, scale), (used, used_scale) = limit_kwh.as_integer_ratio(), used_kwh.as_integer_ratio()
    energy, energy_scale = energy_kwh.as_integer_ratio()
    return (limit * used_scale - used * scale) * energy_scale, scale * used_scale * energy


def _turns(durations_s: Sequence[int], counted_from: datetime | None) -> list[datetime]:
    """When each duration is reached; without a beginning only 0 is."""
    if counted_from is None:
        return [*(LONG_AGO for seconds in durations_s if seconds <= 0), FOREVER]
    return [*(counted_from + seconds * SECOND for seconds in durations_s), FOREVER]
