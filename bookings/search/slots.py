"""What is looked for, and what may be had: a search for slots and an offer it finds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property

from bookings.errors import BookingError
from bookings.models import BookingOption, PaymentTerms, Trailer, Vehicle
from bookings.rules import guest_hours, periods
from bookings.rules.allowance import UNBOUND, Allowance
from bookings.rules.charging_duration import Charging, EnergyAsked
from bookings.rules.configuration import Bay, Site
from bookings.rules.energy_slots import EnergySlot
from bookings.rules.fit import Needs
from bookings.rules.quotes import Quote
from bookings.rules.terms import Terms
from depots.geography import Circle
from depots.models import Depot, Evse, Organisation
from depots.periods import Period


@dataclass(frozen=True)
class SlotSearch:
    """What is looked for, by whom. `periods` is one period, or one for each time zone whose depots are meant.

    Everywhere, at one depot, or `near` a point; `among` has all that are open to the fleet where they were read already
    (bookable_depots). `needs` default to those of the vehicle with its trailer; `min_power_w` is the least that must be
    possible to wish for. With `energy` only the starts of `periods` count: each slot is as long as charging it takes there.
    `fitting_only` leaves out what does not fit or is too weak instead of saying so: for a search
    over many depots, where it is most of what there is. `with_live` also tells what chargers say where no slot begins soon.
    `is_refused`: a partner has just said no to this period, so that the nearest of its free time is another.
    `at_depots` has a period of its own for each depot, by its id; others are not meant then, and `periods` spans them all.
    With `patience` an offer is the earliest slot of that length, rounded up to the step, that begins no sooner than the period
    and at most so much later (a day at most); it says so by its own period. `every_option` also shows an EVSE under each option
    that names it, not only under its own. What costs more than `most_price`, with taxes and in whatever currency, is refused.
    """

    fleet: Organisation
    periods: Period | Mapping[str, Period]
    now: datetime
    depot: Depot | None = None
    near: Circle | None = None
    among: Sequence[Depot] | None = None
    vehicle: Vehicle | None = None
    trailer: Trailer | None = None
    needs: Needs | None = None
    min_power_w: int | None = None
    energy: EnergyAsked | None = None
    fitting_only: bool = False
    with_live: bool = False
    is_refused: bool = False
    at_depots: Mapping[int, Period] | None = None
    patience: timedelta | None = None
    every_option: bool = False
    most_price: Decimal | None = None

    @cached_property
    def wanted(self) -> Needs:
        return self.needs or Needs.of(self.vehicle, self.trailer)

    @cached_property
    def charging(self) -> Charging | None:
        """Raises EnergyImpossible."""
        return Charging.of(self.energy, self.vehicle) if self.energy else None

    @property
    def energy_wh(self) -> int | None:
        return self.charging.energy_wh if self.charging is not None else None

    def energy_slot(self, period: Period, terms: Terms, depot: Depot | Site) -> EnergySlot | None:
        """The slot whose end is to be found; None where it is given."""
        if self.charging is None:
            return None
        return EnergySlot(self.charging, period.starts_at, terms, depot)

    def period_at(self, depot: Depot) -> Period | None:
        """The period on this depot's wall clock; None where the search is not about it or its time zone."""
        if self.at_depots is not None:
            return self.at_depots.get(depot.pk)
        return self.periods if isinstance(self.periods, Period) else self.periods.get(depot.time_zone)


@dataclass(frozen=True)
class SlotOffer:
    """One EVSE of an option in the searched period: bookable as shown, or `refusal` says why not (and what is nearest).

    `evse` is what is configured; None at a partner that assigns it later. `is_hint` marks a partner's calendar: only its
    answer is binding. `live` is the EVSE with what its charger or its network tells, where the search read it; `free_now` how
    many of those that a partner may assign are free now, and of how many; `trouble` says what stands in the way there now, if the
    period starts within the hour (bookings.search.trouble). `payment_terms` are agreed with the fleet,
    if any are. `most_w` is what may be wished, where it is free. `nearest` of a hint that looks free is on the step that the
    calendar tells: the period itself, or one beside it. `is_by_moves`: no EVSE of the option is free all the time, and one is
    made so by moving other bookings; which, is decided then.
    """

    option: BookingOption
    evse: Evse | Bay | None
    period: Period
    terms: Terms
    power_w: int
    quote: Quote | None
    refusal: BookingError | None = None
    nearest: Period | None = None
    is_hint: bool = False
    live: Evse | None = None
    free_now: tuple[int, int] | None = None
    trouble: str = ""
    payment_terms: PaymentTerms | None = None
    most_w: int | None = None
    is_by_moves: bool = False

    @property
    def is_free(self) -> bool:
        return self.refusal is None

    @property
    def undecided(self) -> str:
        """A sentence for people where its EVSE is not known yet; else empty."""
        if self.is_by_moves:
            return "None of its EVSEs is free all the time: one is made free by moving other bookings, and named once you book."
        return "" if self.evse is not None else "The partner names the EVSE later."

    @property
    def is_best_effort(self) -> bool:
        """At a partner that keeps no bookings: nothing is known of its free time."""
        return self.is_hint and self.option.is_best_effort


def against_terms(
    terms: Terms, depot: Depot | Site, period: Period, allowance: Allowance = UNBOUND, *, now: datetime
) -> BookingError | None:
    """What stands in the way of a period by the terms, and by when a guest may come; None where nothing does."""
    try:
        periods.check_period(terms, depot, period, now=now)
        if isinstance(depot, Site):
            guest_hours.check_hours(allowance, terms, depot, period, now=now)
    except BookingError as refusal:
        return refusal
    return None
