"""Series: seen first and then booked, all or what fits; changed one by one, from one on, or all; given up."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from importlib import import_module
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from bookings import operations
from bookings.errors import (
    BookingError,
    CancelTooLate,
    ChangedMeanwhile,
    Conflicts,
    EndsBeforeStart,
    NothingToChange,
    RuleUnclear,
    SlotTaken,
    WrongStatus,
)
from bookings.models import (
    Booking,
    BookingEvent,
    BookingOption,
    BookingSeries,
    Occupancy,
    PaymentTerms,
    TermsOverride,
    Vehicle,
)
from bookings.operations import (
    ChangeRequest,
    Scope,
    SeriesChange,
    SeriesRequest,
    SlotRequest,
    booking_draft,
    booking_ground,
    lock_together,
    many_wishes,
    places,
    request_booking,
)
from bookings.operations.counter_offer import CounterOffer
from bookings.operations.series_plan import OccurrenceOutcome, version_of
from bookings.rules.charging_duration import EnergyAsked
from bookings.search import availability
from bookings.signals import series_missed
from depots.models import Agreement
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
    make_vehicle,
    slot,
)
from tests.money_factories import flat, make_bound

pytestmark = pytest.mark.django_db
book_series_module = import_module("bookings.operations.book_series")
TERMS = {"horizon_days": 14, "change_until_min": 60, "cancel_until_min": 30}
DAILY = "FREQ=DAILY;COUNT=3"


def pool_of(count: int = 1, *, terms: dict[str, Any] | None = None, **depot: Any) -> BookingOption:
    there = make_depot(terms={**TERMS, **(terms or {})}, **depot)
    return make_option(*[make_evse(there) for _ in range(count)])


def asked(
    option: BookingOption, rule: str = DAILY, period: Period = slot(10, 11), **more: Any
) -> SeriesRequest:
    exceptions = more.pop("exceptions", frozenset())
    vehicle: Vehicle = more.pop("vehicle", None) or make_vehicle(make_fleet())
    first = SlotRequest(fleet=vehicle.fleet, option=option, period=period, vehicle=vehicle, **more)
    return SeriesRequest(rrule=rule, first=first, exceptions=exceptions)


def preview(request: SeriesRequest) -> list[OccurrenceOutcome]:
    return operations.preview_series(request, actor=DISPATCHER, now=NOW)


def book(request: SeriesRequest, *, now: datetime = NOW, **how: Any) -> BookingSeries:
    return operations.book_series(request, actor=DISPATCHER, now=now, **how)


def change(
    series: BookingSeries, scope: Scope, booking: Booking | None = None, *, now: datetime = NOW, **fields: Any
) -> BookingSeries:
    seen = fields.pop("seen_version", None)
    wanted = SeriesChange(
        scope=scope, request=ChangeRequest(**fields), booking_id=booking.pk if booking else None
    )
    return operations.change_series(series.pk, wanted, seen_version=seen, actor=DISPATCHER, now=now)


def cancel(series: BookingSeries, *, now: datetime = NOW, **how: Any) -> BookingSeries:
    return operations.cancel_series(series.pk, reason="TRAFFIC", actor=DISPATCHER, now=now, **how)


def bookings(series: BookingSeries) -> list[Booking]:
    return list(series.bookings.order_by("series_date"))


def times(series: BookingSeries) -> list[str]:
    return [f"{one.starts_at:%d %H:%M}-{one.ends_at:%H:%M}" for one in bookings(series)]


def rows() -> tuple[int, ...]:
    return tuple(model.objects.count() for model in (BookingSeries, Booking, BookingEvent, Occupancy))


def test_a_dry_run_says_what_becomes_of_each_day_and_leaves_nothing() -> None:
    option = pool_of()
    book_slot(fleet=(other := make_vehicle()).fleet, option=option, vehicle=other, period=slot(10, 11, day=1))
    before = rows()

    first, second, third = preview(asked(option))

    assert rows() == before
    assert [one.code for one in (first, second, third)] == [None, "slot_taken", None]
    assert [one.date for one in (first, second, third)] == [date(2030, 1, 15 + day) for day in range(3)]
    assert second.asked == slot(10, 11, day=1)
    assert second.nearest in {slot(9, 10, day=1), slot(11, 12, day=1)}


def test_what_is_nearest_is_looked_for_after_a_dry_run_and_of_the_first_that_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    option = pool_of()
    other = make_vehicle()
    for day in range(3):
        book_slot(fleet=other.fleet, option=option, vehicle=other, period=slot(10, 11, day=day))
    monkeypatch.setattr(places, "MOST_NEAREST", 2)
    depth, nearest = len(connection.savepoint_ids), availability.nearest
    asked_at: list[int] = []

    def look(*given: Any, **more: Any) -> Period | None:
        asked_at.append(len(connection.savepoint_ids) - depth)
        return nearest(*given, **more)

    monkeypatch.setattr(availability, "nearest", look)

    outcomes = preview(asked(option))

    assert [one.nearest is not None for one in outcomes] == [True, True, False]
    assert asked_at == [0, 0]


def test_where_all_are_meant_the_locks_are_given_back_at_the_first_that_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    option = pool_of(terms={"horizon_days": 60})
    other = make_vehicle()
    for day in (1, 30):
        book_slot(fleet=other.fleet, option=option, vehicle=other, period=slot(10, 11, day=day))
    request, before, held = asked(option, "FREQ=DAILY;COUNT=40"), rows(), list[int]()
    lock = book_series_module.lock_days

    def counted(*given: Any, **more: Any) -> Any:
        held.append(0)
        return lock(*given, **more)

    def booked(*given: Any, **more: Any) -> Booking:
        held[-1] += 1
        return request_booking(*given, **more)

    monkeypatch.setattr(book_series_module, "lock_days", counted)
    monkeypatch.setattr(book_series_module, "request_booking", booked)
    seen = many_wishes.version_of(preview(request))
    held.clear()

    with pytest.raises(Conflicts) as refusal:
        book(request, seen_version=seen)

    assert held == [2, 20, 20]
    taken = [number for number, one in enumerate(refusal.value.outcomes) if one.code]
    assert (taken, rows()) == ([1, 30], before)
    assert all(refusal.value.outcomes[number].nearest for number in taken)


def test_what_the_days_ask_for_is_drafted_before_the_locks_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    option, order = pool_of(), list[str]()
    for module, name in (
        (booking_draft, "drafted_ahead"),
        (booking_ground, "drafted_ahead"),
        (lock_together, "lock_depot"),
    ):
        does = getattr(module, name)

        def noted(*given: Any, does: Any = does, name: str = name, **more: Any) -> Any:
            order.append(name)
            return does(*given, **more)

        monkeypatch.setattr(module, name, noted)

    book(asked(option))

    assert order == ["drafted_ahead"] * 3 + ["lock_depot"]


@pytest.mark.parametrize(
    ("terms", "period", "pieces"),
    [
        ({}, slot(10, 11), [20, 20, 10]),
        # Where they reach to the next, or where their number counts, each has to know of the others.
        ({"max_duration_min": 1500}, Period(at(10), at(11, day=1)), [50]),
        ({"max_open_bookings": 30}, slot(10, 11), [50]),
    ],
)
def test_a_dry_run_is_parted_where_no_day_counts_for_another(
    terms: dict[str, Any], period: Period, pieces: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    module = import_module("bookings.operations.book_series")
    monkeypatch.setattr(module, "_seen", lambda plan, days, actor, now: seen.append(len(days)) or [])

    preview(asked(pool_of(terms=terms), "FREQ=DAILY;COUNT=50", period))

    assert seen == pieces


def limited(days: int) -> BookingOption:
    """A day costs ten euros, and the credit limit of whoever comes is as many days'."""
    option = pool_of(terms={"horizon_days": 60})
    make_bound(flat("10.00"), depot=option.depot)
    agreement = Agreement.objects.get(depot=option.depot, guest=None)
    PaymentTerms.objects.create(agreement=agreement, credit_limit=Decimal(10 * days))
    return option


def test_what_only_all_days_together_reach_is_seen_before_and_said_after() -> None:
    request = asked(limited(21), "FREQ=DAILY;COUNT=23")
    seen = preview(request)

    with pytest.raises(Conflicts) as refusal:
        book(request, seen_version=many_wishes.version_of(seen))

    for found in (seen, refusal.value.outcomes):
        assert [one.code for one in found] == [None] * 21 + ["credit_limit"] * 2


def test_what_is_refused_under_the_locks_alone_is_said_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    request = asked(pool_of())
    seen, left = many_wishes.version_of(preview(request)), [SlotTaken()]

    def booked(asking: SlotRequest, **more: Any) -> Booking:
        if asking.period == slot(10, 11, day=1) and left:
            raise left.pop()
        return request_booking(asking, **more)

    monkeypatch.setattr(book_series_module, "request_booking", booked)
    with pytest.raises(Conflicts) as refusal:
        book(request, seen_version=seen)

    assert [one.code for one in refusal.value.outcomes] == [None, "slot_taken", None]


def test_all_is_booked_or_nothing() -> None:
    option = pool_of()
    book_slot(fleet=(other := make_vehicle()).fleet, option=option, vehicle=other, period=slot(10, 11, day=1))
    before = rows()

    with pytest.raises(Conflicts) as refusal:
        book(asked(option))

    assert rows() == before
    assert [one.code for one in refusal.value.outcomes] == [None, "slot_taken", None]


def test_where_what_fits_is_asked_for_the_rest_becomes_an_exception() -> None:
    option = pool_of()
    book_slot(fleet=(other := make_vehicle()).fleet, option=option, vehicle=other, period=slot(10, 11, day=1))

    series = book(
        asked(option, "FREQ=DAILY;COUNT=4", exceptions=frozenset({date(2030, 1, 17)})), what_fits=True
    )

    assert times(series) == ["15 10:00-11:00", "18 10:00-11:00"]
    assert series.exceptions == [date(2030, 1, 16), date(2030, 1, 17)]
    assert (series.next_date, series.due_at) == (None, None)
    assert [one.series_date for one in bookings(series)] == [date(2030, 1, 15), date(2030, 1, 18)]


def test_where_nothing_fits_there_is_no_series() -> None:
    option = pool_of(terms={"max_duration_min": 30})

    with pytest.raises(Conflicts):
        book(asked(option), what_fits=True)

    assert BookingSeries.objects.count() == 0


def test_a_key_makes_one_series() -> None:
    option = pool_of()
    request = asked(option)
    request = SeriesRequest(rrule=request.rrule, first=request.first, request_id="once")

    assert book(request) == book(request)
    assert Booking.objects.count() == 3


def test_a_rule_that_is_not_understood_is_refused_by_field() -> None:
    with pytest.raises(RuleUnclear) as refusal:
        book(asked(pool_of(), "FREQ=MINUTELY;COUNT=3"))

    assert (refusal.value.code, refusal.value.field) == ("invalid", "rrule")


@pytest.mark.parametrize(
    ("zone", "first", "expected"),
    [
        # Local time is kept over the change; a skipped hour is read with the offset before it; of two equal ones it is the first.
        ("Europe/Berlin", "2030-03-30T02:30", ["30 01:30-02:30", "31 01:30-02:30", "01 00:30-01:30"]),
        ("Europe/Berlin", "2030-10-26T02:30", ["26 00:30-01:30", "27 00:30-01:30", "28 01:30-02:30"]),
        ("America/New_York", "2030-03-09T02:30", ["09 07:30-08:30", "10 07:30-08:30", "11 06:30-07:30"]),
        ("America/New_York", "2030-11-02T01:30", ["02 05:30-06:30", "03 05:30-06:30", "04 06:30-07:30"]),
        ("Australia/Lord_Howe", "2030-10-05T02:15", ["04 15:45-16:45", "05 15:45-16:45", "06 15:15-16:15"]),
        ("Australia/Lord_Howe", "2030-04-06T01:45", ["05 14:45-15:45", "06 14:45-15:45", "07 15:15-16:15"]),
    ],
)  # fmt: skip
def test_local_time_is_kept_over_a_change_of_clocks(zone: str, first: str, expected: list[str]) -> None:
    option = pool_of(time_zone=zone)
    starts_at = datetime.fromisoformat(first).replace(tzinfo=ZoneInfo(zone))
    period = Period(starts_at, starts_at + timedelta(hours=1)).in_utc()

    series = book(asked(option, period=period), now=period.starts_at - timedelta(days=1))

    assert times(series) == expected


def test_the_first_is_booked_as_asked_where_the_clock_shows_its_hour_twice() -> None:
    second_time = datetime.fromisoformat("2030-10-27T02:30:00+01:00")
    period = Period(second_time, second_time + timedelta(hours=1)).in_utc()

    series = book(asked(pool_of(), period=period), now=period.starts_at - timedelta(days=1))

    assert times(series) == ["27 01:30-02:30", "28 01:30-02:30", "29 01:30-02:30"]


def test_what_is_asked_for_in_energy_ends_when_it_is_charged() -> None:
    option, vehicle = pool_of(), make_vehicle(max_power_w=100_000)
    first = SlotRequest.until_charged(
        starts_at=at(10), energy=EnergyAsked(energy_wh=100_000).checked(), fleet=vehicle.fleet, option=option, vehicle=vehicle
    )  # fmt: skip

    series = book(SeriesRequest(rrule=DAILY, first=first))

    assert series.length is None
    assert len({one.ends_at - one.starts_at for one in bookings(series)}) == 1
    assert all(one.energy_wh == 100_000 for one in bookings(series))


# The horizon


def test_what_the_horizon_reaches_at_once_is_booked_twenty_days_at_a_time() -> None:
    option = pool_of(terms={"horizon_days": 2})
    series = book(asked(option, "FREQ=DAILY;COUNT=44"), what_fits=True)
    TermsOverride.objects.update(horizon_days=60)
    booked = []

    while series.due_at is not None:
        BookingSeries.objects.filter(pk=series.pk).update(due_at=NOW)
        booked.append(len(bookings(series)))
        series = operations.extend_series(series_id=series.pk, now=NOW)

    assert (booked, len(bookings(series)), series.exceptions) == ([2, 22, 42], 44, [])


@pytest.fixture
def told() -> Iterator[list[dict[str, Any]]]:
    """What is said of missed days."""
    found = list[dict[str, Any]]()

    def hear(missed: dict[str, Any], **_: Any) -> None:
        found.append(missed)

    series_missed.connect(hear)
    yield found
    series_missed.disconnect(hear)


def refused_from_the_third_on() -> BookingSeries:
    """Days that waited for the horizon, which reaches all 42 of them by now, and are too long."""
    series = book(asked(pool_of(terms={"horizon_days": 2}), "FREQ=DAILY;COUNT=44"), what_fits=True)
    TermsOverride.objects.update(horizon_days=60, max_duration_min=30)
    BookingSeries.objects.update(due_at=NOW)
    return series


def test_of_days_that_are_refused_in_several_pieces_the_fleet_is_told_once(
    told: list[dict[str, Any]],
) -> None:
    series, said = refused_from_the_third_on(), []

    for _ in range(4):
        series = operations.extend_series(series_id=series.pk, now=NOW)
        said.append(len(told))

    assert said == [0, 0, 1, 1]
    assert (told[0]["starts_at"][:10], told[0]["others"]) == ("2030-01-17", 41)
    assert (len(series.exceptions), series.untold) == (42, None)


def test_who_gives_up_what_waits_is_told_of_what_was_refused_before(told: list[dict[str, Any]]) -> None:
    series = operations.extend_series(series_id=refused_from_the_third_on().pk, now=NOW)

    cancel(series)

    assert [one["others"] for one in told] == [19]


def test_beyond_the_horizon_all_is_refused_and_what_fits_waits() -> None:
    option = pool_of()

    with pytest.raises(Conflicts) as refusal:
        book(asked(option, "FREQ=WEEKLY;COUNT=4"))
    assert [one.code for one in refusal.value.outcomes] == [None, None, "too_far_ahead", "too_far_ahead"]

    series = book(asked(option, "FREQ=WEEKLY;COUNT=4"), what_fits=True)
    assert times(series) == ["15 10:00-11:00", "22 10:00-11:00"]
    assert series.exceptions == []
    assert series.next_date == date(2030, 1, 29)
    assert series.due_at == at(10)


def test_what_waits_is_booked_when_the_horizon_reaches_it_and_once() -> None:
    series = book(asked(pool_of(), "FREQ=WEEKLY;COUNT=4"), what_fits=True)

    assert operations.extend_series(series_id=series.pk, now=at(9)).next_date == date(2030, 1, 29)
    for _ in range(2):
        series = operations.extend_series(series_id=series.pk, now=at(10))

    assert times(series) == ["15 10:00-11:00", "22 10:00-11:00", "29 10:00-11:00"]
    assert series.next_date == date(2030, 2, 5)
    assert bookings(series)[-1].events.get().actor_name == "series"


def test_what_cannot_be_booked_when_its_time_comes_is_told_and_left_out() -> None:
    option = pool_of()
    series = book(asked(option, "FREQ=WEEKLY;COUNT=3"), what_fits=True)
    day = 14
    book_slot(
        fleet=(other := make_vehicle()).fleet, option=option, vehicle=other, period=slot(10, 11, day=day), now=at(10)
    )  # fmt: skip

    series = operations.extend_series(series_id=series.pk, now=at(10))

    assert series.exceptions == [date(2030, 1, 29)]
    assert (series.next_date, series.due_at) == (None, None)


def test_jobs_are_given_what_is_due_and_not_twice_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    series, given = book(asked(pool_of(), "FREQ=WEEKLY;COUNT=3"), what_fits=True), list[int]()
    monkeypatch.setattr("bookings.tasks.extend_series.send", given.append)

    for now in (at(9), at(10), at(10, 1), at(10, 3)):
        operations.claim_due(now=now)

    assert given == [series.pk, series.pk]


# Changes


def test_one_is_changed_alone() -> None:
    series = book(asked(pool_of()))

    change(series, Scope.ONE, bookings(series)[1], starts_at=at(12, day=1), ends_at=at(13, day=1))

    assert times(series) == ["15 10:00-11:00", "16 12:00-13:00", "17 10:00-11:00"]


def test_one_that_cannot_be_changed_says_what_is_nearest() -> None:
    option = pool_of()
    series = book(asked(option))
    book_slot(fleet=(other := make_vehicle()).fleet, option=option, vehicle=other, period=slot(12, 13))

    with pytest.raises(SlotTaken) as refusal:
        change(series, Scope.ONE, bookings(series)[0], starts_at=at(12), ends_at=at(13))

    assert refusal.value.nearest in {slot(11, 12), slot(13, 14)}


def test_this_and_following_move_by_the_same_local_time() -> None:
    series = book(asked(pool_of()))

    change(series, Scope.FOLLOWING, bookings(series)[1], starts_at=at(9, 30, day=1), ends_at=at(11, day=1))

    assert times(series) == ["15 10:00-11:00", "16 09:30-11:00", "17 09:30-11:00"]


def test_all_move_with_the_first_and_one_that_was_moved_keeps_its_distance() -> None:
    series = book(asked(pool_of()))
    change(series, Scope.ONE, bookings(series)[1], starts_at=at(12, day=1), ends_at=at(13, day=1))

    change(series, Scope.ALL, starts_at=at(11), ends_at=at(12))

    assert times(series) == ["15 11:00-12:00", "16 13:00-14:00", "17 11:00-12:00"]


@pytest.mark.parametrize("days", [1, -1])
def test_days_may_take_each_others_places(days: int) -> None:
    series = book(asked(pool_of(), period=slot(10, 12, day=2)))

    change(series, Scope.ALL, starts_at=at(10, day=2 + days), ends_at=at(12, day=2 + days))

    assert times(series) == [f"{day} 10:00-12:00" for day in range(17 + days, 20 + days)]
    assert [one.series_date for one in bookings(series)] == [date(2030, 1, day) for day in (17, 18, 19)]


def test_a_move_over_the_change_of_clocks_is_by_the_clock() -> None:
    first = datetime.fromisoformat("2030-03-30T10:00:00+01:00")
    period = Period(first, first + timedelta(hours=1)).in_utc()
    now = period.starts_at - timedelta(days=1)
    series = book(asked(pool_of(), period=period), now=now)

    change(
        series,
        Scope.ALL,
        starts_at=first - timedelta(hours=7, minutes=30),
        now=now,
        ends_at=first - timedelta(hours=6),
    )

    assert times(series) == ["30 01:30-03:00", "31 01:30-03:00", "01 00:30-02:00"]


def test_a_change_of_several_is_all_or_nothing() -> None:
    option = pool_of()
    series = book(asked(option))
    book_slot(fleet=(other := make_vehicle()).fleet, option=option, vehicle=other, period=slot(12, 13, day=2))

    with pytest.raises(Conflicts) as refusal:
        change(series, Scope.ALL, starts_at=at(12), ends_at=at(13))

    assert [one.code for one in refusal.value.outcomes] == [None, None, "slot_taken"]
    assert "changed" in str(refusal.value)
    assert times(series) == ["15 10:00-11:00", "16 10:00-11:00", "17 10:00-11:00"]


def test_what_has_begun_or_is_over_is_left_alone() -> None:
    series = book(asked(pool_of()))
    cancel_at = bookings(series)[1]
    operations.cancel_booking(
        booking_id=cancel_at.pk, reason="TRAFFIC", by="fleet", actor=DISPATCHER, now=NOW
    )

    change(series, Scope.ALL, ends_at=at(11, 30), now=at(10, 5))

    assert times(series) == ["15 10:00-11:00", "16 10:00-11:00", "17 10:00-11:30"]
    with pytest.raises(WrongStatus):
        change(series, Scope.ALL, ends_at=at(12), now=at(10, day=5))


def test_another_vehicle_comes_from_one_on_and_with_what_waits() -> None:
    request = asked(pool_of(), "FREQ=WEEKLY;COUNT=3")
    series, vehicle = book(request, what_fits=True), make_vehicle(request.first.fleet)

    change(
        series,
        Scope.FOLLOWING,
        bookings(series)[1],
        vehicle=vehicle,
        starts_at=at(11, day=7),
        ends_at=at(13, day=7),
    )
    series = operations.extend_series(series_id=series.pk, now=at(11))

    assert [one.vehicle for one in bookings(series)] == [request.first.vehicle, vehicle, vehicle]
    assert times(series) == ["15 10:00-11:00", "22 11:00-13:00", "29 11:00-13:00"]
    assert bookings(series)[2].tokens.get().uid == vehicle.tokens.get().uid


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"starts_at": at(11), "ends_at": at(11)}, EndsBeforeStart),
        ({"starts_at": at(10), "ends_at": at(11)}, NothingToChange),
        ({"starts_at": at(10, 7)}, Conflicts),
    ],
)
def test_a_change_that_makes_no_sense_changes_nothing(
    fields: dict[str, Any], error: type[BookingError]
) -> None:
    series = book(asked(pool_of()))
    version = BookingSeries.objects.get().version

    with pytest.raises(error):
        change(series, Scope.ALL, **fields)

    assert (times(series)[0], BookingSeries.objects.get().version) == ("15 10:00-11:00", version)


def test_a_booking_of_another_series_is_none_of_this() -> None:
    option = pool_of(2)
    series, other = book(asked(option)), book(asked(option))

    with pytest.raises(Booking.DoesNotExist):
        change(series, Scope.FOLLOWING, bookings(other)[0], ends_at=at(12))


def test_whatever_happened_since_it_was_seen_refuses_a_change() -> None:
    series = book(asked(pool_of()))
    seen = version_of(series, [one.version for one in bookings(series)])
    one = bookings(series)[2]
    operations.cancel_booking(booking_id=one.pk, reason="TRAFFIC", by="fleet", actor=DISPATCHER, now=NOW)

    with pytest.raises(ChangedMeanwhile):
        change(series, Scope.ALL, ends_at=at(12), seen_version=seen)
    with pytest.raises(ChangedMeanwhile):
        cancel(series, seen_version=seen)


# Given up


def test_all_that_can_be_is_given_up_and_nothing_waits_any_more() -> None:
    series = book(asked(pool_of(), "FREQ=WEEKLY;COUNT=4"), what_fits=True)

    series = cancel(series, now=at(9, 45))

    past_its_deadline, given_up = bookings(series)
    assert (past_its_deadline.status, given_up.status) == ("confirmed", "cancelled")
    assert (series.next_date, series.due_at, series.ended_at) == (None, None, at(9, 45))
    assert series.exceptions == [date(2030, 1, 29), date(2030, 2, 5)]
    with pytest.raises(CancelTooLate):
        cancel(series, now=at(9, 45))


def test_what_is_given_up_is_not_given_up_again() -> None:
    series = cancel(book(asked(pool_of())))

    assert {one.status for one in bookings(series)} == {"cancelled"}
    with pytest.raises(WrongStatus):
        cancel(series)


def test_a_series_is_given_up_from_one_on() -> None:
    series = book(asked(pool_of()))

    cancel(series, booking_id=bookings(series)[1].pk)

    assert [one.status for one in bookings(series)] == ["confirmed", "cancelled", "cancelled"]


def test_what_waits_after_the_one_it_is_given_up_from_becomes_an_exception() -> None:
    series = book(asked(pool_of(), "FREQ=WEEKLY;COUNT=4"), what_fits=True)

    series = cancel(series, booking_id=bookings(series)[1].pk)

    assert [one.status for one in bookings(series)] == ["confirmed", "cancelled"]
    assert series.exceptions == [date(2030, 1, 29), date(2030, 2, 5)]
    assert (series.next_date, series.ended_at) == (None, None)


def test_a_place_kept_beside_a_booking_is_locked_before_the_bookings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an offer of the depot it may be at an EVSE that the series itself could never take."""
    option = pool_of()
    elsewhere, series = make_evse(option.depot), book(asked(option))
    offer = CounterOffer(evse=elsewhere, period=slot(12, 13))
    operations.offer_instead(booking_id=bookings(series)[0].pk, offer=offer, actor=DISPATCHER, now=NOW)
    locked: list[set[int]] = []
    lock_ids = lock_together.lock_ids
    monkeypatch.setattr(lock_together, "lock_ids", lambda ids: locked.append(set(ids)) or lock_ids(ids))

    cancel(series)

    assert locked == [{option.evses.get().pk, elsewhere.pk}]
    assert {one.status for one in bookings(series)} == {"cancelled"}


def test_what_would_cost_a_fee_is_not_given_up_with_the_others() -> None:
    series = book(asked(pool_of(terms={"late_cancel": True})))

    cancel(series, now=at(9, 45))

    assert [one.status for one in bookings(series)] == ["confirmed", "cancelled", "cancelled"]


def test_a_dry_run_reads_the_configuration_once() -> None:
    """As many statements for each day as one booking takes, and none about what can be booked."""
    option = pool_of(terms={"horizon_days": 90})
    statements = []
    for rule in ("FREQ=DAILY;COUNT=10", "FREQ=DAILY;COUNT=60"):
        request = asked(option, rule)
        with CaptureQueriesContext(
            connection,
        ) as found:
            preview(request)
        statements.append(list(found.captured_queries))

    few, many = (len(found) for found in statements)
    assert (many - few) / 50 <= 12
    about = [
        one["sql"]
        for one in statements[1]
        if "bookings_termsoverride" in one["sql"] or "depots_openinghours" in one["sql"]
    ]
    assert len(about) <= 3


def test_a_partner_is_asked_for_each_day_in_order_and_again_for_each_that_is_given_up() -> None:
    elsewhere = make_depot(is_mirror=True, terms=TERMS)
    option = make_option(make_evse(elsewhere, option=False), is_mirror=True)

    assert [one.code for one in preview(asked(option))] == [None, None, None]
    series = book(asked(option))

    assert {one.status for one in bookings(series)} == {"requested"}
    assert [one.pk for one in bookings(series)] == sorted(one.pk for one in bookings(series))
    cancel(series)
    kinds = series.bookings.filter(requests__decision="pending").values_list("requests__kind", flat=True)
    assert set(kinds) == {"cancel"}
    with pytest.raises(WrongStatus):
        cancel(series)
