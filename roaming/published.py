"""What a partner sees of our depots and bookings now, in our own words, for whoever writes it: the API and the pushes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from typing import NamedTuple

from django.db.models import Prefetch, prefetch_related_objects

from bookings.core import calendars
from bookings.models import (
    Booking,
    BookingOption,
    BookingStatus,
    Closure,
)
from bookings.pricing.tariff_content import ElementUse
from bookings.rules import configuration
from bookings.rules.allowance import Allowance
from bookings.rules.configuration import Configuration
from bookings.rules.quotes import has_price_for
from bookings.rules.terms import LONGEST_EARLY_START, Terms
from bookings.search import availability
from bookings.search.bookable import evses_with_bays
from depots.models import Depot
from depots.periods import Period
from roaming import access
from roaming.models import Partner
from roaming.open_bookings import has_room, held_by

# How long before its start a booked EVSE shows as reserved, where an early start is not allowed.
RESERVED_BEFORE = timedelta(minutes=10)


class OfferPrices(NamedTuple):
    """The tariffs that hold for an offer, for charging and for the booking itself, and whether not coming costs something."""

    tariff_codes: tuple[str, ...] = ()
    has_no_show_fee: bool = False


@dataclass(frozen=True)
class PublishedOffer:
    """An offer on the terms of one partner, with its free time. Without any it is full, or not open to the partner any more.

    `span` is what its calendar covers. The option has its depot, operator, EVSEs and connectors with it. `takes_walk_ins`: it may
    be charged there without a booking.
    """

    option: BookingOption
    terms: Terms
    timeslots: Sequence[availability.Timeslot]
    span: Period
    prices: OfferPrices
    takes_walk_ins: bool


@dataclass(frozen=True)
class View:
    """What decides how an offer looks to a partner. One that is not visible was told of before, and has no free time; no
    more has one to a partner without room, which has as many bookings there as it may. Its `allowance` names the partner
    where a quota is its own."""

    option: BookingOption
    terms: Terms
    prices: OfferPrices
    takes_walk_ins: bool
    is_visible: bool
    allowance: Allowance
    has_room: bool = True


@dataclass(frozen=True)
class PublishedDepot:
    """`reserved` names the EVSEs, by key, whose booked slot is about to start; `closures` those that are or will be out of use,
    soonest first, `tariff_codes` what charging costs there, by EVSE. `takes_walk_ins`: who gets it may charge there without a
    booking. `is_public`: it is open to everybody, else `guest` names for
    whom it is told."""

    depot: Depot
    reserved: Collection[int]
    is_public: bool
    now: datetime
    closures: Mapping[int, Sequence[Closure]]
    tariff_codes: Mapping[int, str]
    takes_walk_ins: bool
    guest: str

    def is_closed(self, evse_id: int) -> bool:
        return any(closure.starts_at <= self.now for closure in self.closures.get(evse_id, ()))


def owner_of(depot: Depot) -> tuple[str, str]:
    """The CPO party a depot of ours belongs to: country code and party id."""
    return cpo_party(depot.operator.country_code, depot.operator.cpo_party_id)


def cpo_party(country_code: str, party_id: str) -> tuple[str, str]:
    """An operator's party, as it is told to partners."""
    return country_code.upper(), party_id.upper()


def offers(partner: Partner, options: Sequence[BookingOption], *, now: datetime) -> list[PublishedOffer]:
    """These offers with their calendars, on the partner's own terms. Constant number of queries."""
    if not options:
        return []
    depots = configuration.current_all({option.depot_id for option in options})
    _date(options, now)
    fleet_id = partner.organisation_id
    terms = {o.pk: depots[o.depot_id].terms(o.pk, fleet_id, now=now) for o in options}
    spans = {o.pk: calendar_span(o, terms[o.pk], now=now) for o in options}
    whole = Period(min(s.starts_at for s in spans.values()), max(s.ends_at for s in spans.values()))
    limits = [limit for depot in depots.values() for limit in depot.limits]
    allowances = {pk: depot.allowance(fleet_id, now=now) for pk, depot in depots.items()}
    timeslots = availability.calendar(options, whole, terms, allowances=allowances, limits=limits, now=now)
    held = held_by((((fleet_id, o.depot_id), terms[o.pk]) for o in options), now=now)
    found = []
    for option in options:
        depot = depots[option.depot_id]
        room = has_room((fleet_id, option.depot_id), terms[option.pk], held)
        free = timeslots[option.pk] if room else []
        prices = _prices(depot, option, depot.agreed(fleet_id, now), now)
        found.append(
            PublishedOffer(option, terms[option.pk], free, spans[option.pk], prices, depot.takes_walk_ins)
        )
    return found


def _date(options: Sequence[BookingOption], now: datetime) -> None:
    """What is shown has changes in it that the next tick dates: until then they are of this moment."""
    marked = calendars.marked_among(options)
    for option in options:
        if option.pk in marked:
            option.updated_at = max(now, option.updated_at)


def offers_free_in(
    partner: Partner, options: Sequence[BookingOption], span: Period, *, now: datetime
) -> list[PublishedOffer]:
    """Those of them with a free timeslot that overlaps the span; whole, with all their timeslots."""
    return [
        offer
        for offer in offers(partner, options, now=now)
        if any(slot.period.overlaps(span) for slot in offer.timeslots)
    ]


def offer(partner: Partner, option_id: int, *, now: datetime) -> PublishedOffer | None:
    """One offer as it stands; without free time once the partner may not book it any more. None when it is gone."""
    view = views([partner], [option_id], now=now).get((partner.pk, option_id))
    return viewed({view}, now=now)[view] if view else None


def views(
    partners: Collection[Partner], option_ids: Collection[int], *, now: datetime
) -> dict[tuple[int, int], View]:
    """How each of these partners sees each of these offers, by partner and option; equal ones are one. Four queries."""
    rows = access.addressable(BookingOption.objects.filter(pk__in=option_ids))
    options = list(rows.select_related("depot__operator"))
    depot_ids = {option.depot_id for option in options}
    admitted = access.admissions(depot_ids, now=now)
    depots = configuration.current_all(depot_ids)
    looks = cache(lambda option, mine: _look(depots[option.depot_id], option, mine, now))
    found: dict[tuple[int, int], View] = {}
    for option in options:
        agreements = admitted.get(option.depot_id, {})
        is_open = not option.is_withdrawn and not option.depot.is_withdrawn
        for partner in partners:
            guest = partner.organisation_id
            mine = frozenset(agreements[key] for key in (None, guest) if key in agreements)
            allowance = depots[option.depot_id].allowance_under(mine, guest)
            found[partner.pk, option.pk] = View(
                option, *looks(option, mine), is_open and bool(mine), allowance
            )
    return _without_room(found, partners, now)


def _without_room(
    found: dict[tuple[int, int], View], partners: Collection[Partner], now: datetime
) -> dict[tuple[int, int], View]:
    fleets = {partner.pk: partner.organisation_id for partner in partners}
    asked = [((fleets[pk], view.option.depot_id), view.terms) for (pk, _), view in found.items()]
    held = held_by(asked, now=now)
    if not held:
        return found
    return {
        key: view if has_room(guest, view.terms, held) else replace(view, has_room=False)
        for (key, view), (guest, _) in zip(found.items(), asked, strict=True)
    }


def _look(
    depot: Configuration, option: BookingOption, agreement_ids: frozenset[int], now: datetime
) -> tuple[Terms, OfferPrices, bool]:
    terms = depot.terms_under(option.pk, agreement_ids)
    return terms, _prices(depot, option, agreement_ids, now), depot.takes_walk_ins


def viewed(views: Collection[View], *, now: datetime) -> dict[View, PublishedOffer]:
    """The offers themselves, with their free time where they are visible. Constant number of queries."""
    options = list({view.option.pk: view.option for view in views}.values())
    if not options:
        return {}
    prefetch_related_objects(options, "depot__opening_hours", Prefetch("evses", evses_with_bays()))
    _date(options, now)
    by_pk = {option.pk: option for option in options}
    spans = {view: calendar_span(view.option, view.terms, now=now) for view in views}
    whole = Period(min(s.starts_at for s in spans.values()), max(s.ends_at for s in spans.values()))
    wanted = {
        (by_pk[view.option.pk], view.terms, view.allowance)
        for view in views
        if view.is_visible and view.has_room
    }
    slots = availability.calendars(wanted, whole, now=now)
    return {
        view: PublishedOffer(
            by_pk[view.option.pk],
            view.terms,
            slots[view.option.pk, view.terms, view.allowance] if view.is_visible and view.has_room else [],
            spans[view],
            view.prices,
            view.takes_walk_ins,
        )
        for view in views
    }


def _prices(
    depot: Configuration, option: BookingOption, agreement_ids: frozenset[int], now: datetime
) -> OfferPrices:
    """By the tariffs of the option, and of its EVSE where it is about one alone."""
    held = depot.tariffs_under(option.pk, depot.evse_of(option.pk), agreement_ids, at=now)
    codes = tuple(one.code for one in held if one is not None)
    has_fee = held.booking is not None and has_price_for(held.booking.content, ElementUse.NO_SHOW)
    return OfferPrices(codes, has_fee)


def calendar_span(option: BookingOption, terms: Terms, *, now: datetime) -> Period:
    """From the depot's midnight before now to the one after the horizon: the same all day long."""
    zone = option.depot.zone
    first = now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    last = (now + timedelta(days=terms.horizon_days)).astimezone(zone).date() + timedelta(days=1)
    return Period(first, datetime(last.year, last.month, last.day, tzinfo=zone)).in_utc()


def depots(partner: Partner, visible: Sequence[Depot], *, now: datetime) -> list[PublishedDepot]:
    """Depots as access.depots gives them, with the state of their EVSEs and what a partner's customers pay at each."""
    pks = [depot.pk for depot in visible]
    reserved, closures = reserved_evses(pks, now=now), closures_at(pks, now)
    configured = configuration.current_all(set(pks))
    codes = _charging_tariffs(configured.values(), partner.organisation_id, now)
    guest = str(partner.organisation)
    return [
        PublishedDepot(
            d, reserved, bool(getattr(d, "is_public", False)), now, closures, codes,
            configured[d.pk].takes_walk_ins, guest,
        )
        for d in visible
    ]  # fmt: skip


def _charging_tariffs(depots: Iterable[Configuration], fleet_id: int, now: datetime) -> dict[int, str]:
    """By EVSE; of several offers that name one, the narrowest counts."""
    return {
        evse.pk: held.code
        for depot in depots
        for option_id, evse in depot.narrowest
        if (held := depot.tariffs_for(option_id, evse.pk, fleet_id, at=now).charging)
    }


def closures_at(depot_ids: Collection[int], now: datetime) -> dict[int, list[Closure]]:
    """Those not over yet, by EVSE."""
    found: dict[int, list[Closure]] = {}
    rows = Closure.objects.filter(evse__depot__in=depot_ids, lifted_at__isnull=True, ends_at__gt=now)
    for closure in rows.order_by("starts_at", "pk"):
        found.setdefault(closure.evse_id, []).append(closure)
    return found


def reserved_evses(depot_ids: Collection[int] | None = None, *, now: datetime) -> set[int]:
    """The EVSEs, by key, that a booking is about to use: of these depots, or of all of ours."""
    there = {} if depot_ids is None else {"depot__in": depot_ids}
    soon = Booking.objects.here().filter(
        **there,
        status=BookingStatus.CONFIRMED,
        starts_at__lte=now + LONGEST_EARLY_START,
        ends_at__gt=now,
        evse__isnull=False,
    )
    return {b.evse_id for b in soon if b.evse_id and is_about_to_start(b, now=now)}


def is_about_to_start(booking: Booking, *, now: datetime) -> bool:
    """Does its EVSE show as reserved: from the early start (or 10 minutes before) until it is used or over."""
    before = booking.terms.early_start or RESERVED_BEFORE
    return booking.status == BookingStatus.CONFIRMED and booking.starts_at - before <= now < booking.ends_at
