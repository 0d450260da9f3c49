"""What was odd about a charger's messages is there for a person to see: at the charger, at the booking, in commands."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from django.core.management import call_command
from django.test import Client

from bookings.models import Booking
from depots import operations as depots
from depots.models import Charger, ChargingSession
from depots.operations import FLAGS, Start, Stop
from tests.bookings.enforcement.online_chargers import armed, book, evse_online
from tests.bookings.people import client_of
from tests.factories import at, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def booking() -> Booking:
    """Charged, by a charger that left out what it should tell."""
    booking = armed(book(evse_online()))
    charger_id, uid = booking.evse.charger_id, booking.tokens.get().uid
    told = Start(1, uid, "key", at(10), meter_wh=1000, flags=["malformed", "no_time"])
    session = depots.start_session(charger_id=charger_id, start=told, now=at(10)).session
    ended = Stop(session.transaction, at(10, 30))
    depots.stop_session(charger_id=charger_id, stop=ended, now=at(10, 30))
    depots.record_deviation(charger_id=charger_id, action="StartTransaction", what="idTag", now=at(10))
    booking.refresh_from_db()
    return booking


SEEN = ("malformed", "no_time", "no_meter_stop")


def test_the_fleet_sees_it_at_its_booking(booking):
    page = client_of(make_user(booking.fleet)).get(booking.get_absolute_url()).content.decode()

    assert page.count("data-oddity") == len(SEEN)
    for flag in SEEN:
        assert FLAGS[flag].replace("'", "&#x27;") in page


def test_who_looks_after_the_depot_sees_it_at_booking_and_charger(booking):
    client = client_of(make_user(booking.depot.operator, "depot_manager"))
    at_charger = client.get(f"/depots/{booking.depot.code}/chargers/{booking.evse.charger.identity}/")
    at_booking = client.get(f"/depots/{booking.depot.code}/board/bookings/{booking.pk}/")

    for answer in (at_charger, at_booking):
        assert answer.content.decode().count("data-oddity") == len(SEEN), answer.status_code
    words = at_charger.content.decode()
    assert 'data-deviation="StartTransaction"' in words
    assert booking.tokens.get().uid not in words


def test_the_command_tells_it(booking):
    out = StringIO()
    call_command("show_charger", booking.evse.charger.identity, stdout=out)
    told = json.loads(out.getvalue())

    assert [s["flags"] for s in told["sessions"]] == [list(SEEN)]
    assert [(d["action"], d["what"]) for d in told["deviations"]] == [("StartTransaction", "idTag")]


def test_each_deviation_is_kept_once_and_the_newest_few(booking):
    charger_id = booking.evse.charger_id
    for number in range(30):
        depots.record_deviation(charger_id=charger_id, action="A", what=f"field{number}", now=at(11))
    depots.record_deviation(charger_id=charger_id, action="A", what="field20", now=at(12))

    kept = [d["what"] for d in Charger.objects.get(pk=charger_id).deviations]
    assert (kept[:2], len(kept), len(set(kept))) == (["field20", "field29"], 20, 20)


def test_a_session_with_nothing_odd_says_nothing(booking):
    ChargingSession.objects.update(flags=[])
    page: Client = client_of(make_user(booking.fleet))

    assert "data-oddity" not in page.get(booking.get_absolute_url()).content.decode()
