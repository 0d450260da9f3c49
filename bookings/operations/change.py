from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from bookings.actors import Actor
from bookings.core import calendars, lifecycle, occupancy
from bookings.core.locking import lock_booking
from bookings.core.versions import Aspect, check_version, groups_of
from bookings.errors import BookingError, PartnerSilent, PowerUnavailable, SlotTaken, WrongStatus
from bookings.models import Booking, BookingRequest, BookingStatus, BookingToken, Occupancy
from bookings.operations import change_plan, promise_power, request_log
from bookings.operations.change_plan import PlannedChange
from bookings.operations.change_request import ChangeRequest
from bookings.operations.places import assign, evses_of_overdue_holds, refusals, sweep_holds
from bookings.pricing import quotes
from bookings.rules import periods, power
from bookings.rules.deadlines import decide_until
from bookings.search import availability
from bookings.signals import partner_asked
from depots.models import Evse
from depots.periods import Period


def change_booking(
    booking_id: int,
    request: ChangeRequest,
    *,
    by: str = Booking.Side.FLEET,
    seen_version: int | None = None,
    actor: Actor,
    now: datetime,
) -> Booking:
    """Change what is asked for and keep the rest as it is by then. The depot may move what it hosts. The fleet is bound by
    deadlines and, where the depot decides, by approval: the old period stays in force then, the new one is kept beside
    it until decided.

    `seen_version` is the version the asker looked at; None for one who asks without having looked. When only the time
    changes and its EVSE is not free then, another one of the same option is taken. A booking that charges can be given
    another end, past its deadlines; giving time back waits for nobody. A change that is taken back at the old time and
    EVSE has the old price again. Raises a BookingError, ChangedMeanwhile and LowerPower among them; the booking is as
    it was then.
    """
    known = Booking.objects.select_related("depot__operator", "option", "fleet", "vehicle").get(pk=booking_id)
    with refusals(lambda: _nearest(known, request, by, now)), calendars.one_operation():
        booking = lock_booking(
            booking_id,
            also=lambda row: [*change_plan.reach(row, request), *_overdue_around(row, now)],
            depot=lambda row: row.is_ours and power.can_bind(row.depot),
        )
        if booking.status == BookingStatus.CHARGING and not request.while_charging:
            raise WrongStatus(booking.status, "changed")
        return _change(booking, _Ask(request, by, seen_version, actor, now))


@dataclass(frozen=True)
class _Ask:
    """What is asked of a booking, by whom, and from which version of it."""

    request: ChangeRequest
    by: str
    seen_version: int | None
    actor: Actor
    now: datetime

    @property
    def is_fleets(self) -> bool:
        return self.by == Booking.Side.FLEET


def _change(booking: Booking, ask: _Ask) -> Booking:
    """Plan and carry out, under the locks of the booking and of the EVSEs in reach."""
    actor, now = ask.actor, ask.now
    check_version(booking, ask.seen_version, ask.request.aspects, or_asked=not ask.is_fleets)
    waiting = booking.pending_request
    request = _over_what_waits(waiting, ask)
    change = change_plan.planned(booking, request)
    change_plan.check(booking, change, ask.by, now=now)
    if not booking.is_ours:
        return _ask_partner(booking, request.asked(booking, change.tokens).to_json(), waiting, actor, now)
    pool = change_plan.pool(booking, request, change, ask.by)
    if not _is_undecided(booking, waiting, ask.by):
        request_log.decline_pending(booking, "Replaced by a later change.", actor=actor, now=now)
    given_up = _make_room(booking, change, pool, now)
    target = _target(booking, change, pool, ask.by, now)
    change.quote = _old_quote(booking, change, target, request.restores)
    bid = _bid(booking, change, target, ask.by, now)
    waits = ask.is_fleets and booking.terms.approval and not change.is_shorter(booking)
    if ask.is_fleets:
        _log(booking, replace(ask, request=request), change, target, bid, waits=waits)
    if waits:
        _keep_beside(booking, change, target, bid, actor, now)
    else:
        _write(booking, change, target, bid, ask.by, actor, now)
    calendars.mark_changed(given_up, at=now)
    return booking


def _log(booking: Booking, ask: _Ask, change: PlannedChange, target: Evse, bid: _Bid, *, waits: bool) -> None:
    """Keep what a fleet asked for, with where it is put. The price that was shown with the ask is the one it is granted
    at."""
    asked = ask.request.asked(booking, change.tokens).to_json() | {"evse_id": target.pk, "evse": target.uid}
    if bid.quote != booking.quote:
        asked |= {"quote": bid.quote, "price": quotes.brief(bid.quote)}
    request_log.log(
        booking, BookingRequest.Kind.CHANGE, asked, accepted=not waits, message=ask.request.message,
        actor=ask.actor, now=ask.now,
    )  # fmt: skip


def queue_claims(booking: Booking, change: PlannedChange) -> None:
    """Wait for what the booking claims and what it will claim at once: one after the other, two changes could cross."""
    named = [*booking.tokens.all(), *(change.tokens or [])]
    vehicles = [booking.vehicle_id, change.vehicle.pk if change.vehicle else None]
    occupancy.queue_to_claim(booking.terms, named, vehicles)


def apply(
    booking: Booking, change: PlannedChange, target: Evse, *, by: str, actor: Actor, now: datetime
) -> None:
    """Carry out a change under the locks of both EVSEs. Raises PowerUnavailable or SlotTaken's constraint."""
    _write(booking, change, target, _bid(booking, change, target, by, now), by, actor, now)


@dataclass(frozen=True)
class _Bid:
    """What a change comes to: the span it occupies, the watts it is promised, and its price."""

    span: Period
    power_w: int
    quote: dict[str, Any]


def _bid(booking: Booking, change: PlannedChange, target: Evse, by: str, now: datetime) -> _Bid:
    """Only a fleet's change of time, EVSE or power has a new price, under the tariff in force now; the depot's own
    moves and another vehicle or token keep the one there is."""
    groups, span = change.aspects(booking, target), _span(booking, change, target, now)
    watts, quote = booking.promised_power_w, booking.quote
    moves = Aspect.PLACE in groups or change.needs != request_log.needs_of(booking)
    if moves and not change.is_shorter(booking):
        watts = promise_power.watts_for(booking, change, target, span, by=by, now=now)
    if change.quote is not None:
        quote = change.quote
    elif by == Booking.Side.FLEET and Aspect.PLACE in groups:
        price = quotes.quote(
            booking.option, booking.fleet, change.period, power_w=watts, vehicle=change.vehicle, now=now
        )
        quote = price.to_json() if price else {}
    return _Bid(span, watts, quote)


def _old_quote(
    booking: Booking, change: PlannedChange, target: Evse, restores: int | None
) -> dict[str, Any] | None:
    """The price before the change that is taken back; None when this one leads elsewhere."""
    event = booking.events.filter(version=restores, kind="changed").first() if restores else None
    if event is None or "quote_before" not in event.detail:
        return None
    was = event.detail["before"]
    is_back = (was["period"], was["evse"]) == (change.period.as_json(), target.uid)
    return event.detail["quote_before"] if is_back else None


def _write(
    booking: Booking, change: PlannedChange, target: Evse, bid: _Bid, by: str, actor: Actor, now: datetime
) -> None:
    """Place, claims, price and event."""
    detail: dict[str, Any] = {
        "by": by, "groups": sorted(change.aspects(booking, target)), "before": _shown(booking),
    }  # fmt: skip
    if bid.quote != booking.quote:
        detail["quote_before"] = booking.quote
    old_evse_id = booking.evse_id
    fields = _set_columns(booking, change, target, bid)
    if change.tokens is not None:
        _replace_tokens(booking, change.tokens)
    _move_place(booking, target, bid.span, old_evse_id)
    occupancy.claim(booking, list(booking.tokens.all()))
    if by == Booking.Side.DEPOT:
        booking.changed_by_depot_at = now
        fields.append("changed_by_depot_at")
    detail["after"] = _shown(booking)
    lifecycle.record(booking, kind="changed", actor=actor, at=now, detail=detail, fields=fields)
    calendars.mark_changed([old_evse_id, target.pk], at=now)


def _set_columns(booking: Booking, change: PlannedChange, target: Evse, bid: _Bid) -> list[str]:
    """The booking as it is to become; the names of the columns that may be different."""
    booking.promised_power_w, booking.quote = bid.power_w, bid.quote
    if change.power_w is not None:
        booking.wished_power_w = change.power_w
    booking.period, booking.evse, booking.vehicle = change.period, target, change.vehicle
    if change.plate or change.vehicle is not None:
        booking.plate = change.plate or (change.vehicle.plate if change.vehicle else "")
    booking.authorization_reference = change.authorization_reference or booking.authorization_reference
    return [
        "starts_at", "ends_at", "evse", "vehicle", "plate", "authorization_reference", "promised_power_w",
        "wished_power_w", "quote", "decide_until",
    ]  # fmt: skip


def _over_what_waits(waiting: BookingRequest | None, ask: _Ask) -> ChangeRequest:
    """A fleet's ask keeps what it asked for before in other aspects and what is not decided yet."""
    is_change = waiting is not None and waiting.kind == BookingRequest.Kind.CHANGE
    if waiting is None or not is_change or not ask.is_fleets:
        return ask.request
    return ask.request.on_top_of(waiting)


def _is_undecided(booking: Booking, waiting: BookingRequest | None, by: str) -> bool:
    """Whether the depot moves a booking whose making it has yet to decide on: that ask stays open.

    Raises WrongStatus when the fleet has asked for something else since: there is no one place to move it from.
    """
    if by != Booking.Side.DEPOT or booking.status != BookingStatus.REQUESTED:
        return False
    if waiting is not None and waiting.kind != BookingRequest.Kind.CREATE:
        raise WrongStatus(
            booking.status,
            "changed",
            "The fleet has asked for a change of this request: decide on that first.",
        )
    return True


def _make_room(booking: Booking, change: PlannedChange, pool: Sequence[Evse], now: datetime) -> list[int]:
    """Give up what is kept for an older change and whatever ran out; the EVSEs of the former, by id."""
    queue_claims(booking, change)
    given_up = occupancy.drop_pending(booking)
    span = change.period.widened(booking.terms.early_start, booking.terms.tail)
    sweep_holds([*(evse.pk for evse in pool), *_overdue_around(booking, now)], span, now=now)
    return given_up


def _overdue_around(booking: Booking, now: datetime) -> set[int]:
    """EVSEs whose holds ran out where power is scarce: they keep power from others as well as their place."""
    is_scarce = booking.is_ours and power.can_bind(booking.depot)
    return evses_of_overdue_holds(booking.depot_id, now) if is_scarce else set()


def _nearest(known: Booking, request: ChangeRequest, by: str, now: datetime) -> Period | None:
    """When what is asked for would be free; asked after a refusal, outside of the transaction."""
    if known.status == BookingStatus.CHARGING:
        return _longest(known)
    try:
        pool = change_plan.pool(known, request, change_plan.planned(known, request), by)
    except BookingError:
        return None
    wish_w = request.power_w if request.power_w is not None else known.wished_power_w
    return availability.nearest(known.terms, pool, request.period_of(known), wish_w=wish_w, now=now)


def _longest(known: Booking) -> Period | None:
    """How long a truck at its EVSE could stay before the next one's time begins."""
    after = Occupancy.objects.filter(evse=known.evse_id, span__startswith__gte=known.ends_at).exclude(
        holder=known.pk
    )
    spans = list(after.order_by("span").values_list("span", flat=True)[:1])
    if not spans:
        return None
    latest = spans[0].starts_at - known.terms.tail
    ends_at = periods.aligned_down(latest, known.terms.slot_step_min, known.depot)
    return Period(known.starts_at, ends_at) if ends_at > known.ends_at else None


def _target(booking: Booking, change: PlannedChange, pool: Sequence[Evse], by: str, now: datetime) -> Evse:
    """Its own EVSE when that is free for the change and has the power, else the best other one. Raises SlotTaken."""
    free = assign(pool, change.needs, change.period, booking.terms, now=now, holder=booking.pk)
    if not free:
        raise SlotTaken
    own_first = sorted(free, key=lambda evse: evse.pk != booking.evse_id)
    for evse in own_first if len(free) > 1 else []:
        with suppress(PowerUnavailable):
            promise_power.watts_for(booking, change, evse, _span(booking, change, evse, now), by=by, now=now)
            return evse
    return own_first[0]  # the only one, or none has the power, which is found when it is promised


def _keep_beside(
    booking: Booking, change: PlannedChange, target: Evse, bid: _Bid, actor: Actor, now: datetime
) -> None:
    """Wait for the depot: the new place is occupied as well, the old period stays in force."""
    occupancy.place(booking, target, bid.span, kind=Occupancy.Kind.PENDING, power_w=bid.power_w)
    tokens = change.tokens if change.tokens is not None else list(booking.tokens.all())
    occupancy.claim_also(booking, change.period, tokens, change.vehicle.pk if change.vehicle else None)
    booking.decide_until = decide_until(booking, change.period, now)
    detail = {
        "by": Booking.Side.FLEET,
        "groups": sorted(change.aspects(booking, target)),
        "before": _shown(booking),
        "after": {
            "period": change.period.as_json(),
            "evse": target.uid,
            "power_w": bid.power_w,
            "vehicle": change.plate or (change.vehicle.plate if change.vehicle else booking.plate),
            "tokens": [token.ending for token in tokens],
            "price": quotes.brief(bid.quote),
        },
    }
    lifecycle.record(
        booking, kind="change_requested", actor=actor, at=now, detail=detail, fields=["decide_until"]
    )  # fmt: skip
    calendars.mark_changed([target.pk], at=now)


def _ask_partner(
    booking: Booking, asked: dict[str, Any], waiting: BookingRequest | None, actor: Actor, now: datetime
) -> Booking:
    if waiting is not None and waiting.kind == BookingRequest.Kind.CANCEL:
        raise PartnerSilent("The partner has been asked to cancel it and has not answered yet.")
    request_log.decline_pending(booking, "Replaced by a later change.", actor=actor, now=now)
    request = request_log.log(
        booking, BookingRequest.Kind.CHANGE, asked, accepted=False, actor=actor, now=now
    )
    detail = {"by": Booking.Side.FLEET, "groups": sorted(groups_of(asked)), "after": asked}
    lifecycle.record(booking, kind="change_requested", actor=actor, at=now, detail=detail)
    partner_asked.send(sender=BookingRequest, request=request, at=now)
    return booking


def _span(booking: Booking, change: PlannedChange, target: Evse, now: datetime) -> Period:
    """What the change occupies. With its EVSE and start a booking keeps how far it reaches back."""
    held = occupancy.span_of(booking)
    if held is not None and (target.pk, change.period.starts_at) == (booking.evse_id, booking.starts_at):
        return Period(held.starts_at, change.period.ends_at + booking.terms.tail)
    return occupancy.span_for(target, change.period, booking.terms, now=now, holder=booking.pk)


def _move_place(booking: Booking, target: Evse, span: Period, old_evse_id: int | None) -> None:
    row = Occupancy.objects.filter(holder=booking.pk, kind=Occupancy.Kind.BOOKING).first()
    occupancy.place(booking, target, span)
    if row is not None and old_evse_id is not None:
        occupancy.fill_closures(old_evse_id, row.span)


def _replace_tokens(booking: Booking, tokens: list[BookingToken]) -> None:
    booking.tokens.all().delete()
    for position, token in enumerate(tokens):
        token.booking, token.position = booking, position
    BookingToken.objects.bulk_create(tokens)


def _shown(booking: Booking) -> dict[str, Any]:
    """For the history: what people compare. Both prices of a change stand there too."""
    return {
        "period": booking.period.as_json(),
        "evse": booking.evse.uid if booking.evse else None,
        "power_w": booking.promised_power_w,
        "vehicle": booking.plate,
        "tokens": [token.ending for token in booking.tokens.all()],
        "reference": booking.authorization_reference,
        "price": quotes.brief(booking.quote),
    }
