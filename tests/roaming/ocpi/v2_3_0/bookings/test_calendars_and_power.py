"""What calendars offer can be booked: power, steps and pools, asked for by a partner over HTTP."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.conf import settings
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from bookings.core.calendars import raise_marked
from bookings.errors import BookingError
from bookings.models import Booking, BookingOption, Occupancy
from bookings.rules.power import peak
from config import demo_data
from depots.models import Depot, Evse
from depots.periods import Period
from roaming.ocpi.times import read_time
from tests.factories import (
    DISPATCHER,
    NOW,
    at,
    book_slot,
    make_charger,
    make_depot,
    make_evse,
    make_fleet,
    make_option,
    make_vehicle,
    option_of,
    slot,
)
from tests.roaming.partners import BOOKINGS, Caller, data, make_partner

pytestmark = pytest.mark.django_db
TAKEN = "This slot is taken."


@pytest.fixture(autouse=True)
def clock() -> Iterator[Any]:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture
def caller() -> Caller:
    return Caller(make_partner())


@pytest.fixture
def yard() -> Depot:
    """Six EVSEs of three powers behind a grid connection of 700 kW, four of them in a cabinet of 260 kW; a pool of three."""
    depot = make_depot(
        grid_limit_w=700_000,
        terms={"early_start_min": 15, "turnaround_min": 5, "horizon_days": 2, "walk_in": "own"},
    )
    cabinet = make_charger(depot, cabinet="A", cabinet_limit_w=260_000)
    inside = [make_evse(charger=cabinet, max_power_w=watts) for watts in (150_000, 150_000, 350_000, 350_000)]
    other = make_charger(depot)
    outside = [make_evse(charger=other, max_power_w=watts) for watts in (400_000, 1_000_000)]
    make_option(inside[0], inside[3], outside[0], code="POOL")
    return depot


def offered(caller: Caller, option_code: str) -> list[tuple[Period, int, int]]:
    location = data(caller.get(f"{BOOKINGS}/booking_locations/{option_code}"))
    return [_read(s) for calendar in location["calendars"] for s in calendar["available_timeslots"]]


def all_offered(caller: Caller) -> list[tuple[BookingOption, int, Period, int]]:
    """(option, step, timeslot, min_power) of all that does not wait for approval."""
    found = []
    query: dict[str, Any] = {"limit": 200}
    for location in data(caller.get(f"{BOOKINGS}/booking_locations", query)):
        option = BookingOption.objects.select_related("depot").get(code=location["id"], is_mirror=False)
        for calendar in location["calendars"]:
            for told in calendar["available_timeslots"]:
                period, least, _ = _read(told)
                found.append((option, calendar["timeslot_increment"], period, least))
    return found


def ask_for_all(
    caller: Caller, asks: list[tuple[BookingOption, int, Period, int]], chance: random.Random
) -> Counter[str]:
    """Book a period in each timeslot at its `min_power`, in random order: the answers, why where it was refused."""
    chance.shuffle(asks)
    answers: Counter[str] = Counter()
    for option, step, timeslot, watts in asks:
        period = _within(timeslot, step, option, chance)
        answer = caller.book(option, period, power_required=watts // 1000).json()
        status = answer["data"]["reservation_status"]
        answers[status if status != "REJECTED" else answer["status_message"]] += 1
    return answers


def test_every_offered_timeslot_is_booked_at_its_power_in_any_order(caller: Caller, yard: Depot) -> None:
    _fill(yard, chance := random.Random(5))
    asks = [one for one in all_offered(caller) for _ in range(2)]

    answers = ask_for_all(caller, asks[:40], chance)

    assert set(answers) <= {"RESERVED", TAKEN}
    assert answers["RESERVED"] > 12
    _check_limits(yard)


@pytest.mark.long
def test_five_hundred_asks_at_every_depot_of_the_demo_are_never_refused_for_power(
    caller: Caller, tmp_path: Path
) -> None:
    before, settings.BERTH_VAR = settings.BERTH_VAR, tmp_path
    try:
        demo_data.load(now=NOW)
    finally:
        settings.BERTH_VAR = before
    for depot in Depot.objects.filter(is_mirror=False):
        operations_open(depot)
    depots = {option.depot.code for option, *_ in all_offered(caller)}
    asks = [one for one in all_offered(caller) if not _waits(caller, one[0])]
    chance = random.Random(11)

    answers = ask_for_all(caller, chance.choices(asks, k=500), chance)

    assert len(depots) == 8
    assert set(answers) <= {"RESERVED", TAKEN}, answers
    assert answers["RESERVED"] > 250, answers
    for depot in Depot.objects.filter(is_mirror=False):
        _check_limits(depot)


def test_a_free_evse_offers_an_equal_share_of_what_the_limit_leaves_and_as_a_wish_all_but_the_others_least(
    caller: Caller,
) -> None:
    depot = make_depot(grid_limit_w=500_000, terms={"horizon_days": 1, "min_duration_min": 60})
    evses = [make_evse(depot, max_power_w=400_000) for _ in range(4)]
    _book(evses[0], slot(12, 14), power_w=300_000)

    told = offered(caller, evses[1].uid)

    # 125 kW each at first; then 300 are promised, of 200 each of three has 50 and a third of the other 50.
    assert told == [
        (Period(at(8), at(12)), 125_000, 350_000),
        (Period(at(12), at(14)), 66_000, 100_000),
        (Period(at(14), at(8, day=1)), 125_000, 350_000),
    ]


def test_a_wish_may_be_as_high_as_is_shown_and_no_higher(caller: Caller) -> None:
    depot = make_depot(grid_limit_w=500_000)
    evses = [make_evse(depot, max_power_w=400_000) for _ in range(4)]

    assert (
        data(caller.book(option_of(evses[0]), slot(10, 11), power_required=351))["reservation_status"]
        == "REJECTED"
    )
    most = data(caller.book(option_of(evses[0]), slot(10, 11), power_required=350))
    least = data(caller.book(option_of(evses[1]), slot(10, 11)))

    assert most["reservation_status"] == "RESERVED"
    assert least["reservation_status"] == "RESERVED"
    assert least["period"]["min_power"] == 50_000


def test_a_term_bounds_what_is_promised_and_what_is_shown(caller: Caller) -> None:
    evse = make_evse(make_depot(terms={"max_promise_kw": 150}), max_power_w=400_000)

    told = offered(caller, evse.uid)
    refused = data(caller.book(option_of(evse), slot(10, 11), power_required=151))
    booked = data(caller.book(option_of(evse), slot(10, 11)))

    assert {(least, most) for _, least, most in told} == {(150_000, 150_000)}
    assert refused["reservation_status"] == "REJECTED"
    assert booked["period"]["min_power"] == 150_000


def test_time_without_even_a_least_is_not_offered(caller: Caller) -> None:
    depot = make_depot(grid_limit_w=300_000, terms={"horizon_days": 1})
    evses = [make_evse(depot, max_power_w=200_000) for _ in range(3)]
    _book(evses[0], slot(12, 14), power_w=200_000)
    Depot.objects.filter(pk=depot.pk).update(
        grid_limit_w=260_000
    )  # lowered from outside; what is promised stands

    first, second = offered(caller, evses[1].uid), offered(caller, evses[2].uid)

    assert [period for period, *_ in first] == [
        Period(at(8), at(12)),
        Period(at(12), at(14)),
        Period(at(14), at(8, day=1)),
    ]
    assert [period for period, *_ in second] == [Period(at(8), at(12)), Period(at(14), at(8, day=1))]
    assert data(caller.book(option_of(evses[2]), slot(12, 13)))["reservation_status"] == "REJECTED"
    assert data(caller.book(option_of(evses[1]), slot(12, 13)))["reservation_status"] == "RESERVED"


def test_of_a_pool_an_evse_is_taken_that_gives_what_the_calendar_shows(caller: Caller) -> None:
    depot = make_depot(terms={"horizon_days": 1})
    weak, strong = make_evse(depot, max_power_w=100_000), make_evse(depot, max_power_w=400_000)
    pool = make_option(weak, strong, code="POOL")
    # From eleven on only the strong one is free throughout, though the weak one fits the hour that is asked for.
    for start in (9, 14):
        _book(weak, slot(start, start + 2))
    shown = {period.starts_at: least for period, least, _ in offered(caller, "POOL")}

    booked = data(caller.book(pool, slot(11, 12)))

    assert shown == {at(8): 400_000}
    assert booked["period"]["min_power"] == 400_000


def test_a_pools_timeslots_do_not_overlap_where_its_evses_are_free_at_different_times(caller: Caller) -> None:
    depot = make_depot(terms={"horizon_days": 1})
    one, other = make_evse(depot), make_evse(depot)
    make_option(one, other, code="POOL")
    _book(one, slot(10, 12))
    _book(other, slot(13, 15))

    told = [period for period, *_ in offered(caller, "POOL")]

    assert told == [Period(at(8), at(13)), Period(at(13), at(8, day=1))]


@pytest.mark.parametrize("step", [90, 120, 240])
@pytest.mark.parametrize("day", [datetime(2030, 3, 30, 9, tzinfo=UTC), datetime(2030, 10, 26, 9, tzinfo=UTC)])
def test_whoever_counts_steps_through_a_timeslot_across_a_clock_change_is_accepted(
    caller: Caller, clock: Any, step: int, day: datetime
) -> None:
    clock.move_to(day)
    terms = {"slot_step_min": step, "min_duration_min": step, "max_duration_min": 480, "horizon_days": 1}
    evse = make_evse(make_depot(terms=terms))
    asked = 0
    for timeslot, *_ in offered(caller, evse.uid):
        start = timeslot.starts_at
        while start < timeslot.ends_at:
            period = Period(start, start + timedelta(minutes=step))
            answer = caller.book(option_of(evse), period).json()
            assert answer["data"]["reservation_status"] == "RESERVED", (period, answer["status_message"])
            start, asked = period.ends_at, asked + 1
    assert asked > 3


def test_a_whole_depots_calendars_cost_a_constant_number_of_queries(caller: Caller, yard: Depot) -> None:
    with CaptureQueriesContext(connection) as few:
        offered(caller, "POOL")
    for _ in range(6):
        make_evse(charger=make_charger(yard, cabinet="B", cabinet_limit_w=300_000), max_power_w=350_000)
    _fill(yard, random.Random(3))
    raise_marked(timezone.now)  # as in a worker, so that both times nothing waits to be dated

    with CaptureQueriesContext(connection) as many:
        data(caller.get(f"{BOOKINGS}/booking_locations"))

    assert len(many) <= len(few) + 1  # the list is counted


def operations_open(depot: Depot) -> None:
    from bookings.operations.open_depot import open_depot

    open_depot(depot=depot, guest=None, now=NOW)


def _waits(caller: Caller, option: BookingOption) -> bool:
    from bookings.search.bookable import terms_for

    return terms_for(option, caller.partner.organisation, now=NOW).approval


def _fill(depot: Depot, chance: random.Random) -> None:
    """Some bookings without and with a wish, as far as there is room."""
    fleet = make_fleet()
    for _ in range(14):
        evse = chance.choice(list(depot.evses.all()))
        start = at(9) + timedelta(minutes=15 * chance.randrange(100))
        period = Period(start, start + timedelta(minutes=15 * chance.randrange(2, 12)))
        wish = chance.choice([None, None, 80_000, 140_000, 250_000])
        try:
            _book(evse, period, power_w=wish, fleet=fleet)
        except BookingError:
            continue


def _book(evse: Evse, period: Period, *, fleet: Any = None, power_w: int | None = None) -> Booking:
    fleet = fleet or make_fleet()
    return book_slot(
        fleet=fleet, option=option_of(evse), period=period, vehicle=make_vehicle(fleet, max_power_w=None),
        power_w=power_w, actor=DISPATCHER, now=NOW,
    )  # fmt: skip


def _check_limits(depot: Depot) -> None:
    rows = list(
        Occupancy.objects.filter(evse__depot=depot).exclude(kind="closure").select_related("evse__charger")
    )
    whole = Period(NOW - timedelta(days=60), NOW + timedelta(days=60))
    if depot.grid_limit_w is not None:
        assert peak([(row.span, row.power_w) for row in rows], whole) <= depot.grid_limit_w
    cabinets = {c.cabinet: c.cabinet_limit_w for c in depot.chargers.all() if c.cabinet and c.cabinet_limit_w}
    for name, watts in cabinets.items():
        inside = [
            (row.span, row.power_w) for row in rows if row.evse.charger and row.evse.charger.cabinet == name
        ]
        assert peak(inside, whole) <= watts


def _within(timeslot: Period, step: int, option: BookingOption, chance: random.Random) -> Period:
    """A random period on the step, of 30 minutes to 2 hours where there is room."""
    steps = int(timeslot.minutes // step)
    least = -(-30 // step)
    length = chance.randint(least, max(least, min(steps, 120 // step)))
    first = chance.randint(0, max(0, steps - length))
    start = timeslot.starts_at + timedelta(minutes=first * step)
    return Period(start, start + timedelta(minutes=length * step))


def _read(told: dict[str, Any]) -> tuple[Period, int, int]:
    period = Period(read_time(told["start_date_time"]), read_time(told["end_date_time"]))
    return period, told["min_power"], told["max_power"]
