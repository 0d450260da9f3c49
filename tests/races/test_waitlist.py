"""The waiting list when several workers serve it, and people accept, at the same moment."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import transaction

from bookings import operations
from bookings.core import calendars
from bookings.errors import BookingError
from bookings.models import Booking, Occupancy, Occurrence, WaitlistEntry
from bookings.operations import SlotRequest
from depots.models import Organisation
from tests.factories import (
    DISPATCHER,
    NOW,
    book_slot,
    make_depot,
    make_evse,
    make_fleet,
    make_vehicle,
    option_of,
    slot,
)
from tests.races.processes import all_at_once, at_once, rendezvous, wait_for_a_waiter

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.races]
LATER = NOW + timedelta(seconds=5)


def given_back(evses: int, waiters: int) -> tuple[int, Organisation]:
    """A depot whose bookings from ten to eleven were all given back, where so many wait for any of them; and their fleet."""
    depot, other, fleet = make_depot(), make_fleet(), make_fleet()
    places = [make_evse(depot) for _ in range(evses)]
    booked = [
        book_slot(fleet=other, option=option_of(evse), vehicle=make_vehicle(other), period=slot(10, 11))
        for evse in places
    ]
    for number in range(waiters):
        asked = SlotRequest(
            fleet=fleet,
            option=option_of(places[number % evses]),
            vehicle=make_vehicle(fleet),
            period=slot(10, 11),
        )
        operations.join_waitlist(asked, actor=DISPATCHER, now=NOW + timedelta(seconds=number))
    for booking in booked:
        operations.cancel_booking(
            booking_id=booking.pk, reason="TRAFFIC", by="fleet", actor=DISPATCHER, now=NOW
        )
    calendars.raise_marked(lambda: LATER)
    return depot.pk, fleet


def serve(depot_id: int) -> int:
    return len(operations.serve_depot(depot_id=depot_id, now=LATER))


@pytest.mark.parametrize(("evses", "waiters", "offers"), [(1, 3, 1), (2, 1, 1), (2, 4, 2)])
def test_what_came_free_is_offered_once_and_in_turn_however_many_workers_serve(
    evses: int, waiters: int, offers: int
) -> None:
    depot_id, _ = given_back(evses, waiters)

    assert sum(at_once(lambda _: serve(depot_id), 4)) == offers

    offered = WaitlistEntry.objects.filter(status="offered").order_by("asked_at")
    assert list(offered) == list(WaitlistEntry.objects.order_by("asked_at")[:offers])
    assert Occupancy.objects.count() == Occurrence.objects.count() == offers


def test_an_offer_is_either_accepted_or_runs_out() -> None:
    depot_id, fleet = given_back(1, 2)
    serve(depot_id)
    first = WaitlistEntry.objects.get(status="offered")
    assert first.held_id is not None
    assert first.offered_until is not None
    end, held = first.offered_until, first.held_id

    def accept() -> str:
        try:
            return operations.accept_offer(
                entry_id=first.pk, actor=DISPATCHER, now=end - timedelta(seconds=1)
            ).status
        except BookingError as refusal:
            return refusal.code

    def expire() -> str:
        try:
            return operations.expire_hold(booking_id=held, now=end).status
        except BookingError as refusal:
            return refusal.code

    accepted, expired = all_at_once([accept, expire])

    assert (accepted, expired) in {("confirmed", "wrong_status"), ("wrong_status", "expired")}
    operations.follow_offer(entry_id=first.pk, now=end)
    first.refresh_from_db()
    assert first.status == ("accepted" if accepted == "confirmed" else "expired")
    assert Booking.objects.filter(fleet=fleet).live().count() == (accepted == "confirmed")


def test_one_who_leaves_while_the_offer_is_made_keeps_no_place() -> None:
    depot_id, _ = given_back(1, 1)
    entry = WaitlistEntry.objects.get()

    def leave() -> str:
        return operations.leave_waitlist(entry_id=entry.pk, actor=DISPATCHER, now=LATER).status

    answers = all_at_once([leave, lambda: serve(depot_id)])

    assert answers[0] == "withdrawn"
    assert answers[1] in {0, 1}
    entry.refresh_from_db()
    assert (entry.status, Occupancy.objects.count()) == ("withdrawn", 0)


def test_one_who_leaves_while_the_offer_commits_gives_its_hold_back() -> None:
    """Who waited for the lock sees the hold that was made under it."""
    depot_id, _ = given_back(1, 1)
    entry, offered = WaitlistEntry.objects.get(), rendezvous(2)

    def offers() -> int:
        with transaction.atomic():
            number = serve(depot_id)
            offered.wait(60)
            wait_for_a_waiter()
        return number

    def leave() -> str:
        offered.wait(60)
        return operations.leave_waitlist(entry_id=entry.pk, actor=DISPATCHER, now=LATER).status

    assert all_at_once([offers, leave]) == [1, "withdrawn"]

    assert Booking.objects.get(waited=entry).status == "cancelled"
    assert Occupancy.objects.count() == 0


def test_a_fleet_never_waits_for_more_than_it_may_however_many_join_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bookings.operations.waitlist.MOST_WAITING", 1)
    option, fleet = option_of(make_evse(make_depot())), make_fleet()
    vehicles = [make_vehicle(fleet) for _ in range(3)]

    def join(number: int) -> str:
        wanted = SlotRequest(fleet=fleet, option=option, vehicle=vehicles[number], period=slot(10, 11))
        try:
            return operations.join_waitlist(wanted, actor=DISPATCHER, now=NOW).status
        except BookingError as refusal:
            return refusal.code

    assert sorted(at_once(join, 3)) == ["too_many_waiting", "too_many_waiting", "waiting"]
