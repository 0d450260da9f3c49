"""Trips: several bookings, all or none, at own depots and partners'.

Every stop at a depot of ours is held first. Where somebody has to answer (a depot, a payment, a partner) that stop is asked for
at once, and the others stay held until the last answer is there; then all are confirmed together, or given back together.
Each step is one transaction, found by the scheduler: whoever is killed leaves the trip as it was before the step.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from bookings.actors import SCHEDULER, Actor
from bookings.core import calendars, lifecycle
from bookings.core.locking import lock_together
from bookings.errors import (
    BookingError,
    ChangedMeanwhile,
    Conflicts,
    TooManyHolds,
    VehicleElsewhere,
    WrongStatus,
)
from bookings.models import LIVE, Booking, BookingStatus, CancelReason, Trip
from bookings.operations.book import hold_slot, request_booking
from bookings.operations.cancel import cancel_booking
from bookings.operations.confirm import confirm_hold
from bookings.operations.lock_together import lock_places
from bookings.operations.many_wishes import ManyOutcome
from bookings.operations.places import nearest_later
from bookings.operations.quotas_under_lock import check_unused_holds
from bookings.operations.slot_request import SlotRequest
from bookings.rules import content_version, permissions
from bookings.rules.permissions import CANCELLABLE
from bookings.signals import trip_settled

MOST_STOPS = 20
# Stops are held no longer than that for others' answers, whatever time a depot takes to decide, and for no more than so many
# times what their own depot holds a slot for (the term `hold_min`): with its default of ten minutes both are the same.
LONGEST_WAIT = timedelta(hours=1)
HOLD_TIMES = 6
# A partner says nowhere by when it answers: so long it is waited for.
PARTNER_ANSWERS_WITHIN = timedelta(minutes=30)
# An answer that comes in the last moment is followed before the holds run out.
SLACK = timedelta(minutes=1)
LOST = frozenset(BookingStatus.values) - frozenset(LIVE) - {BookingStatus.COMPLETED}


@nearest_later()
def book_trip(requests: Sequence[SlotRequest], *, actor: Actor, now: datetime) -> Trip:
    """Book all stops, or hold those that wait for nobody while the others are asked for: BOOKED or ASKING.

    Raises Conflicts, with an outcome for each stop, when one of them is refused at once, or begins before its vehicle has left
    another: then nothing is booked, and nobody was asked.
    """
    with calendars.one_operation():
        lock_places(requests, now=now)
        outcomes = _outcomes(requests, actor, now)
        made = [outcome.booking for outcome in outcomes if outcome.booking is not None]
        waiting = [stop for stop in made if stop.status == BookingStatus.REQUESTED]
        if waiting:
            outcomes = [_counted(outcome, now) for outcome in outcomes]
        if any(outcome.refusal for outcome in outcomes):
            raise Conflicts(outcomes)
        trip = Trip(fleet=requests[0].fleet, asked_at=now, **actor.columns("asked_by"))
        if waiting:
            trip.status, trip.answers_until = Trip.Status.ASKING, _answers_until(made, waiting, now)
        else:
            trip.status, trip.settled_at = Trip.Status.BOOKED, now
        trip.save()
        _keep_together(trip, made, actor, now)
    return trip


def settle_trip(*, trip_id: int, now: datetime) -> Trip:
    """Confirm what is held once nothing is waited for, or give all back when one stop is lost or the time is over. Where neither
    is so, nothing happens."""
    with calendars.one_operation():
        trip = _locked(trip_id)
        if not trip.is_asking:
            return trip
        stops = _locked_stops(trip)
        failure = _failure(trip, stops, now)
        is_answered = not any(stop.status == BookingStatus.REQUESTED for stop in stops)
        if not failure and is_answered:
            failure = _overlap(stops)
        if failure:
            _fail(trip, stops, failure, now)
        elif is_answered:
            _confirm(trip, stops, now)
    return trip


def cancel_trip(
    *,
    trip_id: int,
    reason: str = CancelReason.NO_CANCELED,
    seen_version: int | None = None,
    actor: Actor,
    now: datetime,
) -> Trip:
    """Give up every stop that can still be given up free of charge; what cannot stays, and its history says why.

    Raises WrongStatus where nothing of it is ahead any more, ChangedMeanwhile when it is not what `seen_version` (of
    `trip_version`) showed, and the first refusal where nothing could be given up.
    """
    with calendars.one_operation():
        trip = _locked(trip_id)
        stops = _locked_stops(trip)
        if seen_version is not None and seen_version != trip_version(trip, stops):
            raise ChangedMeanwhile("The trip has changed since you looked.")
        ahead = [stop for stop in stops if stop.status in CANCELLABLE]
        if not ahead:
            raise WrongStatus(trip.status, "cancelled", "Nothing of this trip can be cancelled any more.")
        refusals = _give_back(ahead, "The trip was cancelled.", reason, actor, now)
        if len(refusals) == len(ahead):
            raise refusals[0]
        is_failed = trip.status == Trip.Status.FAILED  # and a stop of it had stayed
        _settle(trip, Trip.Status.FAILED if is_failed else Trip.Status.CANCELLED, now)
    return trip


def trip_version(trip: Trip, stops: Sequence[Booking]) -> int:
    """For the form that shows a trip with its stops."""
    rows = sorted([stop.pk, stop.status, stop.period.as_json()] for stop in stops)
    return content_version.version_of([trip.pk, trip.status, rows])


def due_trips(now: datetime) -> QuerySet[Trip]:
    """Those that can be settled: a stop is lost, all have their answers, or the time is over."""
    stops = Booking.objects.filter(trip=OuterRef("pk"))
    lost, waiting = stops.filter(status__in=LOST), stops.filter(status=BookingStatus.REQUESTED)
    return Trip.objects.asking().filter(Q(answers_until__lte=now) | Exists(lost) | ~Exists(waiting))


def _outcomes(requests: Sequence[SlotRequest], actor: Actor, now: datetime) -> list[ManyOutcome]:
    """Own stops before partners', which are asked of nobody where one of ours is refused."""
    order = sorted(range(len(requests)), key=lambda number: requests[number].option.is_mirror)
    found = {number: _kept(requests[number], actor, now) for number in order}
    return _without_overlaps([found[number] for number in range(len(requests))])


def _kept(request: SlotRequest, actor: Actor, now: datetime) -> ManyOutcome:
    """Held, or asked for where somebody has to answer."""
    try:
        with transaction.atomic():
            if request.option.is_mirror:
                return ManyOutcome(request_booking(request, actor=actor, now=now))
            held = hold_slot(request, is_counted=False, actor=actor, now=now)
            if held.terms_json["approval"] or held.pays_before:
                return ManyOutcome(confirm_hold(booking_id=held.pk, actor=actor, now=now))
            return ManyOutcome(held)
    except BookingError as refusal:
        return ManyOutcome(refusal=refusal)


def _counted(outcome: ManyOutcome, now: datetime) -> ManyOutcome:
    """A stop that is to stay held is a hold like any other; one that is confirmed at once is none."""
    stop = outcome.booking
    if stop is None or stop.status != BookingStatus.HELD:
        return outcome
    try:
        check_unused_holds(stop.fleet, stop.depot_id, stop.terms, now=now)
    except TooManyHolds as refusal:
        return ManyOutcome(refusal=refusal)
    return outcome


def _without_overlaps(outcomes: Sequence[ManyOutcome]) -> list[ManyOutcome]:
    """The stops, each refused that begins before its vehicle has left the one before it."""
    found = list(outcomes)
    made = [outcome.booking for outcome in outcomes if outcome.booking is not None]
    numbers = {
        outcome.booking.pk: number for number, outcome in enumerate(outcomes) if outcome.booking is not None
    }
    for before, after in _overlaps(made):
        first, second = numbers[before.pk], numbers[after.pk]
        sentence = f"Stop {second + 1} begins before {after.plate} has left stop {first + 1}."
        found[second] = ManyOutcome(refusal=VehicleElsewhere(sentence))
    return found


def _overlaps(stops: Sequence[Booking]) -> Iterator[tuple[Booking, Booking]]:
    """Each that begins before its vehicle has left the one before it, behind that one."""
    by_vehicle: dict[int, list[Booking]] = {}
    for stop in stops:
        if stop.vehicle_id is not None:
            by_vehicle.setdefault(stop.vehicle_id, []).append(stop)
    for of_one in by_vehicle.values():
        of_one.sort(key=lambda stop: stop.starts_at)
        yield from (two for two in pairwise(of_one) if two[1].starts_at < two[0].ends_at)


def _answers_until(made: Sequence[Booking], waiting: Sequence[Booking], now: datetime) -> datetime:
    """As long as the longest answer may take, within an hour and what the depots that hold a stop allow, and before a truck
    would have lost one."""
    longest = max(stop.decide_until or now + PARTNER_ANSWERS_WITHIN for stop in waiting)
    held = [now + HOLD_TIMES * stop.terms.hold_time for stop in made if stop.status == BookingStatus.HELD]
    return min(longest, now + LONGEST_WAIT, *held, *(stop.no_show_at() for stop in made))


def _keep_together(trip: Trip, stops: Sequence[Booking], actor: Actor, now: datetime) -> None:
    """The stops become the trip's; held ones are confirmed at once, or wait as long as it does."""
    Booking.objects.filter(pk__in=[stop.pk for stop in stops]).update(trip=trip)
    held = [stop.pk for stop in stops if stop.status == BookingStatus.HELD]
    if trip.answers_until is not None:
        Booking.objects.filter(pk__in=held).update(held_until=trip.answers_until + SLACK)
        return
    for booking_id in held:
        confirm_hold(booking_id=booking_id, with_trip=True, actor=actor, now=now)


def _locked(trip_id: int) -> Trip:
    """Before everything else: whoever has a booking locks no trip."""
    return Trip.objects.select_for_update(no_key=True).get(pk=trip_id)


def _locked_stops(trip: Trip) -> list[Booking]:
    return lock_together(list(trip.stops.values_list("pk", flat=True)))


def _failure(trip: Trip, stops: Sequence[Booking], now: datetime) -> str:
    """Why it cannot be kept whole any more; empty while it can."""
    lost = next((stop for stop in stops if stop.status in LOST), None)
    if lost is not None:
        why = f": {lost.note}" if lost.note else "."
        return f"The stop at {lost.depot.name} was {_LOST_WORDS.get(lost.status, 'lost')}{why}"[:300]
    waiting = [stop for stop in stops if stop.status == BookingStatus.REQUESTED]
    if waiting and trip.answers_until is not None and trip.answers_until <= now:
        names = ", ".join(stop.depot.name for stop in waiting)
        return f"No answer came in time from {names}."[:300]
    return ""


def _overlap(stops: Sequence[Booking]) -> str:
    """Whether one was moved meanwhile, by its fleet or as its depot offered, to where its vehicle is elsewhere."""
    for before, after in _overlaps([stop for stop in stops if stop.is_live]):
        plate, places = after.plate, (before.depot.name, after.depot.name)
        return f"{plate} would not have left {places[0]} when the stop at {places[1]} begins."[:300]
    return ""


_LOST_WORDS: dict[str, str] = {
    BookingStatus.DECLINED: "declined",
    BookingStatus.CANCELLED: "cancelled",
    BookingStatus.FAILED: "not granted",
    BookingStatus.EXPIRED: "held too long",
    BookingStatus.NO_SHOW: "not used in time",
}


def _confirm(trip: Trip, stops: Sequence[Booking], now: datetime) -> None:
    try:
        with transaction.atomic():
            for stop in stops:
                if stop.status == BookingStatus.HELD:
                    confirm_hold(booking_id=stop.pk, with_trip=True, actor=_asker(trip), now=now)
    except BookingError as refusal:
        _fail(trip, stops, str(refusal), now)
        return
    _settle(trip, Trip.Status.BOOKED, now)


def _asker(trip: Trip) -> Actor:
    return Actor(trip.asked_by_kind, trip.asked_by_name)  # type: ignore[arg-type]  # as it was kept


def _fail(trip: Trip, stops: Sequence[Booking], failure: str, now: datetime) -> None:
    trip.failure = failure
    live = [stop for stop in stops if stop.status in CANCELLABLE]
    _give_back(live, f"Not all of the trip could be booked. {failure}", CancelReason.UNKNOWN, SCHEDULER, now)
    _settle(trip, Trip.Status.FAILED, now)


def _give_back(
    stops: Sequence[Booking], why: str, reason: str, actor: Actor, now: datetime
) -> list[BookingError]:
    """Each by itself; what is refused stays and says so in its history."""
    refusals = []
    for stop in stops:
        try:
            with transaction.atomic():
                _give_up(stop, why, reason, actor, now)
        except BookingError as refusal:
            refusals.append(refusal)
            detail: dict[str, Any] = {"note": why[:200], "reason": str(refusal)}
            lifecycle.record(stop, kind="trip_stop_stays", actor=actor, at=now, detail=detail)
    return refusals


def _give_up(stop: Booking, why: str, reason: str, actor: Actor, now: datetime) -> None:
    """Never for a fee: nobody was told of one. Raises CancelTooLate then."""
    permissions.check_cancel_freely(stop, by=Booking.Side.FLEET, now=now)
    if stop.status == BookingStatus.HELD:
        lifecycle.move(stop, BookingStatus.CANCELLED, actor=actor, at=now, detail={"note": why[:200]})
        return
    cancel_booking(booking_id=stop.pk, reason=reason, by=Booking.Side.FLEET, note=why, actor=actor, now=now)


def _settle(trip: Trip, status: Trip.Status, now: datetime) -> None:
    trip.status, trip.answers_until, trip.settled_at = status, None, now
    trip.save(update_fields=["status", "answers_until", "settled_at", "failure"])
    trip_settled.send(sender=Trip, trip=trip, at=now)
