"""Slots of one truck that follow each other at an EVSE: it stays, charges on, and is no no-show of the second."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
import time_machine

from bookings import errors, operations, scheduler
from bookings.models import Booking, BookingEvent, EvsePower, Occupancy
from bookings.pages import wording
from bookings.pages.history import moments
from bookings.rules.own_slots import slots_after
from bookings.smart_charging.depot_state import read
from depots.models import ChargerCommand, ChargingSession
from tests.billing_factories import (
    amounts,
    back_to_back,
    charge,
    correct,
    leave,
    records,
    standing,
    uses,
)
from tests.bookings.enforcement.charging_trucks import fresh, happened
from tests.bookings.enforcement.online_chargers import book, commands
from tests.bookings.people import client_of, seen
from tests.factories import DISPATCHER, at, make_user, make_vehicle, slot

pytestmark = pytest.mark.django_db


def booked(booking: Booking) -> list[tuple[str, list[tuple[str, str]]]]:
    """What stands of its records: their kind and what they bill."""
    return [(cdr.kind, uses(cdr)) for cdr in standing(booking=booking)]


def test_a_truck_that_charges_on_into_its_next_slot_uses_it_and_each_is_billed_once():
    first, second, session = back_to_back()

    scheduler.run_tick(at(10, 14))
    assert (fresh(second).status, fresh(second).enforcement_why) == ("confirmed", "still_before")
    scheduler.run_tick(at(10, 15))
    assert (fresh(second).status, fresh(second).enforcement, fresh(second).session) == (
        "charging",
        "used",
        None,
    )
    leave(session, at(10, 40))
    scheduler.run_tick(at(10, 41))

    assert [fresh(one).status for one in (first, second)] == ["completed", "completed"]
    assert booked(first) == [("session", [("booking", "flat"), ("charging", "energy")])]
    assert booked(second) == [("stay", [("booking", "flat")])]
    assert amounts(records()) == [("55.00", "10.45"), ("5.00", "0.95")]
    assert Occupancy.objects.get(holder=second.pk).span.ends_at == at(10, 40)
    assert not second.events.filter(kind__in=["waived", "evidence"]).exists()
    told = [moment.text for moment in moments(fresh(second), organisation_ids=[], is_fleet=True)]
    assert f"The vehicle was charging there since 10:00 already, in booking {first.reference}." in told


def test_one_that_plugs_in_again_in_its_second_slot_has_a_session_there_and_pays_the_slot_once():
    _, second, session = back_to_back()
    scheduler.run_tick(at(10, 15))
    leave(session, at(10, 20))
    scheduler.run_tick(at(10, 21))

    again = charge(second, at(10, 25), at(10, 50), 50_000)

    assert (fresh(second).status, fresh(second).session) == ("completed", again)
    assert booked(second) == [("stay", [("booking", "flat")]), ("session", [("charging", "energy")])]


def test_one_that_plugs_in_again_before_the_tick_has_the_slot_in_its_own_record():
    _, second, session = back_to_back()
    scheduler.run_tick(at(10, 15))
    leave(session, at(10, 20))

    again = charge(second, at(10, 20), at(10, 50), 50_000)
    scheduler.run_tick(at(10, 51))

    assert (fresh(second).status, fresh(second).session) == ("completed", again)
    assert booked(second) == [("session", [("booking", "flat"), ("charging", "energy")])]


@pytest.mark.parametrize("plugs_in_again", [True, False])
def test_one_that_leaves_before_the_no_show_time_is_waited_for_until_then(plugs_in_again):
    first, second, session = back_to_back()
    scheduler.run_tick(at(10))
    leave(session, at(10, 5))
    scheduler.run_tick(at(10, 6))
    assert fresh(second).status == "confirmed"
    assert commands()[-1] == ("reserve", second.reservation_id)

    if plugs_in_again:
        charge(second, at(10, 10), at(10, 50), 50_000)
    scheduler.run_tick(at(10, 15))

    assert fresh(second).status == "completed"
    again = [("session", [("booking", "flat"), ("charging", "energy")])]
    assert booked(second) == (again if plugs_in_again else [("stay", [("booking", "flat")])])
    assert booked(first) == [("session", [("booking", "flat"), ("charging", "energy")])]


def test_only_what_outlives_the_last_slot_is_overtime_and_a_corrected_end_bills_it_anew():
    first, second, session = back_to_back(late_stop_min=0)
    scheduler.run_tick(at(10, 30))
    leave(session, at(11), None)
    scheduler.run_tick(at(11, 1))
    assert booked(second) == [("stay", [("booking", "flat")])]

    correct(session, at(11, 30), 100_000, at(11, 55))

    assert ("overtime", "time") not in uses(standing(booking=first)[0])
    assert booked(second) == [("stay", [("booking", "flat"), ("overtime", "time")])]
    assert amounts(standing(booking=second)) == [("35.00", "6.65")]


@pytest.mark.parametrize("rule", ["stop", "tell"])
def test_nobody_overstays_in_a_slot_of_their_own_but_after_the_last(rule):
    first, second, _ = back_to_back(overstay=rule, overstay_min=0)

    for moment in (at(10), at(10, 14), at(10, 15), at(10, 59)):
        scheduler.run_tick(moment)
    assert not BookingEvent.objects.filter(kind="overstay").exists()
    assert not [action for action, _ in commands() if action == "remote_stop"]
    for moment in (at(11), at(11) + timedelta(seconds=1)):
        scheduler.run_tick(moment)

    assert happened(first, "overstay") == []
    assert [told["since"] for told in happened(second, "overstay")] == [at(11).isoformat()]
    stopped = [booking for action, booking in commands() if action == "remote_stop"]
    assert stopped == ([second.reservation_id] if rule == "stop" else [])


def test_it_has_the_power_of_the_slot_it_stands_in():
    first, second, session = back_to_back()
    Booking.objects.filter(pk=second.pk).update(promised_power_w=70_000)

    def promised(now: datetime) -> tuple[int, int | None]:
        state = read(first.depot_id, now=now, ahead=now + timedelta(seconds=8)).states[session.evse_id or 0]
        return state.promised_w, state.booking.pk if state.booking else None

    scheduler.run_tick(at(9, 59))
    assert promised(at(9, 59))[1] == first.pk
    scheduler.run_tick(at(10))
    assert promised(at(10)) == (70_000, second.pk)
    scheduler.run_tick(at(10, 15))
    assert promised(at(10, 15)) == (70_000, second.pk)

    EvsePower.objects.filter(evse=session.evse).update(short_since=at(10, 16), short_told_w=None)
    scheduler.smart_charging.note_shortfalls(now=at(10, 20))
    assert [len(happened(one, "power_short")) for one in (first, second)] == [0, 1]


def test_a_booking_of_another_fleet_is_not_named():
    first, second, _ = back_to_back()
    Booking.objects.filter(pk=first.pk).update(fleet=make_vehicle().fleet)

    scheduler.run_tick(at(10, 15))

    assert fresh(second).status == "charging"
    assert not any("in_booking" in told for told in happened(second, "status"))


def test_another_truck_is_no_part_of_it():
    first, second, session = back_to_back()
    other = book(first.evse, slot(11, 12))
    scheduler.run_tick(at(11, 1))

    assert (fresh(other).status, fresh(other).enforcement_why) == ("confirmed", "occupied")
    assert slots_after(first, session, until=at(12)) == [second]


def test_its_pages_show_the_session_that_goes_on_in_it_what_its_slot_costs_and_stop_it() -> None:
    _, second, session = back_to_back()
    ChargingSession.objects.update(
        meter_last_wh=session.meter_start_wh + 61_000, power_w=180_000, soc_percent=64
    )

    with time_machine.travel(at(10, 20), tick=False):
        fleet = client_of(make_user(second.fleet))
        manager = client_of(make_user(second.depot.operator, role="depot_manager"))
        scheduler.run_tick(at(10, 20))
        page = fleet.get(f"/bookings/{second.pk}/").content.decode()
        panel = manager.get(f"/depots/{second.depot.code}/board/bookings/{second.pk}/").content.decode()
        fleet.post(f"/bookings/{second.pk}/stop/", seen(second))
        with pytest.raises(errors.WrongStatus):
            operations.start_remotely(booking_id=second.pk, actor=DISPATCHER, now=at(10, 20))

    for shown in (page, panel):
        meter = shown.split(f'data-meter="{session.pk}"')[1].split("</dd>")[0]
        assert all(words in meter for words in ("180 kW", "61.0 kWh", "64 %", wording.GOES_ON))
    assert "5.95" in page.split('id="running-cost"')[1].split("</section>")[0]
    assert 'id="do-stop"' in page
    stopped = ChargerCommand.objects.get(action="remote_stop")
    assert (stopped.payload, stopped.reservation_id) == (
        {"transaction": session.transaction},
        second.reservation_id,
    )

    with time_machine.travel(at(10, 41), tick=False):
        leave(session, at(10, 40))
        scheduler.run_tick(at(10, 41))
        assert wording.WENT_ON in fleet.get(f"/bookings/{second.pk}/").content.decode()


def test_what_another_fleets_booking_has_charged_is_not_shown() -> None:
    first, second, session = back_to_back()
    Booking.objects.filter(pk=first.pk).update(fleet=make_vehicle().fleet)

    with time_machine.travel(at(10, 20), tick=False):
        fleet = client_of(make_user(second.fleet))
        scheduler.run_tick(at(10, 20))
        page = fleet.get(f"/bookings/{second.pk}/").content.decode()

    assert wording.GOES_ON in page
    assert 'id="do-stop"' in page
    assert f'data-meter="{session.pk}"' not in page


def test_only_the_last_of_its_slots_is_warned_of_and_outlived_on_the_pages() -> None:
    first, second, _ = back_to_back(end_warning_min=10, overstay="stop", overstay_min=10)
    told: dict[datetime, list[str]] = {}

    for moment in (at(9, 55), at(10, 7), at(10, 20), at(10, 55), at(11, 7)):
        with time_machine.travel(moment, tick=False):
            scheduler.run_tick(moment)
            manager = client_of(make_user(second.depot.operator, role="depot_manager"))
            fleet = client_of(make_user(second.fleet))
            depot = f"/depots/{second.depot.code}"
            urls = [f"/bookings/{first.pk}/", f"/bookings/{second.pk}/", f"{depot}/board/", f"{depot}/"]
            pages = [(manager if url.startswith(depot) else fleet).get(url) for url in urls]
            rows = fleet.get("/bookings/").content.decode()
            legend = "</i>Over its time"
            told[moment] = [page.content.decode().replace(legend, "") for page in pages] + [
                rows.split(f'id="row-{booking.pk}"')[1].split("</tr>")[0] for booking in (first, second)
            ]

    late = ("Over its time", "Its slot is over", 'data-overstay="')
    marked = {when: [any(words in page for words in late) for page in pages] for when, pages in told.items()}
    assert not any(any(pages) for moment, pages in marked.items() if moment < at(11))
    assert marked[at(11, 7)] == [False, True, True, True, False, True]
    words = "Its slot is over since 12:00. From 12:10 on the charger is told to stop it."
    assert [words in page for page in told[at(11, 7)][:4]] == [False, True, False, True]
    assert [len(happened(one, "ending")) for one in (first, second)] == [0, 1]
