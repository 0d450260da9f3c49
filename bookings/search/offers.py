"""The finder's question: what a fleet may book in a period, what stands in the way, and what is nearest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import DEFAULT_DB_ALIAS

from bookings.errors import NO_ROOM, BookingError, DoesNotFit, SlotTaken, TooDear
from bookings.models import BookingOption, PaymentTerms
from bookings.rules import configuration, fit, periods, quotes
from bookings.rules.allowance import Allowance
from bookings.rules.configuration import Bay, Configuration
from bookings.rules.fit import Needs
from bookings.rules.power import Supply
from bookings.rules.quotes import Quote
from bookings.rules.terms import Terms
from bookings.search import availability, trouble
from bookings.search.allotments import Allotments
from bookings.search.bookable import bookable_depots, live_evses
from bookings.search.partner_offers import partner_offers
from bookings.search.slots import SlotOffer, SlotSearch, against_terms
from depots.models import Depot, Evse
from depots.periods import Period, spanning


def find_slots(search: SlotSearch) -> list[SlotOffer]:
    """What the fleet may book in a period: what is free and ready, then what is free but in trouble right now, then what
    would be nearest; each by fit, time and place. Constant number of queries, but for depots whose configuration changed.

    Every EVSE shows once, under its own option when it has one.
    """
    depots = _depots(search)
    own = _OwnOffers(search, [depot for depot in depots if not depot.is_mirror])
    hints = partner_offers(search, [depot for depot in depots if depot.is_mirror])
    found = [_within_price(offer, search) for offer in [*own.offers(), *hints]]
    return sorted(found, key=lambda offer: rank(offer, search.wanted))


def _within_price(offer: SlotOffer, search: SlotSearch) -> SlotOffer:
    """What has no price is never too dear."""
    if search.most_price is None or not offer.is_free or offer.quote is None:
        return offer
    if offer.quote.total <= search.most_price:
        return offer
    words = f"It costs about {offer.quote.total:.2f} {offer.quote.currency}."
    return replace(offer, refusal=TooDear(words), nearest=None)


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


# By energy a window is tried at so many starts of an EVSE at most: a day of them where power is scarce.
MOST_STARTS = 96
BETWEEN_STARTS = timedelta(minutes=15)


class _Candidate(NamedTuple):
    """An EVSE under the option it is offered by, and the period looked for there."""

    known: Configuration
    option_id: int
    evse: Bay
    period: Period


class _Tried(NamedTuple):
    """A candidate with the length that charging takes, or why no slot of its start does."""

    candidate: _Candidate
    too_slow: BookingError | None


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
        watts = min(one.evse.max_power_w, search.wanted.max_power_w or one.evse.max_power_w)
        one, too_slow = self._in_time(one, terms)
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

    def _in_time(self, one: _Candidate, terms: Terms) -> _Tried:
        """As long as charging takes there; with patience at the first start at which that is free, or, where none is in time, at
        the first of all."""
        patience = self._search.patience
        if patience is None:
            return self._with_length(one, terms)
        about, until = self._with_about_length(one, terms), one.period.starts_at + patience
        first = tried = self._with_length(self._earliest(about, terms, patience), terms)
        for _ in range(MOST_STARTS if self._search.energy else 0):
            if not self._may_do_later(tried, terms):
                return tried
            later = self._later(tried.candidate, about, terms, until)
            if later is None:
                break
            tried = self._with_length(later, terms)
        return first

    def _may_do_later(self, tried: _Tried, terms: Terms) -> bool:
        """Whether it cannot be had at its start, and a later one may do."""
        one, too_slow = tried
        if fit.misfits(self._search.wanted, one.evse):
            return False
        if too_slow is not None:
            return self._is_limited(one)
        return self._against_terms(one, terms) is not None or not self._has_room(one, terms)

    def _later(
        self, tried: _Candidate, about: _Candidate, terms: Terms, until: datetime
    ) -> _Candidate | None:
        """At the next start with as much room as it needs; at least for as long as the EVSE itself would take, where the length
        follows from what others leave of the power by then."""
        length, wait = tried.period.duration, timedelta(minutes=1)
        if self._is_limited(tried):
            length, wait = about.period.duration, max(BETWEEN_STARTS, timedelta(minutes=terms.slot_step_min))
        since = tried.period.starts_at + wait
        found = self._nearest(about._replace(period=Period(since, since + length)), terms)
        return about._replace(period=found) if found is not None and found.starts_at <= until else None

    def _is_limited(self, one: _Candidate) -> bool:
        return self._allotments.left_to(self._allowance(one), one.evse).is_limited(one.evse)

    def _has_room(self, one: _Candidate, terms: Terms) -> bool:
        taken = Period(one.period.starts_at, one.period.ends_at + terms.tail)
        return any(gap.covers(taken) for gap in self._free[one.evse.pk])

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

    def _with_length(self, one: _Candidate, terms: Terms) -> _Tried:
        """As long as charging takes there; else about so long, and why none of that start does."""
        slot = self._search.energy_slot(one.period, terms, one.evse.depot)
        if slot is None:
            return _Tried(one, None)
        try:
            period, _ = slot.found(lambda period: self._promise(one._replace(period=period), terms)[0])
        except BookingError as refusal:
            period = slot.at_power(self._search.min_power_w or one.evse.max_power_w)
            return _Tried(one._replace(period=period), refusal)
        return _Tried(one._replace(period=period), None)

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
        return None if self._has_room(one, terms) else SlotTaken(nearest=self._nearest(one, terms))

    def _against_terms(self, one: _Candidate, terms: Terms) -> BookingError | None:
        """The same for all EVSEs of a depot that are booked under the same terms in the same time."""
        key, allowance = (one.evse.depot.pk, terms, one.period), self._allowance(one)
        if key not in self._refusals:
            found = against_terms(terms, one.evse.depot, one.period, allowance, now=self._search.now)
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
