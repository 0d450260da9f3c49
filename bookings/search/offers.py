"""The finder's question: what a fleet may book in a period, what stands in the way, and what is nearest."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, NamedTuple

from django.db import DEFAULT_DB_ALIAS
from django.db.models import Prefetch

from bookings.errors import NO_ROOM, BookingError, DoesNotFit, NotAligned, SlotTaken
from bookings.models import BookingOption, OfferedSlot, PaymentTerms, Trailer, Vehicle
from bookings.rules import configuration, fit, guest_hours, periods, quotes
from bookings.rules.allowance import UNBOUND, Allowance
from bookings.rules.charging_duration import Charging, EnergyAsked
from bookings.rules.configuration import Bay, Configuration, Site
from bookings.rules.energy_slots import EnergySlot, partners_slot
from bookings.rules.fit import Needs
from bookings.rules.partner_prices import PartnerPrices, partners_power_w
from bookings.rules.power import Supply
from bookings.rules.quotes import Quote
from bookings.rules.reservations import kept_before
from bookings.rules.terms import LONGEST_BOOKING, Terms
from bookings.search import availability, told_slots, trouble
from bookings.search.allotments import Allotments
from bookings.search.asked_elsewhere import asked_elsewhere
from bookings.search.bookable import bookable_depots, evses_with_bays, live_evses, terms_by_option
from bookings.search.told_evses import free_now, is_told, told_evses
from depots.geography import Circle
from depots.models import Depot, Evse, Organisation
from depots.periods import Period, gaps, spanning, united


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
    that names it, not only under its own.
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
    calendar tells: the period itself, or one beside it.
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

    @property
    def is_free(self) -> bool:
        return self.refusal is None

    @property
    def is_best_effort(self) -> bool:
        """At a partner that keeps no bookings: nothing is known of its free time."""
        return self.is_hint and self.option.is_best_effort


def find_slots(search: SlotSearch) -> list[SlotOffer]:
    """What the fleet may book in a period: what is free and ready, then what is free but in trouble right now, then what
    would be nearest; each by fit, time and place. Constant number of queries, but for depots whose configuration changed.

    Every EVSE shows once, under its own option when it has one.
    """
    depots = _depots(search)
    own = _OwnOffers(search, [depot for depot in depots if not depot.is_mirror])
    hints = _hints(search, [depot for depot in depots if depot.is_mirror])
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


def _depots(search: SlotSearch) -> list[Depot]:
    near, rows = search.near, search.among
    if rows is None:
        rows = bookable_depots(search.fleet, depot=search.depot, near=near, now=search.now)
    return [
        depot
        for depot in rows
        if search.depot in (None, depot)
        and search.period_at(depot) is not None
        and (near is None or near.contains(depot.latitude, depot.longitude))
    ]


# In the order of the model, by which `from_db` reads values.
_OF_OPTION = ["id", "depot_id", "code", "name", "is_mirror"]


class _Candidate(NamedTuple):
    """An EVSE under the option it is offered by, and the period looked for there."""

    known: Configuration
    option_id: int
    evse: Bay
    period: Period


class _OwnOffers:
    """The offers at our own depots. What is occupied, promised and live is read once for all; what depends on a depot and
    its terms alone is worked out once."""

    def __init__(self, search: SlotSearch, depots: Sequence[Depot]) -> None:
        self._search, self._depots = search, {depot.pk: depot for depot in depots}
        self._candidates = list(_candidates(search, depots))
        after = availability.FAR + (search.patience or timedelta())
        reach = {
            one.evse.pk: one.period.widened(availability.FAR, after).in_utc() for one in self._candidates
        }
        self._free = availability.free_in(reach, now=search.now)
        limits = [
            limit
            for known in {id(o.known): o.known for o in self._candidates}.values()
            for limit in known.limits
        ]
        within = spanning(reach.values()) or Period(search.now, search.now + availability.FAR)
        supply = Supply.behind(limits, within, now=search.now)
        counting = {one.evse.depot.pk for one in self._candidates if self._allowance(one).quotas}
        self._allotments = Allotments(supply, counting, within, now=search.now)
        self._live = _live(
            one for one in self._candidates if search.with_live or trouble.is_soon(one.period, now=search.now)
        )
        self._refusals: dict[tuple[int, Terms, Period], BookingError | None] = {}
        self._quotes: dict[Any, Quote | None] = {}
        self._paying: dict[int, PaymentTerms | None] = {}
        self._first: dict[tuple[int, Terms, Period], Period] = {}

    def _allowance(self, one: _Candidate) -> Allowance:
        return one.known.allowance(self._search.fleet.pk, now=self._search.now)

    def offers(self) -> list[SlotOffer]:
        return [self._offer(one) for one in self._candidates]

    def _offer(self, one: _Candidate) -> SlotOffer:
        search, live, terms = self._search, self._live.get(one.evse.pk), self._terms(one)
        if search.patience is not None:
            one = self._earliest(self._with_about_length(one, terms), terms, search.patience)
        watts = min(one.evse.max_power_w, search.wanted.max_power_w or one.evse.max_power_w)
        one, too_slow = self._with_length(one, terms)
        refusal, most_w = self._refusal(one, terms) or too_slow, None
        if refusal is None:
            try:
                watts, most_w = self._promise(one, terms)
            except NO_ROOM as short:
                refusal = short
                refusal.nearest = self._nearest(one, terms)
        return SlotOffer(
            self._option(one), one.evse, one.period, terms, watts, self._quote(one, watts), refusal,
            refusal.nearest if refusal else None, live=live,
            trouble=trouble.trouble_of(live, one.period, now=search.now), payment_terms=self._payment_terms(one),
            most_w=most_w,
        )  # fmt: skip

    def _earliest(self, one: _Candidate, terms: Terms, patience: timedelta) -> _Candidate:
        """At the first time it can be had; where that is too late, or never, as it is asked for, rounded to the step."""
        key = (one.evse.depot.pk, terms, one.period)
        if key not in self._first:
            self._first[key] = periods.first_slot(terms, one.evse.depot, one.period, now=self._search.now)
        asked = one._replace(period=self._first[key])
        nearest = self._nearest(asked, terms)
        in_time = nearest is not None and nearest.starts_at - one.period.starts_at <= patience
        return one._replace(period=nearest) if nearest and in_time else asked

    def _with_about_length(self, one: _Candidate, terms: Terms) -> _Candidate:
        """As long as the EVSE itself would take, to look for a time by."""
        slot = self._search.energy_slot(one.period, terms, one.evse.depot)
        power_w = self._search.min_power_w or one.evse.max_power_w
        return one if slot is None else one._replace(period=slot.at_power(power_w))

    def _with_length(self, one: _Candidate, terms: Terms) -> tuple[_Candidate, BookingError | None]:
        """As long as charging takes there; else about so long, and why none of that start does."""
        slot = self._search.energy_slot(one.period, terms, one.evse.depot)
        if slot is None:
            return one, None
        try:
            period, _ = slot.found(lambda period: self._promise(one._replace(period=period), terms)[0])
        except BookingError as refusal:
            period = slot.at_power(self._search.min_power_w or one.evse.max_power_w)
            return one._replace(period=period), refusal
        return one._replace(period=period), None

    def _option(self, one: _Candidate) -> BookingOption:
        """The row as far as it is configured; what else it has is read where somebody asks for it."""
        named = one.known.names[one.option_id]
        values = [one.option_id, one.evse.depot.pk, named.code, named.name, False]
        option = BookingOption.from_db(DEFAULT_DB_ALIAS, _OF_OPTION, values)
        option.depot = self._depots[one.evse.depot.pk]
        return option

    def _terms(self, one: _Candidate) -> Terms:
        return one.known.terms(one.option_id, self._search.fleet.pk, now=self._search.now)

    def _refusal(self, one: _Candidate, terms: Terms) -> BookingError | None:
        if not self._search.fitting_only and (misfits := fit.misfits(self._search.wanted, one.evse)):
            return DoesNotFit(fit.sentence(misfits))
        if refusal := self._against_terms(one, terms):
            return refusal
        taken = Period(one.period.starts_at, one.period.ends_at + terms.tail)
        if any(gap.covers(taken) for gap in self._free[one.evse.pk]):
            return None
        return SlotTaken(nearest=self._nearest(one, terms))

    def _against_terms(self, one: _Candidate, terms: Terms) -> BookingError | None:
        """The same for all EVSEs of a depot that are booked under the same terms in the same time."""
        key, allowance = (one.evse.depot.pk, terms, one.period), self._allowance(one)
        if key not in self._refusals:
            found = _against_terms(terms, one.evse.depot, one.period, allowance, now=self._search.now)
            self._refusals[key] = found
        return self._refusals[key]

    def _promise(self, one: _Candidate, terms: Terms) -> tuple[int, int]:
        """What is promised without a wish, and the most that may be wished. Raises PowerUnavailable."""
        evse, starts_at, needs = one.evse, one.period.starts_at, self._search.wanted
        free_since = next(
            (gap.starts_at for gap in self._free[evse.pk] if gap.contains(starts_at)), starts_at
        )
        since = max(starts_at - terms.early_start, free_since, min(self._search.now, starts_at))
        span, most_w = Period(since, one.period.ends_at + terms.tail), terms.max_promise_w
        left = self._allotments.left_to(self._allowance(one), one.evse)
        if self._search.min_power_w is not None:
            left.promise(evse, span, self._search.min_power_w, None, most_w=most_w)
        watts = left.promise(evse, span, None, needs.max_power_w, most_w=most_w)
        most = left.lowest(evse, span).most_w
        return watts, min(most, most_w or most)

    def _nearest(self, one: _Candidate, terms: Terms) -> Period | None:
        search, allowance = self._search, self._allowance(one)
        return availability.nearest_in(
            terms, [(one.evse, self._free[one.evse.pk])], one.period, allowance=allowance,
            supply=self._allotments.left_to(allowance, one.evse), wish_w=search.min_power_w, now=search.now,
            not_before=one.period.starts_at if search.patience is not None else None,
        )  # fmt: skip

    def _quote(self, one: _Candidate, watts: int) -> Quote | None:
        search, zone = self._search, one.evse.depot.zone
        held = one.known.tariffs_for(one.option_id, one.evse.pk, search.fleet.pk, at=search.now)
        key = (*(tariff and tariff.pk for tariff in held), watts, one.period, zone)
        if key not in self._quotes:
            self._quotes[key] = quotes.quoted(
                held, one.period, zone, power_w=watts, vehicle=search.vehicle, energy_wh=search.energy_wh
            )
        return self._quotes[key]

    def _payment_terms(self, one: _Candidate) -> PaymentTerms | None:
        if not one.known.payment_terms:
            return None
        depot_id, search = one.evse.depot.pk, self._search
        if depot_id not in self._paying:
            self._paying[depot_id] = one.known.payment_terms_for(search.fleet.pk, now=search.now)
        return self._paying[depot_id]


def _live(candidates: Iterable[_Candidate]) -> dict[int, Evse]:
    """What chargers tell now, by EVSE id."""
    evse_ids = [one.evse.pk for one in candidates]
    return live_evses(evse_ids) if evse_ids else {}


def _candidates(search: SlotSearch, depots: Sequence[Depot]) -> Iterator[_Candidate]:
    """Every EVSE under the narrowest option it is offered by, or each; of a search for what fits, those that do."""
    known = configuration.under_all({depot.pk: depot.version for depot in depots})  # type: ignore[attr-defined]
    for depot in depots:
        period = search.period_at(depot)
        if depot.pk not in known or period is None:
            continue
        there = known[depot.pk]
        every = [(option_id, bay) for option_id, bays in there.offers.items() for bay in bays]
        for option_id, evse in every if search.every_option else there.narrowest:
            if not search.fitting_only or _will_do(search, evse):
                yield _candidate(search, known[depot.pk], option_id, evse, period)


def _candidate(
    search: SlotSearch, known: Configuration, option_id: int, evse: Bay, period: Period
) -> _Candidate:
    """By energy with all the time that its terms allow."""
    if search.energy:
        terms = known.terms(option_id, search.fleet.pk, now=search.now)
        slot = search.energy_slot(period, terms, known.site)
        period = slot.longest if slot is not None else period
    return _Candidate(known, option_id, evse, period)


def _will_do(search: SlotSearch, evse: Bay) -> bool:
    return evse.max_power_w >= (search.min_power_w or 0) and not fit.misfits(search.wanted, evse)


def _hints(search: SlotSearch, depots: Sequence[Depot]) -> list[SlotOffer]:
    """What partners' calendars tell."""
    asked = spanning(period for depot in depots if (period := search.period_at(depot)))
    if asked is None:
        return []
    rows = BookingOption.objects.filter(depot__in=depots, is_withdrawn=False).order_by("pk")
    options = list(rows.prefetch_related(Prefetch("evses", evses_with_bays())))
    by_depot = {depot.pk: depot for depot in depots}
    for option in options:
        option.depot = by_depot[option.depot_id]
    terms = terms_by_option(options, search.fleet, now=search.now)
    slots: dict[int, list[OfferedSlot]] = {option.pk: [] for option in options}
    longest = LONGEST_BOOKING if search.energy else availability.FAR
    around = asked.widened(availability.FAR, longest + (search.patience or timedelta()))
    for slot in OfferedSlot.objects.filter(option__in=slots, period__overlap=around):
        slots[slot.option_id].append(slot)
    prices, told = PartnerPrices(by_depot), told_evses(options)
    soonest = asked.widened(after=search.patience or timedelta())
    taken = asked_elsewhere([option.pk for option in options if option.is_best_effort], soonest)
    hints = [
        _hint(search, option, terms[option.pk], slots[option.pk], prices, taken.get(option.pk, ()), told)
        for option in options
    ]
    return [hint for hint in hints if not (search.fitting_only and isinstance(hint.refusal, DoesNotFit))]


def _hint(
    search: SlotSearch,
    option: BookingOption,
    terms: Terms,
    slots: Collection[OfferedSlot],
    prices: PartnerPrices,
    taken: Collection[Period],
    told: Mapping[int, Sequence[Evse]],
) -> SlotOffer:
    evse, period = next(iter(option.evses.all()), None), search.period_at(option.depot)
    assert period is not None  # options of other zones were left out
    free = united([s.period for s in slots])
    if search.patience is not None:
        period = _earliest_told(free, period, terms, search.patience, now=search.now)
    period, too_slow = _told_length(search, period, terms, option.depot, evse, slots)
    touched = [s for s in slots if s.period.overlaps(period)]
    nearest = _nearest_told(search, free, period, terms, option.depot)
    refusal: BookingError | None = None
    if evse is not None and (misfits := fit.misfits(search.wanted, evse)):
        refusal = DoesNotFit(fit.sentence(misfits))
    elif any(span.overlaps(period) for span in taken):
        refusal = SlotTaken("This EVSE is asked for already then.")
    elif not any(span.covers(period) for span in free):
        refusal = SlotTaken("The partner shows no free time for this slot.", nearest=nearest)
    else:
        refusal = _against_terms(terms, option.depot, period, now=search.now) or too_slow
        refusal = refusal or _off_step(free, period, terms, option.depot, nearest)
    watts = partners_power_w(search.wanted, evse, [slot.max_power_w for slot in touched])
    held = prices.held(option.pk, evse.pk if evse else None, at=search.now)
    kept = kept_before(period.starts_at, now=search.now) if option.is_best_effort else None
    quote = quotes.quoted(
        held, period, option.depot.zone, power_w=watts, vehicle=search.vehicle, energy_wh=search.energy_wh, reserved=kept,
    )  # fmt: skip
    live = evse if evse is not None and is_told(evse) else None
    return SlotOffer(
        option, evse, period, terms, watts, quote, refusal, refusal.nearest if refusal else nearest, is_hint=True,
        live=live, free_now=free_now(told[option.pk]) if told.get(option.pk) else None,
        trouble=trouble.trouble_of(live, period, now=search.now),
        most_w=min((slot.max_power_w for slot in touched if slot.max_power_w), default=None),
    )  # fmt: skip


def _earliest_told(
    free: Collection[Period], period: Period, terms: Terms, patience: timedelta, *, now: datetime
) -> Period:
    """The first time that can be asked for, on the steps of the calendar; where there is none in time, as it is asked for."""
    step = timedelta(minutes=terms.slot_step_min)
    found = told_slots.nearest_told(free, period, step, now=max(now, period.starts_at))
    return found if found and found.starts_at - period.starts_at <= patience else period


def _told_length(
    search: SlotSearch,
    period: Period,
    terms: Terms,
    depot: Depot,
    evse: Evse | None,
    slots: Collection[OfferedSlot],
) -> tuple[Period, BookingError | None]:
    """As long as charging takes with what its EVSE gives and its calendar tells; else the least there is, and why."""
    slot = search.energy_slot(period, terms, depot)
    if slot is None:
        return period, None
    try:
        return partners_slot(slot, search.wanted, evse, slots)[0], None
    except BookingError as refusal:
        return slot.least, refusal


def _off_step(
    free: Collection[Period], period: Period, terms: Terms, depot: Depot, nearest: Period | None
) -> BookingError | None:
    """A partner refuses what is not on its step, which counts from where its free time begins; some mean the wall clock's."""
    step = terms.slot_step_min
    begin = told_slots.begin_of_steps(free, period, timedelta(minutes=step))
    if begin is None or all(
        periods.is_aligned(end, step, depot) for end in (period.starts_at, period.ends_at)
    ):
        return None
    is_on_clock = periods.is_aligned(begin, step, depot)
    since = "" if is_on_clock else f", counted from {begin.astimezone(depot.zone):%H:%M}"
    return NotAligned(f"Slots there begin and end every {step} minutes{since}.", nearest=nearest)


def _nearest_told(
    search: SlotSearch, free: Collection[Period], period: Period, terms: Terms, depot: Depot
) -> Period | None:
    step, now = timedelta(minutes=terms.slot_step_min), search.now
    nearest = told_slots.nearest_told(free, period, step, now=now)
    if search.is_refused and nearest == period:
        beside = [part for span in free for part in gaps(span, [period])]
        nearest = told_slots.nearest_told(beside, period, step, now=now)
    is_possible = nearest is not None and _against_terms(terms, depot, nearest, now=now) is None
    return nearest if is_possible else None


def _against_terms(
    terms: Terms, depot: Depot | Site, period: Period, allowance: Allowance = UNBOUND, *, now: datetime
) -> BookingError | None:
    try:
        periods.check_period(terms, depot, period, now=now)
        if isinstance(depot, Site):
            guest_hours.check_hours(allowance, terms, depot, period, now=now)
    except BookingError as refusal:
        return refusal
    return None


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
