from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from typing import Any

from bookings.actors import Actor
from bookings.core import calendars, lifecycle, occupancy
from bookings.core.locking import lock_booking
from bookings.core.versions import check_version
from bookings.errors import WrongStatus
from bookings.models import Booking, BookingRequest, BookingStatus, Occupancy
from bookings.operations import (
    change_length,
    change_plan,
    request_log,
    room_for_delay,
)
from bookings.operations.apply_change import (
    Asker,
    Bid,
    ChangeGround,
    best_place,
    bid_for,
    check_customer_then,
    look,
    look_again,
    note_option,
    shown,
    write,
)
from bookings.operations.change_at_partner import ask_partner_to_change, quote_of_change
from bookings.operations.change_plan import PlannedChange
from bookings.operations.change_request import ChangeRequest
from bookings.operations.nearest_change import nearest_change
from bookings.operations.places import Beside, FreePlace, ReachesFurther, sweep_holds, under_locks
from bookings.operations.quotas_under_lock import check_walk_ins
from bookings.payments import booking_payments
from bookings.rules import configuration, quotes
from bookings.rules.charging_duration import EnergyAsked
from bookings.rules.configuration import Bay
from bookings.rules.deadlines import decide_until
from bookings.rules.energy_slots import EnergySlot
from depots.periods import Period


def change_booking(
    booking_id: int,
    request: ChangeRequest,
    *,
    by: str = Booking.Side.FLEET,
    seen_version: int | None = None,
    seen_exactly: bool = False,
    actor: Actor,
    now: datetime,
) -> Booking:
    """Change what is asked for and keep the rest as it is by then. The depot may move what it hosts. The fleet is bound by
    deadlines and, where the depot decides, by approval: the old period stays in force then, the new one is kept beside
    it until decided.

    `seen_version` is the version the asker looked at; None for one who asks without having looked. `seen_exactly`: nothing at
    all may have happened since. When only the time changes and its EVSE is not free then, another one of the same option is
    taken. A booking that charges can be given another end, past its deadlines; giving time back waits for nobody. A change that
    is taken back at the old time and EVSE has the old price again. Where something is paid or guaranteed first, what a dearer one
    costs more is secured with it.
    Raises a BookingError, ChangedMeanwhile, LowerPower, PriceChanged, PaymentMissing and PaymentAwaited among them; the booking
    is as it was then.
    """
    ask = _AskedChange(request, seen_version, Asker(by, actor, now), seen_exactly)
    return under_locks(
        lambda taken: nearest_change(booking_id, request, by, taken, now),
        lambda also: _change(*_locked(booking_id, request, also), ask),
    )


def price_of_change(
    booking: Booking, request: ChangeRequest, *, actor: Actor, now: datetime
) -> dict[str, Any]:
    """The quote (bookings/rules/quotes.py) that a fleet's change would have as things stand; nothing is locked for it. Empty
    without a price. Raises a BookingError as `change_booking` does."""
    return foreseen(booking, request, actor=actor, now=now).quote


@dataclass(frozen=True)
class Foreseen:
    """What a change would come to as things stand."""

    period: Period
    quote: dict[str, Any]


def foreseen(booking: Booking, request: ChangeRequest, *, actor: Actor, now: datetime) -> Foreseen:
    """As `price_of_change`, with the period: of a delay as much as there is room for."""
    ask = _AskedChange(request, None, Asker(Booking.Side.FLEET, actor, now))
    request = _over_what_waits(booking.pending_request, ask)
    change, slot = change_length.planned(booking, request, now=now)
    if not booking.is_ours:
        change_plan.check(booking, change, ask.asker.by, at=booking.depot, now=now)
        return Foreseen(change.period, quote_of_change(booking, change, ask.asker))
    known = configuration.current(booking.depot_id)
    evse_ids = change_plan.reach(booking, request, known) | {booking.evse_id or 0}
    ground = look(booking, change.period, evse_ids, now)
    change_plan.take_terms(booking, change, ground.configuration, now)
    _, pool = _settled(booking, request, change, slot, ground, ask.asker)
    place, supply = best_place(booking, change, pool, ground, ask.asker)
    return Foreseen(change.period, bid_for(booking, change, place, supply, ground, ask.asker).quote)


@dataclass(frozen=True)
class _AskedChange:
    """What is asked of a booking, and from which version of it."""

    request: ChangeRequest
    seen_version: int | None
    asker: Asker
    seen_exactly: bool = False


@dataclass(frozen=True)
class _Locked:
    """The EVSEs that are locked, and whether their depot is."""

    evse_ids: frozenset[int]
    depot: bool


def _locked(booking_id: int, request: ChangeRequest, also: Beside) -> tuple[Booking, _Locked]:
    """The booking, locked with all that a change may touch, and `also`.

    What that is is guessed by the configuration this process knows: `_checked` looks whether it was enough.
    """
    known = cache(configuration.kept)  # one guess, even where the booking is read a second time

    def reach(row: Booking) -> frozenset[int]:
        more = change_plan.reach(row, request, known(row.depot_id)) if row.is_ours else set()
        return also.evse_ids.union(more, [row.evse_id] if row.evse_id else [])

    def binds(row: Booking) -> bool:
        return row.is_ours and (also.depot or known(row.depot_id).is_shared)

    booking = lock_booking(booking_id, also=reach, depot=binds)
    return booking, _Locked(reach(booking), binds(booking))


def _change(booking: Booking, locked: _Locked, ask: _AskedChange) -> Booking:
    """Plan and carry out, under the locks of the booking and of the EVSEs in reach."""
    asker = ask.asker
    if booking.status == BookingStatus.CHARGING and not ask.request.while_charging:
        raise WrongStatus(booking.status, "changed")
    aspects, or_asked = ask.request.aspects, not asker.is_fleet
    check_version(booking, ask.seen_version, aspects, or_asked=or_asked, exactly=ask.seen_exactly)
    if asker.is_fleet:
        booking_payments.check_answered(booking)
    waiting = booking.pending_request
    request = _over_what_waits(waiting, ask)
    change, slot = change_length.planned(booking, request, now=asker.now)
    if not booking.is_ours:
        return ask_partner_to_change(booking, request.lasting(change.period), change, waiting, asker)
    ground = _checked(booking, request, change, locked, asker.now)
    request, pool = _settled(booking, request, change, slot, ground, asker)
    if not _is_undecided(booking, waiting, asker.by):
        request_log.decline(booking, waiting, "Replaced by a later change.", actor=asker.actor, now=asker.now)
    given_up = _make_room(booking, change, locked, ground, asker.now)
    if given_up or ground.standing.overdue():
        ground = look_again(ground, booking, change.period, locked.evse_ids, asker.now)
    place, supply = best_place(booking, change, pool, ground, asker)
    _put_back(booking, change, place.evse, request.restores)
    bid = bid_for(booking, change, place, supply, ground, asker)
    approval = change.terms_then(booking).approval or _is_beyond_credit(booking, bid, ground, asker)
    waits = asker.is_fleet and approval and not change.is_shorter(booking)
    _check_leaves(booking, waiting, change, place, waits=waits)
    if asker.is_fleet:
        quotes.check_shown(request.shown_price, bid.quote)
        # What waits keeps the old price in force.
        booking_payments.fit(booking, bid.quote, *([booking.quote] if waits else []), now=asker.now)
        _log(booking, replace(ask, request=request), change, place.evse, bid, waits=waits)
    elif waiting is not None:  # another change, for which more may be secured
        booking_payments.fit(booking, booking.quote, now=asker.now)
    if waits:
        _check_walk_ins(booking, place, ground, asker.now)
        _keep_beside(booking, change, place, bid, asker)
    else:
        write(booking, change, place, bid, ground, asker)
    calendars.mark_changed(given_up, at=asker.now)
    return booking


def _settled(
    booking: Booking,
    request: ChangeRequest,
    change: PlannedChange,
    slot: EnergySlot | None,
    ground: ChangeGround,
    asker: Asker,
) -> tuple[ChangeRequest, list[Bay]]:
    """The ask and its change with the period found that depends on what stands there (until it is charged, as far as a late truck
    can slide), checked, and the EVSEs it may go to. Raises a BookingError."""
    there = ground.configuration
    if slot is not None:
        slot = replace(slot, terms=change.terms_then(booking))
        change.period = change_length.length_of_change(booking, request, change, slot, ground, asker)
        request = request.lasting(change.period)
    request = room_for_delay.slide(booking, request, change, ground.standing.by_evse(), there)
    change_plan.check(booking, change, asker.by, at=there.site, now=asker.now)
    check_customer_then(booking, change, there, asker)
    return request, change_plan.pool(booking, request, change, asker.by, there)


def _is_beyond_credit(booking: Booking, bid: Bid, ground: ChangeGround, asker: Asker) -> bool:
    """Whether a fleet's change to a higher price has to be approved. Raises CreditLimitReached."""
    there = ground.configuration
    if not there.payment_terms or not asker.is_fleet or not quotes.is_dearer(bid.quote, booking.quote):
        return False
    return booking_payments.is_beyond_credit(booking, bid.quote, there, asker.now)


def _checked(
    booking: Booking, request: ChangeRequest, change: PlannedChange, locked: _Locked, now: datetime
) -> ChangeGround:
    """What the change rests on. Raises ReachesFurther where that is more than is locked: another configuration than this
    process knew, an ask that waits and asks for more, holds that ran out, which keep power from their neighbours, or an option
    that counts bookings."""
    ground = look(booking, change.period, locked.evse_ids, now)
    change_plan.take_terms(booking, change, ground.configuration, now)
    is_counted = change.has_new_terms and change.terms_then(booking).max_open_bookings is not None
    depot = ground.configuration.is_shared or is_counted
    needed = change_plan.reach(booking, request, ground.configuration) | ground.standing.overdue()
    if not needed <= locked.evse_ids or (depot and not locked.depot):
        raise ReachesFurther(needed, depot=depot)
    return ground


def _log(
    booking: Booking, ask: _AskedChange, change: PlannedChange, target: Bay, bid: Bid, *, waits: bool
) -> None:
    """Keep what a fleet asked for, with where it is put. The price that was shown with the ask is the one it is granted
    at."""
    asked = ask.request.asked(booking, change.tokens).to_json() | {"evse_id": target.pk, "evse": target.uid}
    if bid.quote != booking.quote:
        asked |= {"quote": bid.quote, "price": quotes.brief(bid.quote)}
    if change.terms is not None:
        asked["terms"] = change.terms.to_json()
    if change.until_no_show:
        asked["until_no_show"] = True
    request_log.log(
        booking, BookingRequest.Kind.CHANGE, asked, accepted=not waits, message=ask.request.message,
        actor=ask.asker.actor, now=ask.asker.now,
    )  # fmt: skip


def queue_claims(booking: Booking, change: PlannedChange) -> None:
    """Wait for what the booking claims and what it will claim at once: one after the other, two changes could cross."""
    named = [*change.before.tokens, *(change.tokens or [])]
    vehicles = [booking.vehicle_id, change.vehicle.pk if change.vehicle else None]
    occupancy.queue_to_claim(change.terms_then(booking), named, vehicles)


def _put_back(booking: Booking, change: PlannedChange, target: Bay, restores: int | None) -> None:
    """The price and the energy of before the change that is taken back; not where this one leads elsewhere."""
    event = booking.events.filter(version=restores, kind="changed").first() if restores else None
    if event is None:
        return
    was, detail = event.detail["before"], event.detail
    if (was["period"], was["evse"]) != (change.period.as_json(), target.uid):
        return
    change.quote = detail.get("quote_before")
    if "energy_before" in detail:
        change.energy = EnergyAsked(**detail["energy_before"])


def _over_what_waits(waiting: BookingRequest | None, ask: _AskedChange) -> ChangeRequest:
    """A fleet's ask keeps what it asked for before in other aspects and what is not decided yet."""
    is_change = waiting is not None and waiting.kind == BookingRequest.Kind.CHANGE
    if waiting is None or not is_change or not ask.asker.is_fleet:
        return ask.request
    return ask.request.on_top_of(waiting)


def _is_undecided(booking: Booking, waiting: BookingRequest | None, by: str) -> bool:
    """Whether the depot moves a booking whose making it has yet to decide on: that ask stays open.

    Raises WrongStatus when the fleet has asked for something else since: there is no one place to move it from.
    """
    if by != Booking.Side.DEPOT or booking.status != BookingStatus.REQUESTED:
        return False
    if waiting is not None and waiting.kind == BookingRequest.Kind.OFFER:
        raise WrongStatus(
            booking.status, "changed", "Its fleet has yet to answer what was offered: offer something else."
        )
    if waiting is not None and waiting.kind != BookingRequest.Kind.CREATE:
        raise WrongStatus(
            booking.status,
            "changed",
            "The fleet has asked for a change of this request: decide on that first.",
        )
    return True


def _check_leaves(
    booking: Booking,
    waiting: BookingRequest | None,
    change: PlannedChange,
    place: FreePlace[Bay],
    *,
    waits: bool,
) -> None:
    """A place that is lost without a yes to the depot's offer cannot be kept by changing something else, nor by a change that the
    depot may decline. Raises WrongStatus."""
    if waiting is None or not waiting.is_last_word:
        return
    if waits and booking.status == BookingStatus.CONFIRMED:
        raise WrongStatus(
            booking.status, "changed",
            "That needs its depot's yes, and the booking cannot stay where it is: answer what its depot offers first.",
        )  # fmt: skip
    if place.evse.pk == booking.evse_id and change.period.overlaps(booking.period):
        raise WrongStatus(
            booking.status, "changed",
            "It cannot stay where it is: answer what its depot offers, or move it to another time or EVSE.",
        )  # fmt: skip


def _make_room(
    booking: Booking, change: PlannedChange, locked: _Locked, ground: ChangeGround, now: datetime
) -> list[int]:
    """Give up what is kept for an older change and whatever ran out; the EVSEs of the former, by id."""
    queue_claims(booking, change)
    kept = ground.standing.of(booking.pk, Occupancy.Kind.PENDING)
    given_up = occupancy.drop_pending(booking) if kept is not None else []
    if ground.standing.overdue():
        terms = change.terms_then(booking)
        span = change.period.widened(terms.early_start, terms.tail)
        sweep_holds(sorted(locked.evse_ids), span, now=now)
    return given_up


def _check_walk_ins(booking: Booking, place: FreePlace[Bay], ground: ChangeGround, now: datetime) -> None:
    """The place that is kept for the change is taken beside the booking's own, unless it is at the same EVSE. Raises
    KeptForWalkIns."""
    beside = [
        row
        for row in ground.standing.taken
        if row.holder != booking.pk or (row.kind == Occupancy.Kind.BOOKING and row.evse_id != place.evse.pk)
    ]
    check_walk_ins(ground.configuration, beside, place.evse.pk, place.span, now=now)


def _keep_beside(
    booking: Booking, change: PlannedChange, place: FreePlace[Bay], bid: Bid, asker: Asker
) -> None:
    """Wait for the depot: the new place is occupied as well, the old period stays in force."""
    evse, tokens, was = place.evse, change.tokens_then, booking.evse.uid if booking.evse else None
    occupancy.place(booking, evse.pk, place.span, kind=Occupancy.Kind.PENDING, power_w=bid.power_w)
    vehicle_id = change.vehicle.pk if change.vehicle else None
    occupancy.claim_also(booking, change.terms_then(booking), change.period, tokens, vehicle_id)
    booking.decide_until = decide_until(booking, change.period, asker.now)
    detail = {
        "by": Booking.Side.FLEET,
        "groups": sorted(change.aspects(booking, evse)),
        "before": shown(booking, was, change.before.tokens),
        "after": {
            "period": change.period.as_json(),
            "evse": evse.uid,
            "power_w": bid.power_w,
            "vehicle": change.plate_then or booking.plate,
            "tokens": [token.ending for token in tokens],
            "price": quotes.brief(bid.quote),
        },
    }
    note_option(detail, booking, change)
    lifecycle.record(
        booking, kind="change_requested", actor=asker.actor, at=asker.now, detail=detail, fields=["decide_until"]
    )  # fmt: skip
    calendars.mark_changed([evse.pk], at=asker.now)
