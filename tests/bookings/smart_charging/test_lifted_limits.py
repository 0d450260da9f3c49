"""Who was told of a limit of power is told once it is lifted, where it still matters to its promise."""

from __future__ import annotations

import pytest

from bookings import operations, scheduler
from bookings.actors import RULE
from bookings.models import Booking, ExternalLimit
from bookings.operations import ChangeRequest
from bookings.pages.history import moments
from depots.periods import Period
from tests.bookings.enforcement.online_chargers import book
from tests.bookings.smart_charging.chargers import KW, SECOND, Chargers, depot_of
from tests.factories import DISPATCHER, MANAGER, NOW, at, slot

pytestmark = pytest.mark.django_db


def limited(site: Chargers, *bookings: Booking, period: Period = slot(10, 11)) -> ExternalLimit:
    """No power at all in that time, of which those bookings were told."""
    limit = operations.limit_depot(depot=depot_of(site.evses), watts=0, period=period, actor=MANAGER, now=NOW)
    assert all(news(booking) == ["power_limited"] for booking in bookings)
    return limit


def lift(site: Chargers, now=at(9, 10)) -> None:
    operations.lift_limits(depot=depot_of(site.evses), now=now)


def news(booking: Booking) -> list[str]:
    return list(booking.events.filter(kind__startswith="power_limit").values_list("kind", flat=True))


def test_fleets_are_told_once_that_a_limit_was_lifted_before_they_are_told_of_the_next(site):
    booking, later = book(site.evses[0], power_w=150 * KW), book(site.evses[1], slot(13, 14))
    limit = limited(site, booking)
    lift(site)
    operations.limit_depot(
        depot=limit.depot, watts=50 * KW, period=slot(10, 11), actor=MANAGER, now=at(9, 11)
    )

    scheduler.run_tick(at(9, 11))
    scheduler.run_tick(at(9, 12))

    assert news(booking) == ["power_limited", "power_limit_lifted", "power_limited"]
    assert news(later) == []
    told = booking.events.get(kind="power_limit_lifted")
    assert (told.actor, told.at) == (RULE, at(9, 10))
    assert told.detail == {
        "limit_w": 0, "period": slot(10, 11).as_json(), "promised_w": 150 * KW, "lifted_at": at(9, 10).isoformat(),
    }  # fmt: skip


def test_two_limits_of_the_same_words_are_lifted_by_two(site):
    booking = book(site.evses[0], power_w=150 * KW)
    limited(site, booking)
    operations.limit_depot(depot=booking.depot, watts=0, period=slot(10, 11), actor=MANAGER, now=NOW)
    lift(site)
    lift(site)

    assert news(booking) == [*2 * ["power_limited"], *2 * ["power_limit_lifted"]]


def test_nobody_is_told_whose_promise_was_made_anew_whose_slot_is_over_or_whose_limit_ended(site):
    moved = book(site.evses[0], slot(12, 13), power_w=150 * KW)
    over = book(site.evses[1], slot(9, (9, 30)), power_w=150 * KW)
    limited(site, moved, over, period=slot(9, 13))
    operations.limit_depot(
        depot=depot_of(site.evses), watts=0, period=slot(9, (9, 15)), actor=MANAGER, now=NOW
    )
    operations.end_limits(now=at(9, 15))
    request = ChangeRequest(period=slot(12, (12, 45)))
    operations.change_booking(moved.pk, request, actor=DISPATCHER, now=at(9, 30))
    assert moved.events.filter(kind="changed").exists()

    lift(site, now=at(9, 30) + SECOND)

    assert "power_limit_lifted" not in news(moved) + news(over)


def test_a_limit_that_comes_and_goes_while_no_worker_runs_is_told_and_its_lifting_each_once(site):
    bookings = [book(evse, power_w=150 * KW) for evse in site.evses[:2]]

    limit = operations.limit_depot(
        depot=bookings[0].depot, watts=0, period=slot(10, 11), actor=MANAGER, now=NOW
    )
    lift(site)
    scheduler.run_tick(at(9, 11))

    for booking in bookings:
        told = booking.events.filter(kind__startswith="power_limit").order_by("id")
        assert [(event.kind, event.at) for event in told] == [
            ("power_limited", NOW), ("power_limit_lifted", at(9, 10)),
        ]  # fmt: skip
        assert told[0].actor == limit.set_by


def test_the_history_says_that_less_was_to_come_and_what_stands(site):
    booking = book(site.evses[0], power_w=150 * KW)
    limited(site, booking)

    def told():
        found = moments(Booking.objects.get(pk=booking.pk), organisation_ids=[], is_fleet=True)
        return [(m.title, m.level) for m in found if "power" in m.title], found[0].text

    (announced, before) = told()
    lift(site)

    assert announced == [("Less power than promised is to come", "warning")]
    assert before == "From 11:00 to 12:00 the depot has 0 kW: about 0 kW of the promised 150 kW."
    assert told() == (
        [("The limit of power was lifted", "success"), ("Less power than promised was to come", "info")],
        "The limit of 0 kW from 11:00 to 12:00 ended at 10:10; the promised 150 kW stand.",
    )
