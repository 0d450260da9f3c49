"""Stops for a journey: where to charge while the driver takes the breaks that Regulation (EC) No 561/2006 asks for.

A stop is a slot that can be had when the truck is there, at least as long as the break that is due, and long enough to charge
what the next leg needs. Looked for stop by stop: of each depot the earliest way to it with so many stops before it. The first
number of stops that reaches the destination is proposed, of these the plan that arrives first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import NamedTuple

from bookings.rules.driving_times import FULL_BREAK, NONE, Breaks, Duty, least_time, next_break
from bookings.rules.vehicle_range import EnergyUse
from bookings.search.along_route import Journey, OnTheWay, depots_on_the_way, find_slots_along
from bookings.search.slots import SlotOffer, SlotSearch

MOST_STOPS = 12
# Looked at where more lie on the way: those beside it go last.
MOST_PLACES = 250
# States that go on to the next stop, the most promising first.
MOST_STATES = 60
MOST_ALTERNATIVES = 3
# Nobody stops again sooner.
LEAST_LEG_KM = 1.0
_GUESSED_POWER_W = 350_000
_NEVER = timedelta(days=1)


@dataclass(frozen=True)
class Trip:
    """What is planned. `search` says for whom, which vehicle and the least power; without `energy` breaks alone count.

    `energy_wh` is what is in the battery at departure.
    """

    journey: Journey
    search: SlotSearch
    breaks: Breaks = Breaks.WHOLE
    energy: EnergyUse | None = None
    energy_wh: float = 0


@dataclass(frozen=True)
class ProposedStop:
    """A slot on the way; the truck may go on at `leaves_at`, after the break, what it charges, and the daily rest if one follows.

    `stands` is how long it needs at the charger, `pause` the break that is due then (nothing where none is). Energy in Wh.
    """

    place: OnTheWay
    offer: SlotOffer
    drives: timedelta
    arrives_at: datetime
    stands: timedelta
    pause: timedelta
    rest: timedelta
    charged_wh: float
    energy_wh: float
    alternatives: tuple[ProposedStop, ...] = ()

    @property
    def waits(self) -> timedelta:
        return self.offer.period.starts_at - self.arrives_at

    @property
    def ready_at(self) -> datetime:
        return self.offer.period.starts_at + self.stands

    @property
    def leaves_at(self) -> datetime:
        return self.ready_at + self.rest


@dataclass(frozen=True)
class TripPlan:
    """Stops that reach the destination; `last_leg` is the driving after the last."""

    stops: tuple[ProposedStop, ...]
    arrives_at: datetime
    last_leg: timedelta
    energy_wh: float


@dataclass(frozen=True)
class NoPlan:
    """Where it ends: from `since_km` on the next stop must come by `until_km`, both by road along the route.

    `limit` says what asks for it: `break`, `rest` or `energy`; `why_not` a refusal there, empty where no depot lies there.
    """

    since_km: float
    until_km: float
    limit: str
    why_not: str


@dataclass(frozen=True)
class _State:
    """A truck that may drive on. `beside_km` is its way back to the route."""

    at_km: float
    beside_km: float
    free_at: datetime
    duty: Duty
    energy_wh: float
    stops: tuple[ProposedStop, ...] = ()


class _Arrival(NamedTuple):
    state: _State
    place: OnTheWay
    km: float
    at: datetime


class _Needs(NamedTuple):
    pause: timedelta
    charged_wh: float
    stands: timedelta


@dataclass
class _Level:
    """What was found of the depots with so many stops before them."""

    offers: dict[int, list[SlotOffer]] = field(default_factory=dict)
    refused: list[tuple[OnTheWay, SlotOffer]] = field(default_factory=list)


def plan_trip(trip: Trip, *, places: Sequence[OnTheWay] | None = None) -> TripPlan | NoPlan:
    """The stops of a journey. Six queries for each stop at most, and one for the depots on the way."""
    journey = trip.journey
    if places is None:
        places = depots_on_the_way(journey, trip.search.fleet, now=trip.search.now)
    nearest = sorted(places, key=lambda place: place.apart_km)[:MOST_PLACES]
    return _Planner(trip, sorted(nearest, key=lambda place: place.along_km)).plan()


class _Planner:
    def __init__(self, trip: Trip, places: Sequence[OnTheWay]) -> None:
        self._trip, self._places = trip, places
        self._levels: list[_Level] = []

    def plan(self) -> TripPlan | NoPlan:
        trip = self._trip
        states = [_State(0, 0, trip.journey.depart_at, trip.journey.duty, trip.energy_wh)]
        furthest = states[0]
        for _ in range(MOST_STOPS + 1):
            if done := [plan for state in states if (plan := self._finish(state))]:
                return self._with_alternatives(min(done, key=_worth))
            states = self._next(states)
            if not states:
                break
            furthest = max([furthest, *states], key=lambda state: state.at_km)
        return self._stuck(furthest)

    def _finish(self, state: _State) -> TripPlan | None:
        km = self._left_km(state)
        driving = self._trip.journey.driving(km)
        if driving > state.duty.may_drive or km > self._range_km(state):
            return None
        return TripPlan(state.stops, state.free_at + driving, driving, self._energy_after(state, km))

    def _next(self, states: Sequence[_State]) -> list[_State]:
        """The states after one more stop, the most promising first."""
        arrivals = self._arrivals(states)
        level = _Level()
        self._levels.append(level)
        self._look(level, arrivals.values())
        found = [
            after
            for arrival in arrivals.values()
            for offer in level.offers.get(arrival.place.depot.pk, ())
            for after in self._stopped(arrival, offer)
        ]
        found.sort(key=self._promise)
        return _best_at_each(found)[:MOST_STATES]

    def _arrivals(self, states: Sequence[_State]) -> dict[int, _Arrival]:
        """The earliest way to each depot that can be reached now; of two that are as early the one with more left."""
        best: dict[int, _Arrival] = {}
        for state in states:
            for place in self._places:
                arrival = self._reach(state, place)
                if arrival is None:
                    continue
                known = best.get(place.depot.pk)
                if known is None or _order(arrival) < _order(known):
                    best[place.depot.pk] = arrival
        return best

    def _reach(self, state: _State, place: OnTheWay) -> _Arrival | None:
        along = place.along_km - state.at_km
        if along < LEAST_LEG_KM:
            return None
        km = along + state.beside_km + place.apart_km
        driving = self._trip.journey.driving(km)
        if driving > state.duty.may_drive or km > self._range_km(state):
            return None
        return _Arrival(state, place, km, state.free_at + driving)

    def _look(self, level: _Level, arrivals: Iterable[_Arrival]) -> None:
        """What can be had at each depot; once more where the power there makes the stop longer than was guessed."""
        here = {arrival.place.depot.pk: arrival for arrival in arrivals}
        lengths = {pk: self._stands(arrival, _GUESSED_POWER_W) for pk, arrival in here.items()}
        self._ask(level, here, lengths)
        longer = {
            pk: needed
            for pk, offers in level.offers.items()
            if (needed := self._stands(here[pk], max(offer.power_w for offer in offers))) > lengths[pk]
        }
        if longer:
            self._ask(level, {pk: here[pk] for pk in longer}, longer)

    def _ask(self, level: _Level, here: Mapping[int, _Arrival], lengths: Mapping[int, timedelta]) -> None:
        places = [replace(arrival.place, arrives_at=arrival.at) for arrival in here.values()]
        for found in find_slots_along(self._trip.journey, self._trip.search, lengths, places=places):
            if found.offer.is_free:
                level.offers.setdefault(found.place.depot.pk, []).append(found.offer)
            else:
                level.refused.append((found.place, found.offer))

    def _stands(self, arrival: _Arrival, power_w: int) -> timedelta:
        """How long a slot must be, where the truck is promised so much."""
        return max(self._needs(arrival, power_w, rests=rests).stands for rests in self._ways_on(arrival))

    def _ways_on(self, arrival: _Arrival) -> tuple[bool, ...]:
        """Whether a daily rest follows: it may where the day is not long enough for the rest of the way."""
        left = self._trip.journey.driving(self._left_km_from(arrival.place))
        return (False,) if left <= self._duty_at(arrival).left_today else (False, True)

    def _needs(self, arrival: _Arrival, power_w: int, *, rests: bool) -> _Needs:
        """The break that is due (none before a rest, or where the driver gets to the end without one), what the next leg takes as
        far as the driver may then drive, and how long both need."""
        duty, left_km = self._duty_at(arrival), self._left_km_from(arrival.place)
        journey, energy = self._trip.journey, self._trip.energy
        is_due = not rests and journey.driving(left_km) > duty.may_drive
        pause = next_break(duty, self._trip.breaks) if is_due else NONE
        if energy is None:
            return _Needs(pause, 0, pause or FULL_BREAK)
        after = Duty(limits=duty.limits) if rests else duty.rested(pause)
        leg_km = after.may_drive / timedelta(hours=1) * journey.speed_kmh
        here_wh = self._energy_after(arrival.state, arrival.km)
        missing = energy.missing_wh(here_wh, min(left_km, leg_km))
        charging = energy.charging_time(here_wh, missing, power_w)
        return _Needs(pause, missing, max(pause, _NEVER if charging is None else charging) or FULL_BREAK)

    def _stopped(self, arrival: _Arrival, offer: SlotOffer) -> list[_State]:
        """After the stop there, with a daily rest behind it or not; none where the slot is too short or too early."""
        if offer.period.starts_at < arrival.at:
            return []
        needs = [
            (rests, self._needs(arrival, offer.power_w, rests=rests)) for rests in self._ways_on(arrival)
        ]
        return [
            self._after(arrival, offer, need, rests=rests)
            for rests, need in needs
            if need.stands <= offer.period.duration
        ]

    def _after(self, arrival: _Arrival, offer: SlotOffer, need: _Needs, *, rests: bool) -> _State:
        place, driving = arrival.place, self._trip.journey.driving(arrival.km)
        energy_wh = self._energy_after(arrival.state, arrival.km) + need.charged_wh
        duty = self._duty_at(arrival).waited(offer.period.starts_at - arrival.at).rested(need.stands)
        rest = duty.limits.daily_rest if rests else NONE
        stop = ProposedStop(
            place, offer, driving, arrival.at, need.stands, need.pause, rest, need.charged_wh, energy_wh
        )
        return _State(
            place.along_km, place.apart_km, stop.leaves_at, duty.rested(rest), energy_wh,
            (*arrival.state.stops, stop),
        )  # fmt: skip

    def _with_alternatives(self, plan: TripPlan) -> TripPlan:
        """Each stop with others that could stand in its place, the other stops as they are."""
        stops = list(plan.stops)
        for number, stop in enumerate(plan.stops):
            following = plan.stops[number + 1] if number + 1 < len(plan.stops) else None
            stops[number] = replace(
                stop, alternatives=self._instead(plan.stops[:number], stop, following, number)
            )
        return replace(plan, stops=tuple(stops))

    def _instead(
        self,
        before: tuple[ProposedStop, ...],
        stop: ProposedStop,
        following: ProposedStop | None,
        number: int,
    ) -> tuple[ProposedStop, ...]:
        state = self._state_after(before)
        found = []
        for place in self._places:
            arrival = self._reach(state, place) if place.depot != stop.place.depot else None
            if arrival is None:
                continue
            after = [
                one
                for offer in self._levels[number].offers.get(place.depot.pk, ())
                for one in self._stopped(arrival, offer)
                if bool(one.stops[-1].rest) == bool(stop.rest) and self._leads_to(one, following)
            ]
            if after:
                found.append(min(after, key=self._promise).stops[-1])
        found.sort(key=lambda one: (one.leaves_at, one.place.detour_km))
        return tuple(found[:MOST_ALTERNATIVES])

    def _leads_to(self, state: _State, following: ProposedStop | None) -> bool:
        if following is None:
            return self._finish(state) is not None
        arrival = self._reach(state, following.place)
        return arrival is not None and any(
            bool(one.stops[-1].rest) == bool(following.rest)
            for one in self._stopped(arrival, following.offer)
        )

    def _state_after(self, stops: tuple[ProposedStop, ...]) -> _State:
        trip = self._trip
        state = _State(0, 0, trip.journey.depart_at, trip.journey.duty, trip.energy_wh)
        for stop in stops:
            arrival = self._reach(state, stop.place)
            assert arrival is not None  # it was reached before
            state = next(one for one in self._stopped(arrival, stop.offer) if one.stops[-1].rest == stop.rest)
        return state

    def _stuck(self, state: _State) -> NoPlan:
        driving_km = state.duty.may_drive / timedelta(hours=1) * self._trip.journey.speed_kmh
        range_km = self._range_km(state)
        limit = (
            "energy"
            if range_km < driving_km
            else "rest"
            if state.duty.left_today <= state.duty.until_break
            else "break"
        )
        until_km = state.at_km + min(driving_km, range_km)
        there = [
            offer for place, offer in (self._levels[-1].refused if self._levels else ())
            if state.at_km < place.along_km <= until_km
        ]  # fmt: skip
        return NoPlan(state.at_km, until_km, limit, str(there[0].refusal) if there else "")

    def _duty_at(self, arrival: _Arrival) -> Duty:
        return arrival.state.duty.driven(self._trip.journey.driving(arrival.km))

    def _promise(self, state: _State) -> tuple[datetime, float]:
        """When it arrives at the earliest, as if nothing but the driver's breaks were in the way."""
        left = self._trip.journey.driving(self._left_km(state))
        return state.free_at + least_time(left, state.duty), -state.energy_wh

    def _left_km(self, state: _State) -> float:
        return self._trip.journey.route.length_km - state.at_km + state.beside_km

    def _left_km_from(self, place: OnTheWay) -> float:
        return self._trip.journey.route.length_km - place.along_km + place.apart_km

    def _range_km(self, state: _State) -> float:
        return self._trip.energy.range_km(state.energy_wh) if self._trip.energy else float("inf")

    def _energy_after(self, state: _State, km: float) -> float:
        return self._trip.energy.after(state.energy_wh, km) if self._trip.energy else 0.0


def _best_at_each(states: Iterable[_State]) -> list[_State]:
    """Of each depot one state, and one after a rest, in their order."""
    found: dict[tuple[int, bool], _State] = {}
    for state in states:
        stop = state.stops[-1]
        found.setdefault((stop.place.depot.pk, bool(stop.rest)), state)
    return list(found.values())


def _order(arrival: _Arrival) -> tuple[datetime, timedelta, float]:
    """To the minute: what differs by less is as early."""
    return (
        arrival.at.replace(second=0, microsecond=0),
        arrival.state.duty.since_break,
        -arrival.state.energy_wh,
    )


def _worth(plan: TripPlan) -> tuple[datetime, float, float]:
    """What arrives about as early is better with less detour, then for less money."""
    arrives = plan.arrives_at.replace(second=0, microsecond=0)
    arrives -= timedelta(minutes=arrives.minute % 10)
    detour = sum(stop.place.detour_km for stop in plan.stops)
    price = sum(float(stop.offer.quote.total) for stop in plan.stops if stop.offer.quote)
    return arrives, detour, price
