"""Many at once: a joint plan, seen first and then booked: all or nothing, or what fits."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection

from bookings import operations
from bookings.errors import ChangedMeanwhile, Conflicts, TooManyAtOnce, VehicleUnknown
from bookings.models import AccessRule, Booking, BookingEvent, BookingOption, CalendarMark, Occupancy
from bookings.operations import MOST_AT_ONCE, ManyOutcome, ManyWish, SlotRequest
from bookings.operations.many_plan import ManyPlan, plan_many
from bookings.operations.many_wishes import Asked, version_of
from bookings.search import availability
from depots.models import Organisation
from depots.periods import Period
from tests.factories import (
    DISPATCHER,
    NOW,
    at,
    book_slot,
    make_depot,
    make_evse,
    make_fleet,
    make_option,
    make_rule,
    make_vehicle,
    slot,
)

pytestmark = pytest.mark.django_db


def pool_of(count: int, **depot: Any) -> BookingOption:
    there = make_depot(**depot)
    return make_option(*[make_evse(there) for _ in range(count)])


def wish(
    fleet: Organisation,
    option: BookingOption,
    period: Period,
    latest_end: datetime | None = None,
    **asked: Any,
) -> ManyWish:
    asked.setdefault("vehicle", make_vehicle(fleet))
    return ManyWish([SlotRequest(fleet=fleet, option=option, period=period, **asked)], latest_end)


def book_many(wishes: Sequence[Asked], **how: Any) -> list[ManyOutcome]:
    return operations.book_many(wishes, **{"actor": DISPATCHER, "now": NOW, **how})


def rows() -> tuple[int, int, int, int]:
    return tuple(model.objects.count() for model in (Booking, BookingEvent, Occupancy, CalendarMark))  # type: ignore[return-value]


def test_a_dry_run_shows_what_would_be_booked_and_books_nothing() -> None:
    fleet, option = make_fleet(), pool_of(1)
    wishes = [wish(fleet, option, slot(10, 11)), wish(fleet, option, slot(10, 11))]
    before = rows()

    fits, refused = book_many(wishes, dry_run=True)

    assert rows() == before
    assert fits.booking is not None
    assert (fits.code, fits.booking.period, fits.booking.evse) == (None, slot(10, 11), option.evses.get())
    assert (refused.booking, refused.code) == (None, "slot_taken")
    assert refused.nearest in {slot(9, 10), slot(11, 12)}


@pytest.mark.parametrize("how", [{"dry_run": True}, {"what_fits": True}, {}], ids=str)
def test_what_is_nearest_is_looked_for_once_the_locks_are_given_back_beside_what_the_others_get(
    how: dict[str, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet, option = make_fleet(), pool_of(1)
    wishes = [wish(fleet, option, slot(hour, hour + 1)) for hour in (9, 10, 11, 10)]
    depth, nearest = len(connection.savepoint_ids), availability.nearest
    asked_at: list[int] = []

    def look(*given: Any, **more: Any) -> Period | None:
        asked_at.append(len(connection.savepoint_ids) - depth)
        return nearest(*given, **more)

    monkeypatch.setattr(availability, "nearest", look)

    try:
        outcomes = book_many(wishes, **how)
    except Conflicts as refusal:
        outcomes = list(refusal.outcomes)

    assert [outcome.code for outcome in outcomes] == [None, None, None, "slot_taken"]
    assert outcomes[-1].nearest in {slot(8, 9), slot(12, 13)}
    assert asked_at == [0]


def test_all_is_booked_or_nothing_and_what_fits_is_booked_where_that_is_asked_for() -> None:
    fleet, option = make_fleet(), pool_of(1)
    wishes = [wish(fleet, option, slot(10, 11)), wish(fleet, option, slot(10, 11))]

    with pytest.raises(Conflicts) as refusal:
        book_many(wishes)
    assert Booking.objects.count() == 0
    assert [outcome.code for outcome in refusal.value.outcomes] == [None, "slot_taken"]

    assert [outcome.code for outcome in book_many(wishes, what_fits=True)] == [None, "slot_taken"]
    assert Booking.objects.get().status == "confirmed"


def test_who_can_wait_makes_room_for_who_cannot() -> None:
    """One after the other the first would take ten o'clock, and the second would be refused."""
    fleet, option = make_fleet(), pool_of(1, terms={"turnaround_min": 5, "early_start_min": 15})
    wishes = [wish(fleet, option, slot(10, 11), at(13)), wish(fleet, option, slot(10, 11))]

    waits, fixed = book_many(wishes)

    assert waits.booking is not None
    assert fixed.booking is not None
    assert fixed.booking.period == slot(10, 11)
    assert waits.booking.period == slot((11, 15), (12, 15))  # after the turnaround, on the step


def test_what_is_planned_for_the_morning_keeps_the_evening_its_early_start() -> None:
    """Written in any order, what is later reaches back only to who is there before it."""
    fleet, option = make_fleet(), pool_of(1, terms={"turnaround_min": 0, "early_start_min": 15})
    wishes = [wish(fleet, option, slot(11, 12)), wish(fleet, option, slot(10, 11))]

    assert [outcome.code for outcome in book_many(wishes)] == [None, None]


def test_any_of_several_options_will_do() -> None:
    depot, fleet = make_depot(), make_fleet()
    first, second = (make_option(make_evse(depot)) for _ in range(2))
    asked = [
        ManyWish(
            [
                SlotRequest(fleet=fleet, option=option, period=slot(10, 11), vehicle=make_vehicle(fleet))
                for option in (first, second)
            ]
        )
        for _ in range(2)
    ]

    found = book_many(asked)

    assert {outcome.booking.option for outcome in found if outcome.booking} == {first, second}
    assert not Booking.objects.filter(is_evse_asked=True).exists()


def test_a_second_click_books_nothing_twice() -> None:
    fleet, option = make_fleet(), pool_of(2)
    wishes = [wish(fleet, option, slot(10, 11)), wish(fleet, option, slot(10, 11))]
    seen = version_of(book_many(wishes, key="a form", dry_run=True))

    first = book_many(wishes, key="a form", seen_version=seen)
    second = book_many(wishes, key="a form", seen_version=seen)

    assert [outcome.booking for outcome in second] == [outcome.booking for outcome in first]
    assert Booking.objects.count() == 2


def test_what_has_changed_since_it_was_seen_is_looked_at_again() -> None:
    fleet, option = make_fleet(), pool_of(1)
    wishes = [wish(fleet, option, slot(10, 11))]
    seen = version_of(book_many(wishes, dry_run=True))
    book_slot(fleet=fleet, option=option, vehicle=make_vehicle(fleet), period=slot(10, 11))

    with pytest.raises(ChangedMeanwhile):
        book_many(wishes, seen_version=seen, what_fits=True)

    assert Booking.objects.count() == 1


def test_what_is_taken_between_plan_and_locks_is_planned_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody takes the place of the one who can wait only later: the second plan puts both where there is room."""
    fleet, option = make_fleet(), pool_of(2)
    wishes = [wish(fleet, option, slot(10, 11)), wish(fleet, option, slot(10, 11), at(12))]
    plans = []

    def plan(*args: Any, **how: Any) -> ManyPlan:
        plans.append(plan_many(*args, **how))
        if len(plans) == 1:
            book_slot(fleet=fleet, option=option, vehicle=make_vehicle(fleet), period=slot(10, 11))
        return plans[-1]

    monkeypatch.setattr(sys.modules["bookings.operations.book_many"], "plan_many", plan)

    found = book_many(wishes)

    assert len(plans) == 2
    assert [outcome.booking.period for outcome in found if outcome.booking] == [slot(10, 11), slot(11, 12)]


def test_a_plan_is_made_anew_once_and_then_carried_out_as_far_as_it_goes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever's place is taken again is tried anywhere it fits."""
    fleet, option = make_fleet(), pool_of(3)
    wishes = [wish(fleet, option, slot(10, 11), at(13)) for _ in range(2)]

    def plan(*args: Any, **how: Any) -> ManyPlan:
        made = plan_many(*args, **how)
        book_slot(fleet=fleet, option=option, vehicle=make_vehicle(fleet), period=slot(10, 11))
        return made

    monkeypatch.setattr(sys.modules["bookings.operations.book_many"], "plan_many", plan)

    found = book_many(wishes)

    assert sorted(outcome.booking.period.starts_at.hour for outcome in found if outcome.booking) == [10, 11]


def test_whoever_the_plan_puts_where_power_is_missing_is_tried_where_there_is_some() -> None:
    """The plan knows no power: at ten the connection has 400 kW less what each other EVSE is left, so one such wish fits."""
    fleet, option = make_fleet(), pool_of(3, grid_limit_w=500_000)
    wishes = [wish(fleet, option, slot(10, 11), at(14), power_w=300_000) for _ in range(3)]

    found = book_many(wishes)

    assert [outcome.booking.period for outcome in found if outcome.booking] == [
        slot(10, 11),
        slot(11, 12),
        slot(12, 13),
    ]


def test_whoever_the_plan_puts_beyond_a_quota_is_tried_where_there_is_room() -> None:
    fleet, option = make_fleet(), pool_of(2)
    make_rule(option.depot, AccessRule.Kind.QUOTA, amount=1)
    wishes = [wish(fleet, option, slot(10, 11), at(13)) for _ in range(2)]

    found = book_many(wishes)

    assert [outcome.booking.period for outcome in found if outcome.booking] == [slot(10, 11), slot(11, 12)]


def test_more_than_can_be_planned_together_are_refused() -> None:
    fleet, option = make_fleet(), pool_of(1)
    asked = [wish(fleet, option, slot(10, 11), vehicle=None)] * (MOST_AT_ONCE + 1)

    with pytest.raises(TooManyAtOnce):
        book_many(asked)


def test_what_cannot_even_be_asked_for_is_refused_beside_the_rest() -> None:
    fleet, option = make_fleet(), pool_of(1)
    asked = [VehicleUnknown("There is no such vehicle."), wish(fleet, option, slot(10, 11))]

    assert [outcome.code for outcome in book_many(asked, what_fits=True)] == ["unknown_vehicle", None]
    with pytest.raises(Conflicts):
        book_many(asked)


def test_rows_are_refused_by_the_same_rules_as_one_booking() -> None:
    fleet, option = make_fleet(), pool_of(3, terms={"overlapping_tokens": False, "max_duration_min": 120})
    truck = make_vehicle(fleet)
    wishes = [
        wish(fleet, option, slot(10, 11), vehicle=truck),
        wish(fleet, option, slot(10, 11), vehicle=truck),
        wish(fleet, option, slot(12, 16)),
        wish(fleet, option, slot(6, 7)),
        wish(fleet, option, slot(10, 11), vehicle=make_vehicle()),
    ]

    codes = [outcome.code for outcome in book_many(wishes, what_fits=True)]

    assert codes == [None, "token_elsewhere", "too_long", "in_the_past", "unknown_vehicle"]


def test_partners_are_asked_once_what_is_ours_is_booked() -> None:
    fleet, option = make_fleet(), pool_of(1)
    elsewhere = make_depot(is_mirror=True)
    theirs = make_option(make_evse(elsewhere, option=False), is_mirror=True)
    wishes = [
        wish(fleet, theirs, slot(10, 11)),
        wish(fleet, option, slot(10, 11)),
        wish(fleet, option, slot(10, 11)),
    ]

    with pytest.raises(Conflicts):
        book_many(wishes)
    assert Booking.objects.count() == 0

    asked, booked = book_many(wishes[:2])
    assert asked.booking is not None
    assert booked.booking is not None
    assert (asked.booking.status, booked.booking.status) == ("requested", "confirmed")


@pytest.mark.parametrize(
    ("zone", "night", "step"),
    [
        ("Europe/Berlin", datetime(2030, 3, 31, 0, 0, tzinfo=UTC), 15),
        ("America/New_York", datetime(2030, 11, 3, 5, 0, tzinfo=UTC), 60),
        ("Australia/Lord_Howe", datetime(2030, 4, 6, 14, 0, tzinfo=UTC), 60),
    ],
)
def test_whoever_waits_over_a_change_of_clocks_still_begins_on_the_step(
    zone: str, night: datetime, step: int
) -> None:
    """Three trucks for one EVSE in five hours, in which the clocks go forward or back by an hour, or back by half of one."""
    option = pool_of(
        1, time_zone=zone, terms={"slot_step_min": step, "turnaround_min": 0, "early_start_min": 0}
    )
    fleet, hour = make_fleet(), timedelta(hours=1)
    wishes = [wish(fleet, option, Period(night, night + hour), night + 5 * hour) for _ in range(3)]

    found = book_many(wishes, what_fits=True, now=night - 24 * hour)

    starts = [outcome.booking.starts_at for outcome in found if outcome.booking]
    assert starts
    assert all(start.astimezone(ZoneInfo(zone)).minute % step == 0 for start in starts)
    assert len(set(starts)) == len(starts)
    assert len(starts) == 3
