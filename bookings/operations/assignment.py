"""Which EVSE a new booking gets, at which power: a free one, or one that others make free; under their locks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import cache

from bookings.core.standing import Standing
from bookings.errors import NO_ROOM, BookingError, PowerUnavailable, SlotTaken
from bookings.operations import until_charged
from bookings.operations.booking_ground import BookingGround
from bookings.operations.make_room import Newcomer, Place, foreseen_room, make_room
from bookings.operations.places import Beside, FreePlace, free_places
from bookings.operations.quotas_under_lock import allotted
from bookings.operations.room_until_charged import make_room_until_charged, room_until_charged
from bookings.operations.slot_request import SlotRequest
from bookings.rules import guest_hours, periods
from bookings.rules.configuration import Bay, Configuration
from bookings.rules.power import Supply
from bookings.rules.quotas import Allotted
from bookings.rules.rearrangement import tightest_first
from bookings.rules.terms import Terms
from bookings.search import availability
from depots.periods import Period


def assigned(
    request: SlotRequest,
    pool: Sequence[Bay],
    ground: BookingGround,
    *,
    makes_room: bool = True,
    now: datetime,
) -> tuple[SlotRequest, Place]:
    """Of the EVSEs of `pool`, with the request as it is once its end is found; where none is free, by moves if it `makes_room`.

    Raises SlotTaken, what says how much power or quota there is, TooLong or what is wrong with the period, or ReachesFurther
    where room is made and more has to be locked.
    """
    if request.ends_when_charged:
        return _until_charged(request, pool, ground, makes_room, now)
    free = _free(request, pool, ground, now)
    if free:
        return request, _first_with_power(free, pool, request, ground, now)
    if not makes_room:
        raise SlotTaken
    comer = _newcomer(pool, request, ground, now)
    return request, make_room(comer, ground.configuration, ground.locked, now=now)


def foreseen_by_moves(
    request: SlotRequest, pool: Sequence[Bay], there: Configuration, terms: Terms, *, now: datetime
) -> tuple[Period, Place]:
    """Of a pool of which no EVSE is free: when and where it would be put if others made room, as things stand. Raises SlotTaken,
    or what is wrong with the period."""
    nothing = Standing(None, (), is_armed=False)  # what stands there is read to see who could move
    ground = BookingGround(there, terms, Beside(), nothing, vehicle=None, draft=None)

    def comer(period: Period) -> Newcomer:
        return _newcomer(pool, replace(request, period=period), ground, now)

    slot = request.energy_slot(terms, there.site)
    if slot is None:
        period, place = request.period, foreseen_room(comer(request.period), there, now=now)
    else:
        found = room_until_charged(slot, comer, there, now=now)
        period, place = found.period, found.place
    return _lasting(period, request, ground, now).period, place


def _until_charged(
    request: SlotRequest, pool: Sequence[Bay], ground: BookingGround, makes_room: bool, now: datetime
) -> tuple[SlotRequest, Place]:
    """Where it is charged soonest of what is free; else where others can make room for as long as it takes."""
    there, terms = ground.configuration, ground.terms
    slot = request.energy_slot(terms, there.site)
    assert slot is not None  # it ends when charged
    reach = slot.longest.widened(availability.FAR, availability.FAR)
    supply = _left_to(request, ground, reach, now)
    vehicle_w, most_w = request.must_fit.max_power_w, terms.max_promise_w

    def promised_w(place: FreePlace[Bay]) -> int:
        return supply.promise(place.evse, place.span, request.power_w, vehicle_w, most_w=most_w)

    try:
        period, soonest = until_charged.shortest(slot, pool, ground.standing.by_evse(), promised_w, now=now)
    except SlotTaken:
        if not makes_room:
            raise
        period, place = make_room_until_charged(
            slot, lambda period: _newcomer(pool, replace(request, period=period), ground, now),
            there, ground.locked, now=now,
        )  # fmt: skip
        return _lasting(period, request, ground, now), place
    request = _lasting(period, request, ground, now)
    return request, _first_with_power(_free(request, soonest, ground, now), pool, request, ground, now)


def _lasting(period: Period, request: SlotRequest, ground: BookingGround, now: datetime) -> SlotRequest:
    """Raises what is wrong with the period."""
    terms, site = ground.terms, ground.configuration.site
    periods.check_period(terms, site, period, now=now)
    allowance = ground.configuration.allowance(request.fleet.pk, now=now)
    guest_hours.check_hours(allowance, terms, site, period, now=now)
    return replace(request, period=period)


def _free(
    request: SlotRequest, pool: Sequence[Bay], ground: BookingGround, now: datetime
) -> list[FreePlace[Bay]]:
    """Best first; where a plan of many puts it before all others."""
    taken = ground.standing.by_evse()
    free = free_places(pool, request.must_fit, request.period, ground.terms, now=now, taken=taken)
    if request.planned_evse_id is not None:
        free.sort(key=lambda place: place.evse.pk != request.planned_evse_id)
    return free


def _first_with_power(
    free: Sequence[FreePlace[Bay]],
    pool: Sequence[Bay],
    request: SlotRequest,
    ground: BookingGround,
    now: datetime,
) -> Place:
    """The first free EVSE whose power can be promised, with its watts. Raises the mildest PowerUnavailable when none can.

    Of a pool it is one that gives no less than the pool's calendar shows. Raises SlotTaken when none does: then the period
    reaches over timeslots that no EVSE has together.
    """
    promised = _promised(free, request, ground, now)
    if request.power_w is not None or promised[0].watts == max(watts for _, watts in promised):
        return promised[0]
    shown = _shown_power(pool, request, ground, now)
    for place in promised:
        if place.watts >= shown:
            return place
    raise SlotTaken


def _shown_power(pool: Sequence[Bay], request: SlotRequest, ground: BookingGround, now: datetime) -> int:
    """What the calendar of the pool shows for the period, as far as the vehicle can use it."""
    there, limits = ground.configuration, ground.configuration.limits
    shown = availability.shown_power(
        pool, request.period, ground.terms, allowance=there.allowance(request.fleet.pk, now=now),
        limits=limits, now=now,
    )  # fmt: skip
    return min(shown, request.must_fit.max_power_w or shown)


def _newcomer(pool: Sequence[Bay], request: SlotRequest, ground: BookingGround, now: datetime) -> Newcomer:
    """For whom room is to be made, at the EVSE that wastes least first."""
    needs, is_pool = request.must_fit, request.power_w is None and len(pool) > 1
    return Newcomer(
        tightest_first(pool, needs), needs, request.period, ground.terms, request.fleet.pk, request.power_w,
        least_w=cache(lambda: _shown_power(pool, request, ground, now) if is_pool else 0),
    )  # fmt: skip


def _promised(
    free: Sequence[FreePlace[Bay]], request: SlotRequest, ground: BookingGround, now: datetime
) -> list[Place]:
    """The places with power, each with the watts that can be promised there; at least one. Raises PowerUnavailable,
    QuotaReached or KeptForWalkIns."""
    spans = [place.span for place in free]
    within = Period(min(span.starts_at for span in spans), max(span.ends_at for span in spans))
    supply = _left_to(request, ground, within, now)
    vehicle_w, most_w = request.must_fit.max_power_w, ground.terms.max_promise_w
    promised: list[Place] = []
    refused: list[BookingError] = []
    for place in free:
        try:
            watts = supply.promise(place.evse, place.span, request.power_w, vehicle_w, most_w=most_w)
        except NO_ROOM as short:
            refused.append(short)
        else:
            promised.append(Place(place, watts))
    if not promised:
        raise max(refused, key=_watts_there)
    return promised


def _left_to(request: SlotRequest, ground: BookingGround, within: Period, now: datetime) -> Supply | Allotted:
    """The power that others and quotas leave in a span."""
    there, standing = ground.configuration, ground.standing
    supply = Supply(there.limits, standing.floors(within))
    return allotted(supply, there, standing.taken, request.fleet.pk, within, now=now)


def _watts_there(refusal: BookingError) -> int:
    """How near it is to what was asked: what could have been promised; nothing where no power is what is missing."""
    return refusal.available_w if isinstance(refusal, PowerUnavailable) else -1
