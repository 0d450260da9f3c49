"""What can be had of a pool only if other bookings move, beside what a search found free."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bookings.errors import BookingError, SlotTaken
from bookings.models import BookingOption
from bookings.operations.assignment import foreseen_by_moves
from bookings.operations.slot_request import SlotRequest
from bookings.rules import configuration, fit, quotes
from bookings.rules.configuration import Bay, Configuration
from bookings.search.slots import SlotOffer, SlotSearch
from depots.models import Depot
from depots.periods import Period

# So many pools are looked into for one question, over however many depots and days it goes: each is read once more, and others
# are moved about in thought for up to a tenth of a second.
MOST_LOOKS = 3


@dataclass(frozen=True)
class FullPool:
    """An option of several EVSEs of which every one that fits (`bays`) is taken at some time of the searched period."""

    search: SlotSearch
    depot: Depot
    option_id: int
    bays: Sequence[Bay]


def full_pools(search: SlotSearch, found: Sequence[SlotOffer]) -> list[FullPool]:
    """Of what a search found, by the order of its depots; no query."""
    by_depot: dict[int, dict[int, SlotOffer]] = {}
    depots: dict[int, Depot] = {}
    for offer in found:
        if not offer.is_hint and offer.evse is not None:
            here = by_depot.setdefault(offer.option.depot_id, {})
            here[offer.evse.pk] = offer
            depots[offer.option.depot_id] = offer.option.depot
    return [pool for pk, here in by_depot.items() for pool in _full_at(search, depots[pk], here)]


def offers_by_moves(pools: Sequence[FullPool]) -> list[SlotOffer]:
    """One of each option of which an EVSE would be made free by moves, naming none: as things stand, nothing is locked,
    nobody moves. Each option is looked at once, in the order of the pools, before one is again; `MOST_LOOKS` in all."""
    times: Counter[int] = Counter()
    ranked: list[tuple[int, FullPool]] = []
    for pool in pools:
        ranked.append((times[pool.option_id], pool))
        times[pool.option_id] += 1
    offers: dict[int, SlotOffer] = {}
    looks = 0
    for _, pool in sorted(ranked, key=lambda one: one[0]):
        if pool.option_id in offers or looks >= MOST_LOOKS:
            continue
        looks += 1
        offer = _offer(pool)
        if offer is not None:
            offers[pool.option_id] = offer
    return list(offers.values())


def _full_at(search: SlotSearch, depot: Depot, here: Mapping[int, SlotOffer]) -> Iterator[FullPool]:
    known = configuration.kept(depot.pk)
    for option_id, bays in known.offers.items():
        pool = [bay for bay in bays if not fit.misfits(search.wanted, bay)]
        if len(bays) < 2 or not known.offers_to(option_id, search.fleet.pk, now=search.now):
            continue
        if pool and all(bay.pk in here and _is_taken(here[bay.pk]) for bay in pool):
            yield FullPool(search, depot, option_id, pool)


def _is_taken(offer: SlotOffer) -> bool:
    return isinstance(offer.refusal, SlotTaken)


def _offer(pool: FullPool) -> SlotOffer | None:
    search, depot, option_id = pool.search, pool.depot, pool.option_id
    known, now = configuration.kept(depot.pk), search.now
    asked, terms = search.period_at(depot), known.terms(option_id, search.fleet.pk, now=now)
    assert asked is not None  # the search was of this depot
    named = known.names[option_id]
    option = BookingOption(pk=option_id, depot=depot, code=named.code, name=named.name)
    request = SlotRequest(
        fleet=search.fleet, option=option, period=asked.in_utc(), vehicle=search.vehicle, trailer=search.trailer,
        needs=search.needs, energy=search.energy, ends_when_charged=search.energy is not None, power_w=search.min_power_w,
    )  # fmt: skip
    try:
        period, (place, watts) = foreseen_by_moves(request, pool.bays, known, terms, now=now)
    except BookingError:
        return None
    quote = _quote(search, known, option_id, place.evse, period, watts)
    if search.most_price is not None and quote is not None and quote.total > search.most_price:
        return None
    return SlotOffer(
        option, None, period, terms, watts, quote, is_by_moves=True, most_w=watts,
        payment_terms=known.payment_terms_for(search.fleet.pk, now=now) if known.payment_terms else None,
    )  # fmt: skip


def _quote(
    search: SlotSearch, known: Configuration, option_id: int, evse: Bay, period: Period, watts: int
) -> quotes.Quote | None:
    tariffs = known.tariffs_for(option_id, evse.pk, search.fleet.pk, at=search.now)
    return quotes.quoted(
        tariffs, period, known.site.zone, power_w=watts, vehicle=search.vehicle, energy_wh=search.energy_wh
    )
