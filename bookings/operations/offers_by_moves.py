"""What can be had of a pool only if other bookings move, beside what a search found free."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from bookings.errors import BookingError, SlotTaken
from bookings.models import BookingOption
from bookings.operations.assignment import foreseen_by_moves
from bookings.operations.slot_request import SlotRequest
from bookings.rules import configuration, fit, quotes
from bookings.rules.configuration import Bay, Configuration
from bookings.search.slots import SlotOffer, SlotSearch
from depots.models import Depot
from depots.periods import Period

# At so many depots of a search, the best first: each that is full is read once more.
MOST_DEPOTS = 3


def offers_by_moves(search: SlotSearch, found: Sequence[SlotOffer]) -> list[SlotOffer]:
    """Of each pool whose fitting EVSEs are all taken at some time of the searched period, and of which one would be made free
    by moves: an offer that names no EVSE. As things stand: nothing is locked, and nobody moves. No query where no pool is so."""
    by_depot: dict[int, dict[int, SlotOffer]] = {}
    depots: dict[int, Depot] = {}
    for offer in found:
        if not offer.is_hint and offer.evse is not None:
            here = by_depot.setdefault(offer.option.depot_id, {})
            here[offer.evse.pk] = offer
            depots[offer.option.depot_id] = offer.option.depot
    full = ((depots[pk], list(_full_pools(search, pk, here))) for pk, here in by_depot.items())
    looked_at = [(depot, pools) for depot, pools in full if pools][:MOST_DEPOTS]
    offers = [_offer(search, depot, *pool) for depot, pools in looked_at for pool in pools]
    return [offer for offer in offers if offer is not None]


def _full_pools(
    search: SlotSearch, depot_id: int, here: Mapping[int, SlotOffer]
) -> Iterator[tuple[int, list[Bay]]]:
    """The options of several EVSEs of which every one that fits is refused because it is taken, with these."""
    known = configuration.kept(depot_id)
    for option_id, bays in known.offers.items():
        pool = [bay for bay in bays if not fit.misfits(search.wanted, bay)]
        if len(bays) < 2 or not known.offers_to(option_id, search.fleet.pk, now=search.now):
            continue
        if pool and all(bay.pk in here and _is_taken(here[bay.pk]) for bay in pool):
            yield option_id, pool


def _is_taken(offer: SlotOffer) -> bool:
    return isinstance(offer.refusal, SlotTaken)


def _offer(search: SlotSearch, depot: Depot, option_id: int, pool: Sequence[Bay]) -> SlotOffer | None:
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
        period, (place, watts) = foreseen_by_moves(request, pool, known, terms, now=now)
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
