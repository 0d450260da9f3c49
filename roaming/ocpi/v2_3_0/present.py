"""The present state of our objects as a partner may see it, for whoever sends it: the API, and the sender of pushes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from bookings.core import calendars
from bookings.models import Booking, BookingOption, BookingStatus
from bookings.pricing import quotes
from bookings.rules.terms import LONGEST_EARLY_START
from bookings.search import availability
from bookings.search.bookable import terms_by_option, terms_for
from depots.models import Depot
from depots.periods import Period
from roaming import access
from roaming.models import Partner
from roaming.ocpi.v2_3_0.bookings import mapping, offer_mapping, schemas
from roaming.ocpi.v2_3_0.locations import mapping as location_mapping
from roaming.ocpi.v2_3_0.locations import schemas as location_schemas


def booking_locations(
    partner: Partner, options: Sequence[BookingOption], *, now: datetime
) -> list[schemas.BookingLocation]:
    """These offers with their calendars, on the partner's own terms. Constant number of queries."""
    return [location for location, _ in _with_slots(partner, options, now=now)]


def booking_locations_free_in(
    partner: Partner, options: Sequence[BookingOption], span: Period, *, now: datetime
) -> list[schemas.BookingLocation]:
    """Those of them with a free timeslot that overlaps the span; whole, with all their timeslots."""
    return [
        location
        for location, slots in _with_slots(partner, options, now=now)
        if any(slot.period.overlaps(span) for slot in slots)
    ]


def booking_location(partner: Partner, option_id: int, *, now: datetime) -> schemas.BookingLocation | None:
    """One offer as it stands; without calendars once the partner may not book it any more. None when it is gone."""
    visible = access.options(partner, now=now).filter(pk=option_id).first()
    if visible is not None:
        return booking_locations(partner, [visible], now=now)[0]
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
    return offer_mapping.booking_location_out(
        option, terms, [], within=offer_mapping.calendar_span(option, terms, now=now)
    )


def booking(partner: Partner, booking_id: int) -> schemas.Booking | None:
    """One booking of the partner as it stands; None when it is not one of its own."""
    found = access.bookings(partner).filter(pk=booking_id).first()
    return mapping.booking_out(found) if found else None


def locations(depots: Sequence[Depot], *, now: datetime) -> list[location_schemas.Location]:
    """Depots as access.depots gives them, with the state of their EVSEs."""
    reserved = reserved_evses([depot.pk for depot in depots], now=now)
    return [
        location_mapping.location_out(
            depot,
            list(depot.evses.all()),
            reserved=reserved,
            is_public=bool(getattr(depot, "is_public", False)),
        )
        for depot in depots
    ]


def reserved_evses(depot_ids: Collection[int], *, now: datetime) -> set[int]:
    """The EVSEs, by key, that a booking is about to use."""
    soon = Booking.objects.filter(
        depot__in=depot_ids,
        status=BookingStatus.CONFIRMED,
        starts_at__lte=now + LONGEST_EARLY_START,
        ends_at__gt=now,
        evse__isnull=False,
    )
    return {b.evse_id for b in soon if b.evse_id and location_mapping.is_about_to_start(b, now=now)}


def _with_slots(
    partner: Partner, options: Sequence[BookingOption], *, now: datetime
) -> list[tuple[schemas.BookingLocation, list[availability.Timeslot]]]:
    if not options:
        return []
    _date(options, now)
    fleet = partner.organisation
    terms = terms_by_option(options, fleet, now=now)
    tariffs = quotes.tariffs_for(options, fleet, now=now)
    spans = {o.pk: offer_mapping.calendar_span(o, terms[o.pk], now=now) for o in options}
    whole = Period(min(s.starts_at for s in spans.values()), max(s.ends_at for s in spans.values()))
    slots = availability.calendar(options, whole, terms, now=now)
    found = []
    for option in options:
        tariff = tariffs[option.pk]
        location = offer_mapping.booking_location_out(
            option,
            terms[option.pk],
            slots[option.pk],
            within=spans[option.pk],
            has_no_show_fee=tariff is not None and tariff.no_show_fee > 0,
        )
        found.append((location, slots[option.pk]))
    return found


def _date(options: Sequence[BookingOption], now: datetime) -> None:
    """What is shown has changes in it that the next tick dates: until then they are of this moment."""
    marked = calendars.marked_among(options)
    for option in options:
        if option.pk in marked:
            option.updated_at = max(now, option.updated_at)
