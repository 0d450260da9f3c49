"""What a partner sees of our depots and bookings now, in our own words, for whoever writes it: the API and the pushes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bookings.core import calendars
from bookings.models import Booking, BookingOption, BookingStatus
from bookings.pricing import quotes
from bookings.rules.terms import LONGEST_EARLY_START, Terms
from bookings.search import availability
from bookings.search.bookable import terms_by_option, terms_for
from depots.models import Depot
from depots.periods import Period
from roaming import access
from roaming.models import Partner

# How long before its start a booked EVSE shows as reserved, where an early start is not allowed.
RESERVED_BEFORE = timedelta(minutes=10)


@dataclass(frozen=True)
class PublishedOffer:
    """An offer on the terms of one partner, with its free time. Without any it is full, or not open to the partner any more.

    `span` is what its calendar covers. The option has its depot, operator, EVSEs and connectors with it.
    """

    option: BookingOption
    terms: Terms
    timeslots: Sequence[availability.Timeslot]
    span: Period
    has_no_show_fee: bool = False


@dataclass(frozen=True)
class PublishedDepot:
    """`reserved` names the EVSEs, by key, whose booked slot is about to start; `is_public`: it is open to everybody."""

    depot: Depot
    reserved: Collection[int]
    is_public: bool


def owner_of(depot: Depot) -> tuple[str, str]:
    """The CPO party a depot of ours belongs to: country code and party id."""
    return depot.operator.country_code.upper(), depot.operator.cpo_party_id.upper()


def offers(partner: Partner, options: Sequence[BookingOption], *, now: datetime) -> list[PublishedOffer]:
    """These offers with their calendars, on the partner's own terms. Constant number of queries."""
    if not options:
        return []
    _date(options, now)
    fleet = partner.organisation
    terms = terms_by_option(options, fleet, now=now)
    tariffs = quotes.tariffs_for(options, fleet, now=now)
    spans = {o.pk: calendar_span(o, terms[o.pk], now=now) for o in options}
    whole = Period(min(s.starts_at for s in spans.values()), max(s.ends_at for s in spans.values()))
    timeslots = availability.calendar(options, whole, terms, now=now)
    found = []
    for option in options:
        tariff = tariffs[option.pk]
        has_fee = tariff is not None and tariff.no_show_fee > 0
        found.append(
            PublishedOffer(option, terms[option.pk], timeslots[option.pk], spans[option.pk], has_fee)
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
    visible = access.options(partner, now=now).filter(pk=option_id).first()
    if visible is not None:
        return offers(partner, [visible], now=now)[0]
    option = (
        BookingOption.objects.filter(pk=option_id, is_mirror=False)
        .exclude(depot__operator__cpo_party_id="")
        .select_related("depot__operator")
        .prefetch_related("evses__connectors")
        .first()
    )
    if option is None or len(option.code) > access.OCPI_ID_LENGTH:
        return None
    terms = terms_for(option, partner.organisation, now=now)
    return PublishedOffer(option, terms, [], calendar_span(option, terms, now=now))


def calendar_span(option: BookingOption, terms: Terms, *, now: datetime) -> Period:
    """From the depot's midnight before now to the one after the horizon: the same all day long."""
    zone = option.depot.zone
    first = now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    last = (now + timedelta(days=terms.horizon_days)).astimezone(zone).date() + timedelta(days=1)
    return Period(first, datetime(last.year, last.month, last.day, tzinfo=zone)).in_utc()


def booking(partner: Partner, booking_id: int) -> Booking | None:
    """One booking of the partner as it stands; None when it is not one of its own."""
    return access.bookings(partner).filter(pk=booking_id).first()


def depots(visible: Sequence[Depot], *, now: datetime) -> list[PublishedDepot]:
    """Depots as access.depots gives them, with the state of their EVSEs."""
    reserved = reserved_evses([depot.pk for depot in visible], now=now)
    return [PublishedDepot(d, reserved, bool(getattr(d, "is_public", False))) for d in visible]


def reserved_evses(depot_ids: Collection[int], *, now: datetime) -> set[int]:
    """The EVSEs, by key, that a booking is about to use."""
    soon = Booking.objects.filter(
        depot__in=depot_ids,
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
