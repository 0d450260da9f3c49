"""A running session says how long it will take, on the booking's page, the charger's page, the board and live."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import pytest
import time_machine
from django.test import Client

from bookings.models import Booking
from bookings.pages.board import running_at
from bookings.pages.live.meters import render_meter
from bookings.rules.session_targets import words_of_target
from depots.models import Charger, ChargingSession
from tests.bookings.enforcement.online_chargers import armed, book, evse_online, start
from tests.factories import at, make_user, make_vehicle

pytestmark = pytest.mark.django_db


def test_what_a_session_will_take_is_told_wherever_its_meter_is(client: Client) -> None:
    evse = evse_online()
    booking = armed(book(evse, vehicle=make_vehicle(battery_wh=500_000)))
    Booking.objects.update(quote={"energy_wh": 150_000})
    session = start(evse, booking.tokens.get().uid, at(10))
    ChargingSession.objects.update(
        power_w=200_000, soc_percent=40, meter_last_wh=session.meter_start_wh + 50_000
    )
    walk_in = ChargingSession(power_w=200_000, soc_percent=40)
    words = "25–40 min to 150 kWh"

    views = render_meter(session.pk)
    client.force_login(make_user(booking.fleet))
    page = client.get(f"/bookings/{booking.pk}/").content.decode()
    client.force_login(make_user(evse.depot.operator, role="depot_manager"))
    charger = client.get(f"/depots/{evse.depot.code}/chargers/{evse.charger.identity}/").content.decode()

    assert [words_of_target(each) for each in running_at([evse])] == [words]
    assert all(words in view["html"] for view in views.values())
    assert words in page
    assert words in charger
    assert words_of_target(walk_in) == ""


def test_what_a_charger_told_before_it_went_offline_is_shown_with_its_time(client: Client) -> None:
    evse = evse_online()
    booking = armed(book(evse, vehicle=make_vehicle()))
    start(evse, booking.tokens.get().uid, at(10))
    ChargingSession.objects.update(power_w=200_000, latest_at=at(10, 20))
    manager = make_user(evse.depot.operator, role="depot_manager")
    depot = f"/depots/{evse.depot.code}"
    pages = [
        (manager, f"{depot}/"),
        (manager, f"{depot}/chargers/{evse.charger.identity}/"),
        (manager, f"{depot}/board/?day={at(10):%Y-%m-%d}"),
        (manager, f"{depot}/board/bookings/{booking.pk}/"),
        (make_user(booking.fleet), f"/bookings/{booking.pk}/"),
    ]

    def looks(now: datetime) -> list[tuple[bool, str]]:
        """Of what the session delivers, on each page: is it grey, and of what time is it said to be?"""
        found = []
        with time_machine.travel(now, tick=False):
            for person, path in pages:
                client.force_login(person)
                page = client.get(path).content.decode()
                told = re.search(
                    r'<span class="([^"]*)"><span class="meter.*?200\skW(.{,200})', page, re.DOTALL
                )
                assert told is not None, path
                found.append(("soft" in told[1].split(), "".join(re.findall(r"data-as-of>([^<]*)", told[2]))))
        return found

    assert set(looks(at(10, 30))) == {(False, "")}
    Charger.objects.update(lease_holder="")
    assert set(looks(at(10, 30))) == {(True, "as of 11:20")}
    assert set(looks(at(10, 30) + timedelta(days=1))) == {(True, f"as of {at(10):%a} 11:20")}
