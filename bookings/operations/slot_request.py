"""What is asked for when a slot is to be booked or held."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from bookings.models import BookingOption, BookingToken, Trailer, Vehicle
from bookings.operations.request_log import NO_MESSAGE, Asked, ReceivedMessage
from bookings.rules import energy_slots
from bookings.rules.charging_duration import Charging, EnergyAsked
from bookings.rules.configuration import Site
from bookings.rules.energy_slots import EnergySlot
from bookings.rules.entitlement import TokenName
from bookings.rules.fit import Needs
from bookings.rules.reservations import ReservedTime, terms_of_reservation
from bookings.rules.terms import Terms
from depots.models import Depot, Evse, Organisation
from depots.periods import Period


@dataclass(frozen=True)
class OfSeries:
    """Which series, by id, and which day of its rule."""

    series_id: int
    date: date


@dataclass(frozen=True, kw_only=True)
class SlotRequest:
    """Made at the edge (form, command, partner's message, diary) and passed through to the locks.

    `trailer` is what the vehicle brings, of its fleet. `evse` narrows a pooled option to one of its EVSEs; `needs` replaces
    the vehicle's where there is none (a partner's request); `tokens` default to the vehicle's; `power_w` is a wish in watts;
    `party` is (country code, party id) of the asking eMSP, its own where a fleet asks; without a `request_id` one is made.
    `quote` is the price of a booking that is made anew; any other is priced under the tariffs that hold now. `reserved` makes
    it a reservation (rules/reservations.py). `shown_price` is what the asker was shown (`quotes.brief`, empty for no price):
    dearer than that it is not booked.
    `energy` is what is to be charged, kept with the booking. Who knows no end (`energy_kwh` without `ends_at`) asks by
    `SlotRequest.until_charged(starts_at=…, energy=EnergyAsked(energy_wh=…).checked(), fleet=…, option=…, …)`: of its `period`
    only the start counts (`ends_when_charged`), and the end is found under the locks. `planned_evse_id` is where a plan of many
    puts it: the first choice where it is free, and not one that its asker made. `of_series` is the day of a series it is.
    """

    fleet: Organisation
    option: BookingOption
    period: Period
    vehicle: Vehicle | None = None
    trailer: Trailer | None = None
    evse: Evse | None = None
    needs: Needs | None = None
    tokens: Sequence[TokenName] | None = None
    power_w: int | None = None
    plate: str = ""
    request_id: str = ""
    authorization_reference: str = ""
    party: tuple[str, str] = ("", "")
    message: ReceivedMessage = NO_MESSAGE
    quote: dict[str, Any] | None = None
    shown_price: dict[str, str] | None = None
    reserved: ReservedTime | None = None
    energy: EnergyAsked | None = None
    ends_when_charged: bool = False
    planned_evse_id: int | None = None
    of_series: OfSeries | None = None

    @classmethod
    def until_charged(cls, *, starts_at: datetime, energy: EnergyAsked, **asked: Any) -> SlotRequest:
        """As long as the energy takes with the power that is promised: no shorter slot would do."""
        begin = Period(starts_at, starts_at + timedelta(minutes=1))
        return cls(period=begin, energy=energy, ends_when_charged=True, **asked)

    def energy_slot(self, terms: Terms, depot: Depot | Site) -> EnergySlot | None:
        """The slot whose end is still to be found; None where it is given. Raises EnergyImpossible."""
        if self.energy is None or not self.ends_when_charged:
            return None
        return EnergySlot(Charging.of(self.energy, self.vehicle), self.period.starts_at, terms, depot)

    @property
    def must_fit(self) -> Needs:
        return self.needs or Needs.of(self.vehicle, self.trailer)

    @property
    def energy_wh(self) -> int | None:
        """What is asked for in energy. Raises EnergyImpossible."""
        return energy_slots.energy_wh(self.energy, self.vehicle)

    def under(self, terms: Terms) -> Terms:
        """What it is made by, where these are the place's terms for its asker."""
        return terms_of_reservation(terms) if self.reserved is not None else terms

    def asked(self, tokens: Sequence[BookingToken]) -> Asked:
        """The same for the log of asks, with the tokens the booking carries."""
        return Asked(
            period=self.period, option=self.option, evse=self.evse, vehicle=self.vehicle, tokens=tokens,
            power_w=self.power_w, needs=self.needs, energy=self.energy, trailer=self.trailer,
        )  # fmt: skip
