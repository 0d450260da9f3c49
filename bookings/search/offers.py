"""The finder's question: what a fleet may book in a period, what stands in the way, and what is nearest."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from bookings.errors import (
    BookingError,
    DoesNotFit,
    PowerUnavailable,
    SlotTaken,
)
from bookings.models import (
    BookingOption,
    OfferedSlot,
    Vehicle,
)
from bookings.pricing import quotes
from bookings.pricing.quotes import Quote
from bookings.rules import fit, periods
from bookings.rules.fit import Needs
from bookings.rules.power import Supply
from bookings.rules.terms import Terms
from bookings.search import availability, trouble
from bookings.search.bookable import bookable_options, terms_by_option
from depots.models import Depot, Evse, Organisation
from depots.periods import Period, united


@dataclass(frozen=True)
class SlotOffer:
    """One EVSE of an option in the searched period: bookable as shown, or `refusal` says why not (and what is nearest).

    `evse` is None at a partner that assigns it later. `is_hint` marks a partner's calendar: only its answer is binding.
    `trouble` says what stands in the way at the EVSE now, if the period starts within the hour (bookings.search.trouble).
    """

    option: BookingOption
    evse: Evse | None
    period: Period
    terms: Terms
    power_w: int
    quote: Quote | None
    refusal: BookingError | None = None
    nearest: Period | None = None
    is_hint: bool = False
    trouble: str = ""

    @property
    def is_free(self) -> bool:
        return self.refusal is None


def find_slots(
    *,
    fleet: Organisation,
    period: Period,
    depot: Depot | None = None,
    vehicle: Vehicle | None = None,
    needs: Needs | None = None,
    zone: str = "",
    now: datetime,
) -> list[SlotOffer]:
    """What the fleet may book in a period: what is free and ready, then what is free but in trouble right now, then what
    would be nearest; each by fit, time and place. Constant number of queries.

    Every EVSE shows once, under its own option when it has one; `needs` defaults to the vehicle's; `zone` keeps to the
    depots of one time zone.
    """
    found = bookable_options(fleet, now=now)
    if zone:
        found = found.filter(depot__time_zone=zone)
    options = list(found.filter(depot=depot) if depot else found)
    terms = terms_by_option(options, fleet, now=now)
    needs = needs or Needs.of(vehicle)
    search = _Search(fleet, period, vehicle, needs, terms, now)
    offers = search.own([o for o in options if not o.is_mirror]) + search.at_partners(
        [o for o in options if o.is_mirror]
    )
    return sorted(offers, key=lambda offer: rank(offer, needs))


def rank(offer: SlotOffer, needs: Needs) -> tuple[Any, ...]:
    """The order of offers, best first: possible at all, ready, then fit, time, and the place only where those are equal."""
    return (
        not offer.is_free,
        isinstance(offer.refusal, DoesNotFit),
        bool(offer.trouble),
        offer.is_hint,
        _fit(offer, needs),
        _distance(offer),
        offer.option.depot.name,
        offer.evse.pk if offer.evse else 0,
    )


class _Search:
    """One search: its arguments, and the rows read once for all options."""

    def __init__(
        self,
        fleet: Organisation,
        period: Period,
        vehicle: Vehicle | None,
        needs: Needs,
        terms: dict[int, Terms],
        now: datetime,
    ) -> None:
        self.fleet, self.period, self.vehicle = fleet, period, vehicle
        self.needs, self.terms, self.now = needs, terms, now

    def own(self, options: list[BookingOption]) -> list[SlotOffer]:
        shown: dict[int, BookingOption] = {}
        for option in sorted(options, key=lambda o: len(o.evses.all())):
            for evse in option.evses.all():
                shown.setdefault(evse.pk, option)
        within = self.period.widened(availability.FAR, availability.FAR)
        free = availability.free_periods(list(shown), within, now=self.now)
        tariffs = quotes.tariffs_for(options, self.fleet, now=self.now)
        supply = Supply.at({option.depot_id for option in options}, within, now=self.now)
        return [
            self._offer(option, evse, free[evse.pk], supply, tariffs[option.pk])
            for option in options
            for evse in option.evses.all()
            if shown[evse.pk] is option
        ]

    def at_partners(self, options: list[BookingOption]) -> list[SlotOffer]:
        hints = OfferedSlot.objects.filter(option__in=options, period__overlap=self.period)
        by_option: dict[int, list[OfferedSlot]] = {}
        for slot in hints:
            by_option.setdefault(slot.option_id, []).append(slot)
        return [self._hint(option, by_option.get(option.pk, [])) for option in options]

    def _offer(
        self, option: BookingOption, evse: Evse, free: list[Period], supply: Supply, tariff: Any
    ) -> SlotOffer:
        terms = self.terms[option.pk]
        watts = min(evse.max_power_w, self.needs.max_power_w or evse.max_power_w)
        refusal = self._refusal(option, evse, terms, free, supply)
        if refusal is None:
            try:
                watts = self._promise(evse, terms, free, supply)
            except PowerUnavailable as short:
                refusal = short
                refusal.nearest = self._nearest(evse, terms, free, supply)
        price = quotes.quoted(tariff, self.period, power_w=watts, vehicle=self.vehicle) if tariff else None
        return SlotOffer(
            option, evse, self.period, terms, watts, price, refusal, refusal.nearest if refusal else None,
            trouble=trouble.trouble_of(evse, self.period, now=self.now),
        )  # fmt: skip

    def _refusal(
        self, option: BookingOption, evse: Evse, terms: Terms, free: list[Period], supply: Supply
    ) -> BookingError | None:
        if misfits := fit.misfits(self.needs, evse):
            return DoesNotFit(fit.sentence(misfits))
        try:
            periods.check_period(terms, option.depot, self.period, now=self.now)
        except BookingError as refusal:
            return refusal
        wanted = Period(self.period.starts_at, self.period.ends_at + terms.tail)
        if any(gap.covers(wanted) for gap in free):
            return None
        return SlotTaken(nearest=self._nearest(evse, terms, free, supply))

    def _promise(self, evse: Evse, terms: Terms, free: list[Period], supply: Supply) -> int:
        gap = next(gap for gap in free if gap.contains(self.period.starts_at))
        since = max(
            self.period.starts_at - terms.early_start, gap.starts_at, min(self.now, self.period.starts_at)
        )
        span = Period(since, self.period.ends_at + terms.tail)
        return supply.promise(evse, span, None, self.needs.max_power_w, most_w=terms.max_promise_w)

    def _nearest(self, evse: Evse, terms: Terms, free: list[Period], supply: Supply) -> Period | None:
        return availability.nearest_in(terms, [(evse, free)], self.period, supply=supply, now=self.now)

    def _hint(self, option: BookingOption, slots: list[OfferedSlot]) -> SlotOffer:
        evse = next(iter(option.evses.all()), None)
        terms = self.terms[option.pk]
        refusal: BookingError | None = None
        if evse is not None and (misfits := fit.misfits(self.needs, evse)):
            refusal = DoesNotFit(fit.sentence(misfits))
        elif not any(span.covers(self.period) for span in united([slot.period for slot in slots])):
            refusal = SlotTaken("The partner shows no free time for this slot.")
        else:
            try:
                periods.check_period(terms, option.depot, self.period, now=self.now)
            except BookingError as against_terms:
                refusal = against_terms
        watts = min(
            [slot.max_power_w for slot in slots if slot.max_power_w] or [evse.max_power_w if evse else 0]
        )
        return SlotOffer(
            option,
            evse,
            self.period,
            terms,
            watts,
            None,
            refusal,
            refusal.nearest if refusal else None,
            is_hint=True,
        )


def _fit(offer: SlotOffer, needs: Needs) -> tuple[Any, ...]:
    """How much of what the vehicle can take is missing, then how much of the EVSE is wasted on it."""
    if offer.evse is None:
        return (0, needs.max_power_w or 0)
    return fit.tightness(needs, offer.evse)


def _distance(offer: SlotOffer) -> timedelta:
    """From the time that is looked for to the one that could be had."""
    if offer.is_free:
        return timedelta()
    return abs(offer.nearest.starts_at - offer.period.starts_at) if offer.nearest else timedelta.max
