"""A morning at a depot whose chargers restart, lie, refuse, break, go offline, forget and are always occupied.

Every truck that could be served is, and a gateway killed at any moment changes nothing of that.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from bookings.models import Booking
from depots.models import Charger, ChargingSession, Membership
from tests.factories import NOW, make_charger, make_depot, make_evse, make_user, make_vehicle
from tests.scenarios.bed import PASSWORD, Bed, Loop
from tests.scenarios.depot_day import STRANGERS, TRIPS, DepotDay
from tests.scenarios.dying_processes import DyingProcesses, dying_processes
from tests.scenarios.gateway_processes import (
    GatewayProcess,
    GatewayProcesses,
    SharedClock,
    gateway_processes,
)
from tests.serving import on_test_database

# A lease is renewed by real time, and the day's minutes are milliseconds.
TIMINGS = {"lease_s": 86_400, "call_timeout_s": 3}
# A gateway commits some three hundred times on that morning, and six times for each of the eight that come back.
COMMITS, COMING_BACK = 300, 48


@pytest.fixture(scope="module")
def nursery(django_db_setup: None, django_db_blocker, tmp_path_factory) -> Iterator[GatewayProcesses]:
    with django_db_blocker.unblock():
        environment = on_test_database(var=tmp_path_factory.mktemp("var"))
    with gateway_processes(environment) as processes:
        yield processes


@pytest.fixture
def mortals(transactional_db, tmp_path: Path) -> Iterator[DyingProcesses]:
    with dying_processes(on_test_database(var=tmp_path / "var")) as processes:
        yield processes


@dataclass
class Mortal:
    """A gateway that dies at these commits, each counted from its start, and is started again at the same address a minute
    later, when its leases have run out. Without further deaths it lives."""

    nursery: GatewayProcesses
    clock: SharedClock
    deaths: Iterator[int]
    process: GatewayProcess | None = None
    died: int = 0

    def url(self) -> str:
        if self.process is None or not self.process.is_alive:
            self.died += self.process is not None
            Charger.objects.exclude(lease_holder="").update(lease_until=self.clock.now)
            self.process = self.nursery.start(
                port=self.process.port if self.process else 0,
                clock=str(self.clock.file),
                dies_at=next(self.deaths, 0),
                timings=TIMINGS,
            )
        return self.process.url

    def close(self) -> None:
        if self.process is not None and self.process.is_alive:
            self.process.kill()


@dataclass
class Lived:
    day: DepotDay
    died: int


def live(nursery: GatewayProcesses, tmp_path: Path, deaths: Iterable[int] = (), **others: Any) -> Lived:
    """`others`: a mix, a worker and a web of a DepotDay."""
    clock, loop = SharedClock(tmp_path / "clock", NOW), Loop()
    with closing(Mortal(nursery, clock, iter(deaths))) as gateway:
        day = DepotDay(clock, loop, gateway.url, **others)
        day.set_up()
        try:
            day.live()
        finally:
            day.close()
            loop.stop()
    return Lived(day, gateway.died)


def check(day: DepotDay) -> None:
    """Who could be served was, once, and what is written down is what the chargers gave."""
    bookings = {truck: Booking.objects.get(pk=booking.pk) for truck, booking in day.bookings.items()}
    due = {trip.truck: "completed" if trip.was_servable else "no_show" for trip in TRIPS}
    other = [truck for truck, booking in bookings.items() if booking.status != due[truck]]
    assert not other, "\n".join(map(day.story_of, other))

    stories = {
        story.truck: story for charger in day.days.values() for story in charger.stories if story.energy_wh
    }
    for trip in TRIPS:
        if trip.was_servable:
            sessions = ChargingSession.objects.filter(token_uid=stories[trip.truck].token)
            told = sum(session.energy_wh or 0 for session in sessions)
            assert told == stories[trip.truck].energy_wh, trip.truck
            assert bookings[trip.truck].session in sessions
    assert len(stories) == sum(trip.was_servable for trip in TRIPS), "no stranger charged"
    assert not ChargingSession.objects.filter(ended_at=None).exists()
    assert not Booking.objects.filter(enforcement__in=["due", "armed", "at_risk"]).exists()


def test_every_truck_that_could_be_served_is_though_the_gateway_is_killed(
    transactional_db, nursery, tmp_path: Path
):
    """The pages tell each booking's story."""
    lived = live(nursery, tmp_path, deaths=[40, 55, 30])

    check(lived.day)
    assert lived.died == 3
    strangers = [s for d in lived.day.days.values() for s in d.stories if s.truck.startswith("stranger")]
    assert len(strangers) == len(STRANGERS)
    assert {story.outcome for story in strangers} == {"refused", "out_of_order"}

    client = Client()
    depot = next(iter(lived.day.bookings.values())).depot
    client.force_login(make_user(depot.operator, Membership.Role.DEPOT_MANAGER))
    told = {
        truck: client.get(booking.get_absolute_url()).content.decode()
        for truck, booking in lived.day.bookings.items()
    }
    assert "The EVSE reports a fault." in told["at a charger that breaks"]
    assert "The charger is not connected." in told["at a charger that is offline"]
    assert "Another vehicle is still at the EVSE." in told["at a charger that is always occupied"]
    assert "The vehicle did not come in time" in told["never comes"]
    assert all("Charging started" in told[trip.truck] for trip in TRIPS if trip.was_servable)


def test_a_day_from_the_command_line_says_which_bookings_were_honoured(bed: Bed, tmp_path: Path, capsys):
    """By a clock that goes as fast as ours: two seconds of it."""
    row = make_charger(make_depot(terms={"min_duration_min": 15}))
    evses = [make_evse(charger=row), make_evse(charger=row)]
    bed.charger(row)  # which gives it a password
    coming, without = make_vehicle(token="04AABBCCDD10"), {"truck": "ANYBODY", "token": "0BADCAFE", "evse": 2}
    trips = [{"truck": coming.plate, "token": "04aabbccdd10"}, without]
    day = [{"at": "0:00:00", "stays": "0:00:02", "waits": "0:00:01", **trip} for trip in trips]
    file = tmp_path / "day.json"
    file.write_text(
        json.dumps({"chargers": [{"identity": row.identity, "password": PASSWORD, "evses": 2, "day": day}]})
    )

    with patch("django.utils.timezone.now", return_value=NOW):
        call_command("depot_day", str(file), url=bed.gateway.url)

    first, second, total = map(json.loads, capsys.readouterr().out.splitlines())
    booking = Booking.objects.get()
    assert booking.evse == evses[0]
    assert booking.session is not None
    assert first == first | {"truck": coming.plate, "status": booking.status, "is_honoured": True}
    assert first["story"].endswith(booking.get_absolute_url())
    assert second == second | {"booking": None, "why_not": "No vehicle here has this token."}
    assert total == {"booked": 1, "honoured": 1, "rate": 1.0}


@pytest.mark.long
@pytest.mark.parametrize("moment", range(1, COMMITS, 5))
def test_a_gateway_killed_at_any_moment_leaves_the_same_day(
    transactional_db, nursery, tmp_path: Path, moment: int
):
    """After a commit of the day, and once more while all come back, in three mixes of versions: a quarter of an hour on idle
    cores."""
    lived = live(nursery, tmp_path, deaths=[moment, 1 + moment % COMING_BACK], mix=moment % 3)

    check(lived.day)
    assert lived.died


@pytest.mark.long
@pytest.mark.parametrize("mix", range(3))
def test_a_worker_and_a_web_killed_after_each_of_their_commits_leave_the_same_day(
    transactional_db, nursery, mortals, tmp_path: Path, mix: int
):
    """A minute each. The gateway lives."""

    def check_in(booking: Booking, now: datetime) -> None:
        dispatcher = make_user(booking.fleet)
        page, button = booking.get_absolute_url(), reverse("bookings:start", args=[booking.pk])
        mortals.press(button, page=page, user_id=dispatcher.pk, now=now)

    lived = live(nursery, tmp_path, mix=mix, tick=mortals.tick, check_in=check_in)

    check(lived.day)
    assert mortals.deaths > 100
