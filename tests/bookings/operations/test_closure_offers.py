"""A closure offers the nearest other time to a booking that no other EVSE is free for."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from bookings import operations, scheduler
from bookings.errors import NothingToDecide, OfferImpossible, SlotTaken, WrongStatus
from bookings.models import Booking, BookingRequest, ClosureAct, Occupancy, Occurrence
from bookings.notifications.resolving import news_of
from bookings.notifications.wording import sentence
from bookings.operations import CounterOffer
from bookings.operations.closure_acts import Choice, act_version
from bookings.operations.closure_plan import Outage, Outcome, Proposal, proposed, version_of
from depots.models import Depot, Evse
from depots.periods import Period
from tests.factories import (
    DISPATCHER,
    MANAGER,
    NOW,
    at,
    book_slot,
    change_slot,
    make_depot,
    make_evse,
    make_rule,
    make_vehicle,
    option_of,
    slot,
)

pytestmark = pytest.mark.django_db

SOON = NOW + timedelta(minutes=1)


@pytest.fixture
def depot() -> Depot:
    return make_depot()


@pytest.fixture
def evse(depot: Depot) -> Evse:
    return make_evse(depot)


def book(evse: Evse, start: int, end: int, **wishes: Any) -> Booking:
    truck = wishes.pop("vehicle", None) or make_vehicle()
    asked = {"option": option_of(evse), "actor": DISPATCHER, "now": NOW, **wishes}
    return book_slot(fleet=truck.fleet, vehicle=truck, evse=evse, period=slot(start, end), **asked)


def outage(*evses: Evse, period: Period | None = None) -> Outage:
    return Outage(evses[0].depot, frozenset(evse.pk for evse in evses), period or slot(9, 12))


def plan(where: Outage, **asked: Any) -> list[Proposal]:
    return proposed(where, leaves_armed=True, **{"offers": True, "now": NOW, **asked})


def close(where: Outage, **asked: Any) -> ClosureAct:
    return operations.close_evses(outage=where, **{"offers": True, "actor": MANAGER, "now": NOW, **asked})


def undo(act: ClosureAct, **asked: Any) -> ClosureAct:
    act = ClosureAct.objects.get(pk=act.pk)
    return operations.undo_closure(
        act_id=act.pk, seen_version=act_version(act), actor=MANAGER, **{"now": SOON, **asked}
    )


def accept(booking: Booking) -> Booking:
    return operations.accept_counter_offer(booking_id=booking.pk, actor=DISPATCHER, now=SOON)


def decline(booking: Booking) -> Booking:
    return operations.decline_counter_offer(booking_id=booking.pk, actor=DISPATCHER, now=SOON)


def kept(booking: Booking) -> list[tuple[str, int, Period]]:
    rows = Occupancy.objects.filter(holder=booking.pk).order_by("kind")
    return [(row.kind, row.evse_id, row.span) for row in rows]


def state(booking: Booking) -> tuple[str, Period, Any]:
    booking.refresh_from_db()
    return booking.status, booking.period, booking.decide_until


def result(act: ClosureAct, booking: Booking) -> tuple[str, str]:
    return act.steps.values_list("after", "why").get(booking=booking)


def test_who_finds_no_other_evse_is_offered_the_nearest_time_that_has_all_it_asked_for(depot: Depot) -> None:
    """Nearer would be the short bay, the weak one at ten, or an hour at which nobody could have answered in time."""
    closed = make_evse(depot, max_power_w=400_000, max_vehicle_length_cm=2000)
    make_evse(depot, max_power_w=400_000, max_vehicle_length_cm=800)
    weak = make_evse(depot, max_power_w=100_000, max_vehicle_length_cm=2000)
    busy = make_evse(depot, max_power_w=400_000, max_vehicle_length_cm=2000)
    truck = make_vehicle(length_cm=1900, max_power_w=350_000)
    booking = book(closed, 9, 10, vehicle=truck, power_w=300_000)
    book(busy, 9, 11)
    book(weak, 9, 10)

    [proposal] = plan(outage(closed))

    assert proposal.outcome == Outcome.OFFERED
    assert proposal.other is not None
    assert (proposal.other.evse, proposal.other.period) == (busy, slot(11, 12))
    assert proposal.other.until == booking.starts_at - timedelta(minutes=15)
    assert plan(outage(closed), offers=False)[0].outcome == Outcome.CANCELLED


@pytest.mark.parametrize("why", ["partner", "too soon", "armed", "change", "held", "nothing free"])
def test_who_cannot_be_offered_another_time_is_cancelled_as_before(
    depot: Depot, evse: Evse, why: str
) -> None:
    booking = book(evse, 10, 11)
    rows = Booking.objects.filter(pk=booking.pk)
    now, period = NOW, slot(9, 12)
    if why == "partner":
        type(booking.fleet).objects.filter(pk=booking.fleet_id).update(is_partner=True)
    elif why == "too soon":
        now = at(9, 16)  # half an hour to answer, and a quarter for the charger
    elif why == "armed":
        rows.update(enforcement="armed", armed_evse=evse)
    elif why == "change":
        BookingRequest.objects.create(
            booking=booking, kind="change", decision="pending", asked_at=NOW, asked_by_kind="dispatcher"
        )
        rows.update(decide_until=at(9))
    elif why == "held":
        rows.update(status="held", held_until=at(9))
    else:
        period = Period(at(9), at(9, day=3))

    found = proposed(outage(evse, period=period), offers=True, now=now)

    assert [one.outcome for one in found] == [Outcome.CANCELLED]


def test_offers_of_one_closure_do_not_take_each_other_s_place_and_a_move_goes_before_them(
    depot: Depot, evse: Evse
) -> None:
    first, second, third = (book(evse, hour, hour + 1) for hour in (9, 10, 11))
    other = make_evse(depot)
    for hour in (9, 10):
        book(other, hour, hour + 1)

    act = close(outage(evse))

    assert dict(act.steps.values_list("booking", "outcome")) == {
        first.pk: "offered", second.pk: "offered", third.pk: "moved",
    }  # fmt: skip
    spans = sorted(row.span for row in Occupancy.objects.filter(kind="pending"))
    assert len(spans) == 2
    third.refresh_from_db()
    assert third.evse == other


def test_a_truck_is_not_offered_a_time_at_which_it_is_booked_elsewhere() -> None:
    depot = make_depot(terms={"overlapping_tokens": False})
    evse, truck = make_evse(depot), make_vehicle()
    book(evse, 11, 12, vehicle=truck)
    elsewhere = make_evse(make_depot(terms={"overlapping_tokens": False}))
    book(elsewhere, 12, 13, vehicle=truck)
    book(elsewhere, 9, 11, vehicle=truck)

    [proposal] = plan(outage(evse, period=slot(11, 12)))

    assert proposal.other is not None
    assert proposal.other.period == slot(13, 14)


def test_a_guest_is_offered_no_more_than_its_quota_leaves(depot: Depot, evse: Evse) -> None:
    other, truck = make_evse(depot), make_vehicle()
    make_rule(depot, "quota", amount=1)
    booking = book(evse, 11, 12, vehicle=truck)
    book(evse, 13, 14, vehicle=make_vehicle(truck.fleet))
    for taken, start, end in ((evse, 9, 11), (other, 9, 13)):
        book(taken, start, end, vehicle=make_vehicle(depot.operator))

    [proposal] = plan(outage(evse, period=slot(11, 13)))

    assert proposal.other is not None
    assert proposal.other.period == slot(14, 15)
    close(outage(evse, period=slot(11, 13)))
    assert state(booking)[2] == proposal.other.until


def test_an_offer_keeps_both_places_until_the_fleet_takes_it(evse: Evse) -> None:
    booking = book(evse, 10, 11)

    act = close(outage(evse), reason="Cable")

    until = at(9, 45)
    assert state(booking) == ("confirmed", slot(10, 11), until)
    step = act.steps.get()
    assert (step.outcome, step.evse_before, step.evse_after, step.version) == ("offered", evse, evse, 2)
    assert kept(booking)[1][:2] == ("pending", evse.pk)
    with pytest.raises(SlotTaken):
        book(evse, 12, 13)
    accept(booking)
    assert state(booking) == ("confirmed", slot(12, 13), None)
    assert [span for _, _, span in kept(booking)] == [slot(12, 13)]
    taken = Occupancy.objects.filter(kind="closure", evse=evse).values_list("span", flat=True)
    assert sum((span.duration for span in taken), timedelta()) == timedelta(hours=3)


@pytest.mark.parametrize("how", ["declined", "run out", "cancelled by its fleet"])
def test_without_a_yes_the_depot_cancels_and_asks_no_fee(how: str) -> None:
    depot = make_depot(terms={"late_cancel": True, "cancel_until_min": 600})
    evse = make_evse(depot)
    booking = book(evse, 10, 11)
    close(outage(evse))

    if how == "declined":
        decline(booking)
    elif how == "run out":
        scheduler.run_tick(at(9, 45))
    else:
        asked = {"reason": "TRAFFIC", "by": "fleet", "actor": DISPATCHER, "now": SOON}
        operations.cancel_booking(booking_id=booking.pk, **asked)

    assert state(booking) == ("cancelled", slot(10, 11), None)
    assert booking.cancelled_by == "depot"
    assert not booking.cdrs.exists()
    assert kept(booking) == []
    event = booking.events.latest("pk")
    assert [news.kind for news in news_of(event, booking)] == ["offer_declined", "cancelled_by_depot"]


def test_a_booking_is_out_of_its_closed_evse_before_any_charger_would_keep_it(evse: Evse) -> None:
    booking = book(evse, 10, 11)
    close(outage(evse))

    scheduler.run_tick(at(9, 44))
    assert state(booking)[0] == "confirmed"
    scheduler.run_tick(at(9, 45))

    assert state(booking)[0] == "cancelled"
    assert booking.armed_evse is None


def test_a_fleet_cannot_stay_by_changing_something_else_but_may_move_it_elsewhere(
    depot: Depot, evse: Evse
) -> None:
    booking = book(evse, 10, 11)
    close(outage(evse))

    for change in ({"period": slot(10, (10, 30))}, {"vehicle": make_vehicle(booking.fleet)}):
        with pytest.raises(WrongStatus, match="cannot stay where it is"):
            change_slot(booking_id=booking.pk, now=SOON, **change)
    assert BookingRequest.objects.get(booking=booking, kind="offer").decision == "pending"
    change_slot(booking_id=booking.pk, period=slot(14, 15), now=SOON)

    assert state(booking) == ("confirmed", slot(14, 15), None)
    assert [kind for kind, *_ in kept(booking)] == ["booking"]
    with pytest.raises(NothingToDecide):
        accept(booking)


def test_what_is_chosen_instead_of_an_offer_is_done_and_what_was_not_seen_is_not(
    depot: Depot, evse: Evse
) -> None:
    first, second = book(evse, 10, 11), book(evse, 11, 12)
    where = outage(evse)
    seen = version_of(plan(where))

    act = close(
        where,
        seen_version=seen,
        choices={first.pk: Choice(Outcome.CANCELLED), second.pk: Choice(Outcome.STAYS)},
    )

    assert dict(act.steps.values_list("booking", "outcome")) == {first.pk: "cancelled", second.pk: "stays"}
    with pytest.raises(SlotTaken, match="cannot be offered another time"):
        close(outage(evse), offers=False, choices={second.pk: Choice(Outcome.OFFERED)})


@pytest.mark.parametrize("by", ["undo", "lift"])
def test_an_open_offer_is_taken_back_with_its_closure_and_the_fleet_hears_of_it(evse: Evse, by: str) -> None:
    booking = book(evse, 10, 11)
    act = close(outage(evse))

    if by == "undo":
        undo(act)
        assert result(act, booking) == ("restored", "")
    else:
        operations.lift_closure(closure_id=act.closures.get().pk, actor=MANAGER, now=SOON)

    assert state(booking) == ("confirmed", slot(10, 11), None)
    assert [kind for kind, *_ in kept(booking)] == ["booking"]
    event = booking.events.latest("pk")
    assert [news.kind for news in news_of(event, booking)] == ["offer_withdrawn"]
    with pytest.raises(NothingToDecide):
        accept(booking)


def test_undoing_leaves_what_the_fleet_took_books_anew_what_was_lost_and_not_what_it_gave_up(
    evse: Evse,
) -> None:
    taken, lost, given_up, moved = (book(evse, hour, hour + 1) for hour in (10, 11, 12, 13))
    act = close(outage(evse, period=slot(10, 14)))
    accept(taken)
    decline(lost)
    asked = {"reason": "TRAFFIC", "by": "fleet", "actor": DISPATCHER, "now": SOON}
    operations.cancel_booking(booking_id=given_up.pk, **asked)
    change_slot(booking_id=moved.pk, period=slot(20, 21), now=SOON)

    undo(act)

    assert result(act, taken) == ("kept", "Its fleet has accepted the other time.")
    assert result(act, lost) == ("rebooked", "")
    assert result(act, given_up) == ("kept", "It is cancelled by now.")
    assert act.steps.get(booking=lost).rebooked.period == slot(11, 12)  # type: ignore[union-attr]
    assert not Occupancy.objects.filter(kind__in=["pending", "closure"]).exists()


def test_an_offer_stands_while_another_closure_of_the_evse_does(evse: Evse) -> None:
    booking = book(evse, 10, 11)
    first = close(outage(evse))
    [again] = plan(outage(evse, period=slot(10, 12)))
    second = close(outage(evse, period=slot(10, 12)))

    assert (again.outcome, again.is_offered) == (Outcome.STAYS, True)
    undo(first)
    assert result(first, booking) == ("kept", "Another closure stands in its way still.")
    assert state(booking)[2] is not None
    undo(second)
    assert state(booking) == ("confirmed", slot(10, 11), None)


def test_a_closure_of_the_offered_place_looks_for_another_time_again(depot: Depot, evse: Evse) -> None:
    booking = book(evse, 10, 11)
    first = close(outage(evse))
    second = close(outage(evse, period=slot(12, 15)))

    assert dict(second.steps.values_list("booking", "outcome")) == {booking.pk: "offered"}
    asks = BookingRequest.objects.filter(booking=booking, kind="offer").order_by("pk")
    assert [ask.decision for ask in asks] == ["declined", "pending"]
    assert asks[1].asked["period"]["start"] == "2030-01-15T15:00:00Z"
    undo(first)
    assert state(booking) == ("confirmed", slot(10, 11), None)


def test_a_move_by_the_depot_overtakes_an_offer(depot: Depot, evse: Evse) -> None:
    """Of one that was offered another time by hand, and whose EVSE is closed then."""
    booking, other = book(evse, 10, 11), make_evse(depot)
    offer = CounterOffer(period=slot(14, 15), cancels=True)
    operations.offer_instead(booking_id=booking.pk, offer=offer, actor=MANAGER, now=NOW)
    [proposal] = plan(outage(evse))
    assert proposal.is_offered

    close(outage(evse), choices={booking.pk: Choice(Outcome.MOVED, other.pk)})

    assert state(booking) == ("confirmed", slot(10, 11), None)
    assert booking.evse == other
    assert [kind for kind, *_ in kept(booking)] == ["booking"]
    scheduler.run_tick(at(9, 46))
    assert state(booking)[0] == "confirmed"


def test_a_cleared_closure_offers_too(evse: Evse) -> None:
    booking = book(evse, 10, 11)
    closure = operations.close_evse(evse=evse, period=slot(9, 12), reason="Cable", actor=MANAGER, now=NOW)

    [done] = operations.clear_closure(closure_id=closure.pk, actor=MANAGER, now=NOW)

    assert done.outcome == Outcome.OFFERED
    assert state(booking)[2] == at(9, 45)
    operations.lift_closure(closure_id=closure.pk, actor=MANAGER, now=SOON)
    assert state(booking) == ("confirmed", slot(10, 11), None)


def test_a_fleet_hears_once_what_is_offered_until_when_and_what_becomes_of_it_otherwise(evse: Evse) -> None:
    booking = book(evse, 10, 11)

    close(outage(evse), reason="Cable")

    [news] = news_of(booking.events.latest("pk"), booking)
    told = sentence(news.kind, news.params, "en")
    assert news.kind == "offered"
    assert "Tue 15 Jan 2030, 13:00–14:00" in told.title
    assert told.more == "Without a yes the booking is cancelled, at the depot's cost. Reason: Cable."
    assert not Occurrence.objects.filter(kind="closure").exists()


def test_a_fleet_cannot_stay_by_a_change_that_its_depot_has_to_approve() -> None:
    """Nobody would have to decline it for the booking to be left in its closed EVSE: it is enough that nobody answers."""
    evse = make_evse(make_depot(terms={"approval": True}))
    booking = book(evse, 10, 11)
    operations.decide(booking_id=booking.pk, accept=True, actor=MANAGER, now=NOW)
    close(outage(evse))

    with pytest.raises(WrongStatus, match="its depot's yes"):
        change_slot(booking_id=booking.pk, period=slot(14, 15), now=SOON)

    assert BookingRequest.objects.get(booking=booking, kind="offer").decision == "pending"
    scheduler.run_tick(at(9, 45))
    assert state(booking)[0] == "cancelled"


def test_a_depot_withdraws_no_offer_while_its_closure_stands(evse: Evse) -> None:
    """Nor one that was made by hand before the EVSE was closed."""
    by_closure, by_hand = book(evse, 10, 11), book(evse, 11, 12)
    offer = CounterOffer(period=slot(15, 16), cancels=True)
    operations.offer_instead(booking_id=by_hand.pk, offer=offer, actor=MANAGER, now=NOW)
    act = close(outage(evse))

    for booking in (by_closure, by_hand):
        with pytest.raises(WrongStatus, match="lift the closure"):
            operations.decide(booking_id=booking.pk, accept=False, actor=MANAGER, now=SOON)
        assert state(booking)[2] is not None
    undo(act)
    operations.decide(booking_id=by_hand.pk, accept=False, actor=MANAGER, now=SOON)
    assert state(by_hand) == ("confirmed", slot(11, 12), None)


def test_what_replaces_the_offer_of_a_closure_cancels_is_due_as_early_and_goes_with_it(evse: Evse) -> None:
    booking = book(evse, 10, 11)
    act = close(outage(evse))

    def offer(**said: Any) -> None:
        other = CounterOffer(period=slot(14, 15), **said)
        operations.offer_instead(booking_id=booking.pk, offer=other, actor=MANAGER, now=SOON)

    with pytest.raises(WrongStatus, match="has to be cancelled"):
        offer()
    with pytest.raises(OfferImpossible, match="charger"):
        offer(cancels=True, until=at(10))
    assert state(booking)[2] == at(9, 45)
    offer(cancels=True, until=at(9, 40))
    assert state(booking)[2] == at(9, 40)
    undo(act)

    assert state(booking) == ("confirmed", slot(10, 11), None)
