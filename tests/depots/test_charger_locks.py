"""What a meter's message locks and asks, and what open pages hear of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from bookings import scheduler
from bookings.models import Booking
from depots.models import Charger, ChargingSession, Evse
from depots.operations import Reading
from depots.signals import session_metered
from tests.bookings.enforcement.online_chargers import TERMS, armed, book, evse_online
from tests.depots.charging import CARD, MINUTE, SECOND, event, meter, start, stop, wh
from tests.factories import NOW, at, make_depot, make_option

pytestmark = pytest.mark.django_db


def locks(captured: CaptureQueriesContext) -> list[str]:
    """The tables whose rows were locked by a query."""
    sqls = [query["sql"] for query in captured.captured_queries]
    return [
        sql.split('FROM "')[1].split('"')[0]
        for sql in sqls
        if " FOR " in sql.rpartition('"')[2] or " OF " in sql
    ]


def statements(captured: CaptureQueriesContext) -> list[str]:
    sqls = [query["sql"] for query in captured.captured_queries]
    return [sql for sql in sqls if not sql.startswith(("SAVEPOINT", "RELEASE"))]


@pytest.mark.usefixtures("gate")
def test_meter_values_lock_their_session_and_no_evse(evse):
    session = start(evse)

    with CaptureQueriesContext(connection) as captured:
        meter(evse, wh(1500, NOW + MINUTE), now=NOW + MINUTE, transaction=session.transaction)

    assert locks(captured) == ["depots_chargingsession"]
    # the session, the reading, who may hear of the figures, telling them, the session
    assert len(statements(captured)) == 5
    told = [sql.replace("\\", "") for sql in statements(captured) if "depots_notice" in sql]
    assert any('"meter"' in sql for sql in told)


@pytest.mark.usefixtures("gate")
def test_an_event_that_only_tells_the_meter_locks_no_evse_either(evse):
    event(evse, "started", 0, NOW, wh(1000, NOW), token_uid=CARD)

    with CaptureQueriesContext(connection) as captured:
        event(evse, "updated", 1, NOW + MINUTE, wh(1500, NOW + MINUTE))

    assert locks(captured) == ["depots_chargingsession"]
    # the session, the reading, who may hear of the figures, telling them, the session
    assert len(statements(captured)) == 5


@pytest.mark.usefixtures("gate")
def test_one_that_begins_or_ends_charging_locks_them_first(evse):
    with CaptureQueriesContext(connection) as begun:
        event(evse, "started", 0, NOW, wh(1000, NOW), token_uid=CARD)
    with CaptureQueriesContext(connection) as ended:
        event(evse, "ended", 1, NOW + MINUTE)

    # the depot only where a limit of power is shared there
    assert locks(begun)[:2] == locks(ended)[:2] == ["depots_depot", "depots_evse"]


def test_a_start_at_another_evse_of_a_limited_depot_locks_the_depot_before_its_evses():
    """The promise of power may have to be worked out anew there: who books holds the depot and waits for the EVSEs."""
    depot = make_depot(terms=TERMS, grid_limit_w=600_000)
    booked, other = evse_online(depot), evse_online(depot)
    booking = armed(book(booked, option=make_option(booked, other)))

    with CaptureQueriesContext(connection) as captured:
        start(other, at(10), token_uid=booking.tokens.get().uid)

    booking.refresh_from_db()
    assert (booking.status, booking.evse_id) == ("charging", other.pk)
    order = locks(captured)
    assert order.index("depots_depot") < order.index("depots_evse")


@pytest.mark.usefixtures("gate")
def test_nothing_is_asked_for_an_idle_chargers_empty_values(evse):
    with CaptureQueriesContext(connection) as captured:
        meter(evse, now=NOW)

    assert statements(captured) == []


def overdue(count: int) -> list[Booking]:
    """Bookings whose sessions go on long after their end, at chargers that are there."""
    bookings = []
    for _ in range(count):
        evse = evse_online()
        booking = book(evse)
        armed(booking)
        start(evse, at(10), token_uid=booking.tokens.get().uid)
        bookings.append(booking)
    Charger.objects.update(last_seen_at=at(13))
    Evse.objects.update(status=Evse.Status.CHARGING)
    return bookings


def test_an_idle_tick_ends_nothing_and_locks_nothing():
    overdue(1)
    with CaptureQueriesContext(connection) as one:
        scheduler._end_silent(now=at(13))
    overdue(2)
    with CaptureQueriesContext(connection) as three:
        scheduler._end_silent(now=at(13))

    assert locks(one) == locks(three) == []
    assert len(statements(one)) == len(statements(three)) == 2


def test_a_session_whose_evse_is_free_again_is_ended_by_the_tick():
    [booking] = overdue(1)
    Evse.objects.update(status=Evse.Status.AVAILABLE, status_received_at=at(11))

    scheduler._end_silent(now=at(13))

    booking.refresh_from_db()
    assert (booking.status, booking.session.ended_at) == ("completed", at(11))


# What open pages hear


@pytest.fixture
def told() -> Iterator[list[tuple]]:
    heard: list[tuple] = []

    def hear(session: ChargingSession, at: datetime, **_: Any) -> None:
        heard.append((session.energy_wh, session.power_w, session.soc_percent, at - NOW))

    session_metered.connect(hear)
    yield heard
    session_metered.disconnect(hear)


@pytest.mark.usefixtures("gate")
def test_open_pages_follow_the_meter_every_few_seconds(evse, told):
    session = start(evse)
    for second in range(10):
        when = NOW + second * SECOND
        reading = Reading(when, 1000 + second, 50_000, 20.0, registers={"Outlet": 1000 + second})
        meter(evse, reading, now=when, transaction=session.transaction)

    assert [(wh_, after.total_seconds()) for wh_, _, _, after in told] == [(0, 0), (3, 3), (6, 6), (9, 9)]
    assert told[-1][1:3] == (50_000, 20.0)


@pytest.mark.usefixtures("gate")
def test_so_they_do_of_2x(evse, told):
    event(evse, "started", 0, NOW, wh(1000, NOW), token_uid=CARD)
    event(evse, "updated", 1, NOW + MINUTE, wh(1500, NOW + MINUTE))

    assert told[-1][0] == 500


@pytest.mark.usefixtures("gate")
def test_what_has_ended_is_told_of_as_such_alone(evse, told):
    session = start(evse)
    stop(session, NOW + MINUTE)

    meter(evse, wh(1500, NOW + MINUTE), now=NOW + 2 * MINUTE, transaction=session.transaction)

    assert told == []
