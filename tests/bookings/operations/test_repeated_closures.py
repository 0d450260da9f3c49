"""A closure that comes again by a rule: all its days are closed at once, and lifted one by one or from one on."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from bookings import operations
from bookings.errors import InThePast, RuleUnclear, SlotTaken
from bookings.models import Booking, Closure, ClosureAct, Occupancy
from bookings.operations.closure_acts import act_version
from bookings.operations.closure_plan import Outage, Outcome, proposed
from depots.models import Depot, Evse
from depots.periods import Period
from tests.factories import (
    DISPATCHER,
    MANAGER,
    NOW,
    at,
    book_slot,
    make_depot,
    make_evse,
    make_vehicle,
    option_of,
    slot,
)

pytestmark = pytest.mark.django_db

# NOW is a Tuesday; the depot's clock is an hour ahead in winter, two in summer.
WEEKLY = "FREQ=WEEKLY;COUNT=4"


@pytest.fixture
def depot() -> Depot:
    return make_depot()


@pytest.fixture
def evse(depot: Depot) -> Evse:
    return make_evse(depot)


def book(evse: Evse, day: int, start: int, end: int) -> Booking:
    truck = make_vehicle()
    return book_slot(
        fleet=truck.fleet, option=option_of(evse), vehicle=truck, evse=evse, period=slot(start, end, day=day),
        actor=DISPATCHER, now=NOW,
    )  # fmt: skip


def every_week(*evses: Evse, rrule: str = WEEKLY, first: Period | None = None) -> Outage:
    return Outage.repeated(evses[0].depot, frozenset(e.pk for e in evses), first or slot(9, 11), rrule)


def close(where: Outage, **asked: Any) -> ClosureAct:
    return operations.close_evses(outage=where, **{"actor": MANAGER, "now": NOW, **asked})


def closed(evse: Evse) -> list[Period]:
    return sorted(row.span for row in Occupancy.objects.filter(evse=evse, kind="closure"))


def weeks(*numbers: int) -> list[Period]:
    return [slot(9, 11, day=7 * number) for number in numbers]


def test_all_days_are_closed_at_once_whatever_the_horizon(evse: Evse) -> None:
    """So nothing can be booked there later, when the horizon reaches them."""
    act = close(every_week(evse))

    assert closed(evse) == weeks(0, 1, 2, 3)
    assert (act.rrule, act.period) == (WEEKLY, Period(at(9), at(11, day=21)))
    for day in (0, 7):
        with pytest.raises(SlotTaken):
            book(evse, day, 9, 10)
    assert book(evse, 7, 11, 12).evse == evse


def test_the_hour_is_that_of_the_depot_s_clock_through_a_change_of_clocks(evse: Evse) -> None:
    """On 31 March 2030 the clocks go forward."""
    days = every_week(evse, rrule="FREQ=WEEKLY;UNTIL=20300402").days

    assert len(days) == 12
    assert (days[10].starts_at.hour, days[11].starts_at.hour) == (9, 8)
    assert {day.duration for day in days} == {timedelta(hours=2)}


def test_bookings_of_every_day_are_seen_and_planned_and_those_between_are_left(
    depot: Depot, evse: Evse
) -> None:
    first, between, later = book(evse, 0, 10, 11), book(evse, 1, 10, 11), book(evse, 7, 10, 11)
    other = make_evse(depot)
    book(other, 7, 10, 11)
    where = every_week(evse)

    found = {one.booking.pk: one for one in proposed(where, offers=True, now=NOW)}
    close(where, offers=True)

    assert {pk: one.outcome for pk, one in found.items()} == {
        first.pk: Outcome.MOVED,
        later.pk: Outcome.OFFERED,
    }
    assert between.pk not in found
    offered = found[later.pk].other
    assert offered is not None
    assert not any(day.overlaps(offered.period) for day in where.days)


def test_one_day_or_all_from_one_on_are_lifted_and_the_rest_taken_back_with_the_act(evse: Evse) -> None:
    act = close(every_week(evse))
    days = list(act.closures.order_by("starts_at"))

    operations.lift_closure(closure_id=days[0].pk, actor=MANAGER, now=NOW)
    assert closed(evse) == weeks(1, 2, 3)
    operations.lift_closure(closure_id=days[2].pk, following=True, actor=MANAGER, now=NOW)
    assert closed(evse) == weeks(1)
    act = ClosureAct.objects.get(pk=act.pk)
    operations.undo_closure(act_id=act.pk, seen_version=act_version(act), actor=MANAGER, now=NOW)

    assert closed(evse) == []


def test_lifting_what_follows_touches_no_other_evse_and_no_other_act(depot: Depot, evse: Evse) -> None:
    other = make_evse(depot)
    act = close(every_week(evse, other))
    close(Outage(depot, frozenset({evse.pk}), slot(20, 22, day=7)))

    first = act.closures.filter(evse=evse).order_by("starts_at")[0]
    operations.lift_closure(closure_id=first.pk, following=True, actor=MANAGER, now=NOW)

    assert closed(evse) == [slot(20, 22, day=7)]
    assert closed(other) == weeks(0, 1, 2, 3)


def test_what_stood_there_keeps_its_time_and_the_closure_takes_it_over(depot: Depot, evse: Evse) -> None:
    standing = book(evse, 7, 10, 11)
    closure = operations.close_evse(evse=evse, period=slot(9, 10), actor=MANAGER, now=NOW)

    act = close(every_week(evse), choices={standing.pk: operations.closure_acts.Choice(Outcome.STAYS)})

    assert slot(9, 10, day=7) in closed(evse)
    operations.cancel_booking(booking_id=standing.pk, reason="TRAFFIC", by="fleet", actor=DISPATCHER, now=NOW)
    operations.lift_closure(closure_id=closure.pk, actor=MANAGER, now=NOW)
    spans = Occupancy.objects.filter(evse=evse, holder__in=act.closures.values("pk"))
    assert sum((row.span.duration for row in spans), timedelta()) == 4 * timedelta(hours=2)


@pytest.mark.parametrize(
    ("rrule", "first", "words"),
    [
        ("FREQ=WEEKLY", slot(9, 11), "has an end"),
        ("FREQ=WEEKLY;BYDAY=MO;COUNT=3", slot(9, 11), "no day of the rule"),
        ("FREQ=DAILY;COUNT=3", Period(at(9), at(10, day=1)), "until the next begins"),
        ("FREQ=DAILY;COUNT=300", slot(9, 11), "more than 400 closures"),
    ],
)
def test_a_rule_that_cannot_be_is_refused(depot: Depot, rrule: str, first: Period, words: str) -> None:
    with pytest.raises(RuleUnclear, match=words):
        every_week(make_evse(depot), make_evse(depot), rrule=rrule, first=first)


def test_a_rule_whose_first_day_is_over_closes_nothing(evse: Evse) -> None:
    with pytest.raises(InThePast):
        close(every_week(evse, first=slot(5, 7)))

    assert not Closure.objects.exists()


def test_many_days_cost_a_row_each_and_are_looked_at_in_no_more_queries(depot: Depot) -> None:
    def statements(rrule: str) -> tuple[int, int]:
        where = every_week(make_evse(depot), rrule=rrule)
        book(Evse.objects.get(pk=min(where.evse_ids)), 0, 10, 11)
        with CaptureQueriesContext(connection) as looked:
            proposed(where, leaves_armed=True, now=NOW)
        with CaptureQueriesContext(connection) as done:
            close(where)
        return len(looked), len(done)

    few, many = statements("FREQ=DAILY;COUNT=2"), statements("FREQ=DAILY;COUNT=12")

    assert few[0] == many[0]
    assert many[1] - few[1] <= 10
