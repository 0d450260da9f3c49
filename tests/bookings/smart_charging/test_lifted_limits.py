"""Who was told of a limit of power is told once it is lifted, where it still matters to its promise."""

from __future__ import annotations

import pytest

from bookings import operations, scheduler
from bookings.actors import RULE, Actor
from bookings.models import Booking, ExternalLimit
from bookings.operations import ChangeRequest
from bookings.pages.history import moments
from bookings.rules import power_shortage
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
        "limit": limit.pk, "limit_w": 0, "period": slot(10, 11).as_json(), "promised_w": 150 * KW,
        "lifted_at": at(9, 10).isoformat(),
    }  # fmt: skip


@pytest.mark.parametrize(("other", "times"), [(MANAGER, 1), (Actor.manager("controller"), 2)])
def test_of_the_same_words_only_those_of_one_actor_are_one_limit(site, other, times):
    booking = book(site.evses[0], power_w=150 * KW)
    limited(site, booking)
    operations.limit_depot(depot=booking.depot, watts=0, period=slot(10, 11), actor=other, now=NOW)
    lift(site)
    lift(site)

    assert news(booking) == [*times * ["power_limited"], *times * ["power_limit_lifted"]]


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


def test_what_a_controller_tells_every_minute_is_news_only_where_something_else_is_to_come(site):
    booking, later = (
        book(site.evses[0], power_w=150 * KW),
        book(site.evses[1], slot(13, 14), power_w=150 * KW),
    )

    def tell(kw, now, until):
        operations.limit_depot(
            depot=booking.depot,
            watts=kw * KW,
            period=Period(now, until),
            replaces=True,
            actor=MANAGER,
            now=now,
        )
        return news(booking)

    for minute in range(5):
        told = tell(100, at(9, 50 + minute), at(10, 5 + minute))
    assert told == ["power_limited"]
    assert list(power_shortage.announced(booking, booking.period)) == [Period(at(9, 50), at(10, 9))]

    assert tell(120, at(9, 55), at(10, 10)) == [*told, "power_limited"]
    assert tell(200, at(9, 56), at(10, 11)) == [*told, "power_limited", "power_limit_lifted"]
    assert ExternalLimit.objects.get(lifted_at=None).watts == 200 * KW
    assert tell(50, at(9, 57), at(10, 30))[3:] == ["power_limited"]
    assert tell(50, at(9, 58), at(9, 59))[3:] == ["power_limited", "power_limit_lifted"]
    assert news(later) == []


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
