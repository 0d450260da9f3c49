"""No changed calendar is lost: not by commits in another order, not by ticks at once, not by a worker killed in one."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction

from bookings.core import calendars
from bookings.models import BookingOption, CalendarMark
from bookings.signals import calendars_raised
from roaming.models import Delivery
from tests.factories import NOW, book_slot, make_depot, make_evse, make_option, make_vehicle, option_of, slot
from tests.races.processes import all_at_once, at_once
from tests.roaming.partners import make_partner

pytestmark = pytest.mark.django_db(transaction=True)


def tick(number: int = 0) -> list[int]:
    return calendars.raise_marked(lambda: NOW + timedelta(seconds=number))


def book(evse: Any, truck: Any, hour: int) -> None:
    book_slot(fleet=truck.fleet, option=option_of(evse), vehicle=truck, period=slot(hour, hour + 1))


def tick_after_the_last_seen() -> Callable[[], list[int]]:
    """The guard taken away: a reader that remembers how far it has read."""
    seen = 0

    def tick() -> list[int]:
        nonlocal seen
        rows = list(CalendarMark.objects.filter(pk__gt=seen).order_by("pk"))
        seen = max((row.pk for row in rows), default=seen)
        evses = [row.evse_id for row in rows]
        return list(BookingOption.objects.filter(evses__in=evses).values_list("pk", flat=True))

    return tick


@pytest.mark.parametrize("guarded", [True, False])
def test_a_mark_that_commits_after_a_later_one_is_not_passed_over(guarded: bool) -> None:
    early, late = make_evse(), make_evse()
    run = tick if guarded else tick_after_the_last_seen()
    written, go_on = threading.Event(), threading.Event()

    def slowly() -> None:
        with transaction.atomic():
            calendars.mark_changed([early.pk], at=NOW)
            written.set()
            assert go_on.wait(20)
        connection.close()

    thread = threading.Thread(target=slowly)
    thread.start()
    assert written.wait(20)
    calendars.mark_changed([late.pk], at=NOW)
    assert run() == [option_of(late).pk]
    go_on.set()
    thread.join(20)

    assert run() == ([option_of(early).pk] if guarded else [])


def test_bookings_in_one_pool_while_ticks_run_are_all_told() -> None:
    """Four book, two tick: afterwards nothing is marked, and the last version was raised after the last booking."""
    depot = make_depot()
    evses = [make_evse(depot) for _ in range(4)]
    pool = make_option(*evses)
    partner = make_partner()
    trucks = [make_vehicle() for _ in evses]

    def bookings(number: int) -> None:
        for hour in range(9, 15):
            book(evses[number], trucks[number], hour)

    def ticks() -> int:
        return sum(pool.pk in tick() for _ in range(30))

    found = all_at_once([*(lambda n=n: bookings(n) for n in range(4)), ticks, ticks])  # type: ignore[misc]
    assert found[:4] == [None] * 4
    raised = [*found[4:], int(pool.pk in tick())]

    pool.refresh_from_db()
    assert pool.calendar_version == 1 + sum(raised)
    assert sum(raised) >= 1
    assert not CalendarMark.objects.exists()
    (wish,) = Delivery.objects.filter(partner=partner, kind="booking_location", object_id=pool.pk)
    assert wish.wanted_version == pool.calendar_version


def test_a_worker_killed_in_the_middle_of_a_tick_loses_nothing() -> None:
    """Marks are gone, versions raised, deliveries written, and nothing of it committed when it dies."""
    make_partner()
    evse = make_evse()
    book(evse, make_vehicle(), 10)

    def die(_: int) -> None:
        calendars_raised.connect(lambda **_: os.kill(os.getpid(), signal.SIGKILL), weak=False)
        tick()

    assert at_once(die, 1) == ["ERROR the process died"]
    assert not Delivery.objects.exists()

    assert tick() == [option_of(evse).pk]
    assert Delivery.objects.get().wanted_version == option_of(evse).calendar_version == 2
