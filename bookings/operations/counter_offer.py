"""The depot offers another time, EVSE or power instead of what was asked for or booked; the fleet accepts, declines or lets it
run out. The place is kept meanwhile, as for a change that waits (docs/decisions/0166)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from bookings.actors import SCHEDULER, Actor
from bookings.core import calendars, lifecycle, occupancy
from bookings.core.locking import lock_booking
from bookings.core.versions import SEEN_WHOLE, check_version
from bookings.errors import NothingToDecide, OfferImpossible, PaymentAwaited, WrongStatus
from bookings.models import Booking, BookingRequest, BookingStatus, CancelReason, Closure
from bookings.operations import change_plan, request_log
from bookings.operations.apply_change import Asker, apply, best_place, bid_for, look, shown
from bookings.operations.cancel import write_off
from bookings.operations.change_plan import PlannedChange
from bookings.operations.change_request import ChangeRequest, read_period
from bookings.operations.places import FreePlace, refusals, sweep_holds
from bookings.operations.request_log import Asked
from bookings.payments import booking_payments
from bookings.rules.deadlines import answer_until
from depots.models import Evse
from depots.periods import Period, utc_text

Kind, Decision = BookingRequest.Kind, BookingRequest.Decision
# How long a fleet has by default, where the booking's terms give the depot less for its own answers.
LEAST_TIME = timedelta(minutes=30)
# What the history says of an offer that its fleet has not accepted; of these those after which a booking is lost by the offer.
NOT_TAKEN = frozenset({"declined", "ran_out", "cancelled"})
_LOSES = frozenset({"declined", "ran_out"})
WITHDRAWN = "The depot has withdrawn what it offered."


@dataclass(frozen=True, kw_only=True)
class CounterOffer:
    """What a depot offers; None is as it is asked for or booked. `until` is when the fleet has to have answered; None leaves it
    to the terms. `cancels`: a confirmed booking whose fleet does not accept is cancelled at the depot's cost, else it stays.
    `is_closed`: it is offered because the booking's EVSE is closed then, and is taken back when that is opened again."""

    period: Period | None = None
    evse: Evse | None = None
    power_w: int | None = None
    until: datetime | None = None
    note: str = ""
    cancels: bool = False
    is_closed: bool = False


def offer_instead(
    *, booking_id: int, offer: CounterOffer, seen_version: int | None = None, actor: Actor, now: datetime
) -> Booking:
    """Offer it to the booking's fleet, and keep the place until it answers; an older offer is replaced. What was asked for is
    declined with it: if nobody accepts in time the booking is declined.

    Raises OfferImpossible for a partner network, WrongStatus (also where the booking would stay in an EVSE that is closed),
    PaymentAwaited, ChangedMeanwhile, NothingToChange, SlotTaken, PowerUnavailable, or what the terms say against the time.
    """
    also = [offer.evse.pk] if offer.evse else []
    with refusals(lambda _: None), calendars.one_operation():
        booking = lock_booking(booking_id, also=also, depot=True)
        check_version(booking, seen_version, SEEN_WHOLE)
        offer_locked(booking, offer, actor=actor, now=now)
    return booking


def offer_locked(booking: Booking, offer: CounterOffer, *, actor: Actor, now: datetime) -> BookingRequest:
    """The same under the locks of the depot, the booking and both EVSEs."""
    waiting = booking.pending_request
    check_may_be_offered(booking, waiting)
    if waiting is not None and is_out_of_closed(booking, waiting):
        offer = _that_leads_out(booking, offer)
    if booking_payments.awaited(booking) is not None:
        raise PaymentAwaited("The booking waits for its payment: nothing else can be offered for it.")
    request = ChangeRequest(period=offer.period, evse=offer.evse, accepts_lower_power=True)
    if offer.power_w is not None:
        request = replace(request, power_w=offer.power_w)
    change = change_plan.planned(booking, request)
    change_plan.check(booking, change, Booking.Side.DEPOT, at=booking.depot, now=now)
    until = _until(booking, change, offer, now)
    request_log.decline(booking, waiting, "The depot offers something else instead.", actor=actor, now=now)
    occupancy.queue_for([booking])
    given_up = occupancy.drop_pending(booking)
    place, watts = _place(booking, request, change, Asker(Booking.Side.DEPOT, actor, now))
    occupancy.place(booking, place.evse.pk, place.span, kind="pending", power_w=watts)
    occupancy.claim_also(booking, booking.terms, change.period, change.tokens_then, booking.vehicle_id)
    booking.decide_until = until
    asked = Asked(period=change.period, power_w=offer.power_w, reason=offer.note[:200]).to_json()
    asked |= {"evse": place.evse.uid, "evse_id": place.evse.pk, "cancels": offer.cancels}
    if offer.is_closed:
        asked["closed"] = True
    made = request_log.log(booking, Kind.OFFER, asked, accepted=False, actor=actor, now=now)
    lifecycle.record(
        booking, kind="offered", actor=actor, at=now, detail=_detail(booking, change, place, watts, offer),
        fields=["decide_until"],
    )  # fmt: skip
    calendars.mark_changed([*given_up, place.evse.pk], at=now)
    return made


def open_counter_offer(booking: Booking) -> BookingRequest | None:
    """What is offered for it and not answered."""
    waiting = booking.pending_request
    return waiting if waiting is not None and waiting.kind == Kind.OFFER else None


def accept_counter_offer(
    *, booking_id: int, seen_version: int | None = None, actor: Actor, now: datetime
) -> Booking:
    """The fleet's yes: the booking is what was offered, at the price it had, and confirmed. Raises NothingToDecide when there is
    no offer (any more), or ChangedMeanwhile."""

    def accept(booking: Booking, offered: BookingRequest) -> None:
        change, target = change_plan.from_request(booking, offered)
        kept_w = occupancy.power_kept_beside(booking)
        change = replace(change, kept_w=kept_w, is_offer=True, why=offered.asked.get("reason", ""))
        request_log.settle(offered, Decision.ACCEPTED, actor=actor, now=now)
        booking.decide_until = None
        occupancy.queue_for([booking])
        occupancy.drop_pending(booking)
        apply(booking, change, target, by=Booking.Side.DEPOT, actor=actor, now=now)
        if booking.status == BookingStatus.REQUESTED:
            lifecycle.move(booking, BookingStatus.CONFIRMED, actor=actor, at=now, fields=["decide_until"])

    return _answered(booking_id, seen_version, accept, now)


def decline_counter_offer(
    *, booking_id: int, reason: str = "", seen_version: int | None = None, actor: Actor, now: datetime
) -> Booking:
    """The fleet's no: what it had asked for is declined, a confirmed booking stays, or is cancelled where the offer said so.
    Raises NothingToDecide or ChangedMeanwhile."""

    def decline(booking: Booking, offered: BookingRequest) -> None:
        end_offer(
            booking, offered, Decision.DECLINED, reason or "The fleet declined what was offered.", actor=actor, now=now
        )  # fmt: skip

    return _answered(booking_id, seen_version, decline, now)


def withdraw_offer(
    booking: Booking, offered: BookingRequest, *, why: str = WITHDRAWN, actor: Actor, now: datetime
) -> None:
    """By the depot, under the locks: a confirmed booking stays as it is, one that was asked for is declined."""
    request_log.settle(offered, Decision.DECLINED, reason="Withdrawn by the depot.", actor=actor, now=now)
    _end(booking, "withdrawn", why, actor, now, cancels=False)


def run_out(booking: Booking, offered: BookingRequest, *, now: datetime) -> None:
    """Nobody answered, under the locks."""
    text = "The fleet did not answer in time to what was offered."
    end_offer(booking, offered, Decision.FAILED, text, actor=SCHEDULER, now=now)


def end_offer(
    booking: Booking,
    offered: BookingRequest,
    decision: BookingRequest.Decision,
    why: str,
    *,
    actor: Actor,
    now: datetime,
) -> None:
    request_log.settle(offered, decision, reason=why, actor=actor, now=now)
    how = "declined" if decision == Decision.DECLINED else "ran_out"
    _end(booking, how, why, actor, now, cancels=bool(offered.asked.get("cancels")))


def check_may_be_offered(booking: Booking, waiting: BookingRequest | None) -> None:
    """But for a payment. `waiting` is its open ask. Raises OfferImpossible or WrongStatus."""
    if not booking.is_ours or booking.fleet.is_partner:
        raise OfferImpossible(
            "A partner network's protocol has no place for another offer. Decline it: it sees what is free and asks anew."
        )
    if booking.status not in {BookingStatus.REQUESTED, BookingStatus.CONFIRMED}:
        raise WrongStatus(booking.status, "offered another time")
    if booking.armed_evse_id is not None:
        raise WrongStatus(booking.status, "offered", "Its charger keeps the place already.")
    if waiting is not None and waiting.kind == Kind.CHANGE:
        raise WrongStatus(booking.status, "offered", "Its fleet has asked for a change: answer that first.")


def is_out_of_closed(booking: Booking, offered: BookingRequest) -> bool:
    """Whether the booking is promised, stands in a closure, and is brought out of it by this open offer alone."""
    if booking.status != BookingStatus.CONFIRMED or not offered.is_last_word:
        return False
    closed = Closure.objects.filter(evse=booking.evse_id, lifted_at=None)
    return closed.filter(starts_at__lt=booking.ends_at, ends_at__gt=booking.starts_at).exists()


def _until(booking: Booking, change: PlannedChange, offer: CounterOffer, now: datetime) -> datetime:
    """Raises OfferImpossible."""
    latest = min(booking.starts_at, change.period.starts_at, answer_until(booking, change.period))
    if offer.is_closed:
        latest = min(latest, min(booking.starts_at, change.period.starts_at) - booking.terms.arm_lead)
    time = max(timedelta(minutes=booking.terms.decision_min), LEAST_TIME)
    until = offer.until if offer.until is not None else min(now + time, latest)
    if not now < until <= latest:
        begins = "its charger would keep either slot" if offer.is_closed else "either slot begins"
        raise OfferImpossible(f"The fleet has to answer before {begins}, and after now.")
    return until


def _that_leads_out(booking: Booking, offer: CounterOffer) -> CounterOffer:
    """What replaces an offer that is to bring a booking out of its closed EVSE does so too. Raises WrongStatus."""
    if not offer.cancels:
        raise WrongStatus(
            booking.status, "offered",
            "Its EVSE is closed then: without a yes the booking has to be cancelled. Say so, or lift the closure.",
        )  # fmt: skip
    return replace(offer, is_closed=True)


def _place(
    booking: Booking, request: ChangeRequest, change: PlannedChange, asker: Asker
) -> tuple[FreePlace[Any], int]:
    """Where it would be, and with how many watts; the EVSE that is offered, or its own, and no other."""
    evse_id = change.evse.pk if change.evse else booking.evse_id or 0
    span = change.period.widened(booking.terms.early_start, booking.terms.tail)
    sweep_holds([evse_id], span, now=asker.now)
    ground = look(booking, change.period, {evse_id}, asker.now)
    pool = change_plan.pool(booking, request, change, asker.by, ground.configuration)
    there = [bay for bay in pool if bay.pk == evse_id]
    place, supply = best_place(booking, change, there, ground, asker)
    if change.power_w is None:
        return place, bid_for(booking, change, place, supply, ground, asker).power_w
    most_w, vehicle_w = booking.terms.max_promise_w, change.needs.max_power_w
    return place, supply.promise(place.evse, place.span, change.power_w, vehicle_w, most_w=most_w)


def _detail(
    booking: Booking, change: PlannedChange, place: FreePlace[Any], watts: int, offer: CounterOffer
) -> dict[str, Any]:
    tokens = change.tokens_then
    before = shown(booking, booking.evse.uid if booking.evse else None, tokens)
    now_offered = {"period": change.period.as_json(), "evse": place.evse.uid, "power_w": watts}
    return {
        "by": Booking.Side.DEPOT,
        "groups": sorted(change.aspects(booking, place.evse)),
        "before": before,
        "after": {**before, **now_offered},
        "until": utc_text(booking.decide_until) if booking.decide_until else None,
        "cancels": offer.cancels,
        **({"note": offer.note[:200]} if offer.note else {}),
    }


def _answered(
    booking_id: int,
    seen_version: int | None,
    answer: Callable[[Booking, BookingRequest], None],
    now: datetime,
) -> Booking:
    with refusals(lambda _: None), calendars.one_operation():
        booking = lock_booking(booking_id, depot=True)
        offered = open_counter_offer(booking)
        if offered is None:
            raise NothingToDecide("Nothing is offered for this booking (any more).")
        if booking.decide_until is None or booking.decide_until <= now:
            raise NothingToDecide("The offer has run out.")
        check_version(booking, seen_version, SEEN_WHOLE)
        answer(booking, offered)
    return booking


def _end(booking: Booking, how: str, why: str, actor: Actor, now: datetime, *, cancels: bool) -> None:
    """The place that was kept is given back, and the booking is what it is without the offer."""
    detail = {"offer": how, "reason": why}
    booking.decide_until = None
    if booking.status == BookingStatus.REQUESTED:
        booking.note = why[:200]
        lifecycle.move(
            booking, BookingStatus.DECLINED, actor=actor, at=now, detail=detail, fields=["decide_until", "note"]
        )  # fmt: skip
        return
    given_up = occupancy.drop_pending(booking)
    if cancels:
        booking.save(update_fields=["decide_until"])
        write_off(
            booking, CancelReason.BROKEN_CHARGER, Booking.Side.DEPOT, note=why, more={"offer": how}, actor=actor, now=now
        )  # fmt: skip
    else:
        lifecycle.record(
            booking, kind="offer_ended", actor=actor, at=now, detail=detail, fields=["decide_until"]
        )
    calendars.mark_changed(given_up, at=now)


def lost_with_offer(booking: Booking) -> bool:
    """Whether a cancelled booking was lost because its fleet did not take what was offered."""
    event = booking.events.filter(after=BookingStatus.CANCELLED).last()
    return event is not None and event.detail.get("offer") in _LOSES


def otherwise(booking: Booking, offered: BookingRequest) -> str:
    """What becomes of the booking where it is not accepted: "declined", "cancelled", or "stays"."""
    if booking.status == BookingStatus.REQUESTED:
        return "declined"
    return "cancelled" if offered.asked.get("cancels") else "stays"


def offered_period(offered: BookingRequest) -> Period:
    return read_period(offered.asked["period"])
