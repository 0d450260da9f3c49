"""A no-show whose vehicle could not have charged costs nothing, and the timeline says what was seen and when."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bookings import enforcement, operations, scheduler
from bookings.actors import Actor
from bookings.models import Booking, Closure
from bookings.pages.history import moments
from depots import operations as depots
from depots.models import Charger, ChargerCommand, Evse
from depots.periods import Period
from tests.bookings.enforcement.online_chargers import TERMS, answer, armed, book, evse_online, online
from tests.factories import NOW, at, make_depot

pytestmark = pytest.mark.django_db


def waived(booking: Booking):
    """What was seen, once the vehicle has not come; None where the fee stands."""
    scheduler.run_tick(at(10, 15))
    booking.refresh_from_db()
    assert booking.status == "no_show"
    event = booking.events.filter(kind="waived").first()
    if event is None:
        return None
    return [(fault["why"], fault["start"][11:16], fault["end"][11:16]) for fault in event.detail["seen"]]


def goes(booking: Booking, now) -> None:
    depots.close_connection(charger_id=booking.evse.charger_id, holder="gw", now=now)


def comes(booking: Booking, now) -> None:
    charger = booking.evse.charger
    depots.open_connection(
        charger_id=charger.pk, holder="gw", protocol="ocpp1.6", lease=timedelta(hours=9), now=now
    )
    depots.reconcile(charger_id=charger.pk, holder="gw", rebooted=False, now=now)
    answer("accepted", now=now)


def test_a_healthy_charger_is_no_excuse():
    assert waived(armed(book(evse_online()))) is None


def test_a_charger_that_was_away_and_came_back_kept_the_truck_from_charging():
    booking = armed(book(evse_online()))

    goes(booking, at(9, 50))
    comes(booking, at(10, 5))

    assert waived(booking) == [("offline", "10:00", "10:05")]


def test_a_connection_that_drops_for_seconds_keeps_nobody_from_charging():
    booking = armed(book(evse_online()))

    goes(booking, at(10, 5))
    comes(booking, at(10, 5).replace(second=30))

    assert waived(booking) is None


def test_what_was_over_before_the_slot_is_no_fault_in_it():
    booking = armed(book(evse_online()))

    goes(booking, at(9, 50))
    comes(booking, at(9, 58))

    assert waived(booking) is None


def test_a_fault_is_seen_until_it_is_over():
    booking = armed(book(evse_online()))
    evse = booking.evse

    for status, now in (("faulted", at(10, 3)), ("available", at(10, 9))):
        depots.report_status(
            charger_id=evse.charger_id, evse_number=evse.number, status=status, at=now, now=now
        )
    answer("accepted", now=at(10, 9))

    assert waived(booking) == [("faulted", "10:03", "10:09")]


def test_a_slot_that_only_the_gate_guards_needs_a_charger_that_is_there():
    booking = book(evse_online())
    enforcement.arm_due(now=at(9, 45))
    answer("rejected", now=at(9, 45))
    booking.refresh_from_db()
    assert booking.enforcement == "soft"

    Charger.objects.update(lease_holder="", lease_until=at(9, 55))

    assert waived(booking) == [("offline", "10:00", "10:15")]


def test_a_closed_evse_is_the_depots_fault():
    booking = armed(book(evse_online()))
    Closure.objects.create(
        evse=booking.evse, starts_at=at(9), ends_at=at(10, 10), created_at=at(8), created_by_kind="manager"
    )

    assert waived(booking) == [("closed", "10:00", "10:10")]


def test_a_late_tick_looks_only_at_the_time_in_which_the_truck_was_to_come():
    booking = armed(book(evse_online()))
    goes(booking, at(10, 20))

    scheduler.run_tick(at(10, 30))

    booking.refresh_from_db()
    assert booking.status == "no_show"
    assert not booking.events.filter(kind="waived").exists()


def test_a_vehicle_that_stands_in_the_bay_kept_the_booked_one_from_charging():
    booking = armed(book(evse_online()))
    Charger.objects.filter(pk=booking.evse.charger_id).update(measured={"reservation": "works"})
    Evse.objects.filter(pk=booking.evse_id).update(told_status="occupied", status_received_at=at(10, 4))

    assert waived(booking) == [("occupied", "10:04", "10:15")]


def test_a_charger_cut_off_without_the_booked_tokens_in_its_list_is_at_fault():
    evse = evse_online(make_depot(terms=TERMS, fallbacks=["local_list"]))
    Charger.objects.filter(pk=evse.charger_id).update(told={"local_list": True})
    booking = armed(book(evse))
    scheduler.run_tick(at(9, 46))
    sent = evse.charger.commands.get(action="send_local_list")

    online(evse.charger, connected_at=at(10, 9))
    depots.settle_command(command_id=sent.pk, answer="accepted", now=at(10, 9))

    assert waived(booking) == [("stale_list", "10:00", "10:09")]


def limit(booking: Booking, kw: int, until, *, now) -> None:
    actor, period = Actor.manager("m@depot.example"), Period(now, until)
    operations.limit_depot(depot=booking.depot, watts=kw * 1000, period=period, actor=actor, now=now)


def test_a_depot_short_of_power_is_at_fault():
    booking = armed(book(evse_online()))

    limit(booking, 50, at(10, 12), now=at(10, 2))

    assert waived(booking) == [("no_power", "10:02", "10:12")]


def test_a_limit_is_told_before_a_truck_that_is_late_is_judged():
    booking = armed(book(evse_online()))
    actor, period = Actor.manager("m@depot.example"), Period(at(10, 5), at(11))
    operations.limit_depot(depot=booking.depot, watts=50_000, period=period, actor=actor, now=at(10, 5))

    scheduler.run_tick(at(10, 20))  # nothing ticked meanwhile

    assert booking.events.get(kind="waived").detail["why"] == "no_power"


def test_who_would_have_had_its_power_in_spite_of_a_limit_is_waived_nothing():
    depot = make_depot(terms=TERMS, grid_limit_w=800_000)
    first = book(evse_online(depot), power_w=300_000)
    second = book(evse_online(depot), power_w=300_000, now=NOW + timedelta(minutes=1))
    enforcement.arm_due(now=at(9, 45))
    for command in ChargerCommand.objects.filter(action="reserve"):
        depots.settle_command(command_id=command.pk, answer="accepted", now=at(9, 45))

    limit(first, 350, at(11), now=at(9, 50))

    assert waived(first) is None
    assert waived(second) == [("no_power", "10:00", "10:15")]


def test_a_vehicle_that_stood_in_the_bay_and_left_before_the_end_had_kept_the_booked_one_out():
    booking = armed(book(evse_online()))
    evse = booking.evse

    for status, now in (("occupied", at(10, 1)), ("occupied", at(10, 8)), ("available", at(10, 12))):
        depots.report_status(
            charger_id=evse.charger_id, evse_number=evse.number, status=status, at=now, now=now
        )

    assert waived(booking) == [("occupied", "10:01", "10:12")]


def test_every_spell_of_a_fault_is_seen_and_none_of_what_is_not_the_slots():
    booking = book(evse_online())
    enforcement.arm_due(now=at(9, 45))
    answer("rejected", now=at(9, 45))

    for gone, back in ((at(9, 40), at(9, 59)), (at(10, 2), at(10, 5)), (at(10, 8), at(10, 9))):
        goes(booking, gone)
        comes(booking, back)

    assert waived(booking) == [("offline", "10:02", "10:05"), ("offline", "10:08", "10:09")]


def test_the_history_of_every_no_show_says_what_the_charger_told():
    booking = armed(book(evse_online()))
    Evse.objects.filter(pk=booking.evse_id).update(told_status="reserved", status_received_at=at(9, 46))

    assert waived(booking) is None

    words = next(
        m.text for m in moments(booking, organisation_ids=[], is_fleet=True) if "told in that time" in m.title
    )
    assert words == (
        "Its charger was connected. The EVSE said reserved last at 10:46. The reservation was answered with accepted at 10:45."
    )
