"""Making a booking: the request, the locks, one look at what stands there, and one statement that writes it all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from typing import Any

from bookings.actors import Actor
from bookings.core import calendars, lifecycle, occupancy
from bookings.core.locking import lock_depot, lock_ids
from bookings.core.standing import Standing, standing
from bookings.errors import (
    NO_ROOM,
    BookingError,
    DoesNotFit,
    NotOpenToYou,
    PowerUnavailable,
    SlotTaken,
)
from bookings.models import (
    Booking,
    BookingPayment,
    BookingRequest,
    BookingStatus,
    BookingToken,
)
from bookings.operations import request_log, until_charged
from bookings.operations.book_at_partner import ask_partner
from bookings.operations.booking_draft import Draft, drafted, drafted_ahead
from bookings.operations.make_room import Newcomer, make_room
from bookings.operations.places import (
    Beside,
    FreePlace,
    ReachesFurther,
    candidates,
    free_places,
    refusals,
    sweep_holds,
    under_locks,
)
from bookings.operations.quotas_under_lock import allotted, check_open_bookings
from bookings.operations.slot_request import SlotRequest
from bookings.payments import booking_payments
from bookings.rules import configuration, guest_hours, periods, quotes
from bookings.rules.configuration import Bay, Configuration
from bookings.rules.deadlines import answers_until
from bookings.rules.entitlement import (
    AskedVehicle,
    ask_for_vehicle,
    carried,
    entitled,
    own_trailer,
    own_vehicle,
)
from bookings.rules.power import Supply
from bookings.rules.quotas import Allotted
from bookings.rules.rearrangement import tightest_first
from bookings.rules.terms import Terms
from bookings.search import availability
from depots.periods import Period


def request_booking(request: SlotRequest, *, actor: Actor, now: datetime) -> Booking:
    """Book at once, or ask where the depot or a partner decides: CONFIRMED or REQUESTED.

    Raises a BookingError; nothing is left behind then.
    """
    if request.option.is_mirror:
        with refusals(lambda: _nearest(request, now)), calendars.one_operation():
            return ask_partner(request, actor=actor, now=now)
    return _with_places(request, now, lambda ground: _book(request, ground, actor=actor, now=now))


def hold_slot(request: SlotRequest, *, until: datetime | None = None, actor: Actor, now: datetime) -> Booking:
    """Keep a slot while its dispatcher reads the terms and confirms: for the term `hold_min`, or `until` then. Raises a
    BookingError."""
    if request.option.is_mirror:
        raise NotOpenToYou("A partner's slot cannot be held, only requested.")
    return _with_places(request, now, lambda ground: _hold(request, ground, until, actor=actor, now=now))


@dataclass(frozen=True)
class _Named:
    """A request as it counts under the locks, with its vehicle as it is by now, and its tokens."""

    draft: Draft
    tokens: list[BookingToken]


@dataclass(frozen=True)
class _Scope:
    """What has to be locked for a request, and read: EVSEs by id, whether bookings elsewhere at the depot count, and the time
    that the booking may take."""

    pool: frozenset[int]
    fed: frozenset[int]
    depot: bool
    reach: Period


@dataclass(frozen=True)
class _BookingGround:
    """What a decision rests on, read under the locks."""

    configuration: Configuration
    terms: Terms
    locked: Beside
    standing: Standing
    vehicle: AskedVehicle | None
    draft: Draft | None


def _with_places(request: SlotRequest, now: datetime, act: Callable[[_BookingGround], Booking]) -> Booking:
    """One operation under the locks of what the request may take."""
    return under_locks(lambda: _nearest(request, now), lambda also: act(_locked(request, also, now)))


def _locked(request: SlotRequest, also: Beside, now: datetime) -> _BookingGround:
    """Lock what a new booking may take (EVSEs by id; the depot before them where a limit of power or of bookings counts), then
    read what is so: nothing of it changes until the transaction ends.

    What to lock is guessed by the configuration this process knows. Raises ReachesFurther when it is another one by now, and
    for holds that ran out at EVSEs not locked: they keep power from their neighbours.
    """
    depot_id = request.option.depot_id
    known = configuration.kept(depot_id)
    scope = _scope(request, known, now)
    draft = drafted_ahead(request, known, now)
    locked = Beside(scope.pool, scope.depot) | also
    if locked.depot:
        lock_depot(depot_id)
    lock_ids(locked.evse_ids)
    vehicle = (
        ask_for_vehicle(request.vehicle, request.fleet)
        if request.vehicle and request.tokens is None
        else None
    )
    found = _standing(request, scope, now)
    true = configuration.under(depot_id, found.version)
    if true is not known:
        needed = _scope(request, true, now)
        if not (needed.pool <= locked.evse_ids and needed.depot <= locked.depot):
            raise ReachesFurther
        found = _standing(request, needed, now)
    if not found.overdue() <= locked.evse_ids:
        raise ReachesFurther(found.overdue())
    terms = request.under(true.terms(request.option.pk, request.fleet.pk, now=now))
    return _BookingGround(true, terms, locked, found, vehicle, draft)


def _scope(request: SlotRequest, known: Configuration, now: datetime) -> _Scope:
    terms = known.terms(request.option.pk, request.fleet.pk, now=now)
    bays = known.offers.get(request.option.pk, ())
    pool = frozenset([request.evse.pk] if request.evse else [bay.pk for bay in bays])
    depot = terms.max_open_bookings is not None or known.is_shared
    slot = request.energy_slot(terms, known.site)
    reach = slot.longest if slot is not None else request.period
    return _Scope(pool, frozenset(known.fed_together(pool)), depot, reach)


def _standing(request: SlotRequest, scope: _Scope, now: datetime) -> Standing:
    around = scope.reach.widened(availability.FAR, availability.FAR)
    return standing(request.option.depot_id, scope.pool | scope.fed, around, now=now)


def _book(request: SlotRequest, ground: _BookingGround, *, actor: Actor, now: datetime) -> Booking:
    named = _named(request, ground, now)
    booking, span, payment = _placed(named, ground, now)
    approval = booking.terms_json["approval"]
    if payment is not None:
        booking_payments.ask(payment, booking, now)
    waits = approval or (payment is not None and payment.is_waited_for)
    asked = replace(request, period=booking.period).asked(named.tokens)
    ask = request_log.entry(
        BookingRequest.Kind.CREATE, asked.to_json(), accepted=not waits,
        message=request.message, actor=actor, now=now,
    )  # fmt: skip
    if waits:
        booking.decide_until = answers_until(booking, payment, approval=approval, now=now)
    status = BookingStatus.REQUESTED if waits else BookingStatus.CONFIRMED
    lifecycle.begin(
        booking, status, tokens=named.tokens, span=span, ask=ask, actor=actor, at=now,
        detail={"payment": booking_payments.brief(payment)} if payment is not None else None,
    )  # fmt: skip
    if payment is not None:
        booking_payments.keep(payment, booking, now)
    return booking


def _hold(
    request: SlotRequest, ground: _BookingGround, until: datetime | None, *, actor: Actor, now: datetime
) -> Booking:
    named = _named(request, ground, now)
    booking, span, payment = _placed(named, ground, now)
    booking.held_until = until or now + ground.terms.hold_time
    lifecycle.begin(booking, BookingStatus.HELD, tokens=named.tokens, span=span, actor=actor, at=now)
    if payment is not None:
        booking_payments.keep(payment, booking, now)
    return booking


def _named(request: SlotRequest, ground: _BookingGround, now: datetime) -> _Named:
    """Raises VehicleUnknown, TrailerUnknown, NotOpenToYou, TokenUnusable, or what `drafted` does."""
    vehicle, cards = request.vehicle, None
    if ground.vehicle is not None:
        vehicle, cards = ground.vehicle.found()
    else:
        vehicle = own_vehicle(vehicle, request.fleet)
    if not ground.configuration.offers_to(request.option.pk, request.fleet.pk, now=now):
        raise NotOpenToYou("This depot is not open to you.")
    if cards is not None:
        tokens = carried(cards, request.fleet, request.party)
    else:
        tokens = entitled(request.tokens, vehicle, request.fleet, request.party)
    draft = ground.draft
    if request.trailer is not None:
        request, draft = replace(request, trailer=own_trailer(request.trailer, request.fleet)), None
    if draft is None or not draft.holds(ground.configuration, vehicle):
        draft = drafted(replace(request, vehicle=vehicle), ground.configuration, now)
    return _Named(draft, tokens)


def _placed(
    named: _Named, ground: _BookingGround, now: datetime
) -> tuple[Booking, Period, BookingPayment | None]:
    """Look and take: the heart of every booking at a depot of ours. Gives it unsaved, with the span it will occupy and what
    it has to pay first."""
    request, pool, terms = named.draft.request, named.draft.pool, ground.terms
    check_open_bookings(request.fleet, request.option.depot_id, terms, now=now)
    occupancy.queue_to_claim(terms, named.tokens, [request.vehicle.pk if request.vehicle else None])
    if ground.standing.overdue():
        scope = _scope(request, ground.configuration, now)
        sweep_holds(list(ground.locked.evse_ids), scope.reach.widened(terms.early_start, terms.tail), now=now)
        # Closures may have taken over what the holds gave up.
        ground = replace(ground, standing=_standing(request, scope, now))
    booking, suffices = named.draft.booking, pool
    if request.ends_when_charged:
        request, suffices = _until_charged(request, pool, ground, now)
        booking.period = request.period
    taken = ground.standing.by_evse()
    free = free_places(suffices, request.must_fit, request.period, terms, now=now, taken=taken)
    if request.planned_evse_id is not None:
        free.sort(key=lambda place: place.evse.pk != request.planned_evse_id)
    if free:
        place, watts = _first_with_power(free, pool, request, ground, now)
    else:
        comer = _newcomer(suffices, request, ground, now)
        place, watts = make_room(comer, ground.configuration, ground.locked, now=now)
    booking.evse_id, booking.promised_power_w = place.evse.pk, watts
    booking.finds_nothing_armed = not ground.standing.is_armed
    quotes.keep(booking, request.quote or _quote(request, ground.configuration, place.evse, watts, now))
    quotes.check_shown(request.shown_price, booking.quote)
    there = ground.configuration
    payment = booking_payments.plan(booking, there, now) if there.payment_terms else None
    return booking, place.span, payment


def _until_charged(
    request: SlotRequest, pool: Sequence[Bay], ground: _BookingGround, now: datetime
) -> tuple[SlotRequest, list[Bay]]:
    """The request with the end it takes, and the EVSEs of which that is true. Raises what `until_charged.shortest` and
    `periods.check_period` do."""
    site, terms, standing = ground.configuration.site, ground.terms, ground.standing
    slot = request.energy_slot(terms, site)
    assert slot is not None  # it ends when charged
    reach = slot.longest.widened(availability.FAR, availability.FAR)
    supply = _left_to(request, ground, reach, now)
    vehicle_w, most_w = request.must_fit.max_power_w, terms.max_promise_w

    def promised_w(place: FreePlace[Bay]) -> int:
        return supply.promise(place.evse, place.span, request.power_w, vehicle_w, most_w=most_w)

    period, suffices = until_charged.shortest(slot, pool, standing.by_evse(), promised_w, now=now)
    periods.check_period(terms, site, period, now=now)
    allowance = ground.configuration.allowance(request.fleet.pk, now=now)
    guest_hours.check_hours(allowance, terms, site, period, now=now)
    return replace(request, period=period), suffices


def _quote(
    request: SlotRequest, there: Configuration, evse: Bay, watts: int, now: datetime
) -> dict[str, Any]:
    """The price under the tariffs that hold now; empty where none does."""
    tariffs = there.tariffs_for(request.option.pk, evse.pk, request.fleet.pk, at=now)
    kept = request.reserved
    if kept is not None:  # what a booked slot costs is no price of a reservation
        tariffs = tariffs._replace(booking=None)
    quote = quotes.quoted(
        tariffs, request.period, there.site.zone, power_w=watts, vehicle=request.vehicle, energy_wh=request.energy_wh,
        reserved=Period(kept.since, kept.until) if kept is not None else None,
    )  # fmt: skip
    return quote.to_json() if quote else {}


def _first_with_power(
    free: Sequence[FreePlace[Bay]],
    pool: Sequence[Bay],
    request: SlotRequest,
    ground: _BookingGround,
    now: datetime,
) -> tuple[FreePlace[Bay], int]:
    """The first free EVSE whose power can be promised, with its watts. Raises the mildest PowerUnavailable when none can.

    Of a pool it is one that gives no less than the pool's calendar shows. Raises SlotTaken when none does: then the period
    reaches over timeslots that no EVSE has together.
    """
    promised = _promised(free, request, ground, now)
    if request.power_w is not None or promised[0][1] == max(watts for _, watts in promised):
        return promised[0]
    shown = _shown_power(pool, request, ground, now)
    for place, watts in promised:
        if watts >= shown:
            return place, watts
    raise SlotTaken


def _shown_power(pool: Sequence[Bay], request: SlotRequest, ground: _BookingGround, now: datetime) -> int:
    """What the calendar of the pool shows for the period, as far as the vehicle can use it."""
    there, limits = ground.configuration, ground.configuration.limits
    shown = availability.shown_power(
        pool, request.period, ground.terms, allowance=there.allowance(request.fleet.pk, now=now),
        limits=limits, now=now,
    )  # fmt: skip
    return min(shown, request.must_fit.max_power_w or shown)


def _newcomer(pool: Sequence[Bay], request: SlotRequest, ground: _BookingGround, now: datetime) -> Newcomer:
    """For whom room is to be made, at the EVSE that wastes least first."""
    needs, is_pool = request.must_fit, request.power_w is None and len(pool) > 1
    return Newcomer(
        tightest_first(pool, needs), needs, request.period, ground.terms, request.fleet.pk, request.power_w,
        least_w=cache(lambda: _shown_power(pool, request, ground, now) if is_pool else 0),
    )  # fmt: skip


def _promised(
    free: Sequence[FreePlace[Bay]], request: SlotRequest, ground: _BookingGround, now: datetime
) -> list[tuple[FreePlace[Bay], int]]:
    """The places with power, each with the watts that can be promised there; at least one. Raises PowerUnavailable,
    QuotaReached or KeptForWalkIns."""
    spans = [place.span for place in free]
    within = Period(min(span.starts_at for span in spans), max(span.ends_at for span in spans))
    supply = _left_to(request, ground, within, now)
    vehicle_w, most_w = request.must_fit.max_power_w, ground.terms.max_promise_w
    promised: list[tuple[FreePlace[Bay], int]] = []
    refused: list[BookingError] = []
    for place in free:
        try:
            watts = supply.promise(place.evse, place.span, request.power_w, vehicle_w, most_w=most_w)
        except NO_ROOM as short:
            refused.append(short)
        else:
            promised.append((place, watts))
    if not promised:
        raise max(refused, key=_watts_there)
    return promised


def _left_to(
    request: SlotRequest, ground: _BookingGround, within: Period, now: datetime
) -> Supply | Allotted:
    """The power that others and quotas leave in a span."""
    there, standing = ground.configuration, ground.standing
    supply = Supply(there.limits, standing.floors(within))
    return allotted(supply, there, standing.taken, request.fleet.pk, within, now=now)


def _watts_there(refusal: BookingError) -> int:
    """How near it is to what was asked: what could have been promised; nothing where no power is what is missing."""
    return refusal.available_w if isinstance(refusal, PowerUnavailable) else -1


def _nearest(request: SlotRequest, now: datetime) -> Period | None:
    """When the same would be free; asked after a refusal, outside of the transaction."""
    option_id, there = request.option.pk, configuration.current(request.option.depot_id)
    try:
        pool = candidates(there.pools.get(option_id, ()), request.must_fit, request.evse)
    except DoesNotFit:
        return None
    terms, wish_w = there.terms(option_id, request.fleet.pk, now=now), request.power_w
    slot = request.energy_slot(terms, there.site)
    wanted, allowance = request.period, there.allowance(request.fleet.pk, now=now)
    if slot is not None:
        supply = Supply.behind(there.limits, slot.longest, now=now)
        wanted = until_charged.length(slot, pool, supply, wish_w, request.must_fit.max_power_w)
    return availability.nearest(
        terms, pool, wanted, allowance=allowance, limits=there.limits, wish_w=wish_w, now=now
    )
