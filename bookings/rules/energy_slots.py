"""Slots that last until so much is charged, on the step and within the terms of a place, with the power promised there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

from bookings.errors import EnergyImpossible, TooLong
from bookings.models import Booking, OfferedSlot, Vehicle
from bookings.rules import periods
from bookings.rules.charging_duration import Charging, EnergyAsked, in_words, shortest_end
from bookings.rules.configuration import Site
from bookings.rules.fit import Needs
from bookings.rules.partner_prices import partners_power_w
from bookings.rules.terms import Terms
from depots.models import Depot, Evse
from depots.periods import Period


@dataclass(frozen=True)
class EnergySlot:
    """A slot whose start is known and whose end is asked for; `starts_at` on the step, else it is refused as any other."""

    charging: Charging
    starts_at: datetime
    terms: Terms
    depot: Depot | Site

    @property
    def least(self) -> Period:
        """The shortest slot that its terms allow: it is never shorter."""
        ends_at = self._on_step(timedelta(minutes=self.terms.min_duration_min))
        return Period(self.starts_at, max(ends_at, self.starts_at + timedelta(minutes=1)))

    @property
    def longest(self) -> Period:
        """The longest: all that may have to be looked at."""
        return Period(self.starts_at, max(self.least.ends_at, self._latest))

    def at_power(self, power_w: int) -> Period:
        """As long as this power would take all the time, within what the terms allow."""
        ends_at = self._end_for(power_w)
        within = self.longest
        return within if ends_at is None or ends_at > within.ends_at else Period(self.starts_at, ends_at)

    def lengths(self, most_w: int) -> Iterator[Period]:
        """The slots that its terms allow and that could suffice with this power, shortest first."""
        period, last = self.at_power(most_w), self.longest.ends_at
        while period.ends_at <= last:
            yield period
            longer = period.ends_at - self.starts_at + timedelta(minutes=1)
            period = Period(self.starts_at, self._on_step(longer))

    def suffices(self, period: Period, power_w: int) -> bool:
        """Whether all of it is charged by then with this power promised."""
        ends_at = self._end_for(power_w)
        return ends_at is not None and ends_at <= period.ends_at

    def found(self, promised_w: Callable[[Period], int]) -> tuple[Period, int]:
        """The shortest slot whose promised power suffices, and that power. Raises TooLong, or what `promised_w` does."""
        least: list[int] = []

        def promised(ends_at: datetime) -> int:
            least.append(promised_w(Period(self.starts_at, ends_at)))
            return least[-1]

        end = shortest_end(self.least.ends_at, self._latest, promised_w=promised, end_for=self._end_for)
        if end is not None:
            return Period(self.starts_at, end[0]), end[1]
        raise self._too_long(min(least, default=0))

    def _too_long(self, power_w: int) -> TooLong | EnergyImpossible:
        time = self.charging.time_at(power_w)
        if time is None:
            return EnergyImpossible("How fast it charges there is not known: say until when.")
        minutes, kwh = ceil(time.total_seconds() / 60), self.charging.energy_wh / 1000
        longest = periods.fitted(
            self.terms, self.depot, self.starts_at, timedelta(minutes=self.terms.max_duration_min)
        )
        return TooLong(
            f"With the {power_w / 1000:g} kW promised there {kwh:g} kWh take {minutes} minutes; slots last at most "
            f"{self.terms.max_duration_min} minutes.",
            nearest=longest,
        )  # fmt: skip

    @property
    def _latest(self) -> datetime:
        return self.starts_at + timedelta(minutes=self.terms.max_duration_min)

    def _end_for(self, power_w: int) -> datetime | None:
        time = self.charging.time_at(power_w)
        if time is None:
            return None
        shortest, beyond = (
            timedelta(minutes=m) for m in (self.terms.min_duration_min, self.terms.max_duration_min + 1)
        )
        return self._on_step(min(max(time, shortest), beyond))

    def _on_step(self, length: timedelta) -> datetime:
        """Of a partner's depot steps count from the start, as its timeslots do."""
        step = timedelta(minutes=self.terms.slot_step_min)
        if self.depot.is_mirror:
            return self.starts_at + ceil(length / step) * step
        return periods.aligned_up(self.starts_at + length, self.terms.slot_step_min, self.depot)


def asked_of(booking: Booking) -> EnergyAsked | None:
    """What a booking was asked for in energy; None where it was asked for in time alone. Of states of charge the energy follows
    from the battery."""
    if booking.energy_wh is None:
        return None
    if booking.soc_from is not None and booking.soc_to is not None:
        return EnergyAsked(soc_from=booking.soc_from, soc_to=booking.soc_to)
    return EnergyAsked(energy_wh=booking.energy_wh, soc_from=booking.soc_from, soc_to=booking.soc_to)


def words(booking: Booking) -> str:
    """What it was asked to charge, as `20 to 80 %: 300 kWh`; empty where it was asked for in time alone."""
    asked = asked_of(booking)
    if asked is None:
        return ""
    energy = f": {booking.energy_wh / 1000:g} kWh" if asked.energy_wh is None and booking.energy_wh else ""
    return f"{in_words(asked)}{energy}"


def asked_then(booking: Booking, vehicle: Vehicle | None) -> EnergyAsked | None:
    """The same where this vehicle charges it: states of charge stand where its battery is known, else the energy does; what its
    battery cannot hold is no longer asked for."""
    asked = asked_of(booking)
    for candidate in (asked, EnergyAsked(energy_wh=booking.energy_wh)) if asked else ():
        with suppress(EnergyImpossible):
            Charging.of(candidate, vehicle)
            return candidate
    return None


def energy_wh(asked: EnergyAsked | None, vehicle: Vehicle | None) -> int | None:
    """None where nothing is asked. Raises EnergyImpossible."""
    return Charging.of(asked, vehicle).energy_wh if asked else None


def keep(booking: Booking, asked: EnergyAsked | None, vehicle: Vehicle | None) -> None:
    """Write what is asked into an unsaved or locked booking. Raises EnergyImpossible."""
    booking.energy_wh = energy_wh(asked, vehicle)
    booking.soc_from, booking.soc_to = (asked.soc_from, asked.soc_to) if asked else (None, None)


# The columns that `keep` sets.
KEPT = ("energy_wh", "soc_from", "soc_to")


def partners_slot(
    slot: EnergySlot,
    needs: Needs,
    evse: Evse | None,
    told: Iterable[OfferedSlot],
    *,
    wish_w: int | None = None,
) -> tuple[Period, int]:
    """At a partner's depot, by what its EVSE gives and its calendar tells; `told` was read for the longest slot. Raises TooLong
    or EnergyImpossible."""
    calendar = list(told)

    def power_w(period: Period) -> int:
        touched = [one.max_power_w for one in calendar if one.period.overlaps(period)]
        return wish_w or partners_power_w(needs, evse, touched)

    return slot.found(power_w)
