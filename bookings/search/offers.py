"""The finder's question: what a fleet may book in a period, what stands in the way, and what is nearest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from bookings.errors import BookingError, DoesNotFit, PowerUnavailable, SlotTaken
from bookings.models import BookingOption, OfferedSlot, Tariff, Vehicle
from bookings.pricing import quotes
from bookings.pricing.quotes import Quote
from bookings.rules import fit, periods
from bookings.rules.fit import Needs
from bookings.rules.power import Supply
from bookings.rules.terms import Terms
from bookings.search import availability, trouble
from bookings.search.bookable import offered_options, terms_by_option
from depots.geography import Circle
from depots.models import Depot, Evse, Organisation
from depots.periods import Period, united


@dataclass(frozen=True)
class SlotSearch:
    """What is looked for, by whom. `periods` is one period, or one for each time zone whose depots are meant.

    Everywhere, at one depot, or `near` a point. `needs` default to the vehicle's; `min_power_w` is the least that must be
    possible to wish for. `fitting_only` leaves out what does not fit or is too weak instead of saying so: for a search
    over many depots, where it is most of what there is.
    """

    fleet: Organisation
    periods: Period | Mapping[str, Period]
    now: datetime
    depot: Depot | None = None
    near: Circle | None = None
    vehicle: Vehicle | None = None
    needs: Needs | None = None
    min_power_w: int | None = None
    fitting_only: bool = False

    @cached_property
    def wanted(self) -> Needs:
        return self.needs or Needs.of(self.vehicle)

    def period_at(self, depot: Depot) -> Period | None:
        """The period on this depot's wall clock; None where the search is not about its time zone."""
        return self.periods if isinstance(self.periods, Period) else self.periods.get(depot.time_zone)


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


def find_slots(search: SlotSearch) -> list[SlotOffer]:
    """What the fleet may book in a period: what is free and ready, then what is free but in trouble right now, then what
    would be nearest; each by fit, time and place. Constant number of queries.

    Every EVSE shows once, under its own option when it has one.
    """
    options = _options(search)
    terms = terms_by_option(options, search.fleet, now=search.now)
    own = _OwnOffers(search, [option for option in options if not option.is_mirror], terms)
    hints = _hints(search, [option for option in options if option.is_mirror], terms)
    return sorted([*own.offers(), *hints], key=lambda offer: rank(offer, search.wanted))


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


def _options(search: SlotSearch) -> list[BookingOption]:
    found = offered_options(
        search.fleet,
        now=search.now,
        depot=search.depot,
        near=search.near,
        fitting=search.wanted if search.fitting_only else None,
        min_power_w=search.min_power_w if search.fitting_only else None,
    )
    return [option for option in found if search.period_at(option.depot) is not None]


class _OwnOffers:
    """The offers at our own depots: what is occupied, the limits and prices read once, what depends on a depot and its
    terms alone worked out once."""

    def __init__(
        self, search: SlotSearch, options: Sequence[BookingOption], terms: Mapping[int, Terms]
    ) -> None:
        self._search, self._terms = search, terms
        self._shown = list(_each_evse_once(options))
        self._periods = {option.depot_id: self._period(option) for option in options}
        reach = {
            pk: p.widened(availability.FAR, availability.FAR).in_utc() for pk, p in self._periods.items()
        }
        self._free = availability.free_in(
            {evse.pk: reach[option.depot_id] for option, evse in self._shown}, now=search.now
        )
        self._supply = (
            Supply.at(reach, _spanning(reach.values()), now=search.now) if reach else Supply([], [])
        )
        self._tariffs = quotes.tariffs_for(options, search.fleet, now=search.now)
        self._refusals: dict[tuple[int, Terms], BookingError | None] = {}
        self._quotes: dict[tuple[int, int, int], Quote] = {}

    def offers(self) -> Iterable[SlotOffer]:
        return [self._offer(option, evse) for option, evse in self._shown]

    def _offer(self, option: BookingOption, evse: Evse) -> SlotOffer:
        search, terms, period = self._search, self._terms[option.pk], self._periods[option.depot_id]
        watts = min(evse.max_power_w, search.wanted.max_power_w or evse.max_power_w)
        refusal = self._refusal(option, evse)
        if refusal is None:
            try:
                watts = self._promise(evse, terms, period)
            except PowerUnavailable as short:
                refusal = short
                refusal.nearest = self._nearest(evse, terms, period)
        return SlotOffer(
            option, evse, period, terms, watts, self._quote(option, period, watts), refusal,
            refusal.nearest if refusal else None, trouble=trouble.trouble_of(evse, period, now=search.now),
        )  # fmt: skip

    def _refusal(self, option: BookingOption, evse: Evse) -> BookingError | None:
        if misfits := fit.misfits(self._search.wanted, evse):
            return DoesNotFit(fit.sentence(misfits))
        terms, period = self._terms[option.pk], self._periods[option.depot_id]
        if refusal := self._against_terms(option.depot, terms, period):
            return refusal
        taken = Period(period.starts_at, period.ends_at + terms.tail)
        if any(gap.covers(taken) for gap in self._free[evse.pk]):
            return None
        return SlotTaken(nearest=self._nearest(evse, terms, period))

    def _against_terms(self, depot: Depot, terms: Terms, period: Period) -> BookingError | None:
        """The same for all EVSEs of a depot that are booked under the same terms."""
        key = (depot.pk, terms)
        if key not in self._refusals:
            self._refusals[key] = _against_terms(terms, depot, period, now=self._search.now)
        return self._refusals[key]

    def _promise(self, evse: Evse, terms: Terms, period: Period) -> int:
        gap = next(gap for gap in self._free[evse.pk] if gap.contains(period.starts_at))
        since = max(
            period.starts_at - terms.early_start, gap.starts_at, min(self._search.now, period.starts_at)
        )
        span, most_w = Period(since, period.ends_at + terms.tail), terms.max_promise_w
        if self._search.min_power_w is not None:
            self._supply.promise(evse, span, self._search.min_power_w, None, most_w=most_w)
        return self._supply.promise(evse, span, None, self._search.wanted.max_power_w, most_w=most_w)

    def _nearest(self, evse: Evse, terms: Terms, period: Period) -> Period | None:
        return availability.nearest_in(
            terms, [(evse, self._free[evse.pk])], period, supply=self._supply,
            wish_w=self._search.min_power_w, now=self._search.now,
        )  # fmt: skip

    def _quote(self, option: BookingOption, period: Period, watts: int) -> Quote | None:
        tariff = self._tariffs[option.pk]
        if tariff is None:
            return None
        key = (tariff.pk, option.depot_id, watts)
        if key not in self._quotes:
            self._quotes[key] = self._quoted(tariff, period, watts)
        return self._quotes[key]

    def _quoted(self, tariff: Tariff, period: Period, watts: int) -> Quote:
        return quotes.quoted(tariff, period, power_w=watts, vehicle=self._search.vehicle)

    def _period(self, option: BookingOption) -> Period:
        period = self._search.period_at(option.depot)
        assert period is not None  # options of other zones were left out
        return period


def _each_evse_once(options: Sequence[BookingOption]) -> Iterable[tuple[BookingOption, Evse]]:
    """Under the narrowest option it is offered by, in the order of the options."""
    narrowest: dict[int, BookingOption] = {}
    for option in sorted(options, key=lambda o: len(o.evses.all())):
        for evse in option.evses.all():
            narrowest.setdefault(evse.pk, option)
    return [(o, evse) for o in options for evse in o.evses.all() if narrowest[evse.pk] is o]


def _hints(
    search: SlotSearch, options: Sequence[BookingOption], terms: Mapping[int, Terms]
) -> list[SlotOffer]:
    """What partners' calendars tell."""
    by_option: dict[int, list[OfferedSlot]] = {option.pk: [] for option in options}
    asked = [period for option in options if (period := search.period_at(option.depot))]
    if asked:
        for slot in OfferedSlot.objects.filter(option__in=by_option, period__overlap=_spanning(asked)):
            by_option[slot.option_id].append(slot)
    return [_hint(search, option, terms[option.pk], by_option[option.pk]) for option in options]


def _hint(search: SlotSearch, option: BookingOption, terms: Terms, slots: Iterable[OfferedSlot]) -> SlotOffer:
    evse, period = next(iter(option.evses.all()), None), search.period_at(option.depot)
    assert period is not None  # options of other zones were left out
    touched = [slot for slot in slots if slot.period.overlaps(period)]
    refusal: BookingError | None = None
    if evse is not None and (misfits := fit.misfits(search.wanted, evse)):
        refusal = DoesNotFit(fit.sentence(misfits))
    elif not any(span.covers(period) for span in united([slot.period for slot in touched])):
        refusal = SlotTaken("The partner shows no free time for this slot.")
    else:
        refusal = _against_terms(terms, option.depot, period, now=search.now)
    watts = min([s.max_power_w for s in touched if s.max_power_w] or [evse.max_power_w if evse else 0])
    return SlotOffer(
        option, evse, period, terms, watts, None, refusal, refusal.nearest if refusal else None, is_hint=True
    )


def _against_terms(terms: Terms, depot: Depot, period: Period, *, now: datetime) -> BookingError | None:
    try:
        periods.check_period(terms, depot, period, now=now)
    except BookingError as refusal:
        return refusal
    return None


def _spanning(spans: Iterable[Period]) -> Period:
    """From the first beginning to the last end."""
    spans = list(spans)
    return Period(min(span.starts_at for span in spans), max(span.ends_at for span in spans))


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
