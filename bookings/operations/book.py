"""Making a booking: the request, the locks, one look at what stands there, and one statement that writes it all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from bookings.actors import Actor
from bookings.core import calendars, lifecycle, occupancy
from bookings.errors import (
    DoesNotFit,
    NotOpenToYou,
)
from bookings.models import (
    Booking,
    BookingPayment,
    BookingRequest,
    BookingStatus,
    BookingToken,
)
from bookings.operations import request_log, until_charged
from bookings.operations.assignment import assigned
from bookings.operations.book_at_partner import ask_partner, drafted_ask
from bookings.operations.booking_draft import Draft, drafted
from bookings.operations.booking_ground import (
    BookingGround,
    locked_ground,
    scope_of,
    seen_ground,
    standing_for,
)
from bookings.operations.make_room import Place
from bookings.operations.places import (
    ReachesFurther,
    candidates,
    check_unclaimed,
    refusals,
    sweep_holds,
    under_locks,
)
from bookings.operations.quotas_under_lock import check_open_bookings, check_unused_holds
from bookings.operations.slot_request import SlotRequest
from bookings.payments import booking_payments
from bookings.rules import configuration, quotes
from bookings.rules.configuration import Bay, Configuration
from bookings.rules.deadlines import answers_until
from bookings.rules.entitlement import (
    carried,
    entitled,
    own_trailer,
    own_vehicle,
)
from bookings.rules.power import Supply
from bookings.search import availability
from bookings.search.availability import Supposed
from depots.periods import Period


def request_booking(
    request: SlotRequest, *, draft: Draft | None = None, actor: Actor, now: datetime
) -> Booking:
    """Book at once, or ask where the depot or a partner decides: CONFIRMED or REQUESTED. `draft` is of whoever has drafted it
    before locks of its own.

    Raises a BookingError; nothing is left behind then.
    """
    if request.option.is_mirror:
        with refusals(lambda taken: _nearest(request, now, taken)), calendars.one_operation():
            return ask_partner(request, actor=actor, now=now)
    return _with_places(request, now, lambda ground: _book(request, ground, actor=actor, now=now), draft)


def hold_slot(
    request: SlotRequest,
    *,
    until: datetime | None = None,
    is_counted: bool = True,
    actor: Actor,
    now: datetime,
) -> Booking:
    """Keep a slot while its dispatcher reads the terms and confirms: for the term `hold_min`, or `until` then. Whoever asks for
    one that its fleet has not asked to hold does not have it counted (`check_unused_holds`). Raises a BookingError."""
    if request.option.is_mirror:
        raise NotOpenToYou("A partner's slot cannot be held, only requested.")

    def hold(ground: BookingGround) -> Booking:
        if is_counted and ground.terms.max_unused_holds is not None:
            if not ground.locked.depot:
                raise ReachesFurther(depot=True)
            check_unused_holds(request.fleet, request.option.depot_id, ground.terms, adding=1, now=now)
        return _hold(request, ground, until, actor=actor, now=now)

    return _with_places(request, now, hold)


def check_request(request: SlotRequest, *, now: datetime) -> None:
    """Raise what would refuse it now, by the rules it would be booked by, and leave nothing behind. Nothing is locked, so nobody
    waits for the answer, which may be another a moment later; that others could be moved, and whether it can be paid for, is
    not looked at."""
    if request.option.is_mirror:
        drafted_ask(request, now=now)
        return
    ground = seen_ground(request, now)
    named = _named(request, ground, now)
    check_open_bookings(request.fleet, request.option.depot_id, ground.terms, now=now)
    request, place = assigned(named.draft.request, named.draft.pool, ground, makes_room=False, now=now)
    check_unclaimed(_put(named.draft.booking, request, ground, place, now), named.tokens)


@dataclass(frozen=True)
class _Named:
    """A request as it counts under the locks, with its vehicle as it is by now, and its tokens."""

    draft: Draft
    tokens: list[BookingToken]


def _with_places(
    request: SlotRequest,
    now: datetime,
    act: Callable[[BookingGround], Booking],
    draft: Draft | None = None,
) -> Booking:
    """One operation under the locks of what the request may take."""
    return under_locks(
        lambda taken: _nearest(request, now, taken),
        lambda also: act(locked_ground(request, also, now, draft)),
    )


def _book(request: SlotRequest, ground: BookingGround, *, actor: Actor, now: datetime) -> Booking:
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
    request: SlotRequest, ground: BookingGround, until: datetime | None, *, actor: Actor, now: datetime
) -> Booking:
    named = _named(request, ground, now)
    booking, span, payment = _placed(named, ground, now)
    booking.held_until = until or now + ground.terms.hold_time
    lifecycle.begin(booking, BookingStatus.HELD, tokens=named.tokens, span=span, actor=actor, at=now)
    if payment is not None:
        booking_payments.keep(payment, booking, now)
    return booking


def _named(request: SlotRequest, ground: BookingGround, now: datetime) -> _Named:
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
    named: _Named, ground: BookingGround, now: datetime
) -> tuple[Booking, Period, BookingPayment | None]:
    """Look and take: the heart of every booking at a depot of ours. Gives it unsaved, with the span it will occupy and what
    it has to pay first."""
    request, terms = named.draft.request, ground.terms
    check_open_bookings(request.fleet, request.option.depot_id, terms, now=now)
    occupancy.queue_to_claim(terms, named.tokens, [request.vehicle.pk if request.vehicle else None])
    if ground.standing.overdue():
        scope = scope_of(request, ground.configuration, now)
        sweep_holds(list(ground.locked.evse_ids), scope.reach.widened(terms.early_start, terms.tail), now=now)
        # Closures may have taken over what the holds gave up.
        ground = replace(ground, standing=standing_for(request, scope, now))
    request, place = assigned(request, named.draft.pool, ground, now=now)
    booking, there = _put(named.draft.booking, request, ground, place, now), ground.configuration
    payment = booking_payments.plan(booking, there, now) if there.payment_terms else None
    return booking, place.place.span, payment


def _put(
    booking: Booking, request: SlotRequest, ground: BookingGround, place: Place, now: datetime
) -> Booking:
    """There, with its power and price. Raises PriceChanged."""
    bay, watts = place.place.evse, place.watts
    booking.period = request.period
    booking.evse_id, booking.promised_power_w = bay.pk, watts
    booking.finds_nothing_armed = not ground.standing.is_armed
    quotes.keep(booking, request.quote or _quote(request, ground.configuration, bay, watts, now))
    quotes.check_shown(request.shown_price, booking.quote)
    return booking


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


def _nearest(request: SlotRequest, now: datetime, taken_too: Mapping[int, Sequence[Period]]) -> Period | None:
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
        terms, pool, wanted, allowance=allowance, limits=there.limits, wish_w=wish_w,
        supposed=Supposed(taken_too=taken_too), now=now,
    )  # fmt: skip
