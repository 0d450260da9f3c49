"""Limits of power from outside: what is booked during one is limited too, what was promised stands, and it ends."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bookings import operations
from bookings.errors import InThePast, LimitImpossible, PowerUnavailable
from bookings.models import ExternalLimit, PowerMark
from bookings.rules import configuration
from tests.factories import (
    MANAGER,
    NOW,
    at,
    book_slot,
    make_charger,
    make_depot,
    make_evse,
    make_vehicle,
    option_of,
    slot,
)

pytestmark = pytest.mark.django_db

KW = 1000


@pytest.fixture
def evses():
    """Two EVSEs of 400 kW at a depot whose connection carries both."""
    charger = make_charger(make_depot())
    return [make_evse(charger=charger), make_evse(charger=charger)]


def limit(depot, kw: int, period=slot(10, 11), now=NOW) -> ExternalLimit:
    return operations.limit_depot(depot=depot, watts=kw * KW, period=period, actor=MANAGER, now=now)


def promised(evse, period, **wishes) -> int:
    vehicle = make_vehicle(max_power_w=400 * KW)
    booking = book_slot(fleet=vehicle.fleet, vehicle=vehicle, option=option_of(evse), period=period, **wishes)
    return booking.promised_power_w // KW


def test_what_is_booked_while_it_holds_is_promised_less_and_before_and_after_as_ever(evses):
    limit(evses[0].depot, 300)

    assert promised(evses[0], slot(10, 11)) == 150
    assert promised(evses[0], slot(8, 9)) == 400
    assert promised(evses[0], slot(11, 12)) == 400
    with pytest.raises(PowerUnavailable):
        promised(evses[1], slot((10, 30), 12), power_w=200 * KW)


def test_the_lower_of_two_that_overlap_holds(evses):
    limit(evses[0].depot, 300)
    limit(evses[0].depot, 200, slot((10, 30), 12))

    assert promised(evses[0], slot(10, (10, 30))) == 150
    assert promised(evses[0], slot((10, 30), 11)) == 100
    assert promised(evses[0], slot(11, 12)) == 100


def test_what_was_promised_before_stands_and_what_is_left_is_less_by_it(evses):
    assert promised(evses[0], slot(10, 11)) == 400

    limit(evses[0].depot, 420)

    with pytest.raises(PowerUnavailable):
        promised(evses[1], slot(10, 11))
    assert promised(evses[1], slot(11, 12)) == 400


def test_lifted_or_over_it_is_gone_and_each_time_the_depot_is_planned_anew(evses):
    depot = evses[0].depot
    limit(depot, 100)
    lifted = operations.lift_limits(depot=depot, now=NOW)
    limit(depot, 100, slot(9, 12))

    assert [one.watts for one in lifted] == [100 * KW]
    assert promised(evses[0], slot(8, 9)) == 400
    assert operations.end_limits(now=at(11)) == 0
    assert operations.end_limits(now=at(12)) == 1
    assert not configuration.current(depot.pk).limits
    due = list(PowerMark.objects.filter(depot=depot.pk).values_list("due_at", flat=True))
    assert due.count(NOW) >= 3
    assert due.count(at(12)) == 1


@pytest.mark.parametrize(
    ("kw", "period", "error"),
    [
        (100, slot(6, 7), InThePast),
        (-1, slot(10, 11), LimitImpossible),
        (2_000_000, slot(10, 11), LimitImpossible),
    ],
)
def test_a_limit_that_makes_no_sense_is_refused(evses, kw, period, error):
    with pytest.raises(error):
        limit(evses[0].depot, kw, period)


def test_a_limit_higher_than_the_connection_changes_nothing(evses):
    limit(evses[0].depot, 5000)

    assert promised(evses[0], slot(10, 11)) == 400


def test_free_time_of_the_whole_depot_is_looked_at_again(evses):
    from bookings.models import CalendarMark

    CalendarMark.objects.all().delete()
    limit(evses[0].depot, 100, slot(10, 11), now=NOW - timedelta(hours=1))

    assert CalendarMark.objects.get().depot_id == evses[0].depot_id
