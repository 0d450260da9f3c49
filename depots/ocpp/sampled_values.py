"""Sampled values of a meter, in any version. What a value means is certain, by the tables here, or it is set aside.

Three measurands are kept: the energy register, for the bill, power and state of charge, for people. An interval's
energy, what was asked for or offered, and other registers are never taken for one of them.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from depots.ocpp.times import Moment
from depots.operations import Reading

ENERGY, POWER, SOC = "Energy.Active.Import.Register", "Power.Active.Import", "SoC"

Sample = Mapping[str, Any]
# A phase ("" for the total), and its value.
_Phased = tuple[str, Decimal]

# What one of a unit is in Wh, W or percent. Without a unit it is the measurand's own.
UNITS: Mapping[str, Mapping[str, int]] = {
    ENERGY: {"": 1, "wh": 1, "kwh": 1000},
    POWER: {"": 1, "w": 1, "kw": 1000},
    SOC: {"": 1, "percent": 1, "%": 1},
}
# Beyond these a value is an error of the meter: no EVSE gives 10 MW, and no register has counted 2**62 Wh.
BOUNDS: Mapping[str, tuple[int, int]] = {ENERGY: (0, 2**62), POWER: (0, 10_000_000), SOC: (0, 100)}

# Of several places the first that was measured at counts. "Upstream" (2.1) measures what others use as well.
NEAREST_FIRST = ("Outlet", "Cable", "EV", "Body", "Inlet")
# Phases add up where no total is told, those of one kind only: L1 and L1-N are the same current.
PHASES = ({"L1", "L2", "L3"}, {"L1-N", "L2-N", "L3-N"})

# So many samples are read within a few milliseconds.
MANY = 200

BEGIN = "Transaction.Begin"
# Said of a time that is the arrival's.
_TIMES_OF_ARRIVAL = frozenset({"no_time", "bad_clock"})
# Two totals of one moment may differ by what their units round away.
ROUNDED_WH = 1000

# As many digits as _NUMBER takes.
_LARGEST = 10**30
_NUMBER = re.compile(r"[+-]?\d{1,30}(\.\d{0,30})?([eE][+-]?\d{1,2})?", re.ASCII)


class Sampled(NamedTuple):
    """Readings in the order told, and what is odd about them: "set_aside", "bad_meter", "no_time", "bad_clock", …."""

    readings: list[Reading]
    flags: list[str]


class _SetAside(Exception):
    """A value whose meaning is not certain; `flag` says of what kind."""

    def __init__(self, flag: str = "set_aside") -> None:
        super().__init__(flag)
        self.flag = flag


async def read_all(meter_values: Sequence[Sample], moment: Callable[[Any], Moment]) -> Sampled:
    """As `read`, in a thread where there are so many that other chargers would wait."""
    samples = sum(1 + len(meter_value.get("sampledValue") or ()) for meter_value in meter_values)
    if samples > MANY:
        return await asyncio.to_thread(read, meter_values, moment)
    return read(meter_values, moment)


def read(meter_values: Iterable[Sample], moment: Callable[[Any], Moment]) -> Sampled:
    """What is kept of a message's meter values; `moment` reads a timestamp. Ones that tell nothing are left out.

    A meter value may hold the samples of the transaction's begin beside others: these are a reading of their own.
    """
    readings: list[Reading] = []
    flags: list[str] = []
    for meter_value in meter_values:
        at, odd = moment(meter_value.get("timestamp"))
        for part, is_begin in _parts(meter_value.get("sampledValue") or ()):
            figures = _Figures(part)
            flags += figures.flags
            if figures.tell_something or figures.signed:
                # Two readings of a transaction cannot have one time.
                at = _not_among(at, readings)
                is_arrival = not _TIMES_OF_ARRIVAL.isdisjoint(odd)
                readings.append(figures.reading(at, is_begin=is_begin, is_arrival=is_arrival))
                flags += odd
    return Sampled(readings, list(dict.fromkeys(flags)))


def _parts(samples: Sequence[Sample]) -> Sequence[tuple[Sequence[Sample], bool]]:
    """The samples of the transaction's begin, if any, and the others; whether they are of the begin."""
    begin = [sample for sample in samples if sample.get("context") == BEGIN]
    if not begin:
        return ((samples, False),)
    return ((begin, True), ([sample for sample in samples if sample.get("context") != BEGIN], False))


class _Figures:
    """The samples of one moment in our units. `registers` are Wh by the place of the meter, the one that counts first; `signed`
    are those with a signature, as they came."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        self.flags: list[str] = []
        self.signed = [sample for sample in samples if _is_signed(sample)]
        values: dict[str, dict[str, list[_Phased]]] = {ENERGY: {}, POWER: {}, SOC: {}}
        for sample in samples:
            measurand = sample.get("measurand") or ENERGY
            try:
                if measurand in UNITS and (value := _value(sample, measurand)) is not None:
                    place = sample.get("location") or "Outlet"
                    values[measurand].setdefault(place, []).append((sample.get("phase") or "", value))
            except _SetAside as why:
                self.flags.append(why.flag)
        energies = self._totals(values[ENERGY], ROUNDED_WH)
        self.registers = {place: round(wh) for place, wh in energies.items()}
        power, soc = self._nearest(values[POWER]), self._nearest(values[SOC])
        self.power_w = None if power is None else round(power)
        self.soc_percent = None if soc is None else float(soc)

    @property
    def tell_something(self) -> bool:
        return bool(self.registers) or self.power_w is not None or self.soc_percent is not None

    def reading(self, at: datetime, *, is_begin: bool, is_arrival: bool) -> Reading:
        return Reading(
            at=at,
            energy_wh=next(iter(self.registers.values()), None),
            power_w=self.power_w,
            soc_percent=self.soc_percent,
            registers=self.registers,
            is_begin=is_begin,
            is_arrival=is_arrival,
            signed=self.signed,
        )

    def _nearest(self, values: Mapping[str, list[_Phased]]) -> Decimal | None:
        return next(iter(self._totals(values).values()), None)

    def _totals(self, values: Mapping[str, list[_Phased]], apart: int | None = None) -> dict[str, Decimal]:
        """By place, the one that counts first; places that are not the EVSE's own tell nothing."""
        totals = {}
        for place in NEAREST_FIRST:
            if place in values and (total := self._total(values[place], apart)) is not None:
                totals[place] = total
        return totals

    def _total(self, values: list[_Phased], apart: int | None) -> Decimal | None:
        """The total that was told, else the sum of its phases. Totals further `apart` than that are two meters."""
        if len(values) == 1 and not values[0][0]:
            return values[0][1]
        totals = [value for phase, value in values if not phase]
        if totals and apart is not None and max(totals) - min(totals) > apart:
            self.flags.append("set_aside")
            return None
        if totals:
            return totals[0]
        for phases in PHASES:
            by_phase = {phase: value for phase, value in values if phase in phases}
            if by_phase:
                return sum(by_phase.values(), Decimal())
        return None


def _is_signed(sample: Sample) -> bool:
    """By the meter itself: 1.6 writes it in place of the value, 2.x beside it."""
    return sample.get("format") == "SignedData" or bool(sample.get("signedMeterValue"))


def _value(sample: Sample, measurand: str) -> Decimal | None:
    """In Wh, W or percent; None for signed values, which stay as they came. Raises _SetAside."""
    if sample.get("format", "Raw") == "SignedData":
        return None
    described = sample.get("unitOfMeasure") or {}
    unit = str(described.get("unit") or sample.get("unit") or "").strip().casefold()
    scale = UNITS[measurand].get(unit)
    multiplier = described.get("multiplier") or 0
    if scale is None or not -12 <= multiplier <= 12:
        raise _SetAside
    value = _number(sample.get("value"))
    if multiplier or scale != 1:
        value = value.scaleb(multiplier) * scale
    least, most = BOUNDS[measurand]
    if not least <= value <= most:
        raise _SetAside("bad_meter" if measurand == ENERGY else "set_aside")
    return value


def _number(told: Any) -> Decimal:
    """`1,5` may be one and a half or fifteen, and `nan` is none. Raises _SetAside."""
    if type(told) is int and abs(told) < _LARGEST:
        return Decimal(told)
    text = str(told).strip()
    if isinstance(told, bool) or not _NUMBER.fullmatch(text):
        raise _SetAside
    return Decimal(text)


def _not_among(at: Any, readings: list[Reading]) -> Any:
    while any(reading.at == at for reading in readings[-4:]):
        at += timedelta(microseconds=1)
    return at
