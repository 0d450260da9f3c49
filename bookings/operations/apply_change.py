"""A planned change at a depot of ours, from what stands there to the rows: where it goes, what power and price that comes to,
and writing it. All of it under the locks of the booking and of the EVSEs it may go to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from bookings.actors import Actor
from bookings.core import calendars, lifecycle, occupancy
from bookings.core.standing import Standing, standing
from bookings.core.versions import Aspect
from bookings.errors import NO_ROOM, SlotTaken
from bookings.models import Booking, BookingToken, Enforcement
from bookings.operations import promise_power
from bookings.operations.change_plan import PlannedChange
from bookings.operations.places import FreePlace, free_places
from bookings.operations.quotas_under_lock import allotted, check_open_bookings
from bookings.operations.request_log import NO_TRAILER
from bookings.rules import configuration, energy_slots, guest_hours, quotes
from bookings.rules.configuration import Bay, Configuration
from bookings.rules.power import Supply
from bookings.rules.quotas import Allotted
from bookings.search import availability
from depots.models import Evse
from depots.periods import Period, spanning

# A vehicle that stands at the depot so long before a new start has not come for that.
STAYS_ARRIVED = timedelta(hours=2)


@dataclass(frozen=True)
class Asker:
    """On which side, who, and when."""

    by: str
    actor: Actor
    now: datetime

    @property
    def is_fleet(self) -> bool:
        return self.by == Booking.Side.FLEET


@dataclass(frozen=True)
class ChangeGround:
    """What a change at a depot of ours rests on, read under the locks."""

    configuration: Configuration
    standing: Standing


@dataclass(frozen=True)
class Bid:
    """What a change comes to: the watts it is promised, and its price."""

    power_w: int
    quote: dict[str, Any]


def apply(
    booking: Booking, change: PlannedChange, target: Evse, *, by: str, actor: Actor, now: datetime
) -> None:
    """Carry out a change under the locks of both EVSEs, whose caller has queued to claim. Raises PowerUnavailable or
    SlotTaken's constraint."""
    asker, ground = Asker(by, actor, now), look(booking, change.period, {target.pk}, now)
    # Holds that ran out count too: their rows stand, and are not swept here.
    there = [row for row in ground.standing.taken if row.evse_id == target.pk]
    spans = [row.span for row in there if row.holder != booking.pk]
    span = occupancy.occupied_span(change.period, change.terms_then(booking), spans, now=now)
    place = _as_held(booking, change, FreePlace(target, span), ground)
    supply = _supply(booking, ground, [place])
    write(booking, change, place, bid_for(booking, change, place, supply, ground, asker), ground, asker)


def look(booking: Booking, period: Period, evse_ids: Iterable[int], now: datetime) -> ChangeGround:
    """What takes some EVSEs and those that share their power around a period, what the booking occupies itself, and the
    configuration."""
    known = configuration.kept(booking.depot_id)
    found = _standing(booking, period, evse_ids, known, now)
    true = configuration.under(booking.depot_id, found.version)
    return ChangeGround(true, found if true is known else _standing(booking, period, evse_ids, true, now))


def look_again(
    ground: ChangeGround, booking: Booking, period: Period, evse_ids: Iterable[int], now: datetime
) -> ChangeGround:
    """The same once places were given up under these locks: closures may have taken them over. The configuration stays the
    one that was locked for."""
    found = _standing(booking, period, evse_ids, ground.configuration, now)
    return replace(ground, standing=found)


def _standing(
    booking: Booking, period: Period, evse_ids: Iterable[int], known: Configuration, now: datetime
) -> Standing:
    asked = frozenset(evse_ids)
    around = period.widened(availability.FAR, availability.FAR)
    return standing(booking.depot_id, asked | known.fed_together(asked), around, own=booking.pk, now=now)


def best_place(
    booking: Booking, change: PlannedChange, pool: Sequence[Bay], ground: ChangeGround, asker: Asker
) -> tuple[FreePlace[Bay], Supply | Allotted]:
    """Its own EVSE when that is free for the change and has the power, else the best other one; and what power there is,
    for its customer. Raises SlotTaken."""
    taken = ground.standing.by_evse()
    free = free_places(
        pool,
        change.needs,
        change.period,
        change.terms_then(booking),
        now=asker.now,
        holder=booking.pk,
        taken=taken,
    )
    if not free:
        raise SlotTaken
    places = [_as_held(booking, change, place, ground) for place in free]
    supply = allotted(
        _supply(booking, ground, places), ground.configuration, ground.standing.taken, booking.fleet_id,
        spanning(place.span for place in places) or change.period, booking_id=booking.pk, now=asker.now,
    )  # fmt: skip
    own_first = sorted(places, key=lambda place: place.evse.pk != booking.evse_id)
    for place in own_first if len(places) > 1 else []:
        with suppress(*NO_ROOM):
            promise_power.watts_for(supply, booking, change, place, by=asker.by)
            return place, supply
    return own_first[0], supply  # the only one, or none has the power, which is found when it is promised


def check_customer_then(booking: Booking, change: PlannedChange, there: Configuration, asker: Asker) -> None:
    """For a change of slot that does not only give time back: when its customer may have one, and how many under another option.
    Raises OutsideGuestHours, OwnFleetFirst or TooManyBookings."""
    if change.is_other_slot(booking) and not change.is_shorter(booking):
        allowance = there.allowance(booking.fleet_id, now=asker.now)
        guest_hours.check_hours(
            allowance, change.terms_then(booking), there.site, change.period, now=asker.now
        )
    if change.has_new_terms:
        check_open_bookings(
            booking.fleet, booking.depot_id, change.terms_then(booking), without=booking.pk, now=asker.now
        )


def _as_held(
    booking: Booking, change: PlannedChange, place: FreePlace[Any], ground: ChangeGround
) -> FreePlace[Any]:
    """What the change occupies there. With its EVSE and start a booking keeps how far it reaches back."""
    held = ground.standing.of(booking.pk)
    if held is None or (place.evse.pk, change.period.starts_at) != (booking.evse_id, booking.starts_at):
        return place
    return replace(
        place, span=Period(held.span.starts_at, change.period.ends_at + change.terms_then(booking).tail)
    )


def _supply(booking: Booking, ground: ChangeGround, places: Sequence[FreePlace[Any]]) -> Supply:
    """The power that others leave at these places."""
    within = spanning(place.span for place in places)
    floors = ground.standing.floors(within, without=booking.pk) if within else []
    return Supply(ground.configuration.limits, floors)


def bid_for(
    booking: Booking,
    change: PlannedChange,
    place: FreePlace[Any],
    supply: Supply | Allotted,
    ground: ChangeGround,
    asker: Asker,
) -> Bid:
    """Only a fleet's change of time, EVSE or power has a new price, of all of it under the tariffs in force now, which it then
    keeps; the depot's own moves and another vehicle or token keep the one there is."""
    groups = change.aspects(booking, place.evse)
    watts, quote = booking.promised_power_w, booking.quote
    moves = Aspect.PLACE in groups or change.needs != change.before.needs
    if moves and not change.is_shorter(booking):
        watts = promise_power.watts_for(supply, booking, change, place, by=asker.by)
    if change.quote is not None:
        quote = change.quote
    elif asker.is_fleet and Aspect.PLACE in groups:
        there, evse_id = ground.configuration, place.evse.pk
        tariffs = there.tariffs_for(change.option_then(booking), evse_id, booking.fleet_id, at=asker.now)
        wh = energy_slots.energy_wh(change.energy_then(booking), change.vehicle)
        price = quotes.quoted(
            tariffs, change.period, there.site.zone, power_w=watts, vehicle=change.vehicle, energy_wh=wh
        )
        quote = price.to_json() if price else {}
    return Bid(watts, quote)


def write(
    booking: Booking,
    change: PlannedChange,
    place: FreePlace[Any],
    bid: Bid,
    ground: ChangeGround,
    asker: Asker,
) -> None:
    """Place, claims, price and event."""
    was = booking.evse.uid if booking.evse else None
    detail: dict[str, Any] = {
        "by": asker.by, "groups": sorted(change.aspects(booking, place.evse)),
        "before": shown(booking, was, change.before.tokens),
    }  # fmt: skip
    if change.is_offer:
        detail["offer"] = "accepted"
    if change.is_rescue and booking.enforcement == Enforcement.AT_RISK:
        detail["why"] = booking.enforcement_why
    if change.why:
        detail["note"] = change.why[:200]
    if bid.quote != booking.quote:
        detail["quote_before"] = booking.quote
    if change.is_other_energy(booking):
        asked = energy_slots.asked_of(booking)
        detail["energy_before"] = asked.to_json() if asked else {}
    old_evse_id = booking.evse_id
    note_option(detail, booking, change)
    detail |= _terms_given_up(booking, change)
    if change.until_no_show and change.period.starts_at > booking.starts_at:
        booking.late_from = _deadlines_from(booking, asker.now)
    fields = _set_columns(booking, change, place.evse.pk, bid)
    if change.tokens is not None:
        replace_tokens(booking, change.tokens)
    _move_place(booking, place, ground)
    occupancy.claim(booking, change.tokens_then)
    if asker.by == Booking.Side.DEPOT:
        booking.changed_by_depot_at = asker.now
        fields.append("changed_by_depot_at")
    detail["after"] = shown(booking, place.evse.uid, change.tokens_then) | detail.get("after", {})
    if "trailer" in detail["before"] and change.trailer is None:
        detail["after"]["trailer"] = NO_TRAILER
    lifecycle.record(booking, kind="changed", actor=asker.actor, at=asker.now, detail=detail, fields=fields)
    calendars.mark_changed([old_evse_id, booking.evse_id], at=asker.now)


def note_option(detail: dict[str, Any], booking: Booking, change: PlannedChange) -> None:
    """Where it is booked under another one, in what its history says was before and after; the booking is as it was."""
    if change.option is not None:
        detail["before"]["option"] = booking.option.code
        detail["after"] = detail.get("after", {}) | {"option": change.option.code}


def _terms_given_up(booking: Booking, change: PlannedChange) -> dict[str, Any]:
    """Those that are otherwise under the other option; {} where it stays under the one it has."""
    if change.option is None:
        return {}
    then = change.terms_then(booking).to_json()
    gone = {name: value for name, value in booking.terms_json.items() if then.get(name) != value}
    return {"terms_before": gone}


def _deadlines_from(booking: Booking, now: datetime) -> datetime | None:
    """Of a truck that says in time that it comes later, the new start; of one that is late, the one it had."""
    is_late = booking.late_from is None and now > booking.terms.change_deadline(booking.period)
    return booking.starts_at if is_late else booking.late_from


def _stays_arrived(booking: Booking, period: Period) -> bool:
    """Whether a vehicle that stands there has come for this time, too."""
    return booking.arrived_at is not None and booking.arrived_at >= period.starts_at - STAYS_ARRIVED


def _set_columns(booking: Booking, change: PlannedChange, evse_id: int, bid: Bid) -> list[str]:
    """The booking as it is to become; the names of the columns that may be different."""
    booking.promised_power_w = bid.power_w
    quotes.keep(booking, bid.quote)
    energy_slots.keep(booking, change.energy_then(booking), change.vehicle)
    if change.power_w is not None:
        booking.wished_power_w = change.power_w
    if change.option is not None:
        booking.option, booking.is_evse_asked = change.option, False
        booking.terms_json = booking.terms_json | change.terms_then(booking).to_json()
    booking.is_evse_asked = booking.is_evse_asked or (change.evse_asked and not change.is_rescue)
    if change.vehicle != booking.vehicle or not _stays_arrived(booking, change.period):
        booking.arrived_at = None
    booking.period, booking.evse_id = change.period, evse_id
    booking.vehicle, booking.trailer = change.vehicle, change.trailer
    if change.plate or change.vehicle is not None:
        booking.plate = change.plate_then
    booking.authorization_reference = change.authorization_reference or booking.authorization_reference
    return [
        "starts_at", "ends_at", "evse", "vehicle", "trailer", "plate", "authorization_reference", "promised_power_w",
        "wished_power_w", "is_evse_asked", "late_from", "arrived_at", "decide_until", *quotes.KEPT, *energy_slots.KEPT,
        *(("option", "terms_json") if change.option is not None else ()),
    ]  # fmt: skip


def _move_place(booking: Booking, place: FreePlace[Any], ground: ChangeGround) -> None:
    """Closures that waited for the old place take it over."""
    held = ground.standing.of(booking.pk)
    there = (place.evse.pk, place.span, booking.promised_power_w)
    if held is not None and there == (held.evse_id, held.span, held.power_w):
        return
    occupancy.place(booking, place.evse.pk, place.span)
    if held is not None:
        occupancy.fill_closures(held.evse_id, held.span)


def replace_tokens(booking: Booking, tokens: Sequence[BookingToken]) -> None:
    """Give up those it had for these, unsaved; claiming them is its caller's."""
    booking.tokens.all().delete()
    for position, token in enumerate(tokens):
        token.booking, token.position = booking, position
    BookingToken.objects.bulk_create(tokens)


def shown(booking: Booking, evse_uid: str | None, tokens: Sequence[BookingToken]) -> dict[str, Any]:
    """For the history: what people compare. Both prices of a change stand there too."""
    energy = energy_slots.asked_of(booking)
    return {
        "period": booking.period.as_json(),
        "evse": evse_uid,
        "power_w": booking.promised_power_w,
        "vehicle": booking.plate,
        "tokens": [token.ending for token in tokens],
        "reference": booking.authorization_reference,
        "price": quotes.brief(booking.quote),
        **({"energy": energy.to_json()} if energy else {}),
        **({"trailer": booking.trailer.plate} if booking.trailer else {}),
    }
