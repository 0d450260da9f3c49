"""Waiting for a slot that somebody else has: in turn, for a time, and never twice."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from bookings import operations
from bookings.core import calendars
from bookings.errors import BookingError, DoesNotFit, WaitsAlready, WrongStatus
from bookings.models import (
    Booking,
    BookingOption,
    CancelReason,
    Occupancy,
    Occurrence,
    OfferedSlot,
    TermsOverride,
    WaitlistEntry,
    WaitlistMark,
)
from bookings.operations import SlotRequest, waitlist
from bookings.operations.waitlist import mark_waiting
from bookings.operations.waitlist_offers import LOOKED_AT_AGAIN
from bookings.scheduler import run_tick, serve_waitlist
from bookings.signals import offers_told
from depots.models import Evse
from depots.periods import Period
from tests.factories import (
    DISPATCHER,
    MANAGER,
    NOW,
    book_slot,
    change_slot,
    make_depot,
    make_evse,
    make_fleet,
    make_operator,
    make_option,
    make_vehicle,
    option_of,
    place_hold,
    slot,
)
from tests.money_factories import make_prices

pytestmark = pytest.mark.django_db
TEN = slot(10, 11)


class Full:
    """An EVSE that somebody has booked from ten to eleven."""

    def __init__(self, **terms: Any) -> None:
        self.evse: Evse = make_evse(make_depot(terms=terms))
        self.option: BookingOption = option_of(self.evse)
        other = make_fleet()
        self.booking = book_slot(fleet=other, option=self.option, vehicle=make_vehicle(other), period=TEN)
        self.now = NOW

    def wait(self, period: Period = TEN, **asked: Any) -> WaitlistEntry:
        fleet = asked.pop("fleet", None) or make_fleet()
        asked = {"vehicle": make_vehicle(fleet), "option": self.option, "period": period, **asked}
        self.now += timedelta(seconds=1)
        return operations.join_waitlist(SlotRequest(fleet=fleet, **asked), actor=DISPATCHER, now=self.now)

    def give_back(self) -> None:
        operations.cancel_booking(
            booking_id=self.booking.pk, reason="TRAFFIC", by="fleet", actor=DISPATCHER, now=self.now
        )

    def tick(self, after: timedelta = timedelta(seconds=1)) -> None:
        """The calendars' tick, the scheduler's, and the waiting list's."""
        self.now += after
        calendars.raise_marked(lambda: self.now)
        run_tick(self.now)
        serve_waitlist(self.now)


def now_is(*entries: WaitlistEntry) -> list[str]:
    return [WaitlistEntry.objects.get(pk=entry.pk).status for entry in entries]


@pytest.fixture
def full(db: None) -> Full:
    return Full()


def test_what_is_given_back_is_held_for_the_first_in_turn_who_takes_it(full: Full) -> None:
    first, second = full.wait(), full.wait()
    full.tick()
    assert now_is(first, second) == ["waiting", "waiting"]

    full.give_back()
    full.tick()

    assert now_is(first, second) == ["offered", "waiting"]
    entry = WaitlistEntry.objects.get(pk=first.pk)
    assert entry.held is not None
    assert (entry.held.status, entry.held.period, entry.held.evse) == ("held", TEN, full.evse)
    assert entry.held.held_until == entry.offered_until == full.now + timedelta(minutes=15)
    told = Occurrence.objects.get()
    assert (told.organisation, told.feed_type, told.content["status"]) == (
        first.fleet,
        "waitlist.offered",
        "offered",
    )
    assert told.content["offer"] == {
        "option": full.option.code, "evse": full.evse.uid, "starts_at": "2030-01-15T10:00:00Z",
        "ends_at": "2030-01-15T11:00:00Z", "until": "2030-01-15T08:15:04Z",
    }  # fmt: skip

    booking = operations.accept_offer(entry_id=first.pk, actor=DISPATCHER, now=full.now)
    assert (booking.status, booking.fleet, booking.vehicle) == ("confirmed", first.fleet, first.vehicle)
    full.tick()
    assert now_is(first, second) == ["accepted", "waiting"]
    with pytest.raises(WrongStatus):
        operations.accept_offer(entry_id=first.pk, actor=DISPATCHER, now=full.now)


@pytest.mark.parametrize("how", ["withdrawn", "released", "expired"])
def test_an_offer_that_is_not_taken_goes_to_the_next_in_turn(full: Full, how: str) -> None:
    first, second = full.wait(), full.wait()
    full.give_back()
    full.tick()
    held = WaitlistEntry.objects.get(pk=first.pk).held
    assert held is not None

    if how == "withdrawn":
        operations.leave_waitlist(entry_id=first.pk, actor=DISPATCHER, now=full.now)
    elif how == "released":
        operations.release_hold(booking_id=held.pk, actor=DISPATCHER, now=full.now)
    full.tick(timedelta(minutes=15) if how == "expired" else timedelta(seconds=1))
    full.tick()

    assert now_is(first, second) == ["expired" if how == "expired" else "withdrawn", "offered"]
    assert Occupancy.objects.count() == 1


def test_a_hold_that_is_confirmed_by_itself_accepts_the_offer(full: Full) -> None:
    entry = full.wait()
    full.give_back()
    full.tick()
    held = WaitlistEntry.objects.get(pk=entry.pk).held
    assert held is not None

    operations.confirm_hold(booking_id=held.pk, actor=DISPATCHER, now=full.now)
    full.tick()

    assert now_is(entry) == ["accepted"]


def test_a_depot_that_takes_an_offered_slot_away_puts_its_fleet_back_into_its_turn(full: Full) -> None:
    first, second = full.wait(), full.wait()
    full.give_back()
    full.tick()
    held = WaitlistEntry.objects.get(pk=first.pk).held
    assert held is not None

    operations.cancel_booking(
        booking_id=held.pk, reason=CancelReason.FULL, by="depot", actor=MANAGER, now=full.now
    )
    full.tick()

    assert now_is(first, second) == ["offered", "waiting"]


def test_the_only_one_who_waits_is_offered_it_again_although_its_calendar_was_raised_before_that_was_followed(
    full: Full,
) -> None:
    entry = full.wait()
    full.give_back()
    full.tick()
    held = WaitlistEntry.objects.get(pk=entry.pk).held
    assert held is not None
    WaitlistMark.objects.all().delete()

    operations.cancel_booking(
        booking_id=held.pk, reason=CancelReason.FULL, by="depot", actor=MANAGER, now=full.now
    )
    full.tick()

    assert now_is(entry) == ["offered"]
    assert WaitlistEntry.objects.get(pk=entry.pk).held != held


def by_shortening(full: Full) -> None:
    change_slot(booking_id=full.booking.pk, ends_at=slot(10, (10, 30)).ends_at, now=full.now)


def by_no_show(full: Full) -> None:
    full.now = TEN.starts_at + timedelta(minutes=14)


def by_another_evse(full: Full) -> None:
    with_more = make_evse(full.evse.depot, option=False)
    full.option.evses.add(with_more)
    calendars.mark_depot_changed(full.evse.depot_id, at=full.now)


@pytest.mark.parametrize(
    ("free", "wanted"),
    [(by_shortening, slot((10, 30), 11)), (by_no_show, slot((10, 30), 11)), (by_another_evse, TEN)],
)
def test_whatever_frees_a_place_serves_who_waits(
    full: Full, free: Callable[[Full], None], wanted: Period
) -> None:
    entry = full.wait(wanted)
    full.tick()
    assert now_is(entry) == ["waiting"]

    free(full)
    full.tick(timedelta(minutes=1))
    full.tick()

    assert now_is(entry) == ["offered"]


def test_a_closure_that_is_lifted_serves_who_waits() -> None:
    full = Full()
    full.give_back()
    closure = operations.close_evse(evse=full.evse, period=TEN, reason="Cable", actor=MANAGER, now=full.now)
    entry = full.wait()
    full.tick()
    assert now_is(entry) == ["waiting"]

    operations.lift_closure(closure_id=closure.pk, actor=MANAGER, now=full.now)
    full.tick()

    assert now_is(entry) == ["offered"]


def test_a_declined_request_and_a_hold_that_ran_out_serve_who_waits() -> None:
    for full, free in ((Full(approval=True), "declined"), (Full(), "expired")):
        if free == "expired":
            full.give_back()
            other = make_fleet()
            place_hold(fleet=other, option=full.option, vehicle=make_vehicle(other), period=TEN)
        entry = full.wait()
        full.tick()
        assert now_is(entry) == ["waiting"]
        if free == "declined":
            operations.decide(booking_id=full.booking.pk, accept=False, actor=MANAGER, now=full.now)
        full.tick(timedelta(minutes=11))
        full.tick()

        assert now_is(entry) == ["offered"]


def test_who_does_not_fit_what_came_free_is_passed_over_and_stays_in_turn(full: Full) -> None:
    long = full.wait(slot(10, 12))
    short = full.wait()
    book_slot(
        fleet=(other := make_fleet()), option=full.option, vehicle=make_vehicle(other), period=slot(11, 12)
    )

    full.give_back()
    full.tick()

    assert now_is(long, short) == ["waiting", "offered"]


def test_a_slot_that_is_free_by_now_is_offered_at_once(full: Full) -> None:
    entry = full.wait(slot(14, 15))

    full.tick()

    assert now_is(entry) == ["offered"]


def test_waiting_is_refused_where_it_would_not_help(full: Full) -> None:
    fleet = make_fleet()
    long = make_vehicle(fleet, length_cm=1650)
    Evse.objects.filter(pk=full.evse.pk).update(max_vehicle_length_cm=1200)

    with pytest.raises(DoesNotFit):
        full.wait(fleet=fleet, vehicle=long)
    with pytest.raises(BookingError) as refusal:
        full.wait(slot((10, 5), 11), fleet=fleet)
    assert refusal.value.code == "not_aligned"

    truck = make_vehicle(fleet)
    full.wait(fleet=fleet, vehicle=truck)
    with pytest.raises(WaitsAlready):
        full.wait(fleet=fleet, vehicle=truck)
    assert Booking.objects.count() == 1


def test_who_has_waited_until_the_start_waits_no_more(full: Full) -> None:
    entry, lead = full.wait(), Full(lead_min=60).wait()

    full.tick(TEN.starts_at - timedelta(hours=1) - full.now)
    assert now_is(entry, lead) == ["waiting", "expired"]
    full.tick(timedelta(hours=1))

    assert now_is(entry) == ["expired"]


def test_who_was_tried_in_vain_is_tried_again_when_something_changes_and_from_time_to_time(
    full: Full,
) -> None:
    """A quota or hours for the own fleet may open with time alone, of which no calendar tells."""
    entry = full.wait()
    full.tick()
    assert WaitlistMark.objects.get().due_at == full.now + LOOKED_AT_AGAIN

    WaitlistMark.objects.update(due_at=full.now)
    Booking.objects.filter(pk=full.booking.pk).update(status="cancelled")
    Occupancy.objects.all().delete()
    full.tick()

    assert now_is(entry) == ["offered"]


def test_a_power_that_is_not_there_is_waited_for() -> None:
    depot = make_depot(grid_limit_w=400_000)
    first, second, fleet = make_evse(depot), make_evse(depot), make_fleet()
    strong = book_slot(
        fleet=fleet, option=option_of(first), vehicle=make_vehicle(fleet), period=TEN, power_w=350_000
    )
    entry = operations.join_waitlist(
        SlotRequest(fleet=fleet, option=option_of(second), vehicle=make_vehicle(fleet), period=TEN, power_w=300_000),
        actor=DISPATCHER, now=NOW,
    )  # fmt: skip
    serve_waitlist(NOW + timedelta(seconds=1))
    assert now_is(entry) == ["waiting"]

    operations.cancel_booking(
        booking_id=strong.pk, reason="TRAFFIC", by="fleet", actor=DISPATCHER, now=NOW + timedelta(seconds=2)
    )
    later = NOW + timedelta(seconds=3)
    calendars.raise_marked(lambda: later)
    serve_waitlist(later)

    assert now_is(entry) == ["offered"]


def partners_option() -> BookingOption:
    evse = make_evse(make_depot(make_operator(is_partner=True), is_mirror=True))
    BookingOption.objects.filter(pk=option_of(evse).pk).update(is_mirror=True)
    return option_of(evse)


def told(option: BookingOption, period: Period, now: datetime) -> None:
    OfferedSlot.objects.create(option=option, calendar_id="1", period=period)
    offers_told.send(sender=BookingOption, option_ids=[option.pk], at=now)
    serve_waitlist(now)


def test_a_partners_calendar_that_shows_room_is_offered_without_a_hold_to_one_at_a_time() -> None:
    option, fleet = partners_option(), make_fleet()
    first, second = (
        operations.join_waitlist(
            SlotRequest(fleet=fleet, option=option, vehicle=make_vehicle(fleet), period=TEN),
            actor=DISPATCHER, now=NOW + timedelta(seconds=number),
        )
        for number in range(2)
    )  # fmt: skip
    serve_waitlist(NOW + timedelta(seconds=2))
    assert now_is(first, second) == ["waiting", "waiting"]

    told(option, slot(9, 12), NOW + timedelta(seconds=3))

    assert now_is(first, second) == ["offered", "waiting"]
    assert Booking.objects.count() == 0
    assert Occurrence.objects.get().content["offer"]["starts_at"] == "2030-01-15T10:00:00Z"
    booking = operations.accept_offer(entry_id=first.pk, actor=DISPATCHER, now=NOW + timedelta(seconds=4))
    assert (booking.status, booking.period) == ("requested", TEN)

    serve_waitlist(NOW + LOOKED_AT_AGAIN + timedelta(seconds=4))
    assert now_is(first, second) == ["accepted", "offered"]
    serve_waitlist(NOW + timedelta(minutes=30))
    assert now_is(second) == ["expired"]


def rows_of(entry: WaitlistEntry, number: int, since: int, *, step: int = 1, **asked: Any) -> None:
    """So many more entries at the same place, from `since` on and each `step` minutes longer, asked for before
    all others."""
    begins = slot(since, since + 1).starts_at
    rows = [
        WaitlistEntry(
            fleet=entry.fleet, depot=entry.depot, option=entry.option, starts_at=begins,
            ends_at=begins + timedelta(minutes=step * (1 + one)), waits_until=begins, asked_at=NOW,
            asked_by_kind="dispatcher", asked=asked,
        )
        for one in range(number)
    ]  # fmt: skip
    WaitlistEntry.objects.bulk_create(rows)


def test_of_thousands_who_wait_in_vain_none_is_tried_and_whoever_is_behind_them_is_served(
    full: Full, django_assert_max_num_queries: Any
) -> None:
    entry = full.wait()
    rows_of(entry, 2100, 10)
    with django_assert_max_num_queries(14):
        operations.serve_depot(depot_id=entry.depot_id, now=full.now)
    assert not WaitlistEntry.objects.exclude(tried_mark=0).exists()

    last = full.wait(slot(14, 15))
    full.tick()

    assert now_is(last) == ["offered"]
    assert not WaitlistEntry.objects.exclude(tried_mark=0).exists()


def test_whoever_is_behind_many_who_cannot_be_served_is_tried_however_often_something_changes(
    full: Full, monkeypatch: pytest.MonkeyPatch
) -> None:
    last = full.wait(slot(16, 17))
    rows_of(last, 40, 13, power_w=10_000_000)

    def nearest(*_: Any, **__: Any) -> None:
        raise AssertionError("nobody reads what is nearest")

    monkeypatch.setattr("bookings.operations.book._nearest", nearest)
    for _ in range(4):
        assert now_is(last) == ["waiting"]
        mark_waiting(last.depot_id, due_at=full.now)
        full.tick()

    assert now_is(last) == ["offered"]


def test_joining_locks_no_place_and_looks_for_nothing_nearest(
    full: Full, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bookings.operations.book._nearest", None)
    with CaptureQueriesContext(connection) as seen:
        full.wait()
        full.wait(slot(12, 13))  # free: it is offered with the next tick

    assert not [one for one in seen.captured_queries if " UPDATE" in one["sql"].upper().replace("\n", " ")]
    assert Booking.objects.count() == 1


def test_who_asks_for_what_will_be_refused_anyway_does_not_wait(full: Full) -> None:
    """By the rules that a booking has, and in its words."""
    TermsOverride.objects.update(overlapping_tokens=False)
    truck = make_vehicle()
    asked = {"fleet": truck.fleet, "vehicle": truck, "option": full.option}
    book_slot(
        fleet=truck.fleet, vehicle=truck, option=option_of(make_evse(full.evse.depot)), period=slot(14, 15)
    )
    for more in (
        {"period": slot(14, 15)},  # where it is booked already
        {"period": slot(14, (14, 7))},  # shorter than may be
        {"period": slot(14, 15, day=200)},
        {"period": slot(16, 17), "vehicle": make_vehicle(make_fleet())},
    ):
        with pytest.raises(BookingError) as waiting:
            full.wait(**{**asked, **more})
        with pytest.raises(BookingError) as booking:
            book_slot(**{**asked, **more})
        assert (waiting.value.code, str(waiting.value)) == (booking.value.code, str(booking.value))
    assert not WaitlistEntry.objects.exists()


def test_whoever_waited_in_vain_is_told_and_thousands_are_ended_by_pieces(
    full: Full, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waitlist, "ENDED_AT_ONCE", 2)
    entries = [full.wait() for _ in range(3)]
    full.now = entries[0].waits_until

    assert [operations.expire_waiting(now=full.now) for _ in range(3)] == [2, 1, 0]

    assert now_is(*entries) == ["expired"] * 3
    told = Occurrence.objects.order_by("pk")
    assert [one.organisation for one in told] == [entry.fleet for entry in entries]
    assert {(one.kind, one.feed_type, one.params["reason"]) for one in told} == {
        ("waitlist_expired", "waitlist.expired", "waited_in_vain")
    }
    assert [one.content["id"] for one in told] == [entry.pk for entry in entries]
    assert {one.content["status"] for one in told} == {"expired"}


def test_of_a_fleet_that_has_all_it_may_have_one_is_tried() -> None:
    full, fleet = Full(max_open_bookings=1), make_fleet()
    entry = full.wait(slot(14, 15), fleet=fleet)
    rows_of(entry, 3, 13, step=60)
    book_slot(fleet=fleet, option=full.option, vehicle=make_vehicle(fleet), period=slot(18, 19))
    last = full.wait(slot(16, 17))

    full.tick()

    assert now_is(last) == ["offered"]
    assert WaitlistEntry.objects.exclude(tried_mark=0).count() == 1


@pytest.mark.parametrize("what", ["vehicle", "price"])
def test_who_cannot_be_served_any_more_waits_no_more(full: Full, what: str) -> None:
    """A price that was named is a limit, which a tariff may pass."""
    entry = full.wait(slot(14, 15), shown_price={})
    assert entry.vehicle is not None
    if what == "vehicle":
        entry.vehicle.is_retired = True
        entry.vehicle.save()
    else:
        make_prices(full.evse.depot, energy_per_kwh=0.4)

    full.tick()

    assert now_is(entry) == ["expired"]


def test_depots_for_which_there_is_no_time_are_served_with_the_next_call(
    full: Full, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = full.wait(slot(14, 15))
    run_tick(full.now)
    monkeypatch.setattr("bookings.scheduler.WAITLIST_S", -1.0)
    serve_waitlist(full.now)
    assert now_is(entry) == ["waiting"]
    monkeypatch.undo()

    serve_waitlist(full.now)

    assert now_is(entry) == ["offered"]


def test_make_room_serves_who_waits_for_a_pool() -> None:
    """Free in turn at two EVSEs, which one booking that may move makes whole."""
    depot, fleet = make_depot(), make_fleet()
    option = make_option(*[make_evse(depot, option=False) for _ in range(2)])
    taken = [
        book_slot(fleet=fleet, option=option, vehicle=make_vehicle(fleet), period=period)
        for period in (slot(10, 12), slot(10, 11), slot(11, 12))
    ]
    entry = operations.join_waitlist(
        SlotRequest(fleet=fleet, option=option, vehicle=make_vehicle(fleet), period=slot(10, 12)),
        actor=DISPATCHER, now=NOW,
    )  # fmt: skip
    for booking in taken[1:]:
        operations.cancel_booking(
            booking_id=booking.pk, reason="TRAFFIC", by="fleet", actor=DISPATCHER, now=NOW
        )
    later = NOW + timedelta(seconds=1)
    calendars.raise_marked(lambda: later)
    serve_waitlist(later)

    assert now_is(entry) == ["offered"]
