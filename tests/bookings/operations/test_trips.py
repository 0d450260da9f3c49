"""Trips: all stops or none, held and asked for together, released together when one is lost."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from bookings import operations
from bookings.errors import BookingError, CancelTooLate, Conflicts, WrongStatus
from bookings.models import Booking, BookingOption, BookingRequest, BookingStatus, Occupancy, Occurrence, Trip
from bookings.operations import RemoteState, SlotRequest
from bookings.operations.trips import LONGEST_WAIT, PARTNER_ANSWERS_WITHIN
from bookings.scheduler import run_tick
from depots.models import Evse, Organisation
from depots.periods import Period
from tests.factories import (
    DISPATCHER,
    MANAGER,
    NOW,
    PARTNER,
    book_slot,
    change_slot,
    make_depot,
    make_evse,
    make_fleet,
    make_operator,
    make_vehicle,
    option_of,
    slot,
)

pytestmark = pytest.mark.django_db
LATER = NOW + timedelta(minutes=2)


class Way:
    """A truck that charges at a depot of ours, then elsewhere."""

    def __init__(self) -> None:
        self.fleet: Organisation = make_fleet()
        self.truck = make_vehicle(self.fleet)
        self.first = make_evse(make_depot())

    def stop(self, evse: Evse, period: Period, **asked: Any) -> SlotRequest:
        return SlotRequest(
            **{
                "fleet": self.fleet,
                "vehicle": self.truck,
                "option": option_of(evse),
                "period": period,
                **asked,
            }
        )

    def book(self, *stops: SlotRequest, now: datetime = NOW) -> Trip:
        return operations.book_trip(list(stops), actor=DISPATCHER, now=now)

    def own(self) -> SlotRequest:
        return self.stop(self.first, slot(10, 11))


@pytest.fixture
def way(db: None) -> Way:
    return Way()


def decided(**terms: Any) -> Evse:
    return make_evse(make_depot(terms={"approval": True, **terms}))


def partners(**terms: Any) -> Evse:
    """A partner's, as it is mirrored."""
    evse = make_evse(make_depot(make_operator(is_partner=True), is_mirror=True, terms=terms))
    BookingOption.objects.filter(pk=option_of(evse).pk).update(is_mirror=True)
    return evse


def statuses(trip: Trip) -> list[str]:
    return list(trip.stops.order_by("starts_at").values_list("status", flat=True))


def now_is(trip: Trip) -> str:
    return Trip.objects.get(pk=trip.pk).status


def answer(booking: Booking, status: BookingStatus, decision: str) -> None:
    state = RemoteState(
        remote_status=status, status=status, remote_id="R-9", decision=BookingRequest.Decision(decision)
    )
    operations.adopt_remote(booking_id=booking.pk, state=state, actor=PARTNER, now=LATER)


def test_stops_that_wait_for_nobody_are_confirmed_at_once(way: Way) -> None:
    trip = way.book(way.own(), way.stop(make_evse(make_depot()), slot(14, 15)))

    assert (trip.status, trip.answers_until) == ("booked", None)
    assert statuses(trip) == ["confirmed", "confirmed"]
    assert Booking.objects.exclude(held_until=None).count() == 0


def test_one_stop_that_is_taken_leaves_nothing_and_says_which(way: Way) -> None:
    taken = make_evse(make_depot())
    book_slot(fleet=make_fleet(), option=option_of(taken), vehicle=None, period=slot(14, 15))

    with pytest.raises(Conflicts) as refusal:
        way.book(way.own(), way.stop(taken, slot(14, 15)), way.stop(partners(), slot(17, 18)))

    assert [outcome.code for outcome in refusal.value.outcomes] == [None, "slot_taken", None]
    assert refusal.value.outcomes[1].nearest is not None
    assert Booking.objects.filter(fleet=way.fleet).count() == Trip.objects.count() == 0


@pytest.mark.parametrize(
    ("period", "code"), [(slot((10, 45), 12), "vehicle_elsewhere"), (slot(11, 12), None)]
)
def test_a_truck_leaves_one_stop_before_it_comes_to_the_next(
    way: Way, period: Period, code: str | None
) -> None:
    stops = way.stop(make_evse(make_depot()), period), way.own()
    if code is None:
        assert way.book(*stops).status == "booked"
        return

    with pytest.raises(Conflicts) as refusal:
        way.book(*stops)

    assert [outcome.code for outcome in refusal.value.outcomes] == [code, None]
    assert refusal.value.outcomes[0].detail == f"Stop 1 begins before {way.truck.plate} has left stop 2."


def test_what_waits_for_nobody_is_held_until_the_last_yes(way: Way) -> None:
    trip = way.book(way.own(), way.stop(decided(), slot(14, 15)), way.stop(partners(), slot(17, 18)))
    first, second, third = trip.stops.order_by("starts_at")
    assert statuses(trip) == ["held", "requested", "requested"]
    assert trip.answers_until == NOW + PARTNER_ANSWERS_WITHIN
    assert first.held_until == trip.answers_until + timedelta(minutes=1)

    with pytest.raises(WrongStatus, match="confirmed with all of it"):
        operations.confirm_hold(booking_id=first.pk, actor=DISPATCHER, now=LATER)

    operations.decide(booking_id=second.pk, accept=True, actor=MANAGER, now=LATER)
    run_tick(LATER)
    assert (now_is(trip), statuses(trip)) == ("asking", ["held", "confirmed", "requested"])

    answer(third, BookingStatus.CONFIRMED, "accepted")
    run_tick(LATER)
    assert (now_is(trip), statuses(trip)) == ("booked", ["confirmed", "confirmed", "confirmed"])
    assert Occurrence.objects.get().kind == "trip_booked"
    run_tick(LATER + timedelta(hours=1))
    assert Occurrence.objects.count() == 1


def lose_by_manager(trip: Trip) -> None:
    asked = trip.stops.get(status="requested", route="own")
    operations.decide(booking_id=asked.pk, accept=False, reason="Full.", actor=MANAGER, now=LATER)


def lose_by_partner(trip: Trip) -> None:
    operations.decide(
        booking_id=trip.stops.get(status="requested", route="own").pk, accept=True, actor=MANAGER, now=LATER
    )
    answer(trip.stops.get(route="outbound"), BookingStatus.DECLINED, "declined")


def lose_the_hold(trip: Trip) -> None:
    operations.release_hold(booking_id=trip.stops.get(status="held").pk, actor=DISPATCHER, now=LATER)


@pytest.mark.parametrize(
    ("lose", "left", "words"),
    [
        (lose_by_manager, ["cancelled", "declined", "requested"], "was declined: Full."),
        (lose_by_partner, ["cancelled", "cancelled", "declined"], "was declined."),
        (lose_the_hold, ["cancelled", "cancelled", "requested"], "was cancelled."),
    ],
)
def test_one_lost_stop_gives_all_back_and_asks_the_partner_to_cancel(
    way: Way, lose: Any, left: list[str], words: str
) -> None:
    trip = way.book(way.own(), way.stop(decided(), slot(14, 15)), way.stop(partners(), slot(17, 18)))

    lose(trip)
    run_tick(LATER)

    failed = Trip.objects.get(pk=trip.pk)
    assert (failed.status, statuses(trip)) == ("failed", left)
    assert failed.failure.endswith(words)
    assert Occupancy.objects.filter(holder__in=trip.stops.values("pk")).count() == 0
    third = trip.stops.get(route="outbound")
    asked = list(third.requests.filter(kind="cancel").values_list("decision", flat=True))
    assert asked == (["pending"] if third.is_live else [])
    assert Occurrence.objects.get().kind == "trip_failed"


def test_a_partner_that_will_not_cancel_keeps_its_stop_and_the_trip_shows_it(way: Way) -> None:
    trip = way.book(way.own(), way.stop(decided(), slot(14, 15)), way.stop(partners(), slot(17, 18)))
    third = trip.stops.get(route="outbound")
    answer(third, BookingStatus.CONFIRMED, "accepted")
    lose_by_manager(trip)
    run_tick(LATER)
    assert third.requests.get(kind="cancel").decision == "pending"

    operations.adopt_remote(
        booking_id=third.pk, state=RemoteState(decision=BookingRequest.Decision.DECLINED, reason="Too late."),
        actor=PARTNER, now=LATER,
    )  # fmt: skip
    run_tick(LATER + timedelta(seconds=1))

    assert (now_is(trip), statuses(trip)) == ("failed", ["cancelled", "declined", "confirmed"])
    assert third.events.filter(detail__reason="Too late.").exists()


def test_what_is_past_its_deadline_stays_and_its_history_says_why(way: Way) -> None:
    """Granted by its depot, it can no longer be cancelled when another stop is lost."""
    soon = way.stop(decided(cancel_until_min=600), slot(10, 11))
    trip = way.book(soon, way.stop(partners(), slot(17, 18)))
    operations.decide(booking_id=trip.stops.get(route="own").pk, accept=True, actor=MANAGER, now=LATER)
    answer(trip.stops.get(route="outbound"), BookingStatus.DECLINED, "declined")

    run_tick(LATER)

    assert (now_is(trip), statuses(trip)) == ("failed", ["confirmed", "declined"])
    stays = trip.stops.get(status="confirmed").events.get(kind="trip_stop_stays")
    assert "could be cancelled until" in stays.detail["reason"]


@pytest.mark.parametrize(
    ("moved_to", "becomes", "left"),
    [
        (slot((10, 30), 12), "failed", ["cancelled", "cancelled"]),
        (slot(11, 12), "booked", ["confirmed", "confirmed"]),
    ],
)
def test_a_stop_that_was_moved_meanwhile_does_not_overlap_another_of_its_vehicle(
    way: Way, moved_to: Period, becomes: str, left: list[str]
) -> None:
    trip = way.book(way.own(), way.stop(decided(overlapping_tokens=True), slot(14, 15)))
    asked = trip.stops.get(status="requested")
    change_slot(booking_id=asked.pk, period=moved_to, by="fleet", actor=DISPATCHER, now=LATER)
    operations.decide(booking_id=asked.pk, accept=True, actor=MANAGER, now=LATER)

    run_tick(LATER)

    failed = Trip.objects.get(pk=trip.pk)
    assert (failed.status, statuses(trip)) == (becomes, left)
    assert ("would not have left" in failed.failure) == (becomes == "failed")


def test_nothing_is_given_up_for_a_fee_that_nobody_was_told_of(way: Way) -> None:
    """Neither by the scheduler when another stop is lost, nor with the whole trip; by itself it can be."""
    soon = way.stop(decided(cancel_until_min=600, late_cancel=True), slot(10, 11))
    trip = way.book(soon, way.stop(decided(), slot(17, 18)))
    first, second = trip.stops.order_by("starts_at")
    operations.decide(booking_id=first.pk, accept=True, actor=MANAGER, now=LATER)
    operations.decide(booking_id=second.pk, accept=False, reason="Full.", actor=MANAGER, now=LATER)

    run_tick(LATER)

    assert (now_is(trip), statuses(trip)) == ("failed", ["confirmed", "declined"])
    with pytest.raises(CancelTooLate, match="free of charge until"):
        operations.cancel_trip(trip_id=trip.pk, actor=DISPATCHER, now=LATER)
    operations.cancel_booking(booking_id=first.pk, reason="TRAFFIC", by="fleet", actor=DISPATCHER, now=LATER)
    assert statuses(trip) == ["cancelled", "declined"]


@pytest.mark.parametrize(
    ("terms", "asked_for", "waits"),
    [
        ({"decision_min": 20}, slot(14, 15), timedelta(minutes=20)),
        ({"decision_min": 24 * 60}, slot(14, 15), LONGEST_WAIT),
        ({"decision_min": 60}, slot((8, 15), 9), timedelta(minutes=30)),  # its no-show time
    ],
)
def test_a_trip_waits_as_long_as_the_longest_answer_may_take_within_an_hour(
    way: Way, terms: dict[str, Any], asked_for: Period, waits: timedelta
) -> None:
    trip = way.book(way.own(), way.stop(decided(**terms), asked_for))
    assert trip.answers_until == NOW + waits

    run_tick(NOW + waits - timedelta(seconds=1))
    assert "held" in statuses(trip)
    run_tick(NOW + waits)

    assert now_is(trip) == "failed"
    assert not trip.stops.live().exists()


@pytest.mark.parametrize(
    ("hold_min", "waits"), [(2, timedelta(minutes=12)), (10, LONGEST_WAIT), (600, LONGEST_WAIT)]
)
def test_a_stop_is_held_no_longer_than_a_few_times_what_its_depot_holds_a_slot_for(
    way: Way, hold_min: int, waits: timedelta
) -> None:
    held = way.stop(make_evse(make_depot(terms={"hold_min": hold_min})), slot(10, 11))

    trip = way.book(held, way.stop(decided(decision_min=24 * 60, hold_min=1), slot(14, 15)))

    assert trip.answers_until == NOW + waits
    assert trip.stops.get(status="held").held_until == NOW + waits + timedelta(minutes=1)


def test_cancelling_a_trip_gives_up_all_that_can_be(way: Way) -> None:
    late = way.stop(make_evse(make_depot(terms={"cancel_until_min": 600})), slot(10, 11))
    trip = way.book(late, way.stop(make_evse(make_depot()), slot(17, 18)))

    operations.cancel_trip(trip_id=trip.pk, actor=DISPATCHER, now=LATER)

    assert (now_is(trip), statuses(trip)) == ("cancelled", ["confirmed", "cancelled"])
    with pytest.raises(BookingError) as refusal:
        operations.cancel_trip(trip_id=trip.pk, actor=DISPATCHER, now=LATER)
    assert refusal.value.code == "cancel_too_late"
    Booking.objects.filter(trip=trip).update(status="completed")
    with pytest.raises(WrongStatus):
        operations.cancel_trip(trip_id=trip.pk, actor=DISPATCHER, now=LATER)


def test_a_stop_of_a_booked_trip_is_a_booking_like_any_other(way: Way) -> None:
    trip = way.book(way.own(), way.stop(make_evse(make_depot()), slot(17, 18)))

    operations.cancel_booking(
        booking_id=trip.stops.order_by("starts_at")[1].pk,
        reason="TRAFFIC",
        by="fleet",
        actor=DISPATCHER,
        now=LATER,
    )
    run_tick(LATER)

    assert (now_is(trip), statuses(trip)) == ("booked", ["confirmed", "cancelled"])
