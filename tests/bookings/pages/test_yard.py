"""The yard says which chargers and slots need somebody, and none that does not."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

import pytest
import time_machine
from django.test import Client

from bookings import enforcement, operations, scheduler
from bookings.models import Booking
from bookings.operations.vehicle_states import Told
from bookings.pages.charger_verbs import VERBS
from depots import operations as depots
from depots.models import ChargerCommand, ChargingSession, Evse, Membership
from tests.bookings.enforcement.charging_trucks import charging
from tests.bookings.enforcement.online_chargers import TERMS, answer, book, evse_online, online
from tests.bookings.people import client_of
from tests.factories import at, make_depot, make_user, slot

pytestmark = pytest.mark.django_db


def place(**fields: Any) -> Evse:
    terms = {**TERMS, **fields.pop("terms", {})}
    return evse_online(make_depot(terms=terms, **fields))


def manager_of(evse: Evse) -> Client:
    return client_of(make_user(evse.depot.operator, Membership.Role.DEPOT_MANAGER))


def look(evse: Evse, now: datetime, path: str = "/depots/{}/") -> str:
    with time_machine.travel(now, tick=False):
        return manager_of(evse).get(path.format(evse.depot.code)).content.decode()


def test_a_charger_that_beats_and_answers_no_command_is_shown_so():
    evse = place()
    depots.record_measured(charger_id=evse.charger_id, answers_calls=False)
    assert "Answers no commands" in look(evse, at(9))

    depots.record_measured(charger_id=evse.charger_id, answers_calls=True)
    assert "Answers no commands" not in look(evse, at(9))
    online(evse.charger, lease_until=at(8), measured={"answers_calls": False})
    assert "Answers no commands" not in look(evse, at(9))


@pytest.mark.parametrize("fallbacks", [[], ["availability"]])
def test_a_kept_evse_is_no_trouble_and_one_that_only_the_gate_guards_is(fallbacks):
    evse = place(fallbacks=fallbacks)
    book(evse)
    enforcement.arm_due(now=at(9, 45))
    answer("rejected", now=at(9, 45))

    assert ('id="trouble-head"' in look(evse, at(9, 46))) is (not fallbacks)


def test_who_is_here_and_who_is_expected_stands_in_the_yard():
    evse = place(terms={"early_start_min": 15})
    booking = book(evse)
    operations.tell_vehicle_state(booking.vehicle, Told(eta=at(10, 10)), now=at(9, 44))

    assert "Expected 10:10" not in look(evse, at(9, 46))  # by the depot's clock
    assert "Expected 11:10, told 2 min ago" in look(evse, at(9, 46))
    assert "too early" in look(evse, at(9, 30))

    with time_machine.travel(at(9, 50), tick=False):
        manager_of(evse).post(f"/bookings/{booking.pk}/arrival/?from=yard", {"version": booking.version})
    assert "Here since 10:50" in look(evse, at(9, 51))


def test_why_a_slot_is_at_risk_does_not_repeat_that_it_is():
    book(place())
    enforcement.arm_due(now=at(9, 45))
    answer("occupied", now=at(9, 45))

    why = look(Evse.objects.get(), at(9, 46)).split('data-label="Why">')[1].split("</td>")[0]

    assert why.startswith("Another vehicle is still at the EVSE. Berth asks again")


@pytest.mark.parametrize(
    ("terms", "words"),
    [
        ({}, "The depot does not have it stopped; somebody may be waiting for the bay."),
        ({"overstay": "stop", "overstay_min": 10}, "From 12:10 on the charger is told to stop it."),
        (
            {"overstay": "stop_for_next"},
            "told to stop it as soon as the next vehicle&#x27;s slot is being prepared.",
        ),
        ({"overstay": "stop", "overstay_min": 1}, "The charger is told to stop it."),
    ],
)
def test_who_outlives_the_slot_is_named_with_what_follows(terms, words):
    booking = charging(place(terms=terms))
    evse = booking.evse
    assert "data-booking" not in look(evse, at(10, 59))

    page = look(evse, at(11, 5))

    assert f'data-booking="{booking.pk}"' in page
    assert "Its slot is over since 12:00." in page
    assert words in page
    assert words in look(evse, at(11, 5), f"/depots/{{}}/board/bookings/{booking.pk}/")


def test_a_charger_that_cannot_be_stopped_needs_somebody_who_goes_there():
    booking = charging(place(terms={"overstay": "stop", "overstay_min": 1}))
    for minute in (1, 2, 3, 4, 5):
        scheduler.run_tick(at(11, minute))
        for command in ChargerCommand.objects.filter(action="remote_stop", state="queued"):
            depots.settle_command(command_id=command.pk, answer="rejected", now=at(11, minute))

    assert "somebody has to go there" in look(booking.evse, at(11, 6))


@pytest.mark.parametrize(
    ("happens", "why"),
    [
        ("nothing", ""),
        ("offline", "The charger is not connected."),
        ("booked", "The EVSE is needed for a booking."),
        ("occupied", "The EVSE is not free now."),
    ],
)
def test_a_reservation_can_be_tried_only_where_it_would_not_be_refused(happens, why):
    evse = place()
    if happens == "offline":
        online(evse.charger, lease_until=at(8))
    elif happens == "booked":
        book(evse, slot((9, 15), 10))
    elif happens == "occupied":
        depots.report_status(
            charger_id=evse.charger_id, evse_number=evse.number, status="occupied", at=at(8), now=at(8)
        )

    page = look(evse, at(9), f"/depots/{{}}/chargers/{evse.charger.identity}/")

    button = page[: page.index(f"Test reserving {evse.uid}")].rsplit("<button", 1)[1]
    assert ("disabled" in button) is bool(why)
    assert why in page


def test_starting_at_a_kept_evse_says_what_comes_first():
    evse = place(fallbacks=["availability"])
    booking: Booking = book(evse)
    enforcement.arm_due(now=at(9, 45))
    answer("rejected", now=at(9, 45))

    assert "put back into service first" in look(evse, at(9, 50), booking.get_absolute_url())


def test_only_the_latest_commands_stand_open_on_a_chargers_page():
    evse = place()
    for minute in range(7):
        depots.queue_command(charger=evse.charger, action="trigger", payload={"n": minute}, now=at(8, minute))

    page = look(evse, at(9), f"/depots/{{}}/chargers/{evse.charger.identity}/")

    latest, _, earlier = page.split('id="commands-head"')[1].split("</section>")[0].partition("<details")
    assert (latest.count("data-command="), earlier.count("data-command=")) == (5, 2)
    assert "2 earlier commands" in earlier
    assert "09:06:00" in latest
    assert "09:00:00" in earlier


def test_the_form_of_a_command_marks_what_may_be_left_blank():
    evse = place()

    def labels(verb: str) -> dict[str, bool]:
        form = look(evse, at(9), f"/depots/{{}}/chargers/{evse.charger.identity}/commands/{verb}/")
        found = re.findall(r'<label class="form-label"[^>]*>(.*?)</label>', form, re.DOTALL)
        return {label.split("<")[0].strip(): "optional" in label for label in found}

    assert labels("start") == {"EVSE": False, "Card": True}
    assert labels("log") == {"Kind": False, "Since": True, "Send it to": True}
    assert labels("availability") == {"Service": False, "EVSE": False}, "a choice is made either way"


def test_sessions_of_offline_chargers_are_told_with_their_age_and_are_none_of_now():
    evse = place()
    booking = charging(evse)
    ChargingSession.objects.filter(pk=booking.session_id).update(power_w=120_000, latest_at=at(10, 20))

    def tiles(now: datetime) -> list[str]:
        return [
            " ".join(re.sub("<[^>]+>", " ", tile).split())
            for tile in re.findall(r'class="stat stat-plain">(.*?)</div>', look(evse, now), re.DOTALL)
        ][1:3]

    online(evse.charger, lease_until=at(11))
    assert tiles(at(10, 30)) == ["Charging 1 sessions now", "Power 120 kW drawn now"]
    online(evse.charger, lease_until=at(10, 25))
    assert tiles(at(10, 30)) == [
        "Charging 0 sessions now; 1 offline as of 11:20",
        "Power 0 kW drawn now; 120 kW offline as of 11:20",
    ]


def test_forms_for_an_offline_charger_are_off_in_words_and_what_they_send_is_refused():
    evse = place()
    with time_machine.travel(at(9), tick=False):
        manager = manager_of(evse)

    def ask(verb: str, **given: Any) -> str:
        url = f"/depots/{evse.depot.code}/chargers/{evse.charger.identity}/commands/{verb}/"
        with time_machine.travel(at(9), tick=False):
            answer = manager.post(url, {"version": 1, **given}) if given else manager.get(url)
        assert answer.status_code == (409 if given else 200)
        return answer.content.decode()

    def button(html: str) -> str:
        return re.findall(r'<button class="btn btn-(?:primary|harm)"[^>]*>', html)[-1]

    online(evse.charger, lease_until=at(10))
    assert "disabled" not in button(ask("cache"))
    assert "disabled" not in button(
        ask("cache", version=1)
    )  # others were in the way: looked at, it may be sent

    online(evse.charger, lease_until=at(8))
    asked = ChargerCommand.objects.count()
    for verb in VERBS:
        shown = ask(verb)
        assert 'disabled aria-describedby="why-not"' in button(shown)
        assert "The charger is not connected." in shown
    assert 'disabled aria-describedby="why-not"' in button(ask("cache", version=1))
    page = look(evse, at(9), f"/depots/{{}}/chargers/{evse.charger.identity}/")
    assert re.search(r'disabled aria-describedby="settings-off">.{0,300}Read them now', page, re.DOTALL)
    assert ChargerCommand.objects.count() == asked
