"""Pages and command say how well an EVSE was in order, in all time and in booked time."""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

from bookings.models import Booking
from bookings.pages.uptime import histories, uptime_by_charger
from depots.models import ConnectionChange, Evse, EvseStatusChange
from tests.bookings.enforcement.online_chargers import book
from tests.factories import NOW, at, make_depot, make_evse, make_user, slot

pytestmark = pytest.mark.django_db
# The figures are of this moment.
LATER = at(12)


@pytest.fixture
def evse() -> Evse:
    """Connected from 6, faulted from 10:30 to 11."""
    evse = make_evse(make_depot())
    assert evse.charger is not None
    ConnectionChange.objects.create(charger=evse.charger, at=at(6), is_online=True)
    for moment, status in ((at(6), "available"), (at(10, 30), "faulted"), (at(11), "available")):
        EvseStatusChange.objects.create(evse=evse, at=moment, received_at=moment, status=status)
    return evse


def test_booked_time_has_figures_of_its_own(evse: Evse, django_assert_num_queries: Any) -> None:
    book(evse, slot(10, 11))
    Booking.objects.update(status="completed")

    with django_assert_num_queries(7):
        [history] = histories([evse], now=LATER)

    assert (history.figures.all_time[1].share, history.figures.booked[1].share) == (5.5 / 6, 0.5)
    assert history.figures.all_time[30].mean_time_to_repair == timedelta(minutes=30)
    assert history.bar_label == "3.3 % in order, 0.3 % faulted, 96.4 % not known"


def test_the_yard_adds_up_what_its_evses_were(evse: Evse) -> None:
    told = uptime_by_charger(evse.depot, now=LATER)

    assert told["figures"].all_time[7].faults == 1
    assert [row["charger"] for row in told["chargers"]] == [evse.charger]
    assert uptime_by_charger(make_depot(), now=LATER)["figures"] is None


def test_a_charger_of_two_evses_is_offline_as_often_as_its_connection(evse: Evse) -> None:
    make_evse(evse.depot, charger=evse.charger, number=2)
    for moment, is_online in ((at(8), False), (at(9), True)):
        ConnectionChange.objects.create(charger=evse.charger, at=moment, is_online=is_online)
    for other in evse.depot.evses.exclude(pk=evse.pk):
        EvseStatusChange.objects.create(evse=other, at=at(6), received_at=at(6), status="available")

    [row] = uptime_by_charger(evse.depot, now=LATER)["chargers"]

    assert [each.figures.all_time[7].times_offline for each in row["histories"]] == [1, 1]
    assert row["times_offline"] == 1


def test_pages_and_command_show_it(evse: Evse, client: Client) -> None:
    client.force_login(make_user(evse.depot.operator, role="depot_manager"))
    assert evse.charger is not None
    moved = timedelta(days=(NOW.today().date() - NOW.date()).days)
    for change in [*EvseStatusChange.objects.all(), *ConnectionChange.objects.all()]:
        change.at += moved - timedelta(days=1)
        if isinstance(change, EvseStatusChange):
            change.received_at = change.at
        change.save()

    page = client.get(f"/depots/{evse.depot.code}/chargers/{evse.charger.identity}/").content.decode()
    yard = client.get(f"/depots/{evse.depot.code}/availability/").content.decode()
    out = StringIO()
    call_command("show_charger", evse.charger.identity, stdout=out)

    assert "1 fault, over after 30 min" in page
    assert 'role="img"' in page
    assert f"{evse.uid}, last 7 days: " in yard
    figures = json.loads(out.getvalue())["availability"]
    assert [(each["days"], each["faults"]) for each in figures[1:]] == [(7, 1), (30, 1)]
    assert figures[1]["mean_time_to_repair_s"] == 1800
