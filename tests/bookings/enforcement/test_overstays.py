"""Who charges is warned before the end, may stay as long as the terms say, and is then stopped if the depot says so."""

from __future__ import annotations

from typing import Any

import pytest

from bookings import scheduler
from bookings.models import Booking
from bookings.pages.history import moments
from depots import operations as depots
from depots.models import ChargerCommand, Evse
from tests.bookings.enforcement.charging_trucks import charging, fresh, happened
from tests.bookings.enforcement.online_chargers import TERMS, book, evse_online
from tests.factories import at, make_depot, slot

pytestmark = pytest.mark.django_db


def place(**terms: Any) -> Evse:
    return evse_online(make_depot(terms={**TERMS, "slot_step_min": 5, "change_until_min": 0, **terms}))


def stops() -> list[ChargerCommand]:
    return list(ChargerCommand.objects.filter(action="remote_stop").order_by("id"))


def settle(word: str, now: Any, state: str = "answered") -> None:
    depots.settle_command(command_id=stops()[-1].pk, state=state, answer=word, now=now)


def titles(booking: Booking) -> list[str]:
    return [
        f"{m.title} {m.text}".strip() for m in moments(fresh(booking), organisation_ids=[], is_fleet=True)
    ]


def test_who_charges_is_warned_once_before_each_end():
    booking = charging(place(end_warning_min=10, late_stop_min=5, overstay="stop", overstay_min=10))

    scheduler.run_tick(at(10, 49))
    assert happened(booking, "ending") == []
    scheduler.run_tick(at(10, 50))
    scheduler.run_tick(at(10, 51))

    assert len(happened(booking, "ending")) == 1
    # In Kassel it is an hour later.
    words = "The slot ends soon At 12:00, by 12:05 at the latest. Charging is stopped from 12:15 on."
    assert words in titles(booking)
    Booking.objects.filter(pk=booking.pk).update(ends_at=at(11, 30))
    scheduler.run_tick(at(11, 19))
    assert len(happened(booking, "ending")) == 1
    scheduler.run_tick(at(11, 20))
    assert len(happened(booking, "ending")) == 2


def test_a_depot_that_only_tells_stops_nobody():
    booking = charging(place(end_warning_min=0))

    for minute in (0, 30, 59):
        scheduler.run_tick(at(11, minute))

    assert stops() == []
    assert happened(booking, "ending") == []
    assert len(happened(booking, "overstay")) == 1


def test_a_session_is_stopped_after_late_stop_and_patience():
    booking = charging(place(late_stop_min=5, overstay="stop", overstay_min=10))

    scheduler.run_tick(at(11, 14))
    assert stops() == []
    scheduler.run_tick(at(11, 15))
    scheduler.run_tick(at(11, 15).replace(second=30))
    assert [stop.payload["transaction"] for stop in stops()] == [booking.session.transaction]
    settle("accepted", at(11, 15))

    assert [e.after for e in booking.events.filter(kind="remote_stop")] == ["asked", "accepted"]


def test_a_charger_that_does_not_stop_is_asked_thrice_and_then_somebody_has_to_go():
    booking = charging(place(overstay="stop", overstay_min=0))

    for minute in range(6):
        scheduler.run_tick(at(11, minute))
        if minute < 3:
            settle("rejected", at(11, minute))

    assert len(stops()) == 3
    assert [told.get("in_vain", False) for told in happened(booking, "overstay")] == [False, True]
    assert any("somebody has to go there" in words for words in titles(booking))


def test_where_only_the_next_slot_counts_a_truck_stays_until_that_is_due():
    evse = place(overstay="stop_for_next", overstay_min=0, arm_lead_min=15)
    charging(evse)

    scheduler.run_tick(at(11, 5))
    assert stops() == []
    book(evse, slot((11, 30), 12), now=at(11, 6))
    scheduler.run_tick(at(11, 14))
    assert stops() == []
    scheduler.run_tick(at(11, 15))

    assert len(stops()) == 1


def test_nobody_is_stopped_for_a_slot_of_their_own():
    evse = place(overstay="stop_for_next", overstay_min=0, arm_lead_min=15)
    booking = charging(evse)
    following = book(evse, slot((11, 30), 12), now=at(10, 30), vehicle=booking.vehicle)

    scheduler.run_tick(at(11, 16))

    assert stops() == []
    following.refresh_from_db()
    assert (following.enforcement, following.enforcement_why) == ("due", "still_before")
    assert "once that has ended" in following.enforcement_in_full


def test_a_charger_that_is_away_is_asked_when_it_is_back():
    booking = charging(place(overstay="stop", overstay_min=0))
    depots.close_connection(charger_id=booking.evse.charger_id, holder="gw", now=at(10, 58))

    scheduler.run_tick(at(11))

    assert stops() == []
    assert not booking.events.filter(kind="remote_stop").exists()


def test_the_next_truck_is_no_no_show_and_both_histories_say_why():
    evse = place(overstay="stop", overstay_min=0)
    first = charging(evse)
    following = book(evse, slot(11, 12), now=at(10, 30))

    for minute in (56, 59):
        scheduler.run_tick(at(10, minute))
    scheduler.run_tick(at(11))
    settle("rejected", at(11))
    for minute in (1, 2, 3, 15):
        scheduler.run_tick(at(11, minute))

    following = fresh(following)
    assert (following.status, following.cancel_reason, following.cancelled_by) == (
        "cancelled",
        "FULL",
        "depot",
    )
    assert any("Another vehicle is still at the EVSE" in words for words in titles(following))
    assert any("refuses to stop" in words for words in titles(first))
