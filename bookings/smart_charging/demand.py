"""What each EVSE of a depot is to have, by who charges there: promises, needs, and what a vehicle is content with."""

from __future__ import annotations

from datetime import datetime, timedelta

from bookings.models import Booking, EvsePower
from bookings.rules.charge_curve import power_at
from bookings.rules.configuration import Configuration
from bookings.rules.terms import PowerOrder, Terms
from bookings.smart_charging.allocation import STEP_W, Charging, Place, allocate
from bookings.smart_charging.depot_state import READY_BEFORE, DepotState, EvseState
from bookings.smart_charging.expiry import NEAR, expires_at

# What a free EVSE may give where power is short: enough for a vehicle to begin with until it is told more.
STANDBY_W = 5_000
# What vehicles need at least in order to charge at all; who names more wishes for a share of others.
MOST_LEAST_W = 10_000
# A vehicle that has taken less for so long, under the limit that holds now, is content.
CONTENT_AFTER = timedelta(seconds=30)
# A meter's word is of the limit that holds once it has had time to follow.
FOLLOWS_WITHIN = timedelta(seconds=10)
CONTENT_MARGIN_W = 3_000
# What it leaves of a promise is given on later, and less of it: it may ask again, and an answer takes some seconds.
LEAVES_AFTER = timedelta(seconds=60)
LEAVES_MARGIN_W, LEAVES_STEP_W = 5_000, 5_000
# What a meter that was silent for so long said last is not relied on.
FRESH = timedelta(minutes=2)
# Curves are of an average battery; between two samples it is charged on by so many percent.
CURVE_MARGIN, CURVE_AHEAD = 1.05, 5
# Less of a raise is not worth a message.
SMALLEST_RAISE_W = 2_000

Why = EvsePower.Why


def share_out(depot: DepotState, *, now: datetime) -> None:
    """Fill in the share, promise and reason of every EVSE."""
    order = order_of(depot.configuration)
    limited = {evse_id for limit in depot.limits for evse_id in limit.feeds}
    places = []
    for state in depot.states.values():
        state.power.cap_w = _content_with(state, now)
        places.append(_place(state, order, depot, now))
    places = _within_promises_to_come(depot, places)
    shares = allocate(depot.limits, places)
    for place in places:
        state = depot.states[place.evse_id]
        power = state.power
        power.promised_w = state.promised_w
        power.share_w = _without_flutter(state, place, shares[place.evse_id])
        if place.evse_id not in limited and state.session is not None and place.fixed_w is None:
            power.share_w = _at_least_standby(state)
        state.is_short = _of_promise_w(state, place) > power.share_w
        power.why = _why(state, place)
    _name_blocked(depot, places)


def _name_blocked(depot: DepotState, places: list[Place]) -> None:
    """Promises that would be kept if everybody could be told."""
    short = [place for place in places if depot.states[place.evse_id].power.why == Why.SHORT]
    if not short or all(place.fixed_w is None for place in places):
        return
    shares = allocate(depot.limits, [place._replace(fixed_w=None) for place in places])
    for place in short:
        state = depot.states[place.evse_id]
        if shares[place.evse_id] >= _of_promise_w(state, place):
            state.power.why = Why.BLOCKED


def _of_promise_w(state: EvseState, place: Place) -> int:
    """What the floor keeps of a promise; the little that every vehicle keeps, promised or not, is none."""
    return min(place.floor_w, state.promised_w)


def _place(state: EvseState, order: str, depot: DepotState, now: datetime) -> Place:
    standby = min(STANDBY_W, state.least_w)
    rank = _rank(state, order, depot.configuration)
    fixed = None if state.is_tellable else state.counted_w(ahead=READY_BEFORE)
    booking, session, promised = state.booking, state.session, state.promised_w
    if session is None:
        return Place(
            state.evse_id,
            max(promised, standby),
            rank,
            ready_w=max(promised, state.least_w),
            fixed_w=fixed,
        )
    floor = max(_kept_of_promise(state, now), standby)
    can_w = max(state.at_most_wished(vehicle_takes_w(state)), floor)
    limit = state.customer_limit
    least_w = min(limit.least_w, MOST_LEAST_W) if limit is not None and state.wished_w is not None else 0
    charging = Charging(
        needed_w=max(_needed_w(booking, session.energy_wh or 0, now), least_w),
        most_w=can_w if state.power.cap_w is None else min(max(state.power.cap_w, floor), can_w),
        leaves_at=booking.ends_at if booking is not None else None,
    )
    return Place(state.evse_id, floor, rank, charging=charging, fixed_w=fixed)


def _at_least_standby(state: EvseState) -> int:
    """What an EVSE that no limit feeds is to have: all of it, or what its customer wants, and what the next one begins with."""
    return max(state.at_most_wished(state.evse.max_power_w), min(STANDBY_W, state.evse.max_power_w))


def vehicle_takes_w(state: EvseState) -> int:
    """The most that the vehicle takes here as far as is known: by its maximum, and by its charge curve at what its battery shows,
    never less than was promised or is measured."""
    most, vehicle = state.evse.max_power_w, state.booking.vehicle if state.booking is not None else None
    if vehicle is None:
        return most
    most = min(vehicle.max_power_w or most, most)
    soc = state.session.soc_percent if state.session is not None else None
    if soc is None or not vehicle.charge_curve:
        return most
    # A battery that is still cold, or is only just told of, rises along the curve.
    on_curve = max(power_at(vehicle.charge_curve, soc), power_at(vehicle.charge_curve, soc + CURVE_AHEAD))
    measured = (state.session.power_w if state.session is not None else None) or 0
    wanted = round(max(on_curve, measured) * CURVE_MARGIN)
    return min(max(-(-wanted // STEP_W) * STEP_W, state.promised_w), most)


def _within_promises_to_come(depot: DepotState, places: list[Place]) -> list[Place]:
    """Chargers that would keep what they were given when they fall silent are given what all promises of the day leave."""
    kept = {
        place.evse_id for place in places if place.charging is not None and _may_keep(depot, place.evse_id)
    }
    if not kept:
        return places
    always = {place.evse_id: _always_w(depot.states[place.evse_id], place) for place in places}
    bounds: dict[int, int] = {}
    for limit in depot.limits:
        behind = kept & limit.feeds
        spare = limit.watts - sum(always[evse_id] for evse_id in limit.feeds if evse_id in always)
        for evse_id in behind:
            bound = always[evse_id] + max(spare, 0) // len(behind)
            bounds[evse_id] = min(bound, bounds.get(evse_id, bound))
    return [_bounded(place, bounds[place.evse_id]) if place.evse_id in bounds else place for place in places]


def _may_keep(depot: DepotState, evse_id: int) -> bool:
    """It cannot end by itself, or would have to at once."""
    state = depot.states[evse_id]
    if not state.can_expire or state.clock_margin is None:
        return True
    return expires_at(depot.next_rise, state.clock_margin, state.now) <= state.now + NEAR


def _always_w(state: EvseState, place: Place) -> int:
    return max(place.floor_w, state.promised_w, state.least_w, state.coming_w, place.fixed_w or 0)


def _bounded(place: Place, watts: int) -> Place:
    if place.charging is None:
        return place
    charging = place.charging._replace(most_w=min(place.charging.most_w, max(watts, place.floor_w)))
    return place._replace(charging=charging)


def order_of(depot: Configuration) -> str:
    """The depot's rule of whose promise is kept first (Terms.power_order)."""
    return Terms.resolve(row for row in depot.terms_overrides if row.depot_id is not None).power_order


def rank_of(
    booking: Booking, order: str, depot: Configuration, *, is_charging: bool
) -> tuple[int | float, ...]:
    """Of promises that do not fit together those of the lowest rank are kept."""
    is_own = booking.fleet_id == depot.site.operator_id
    whose = 0 if order == PowerOrder.CHARGING_FIRST else int(is_own == (order == PowerOrder.OWN_LAST))
    return 0, whose, int(not is_charging), booking.created_at.timestamp(), booking.pk


def _rank(state: EvseState, order: str, depot: Configuration) -> tuple[int | float, ...]:
    """Promises by the depot's rule, then who charges without one, then free EVSEs."""
    if state.booking is None:
        return (1 if state.session is not None else 2,)
    return rank_of(state.booking, order, depot, is_charging=state.session is not None)


def _needed_w(booking: Booking | None, energy_wh: int, now: datetime) -> int:
    """The rate at which it has what it was quoted for when its slot ends."""
    if booking is None or booking.expected_wh is None or booking.ends_at <= now:
        return 0
    missing_wh = max(booking.expected_wh - energy_wh, 0)
    return round(missing_wh * 3600 / max((booking.ends_at - now).total_seconds(), 60))


def _content_with(state: EvseState, now: datetime) -> int | None:
    """The most that the vehicle was seen to want; None while that is not known, or it takes all it is given."""
    session, standing = state.session, state.standing_w(state.tx)
    if session is None or session.power_w is None or standing is None or state.tx.accepted_at is None:
        return None
    if session.figures_told_at is None or state.tx.on_its_way() is not None:
        return state.power.cap_w
    held_for = session.figures_told_at - state.tx.accepted_at
    if held_for >= FOLLOWS_WITHIN and session.power_w >= standing * 0.95 - STEP_W:
        return None
    if held_for >= CONTENT_AFTER:
        return -(-(round(session.power_w * 1.05) + CONTENT_MARGIN_W) // STEP_W) * STEP_W
    return state.power.cap_w


def _kept_of_promise(state: EvseState, now: datetime) -> int:
    """All of it, until the vehicle was seen to leave some for a while, as one does whose battery is nearly full. Only where its
    profile rises again by itself: a charger that falls silent then does so without anybody to ask."""
    promised, session, accepted_at = state.promised_w, state.session, state.tx.accepted_at
    if session is None or session.power_w is None or session.figures_told_at is None or accepted_at is None:
        return promised
    is_stale = state.is_online and now - session.figures_told_at > FRESH
    if state.power.cap_w is None or is_stale or not state.can_rise:
        return promised
    standing = state.standing_w(state.tx)
    leaves_already = standing is not None and standing < promised
    if not leaves_already and session.figures_told_at - accepted_at < LEAVES_AFTER:
        return promised
    takes = round(session.power_w * 1.15) + LEAVES_MARGIN_W
    return min(-(-takes // LEAVES_STEP_W) * LEAVES_STEP_W, promised)


def _without_flutter(state: EvseState, place: Place, share_w: int) -> int:
    """What stands, where that is a little less and enough."""
    standing = state.standing_w(state.tx)
    if standing is None or place.charging is None or not standing < share_w:
        return share_w
    is_little = share_w - standing < max(SMALLEST_RAISE_W, standing // 100)
    is_enough = standing >= max(place.floor_w, min(place.charging.needed_w, place.charging.most_w))
    return standing if is_little and is_enough else share_w


def _why(state: EvseState, place: Place) -> str:
    share = state.power.share_w
    if not state.takes_profiles:
        return Why.UNCONTROLLED
    if state.ignores_profiles:
        return Why.IGNORES
    if not state.is_online:
        return Why.SILENT
    if state.is_short and state.booking is not None:
        return Why.SHORT
    if place.charging is None:
        return Why.FREE
    if state.wished_w is not None and share >= place.charging.most_w:
        return Why.LIMITED
    if state.power.cap_w is not None and share < state.evse.max_power_w and share >= place.charging.most_w:
        return Why.CONTENT
    return Why.ALL if share >= place.charging.most_w else Why.SHARED
