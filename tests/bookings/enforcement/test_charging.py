"""What becomes of a booking while it charges: sessions that fail, break off, are taken up again, or outlive the slot."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from bookings import enforcement, scheduler
from bookings.models import Booking, BookingEvent, Occupancy
from bookings.pages.history import moments
from bookings.templatetags.board import charged
from depots import operations as depots
from depots.models import Charger, ChargingSession, Evse
from tests.bookings.enforcement.charging_trucks import charging, fresh, happened, stop
from tests.bookings.enforcement.online_chargers import (
    TERMS,
    answer,
    armed,
    book,
    commands,
    evse_online,
    online,
    start,
)
from tests.bookings.gate_questions import ask
from tests.factories import at, make_depot, make_option, make_vehicle, slot

pytestmark = pytest.mark.django_db


def told(evse: Evse, status: str, now: datetime) -> None:
    depots.report_status(charger_id=evse.charger_id, evse_number=evse.number, status=status, at=now, now=now)


def taken_until(booking: Booking) -> datetime | None:
    row = Occupancy.objects.filter(holder=booking.pk, kind="booking").first()
    return row.span.ends_at if row else None


# Session over is not booking over


@pytest.mark.parametrize("wh", [0, 9])
def test_a_try_that_charged_nothing_leaves_the_slot_to_its_holder(wh):
    booking = charging()
    uid, evse = booking.tokens.get().uid, booking.evse
    stop(booking.session, at(10, 1), wh)

    booking = fresh(booking)
    assert (booking.status, taken_until(booking)) == ("charging", at(11))
    assert ask(evse, uid, at(10, 2)) == (True, "")
    assert ask(evse, make_vehicle().tokens.get().uid, at(10, 2)) == (False, "booked_by_another")

    again = start(evse, uid, at(10, 3))
    stop(again, at(10, 50), 200_000)
    booking = fresh(booking)
    assert (booking.status, booking.session, booking.metered_wh) == ("completed", again, 200_000 + wh)
    assert booking.visits.count() == 2


@pytest.mark.parametrize("wh", [10, 500, -500, None])
def test_any_other_end_completes_it_at_once(wh):
    booking = charging()
    stop(booking.session, at(10, 30), wh)

    booking = fresh(booking)
    proven = wh if wh is not None and wh > 0 else None
    assert (booking.status, booking.metered_wh) == ("completed", proven if wh is not None else 0)
    assert taken_until(booking) == at(10, 30)
    (over,) = [d for d in happened(booking, "status") if "ended_at" in d]
    assert over.get("flag") == (None if proven else "meter")


def test_a_failed_try_that_nobody_repeats_is_over_with_the_slot():
    booking = charging()
    stop(booking.session, at(10, 1), 0)

    scheduler.run_tick(at(10, 59))
    assert fresh(booking).status == "charging"
    scheduler.run_tick(at(11))
    assert (fresh(booking).status, taken_until(booking)) == ("completed", at(11))


def test_a_failed_try_heard_of_after_the_slot_completes_it():
    booking = charging()
    stop(booking.session, at(11, 1), 0)

    assert fresh(booking).status == "completed"


def test_the_stay_lasts_until_the_charger_shows_that_the_vehicle_has_left():
    booking = charging()
    evse = booking.evse
    told(evse, "charging", at(10, 1))
    stop(booking.session, at(10, 30), 50_000)
    assert taken_until(booking) == at(11)

    told(evse, "occupied", at(10, 31))
    assert taken_until(booking) == at(11)
    told(evse, "available", at(10, 40))
    assert (fresh(booking).status, taken_until(booking)) == ("completed", at(10, 40))


def test_a_session_in_what_is_left_of_the_slot_is_attached_and_the_status_stays():
    booking = charging()
    uid, evse = booking.tokens.get().uid, booking.evse
    stop(booking.session, at(10, 10), 20_000, "PowerLoss")
    assert (fresh(booking).status, fresh(booking).interrupted_why) == ("completed", "power_loss")

    later = start(evse, uid, at(10, 15))
    booking = fresh(booking)
    assert (booking.status, booking.session, booking.is_interrupted) == ("completed", later, False)
    assert taken_until(booking) == at(11)
    stop(later, at(10, 57), 100_000)

    booking = fresh(booking)
    assert (booking.status, booking.metered_wh, booking.is_interrupted) == ("completed", 120_000, False)
    assert taken_until(booking) == at(10, 57)


def test_a_second_card_at_another_evse_does_not_take_over_what_charges():
    depot = make_depot(terms=TERMS)
    one, two = evse_online(depot), evse_online(depot)
    booking = charging(one, option=make_option(one, two))
    first, other = booking.session, two if booking.evse == one else one
    start(other, booking.tokens.get().uid, at(10, 5))

    assert fresh(booking).session == first


def test_a_truck_at_another_evse_of_its_booking_is_told_in_the_history():
    depot = make_depot(terms=TERMS)
    one, two = evse_online(depot), evse_online(depot)
    booking = armed(book(one, option=make_option(one, two)))
    other = two if booking.evse == one else one
    start(other, booking.tokens.get().uid, at(9, 55))

    assert happened(booking, "status")[-1]["instead_of"] == booking.evse.uid
    story = moments(fresh(booking), organisation_ids=[], is_fleet=True)
    assert f"At {other.uid} instead of {booking.evse.uid}." in [moment.text for moment in story]


# Interrupted


@pytest.mark.parametrize(
    ("reason", "why"),
    [
        ("EmergencyStop", "emergency_stop"), ("PowerLoss", "power_loss"), ("HardReset", "restart"),
        ("Other", "fault"), ("GroundFault", "fault"), ("Remote", "stopped_remotely"), ("Local", "stopped_early"),
        ("EVDisconnected", "stopped_early"), ("SOCLimitReached", ""),
    ],
)  # fmt: skip
def test_an_early_end_is_marked_as_an_interruption(reason, why):
    booking = charging()
    stop(booking.session, at(10, 5), 15_000, reason)

    booking = fresh(booking)
    assert (booking.status, booking.interrupted_why) == ("completed", why)
    assert (booking.is_interrupted, charged(booking)) == (bool(why), "15 of about 267 kWh")
    assert len(happened(booking, "interrupted")) == bool(why)
    story = moments(booking, organisation_ids=[], is_fleet=True)
    texts = [moment.text for moment in story if moment.title == "Charging broke off"]
    assert all(text.startswith("15 of about 267 kWh. ") for text in texts)


@pytest.mark.parametrize(
    ("wh", "now", "reason"),
    [
        (250_000, at(10, 40), "EmergencyStop"),
        (150_000, at(10, 40), "Local"),
        (15_000, at(10, 56), "PowerLoss"),
    ],
)
def test_who_has_about_what_was_expected_or_leaves_at_the_end_is_not_interrupted(wh, now, reason):
    booking = charging()
    stop(booking.session, now, wh, reason)

    assert not fresh(booking).is_interrupted


def test_a_battery_that_is_full_enough_is_no_interruption():
    booking = charging()
    ChargingSession.objects.update(soc_percent=84)
    stop(ChargingSession.objects.get(), at(10, 20), 15_000)

    assert not fresh(booking).is_interrupted


def test_a_fault_marks_what_charges_and_the_mark_goes_when_it_charges_again():
    booking = charging()
    told(booking.evse, "faulted", at(10, 10))
    assert (fresh(booking).status, fresh(booking).interrupted_why) == ("charging", "fault")

    told(booking.evse, "charging", at(10, 11))
    assert not fresh(booking).is_interrupted
    assert [e.kind for e in booking.events.filter(kind__in=["interrupted", "resumed"])] == [
        "interrupted",
        "resumed",
    ]


def test_a_fault_told_just_after_the_stop_is_the_reason_of_it():
    booking = charging()
    stop(booking.session, at(10, 20), 140_000)
    assert not fresh(booking).is_interrupted
    told(booking.evse, "faulted", at(10, 20))

    assert fresh(booking).interrupted_why == "fault"


def test_a_charger_that_is_lost_while_it_charges_marks_the_booking_until_it_is_back():
    booking = charging()
    charger = booking.evse.charger
    Charger.objects.filter(pk=charger.pk).update(lease_holder="", lease_until=at(10, 10))

    scheduler.run_tick(at(10, 14))
    assert not fresh(booking).is_interrupted
    scheduler.run_tick(at(10, 15))
    scheduler.run_tick(at(10, 16))
    assert (fresh(booking).status, fresh(booking).interrupted_why) == ("charging", "offline")
    assert len(happened(booking, "interrupted")) == 1

    enforcement.charger_connected(online(charger), rebooted=False, now=at(10, 20))
    assert not fresh(booking).is_interrupted


# Overstay


@pytest.mark.parametrize("late_min", [0, 10])
def test_a_session_that_outlives_its_slot_is_told_once(late_min):
    booking = charging(evse_online(make_depot(terms={**TERMS, "late_stop_min": late_min})))
    until = at(11) + timedelta(minutes=late_min)

    scheduler.run_tick(until - timedelta(seconds=1))
    assert not fresh(booking).overstays(until - timedelta(seconds=1))
    assert happened(booking, "overstay") == []
    for seconds in (0, 1, 300):
        scheduler.run_tick(until + timedelta(seconds=seconds))
    assert fresh(booking).overstays(until)
    assert len(happened(booking, "overstay")) == 1


@pytest.mark.parametrize("enforced", ["armed", "soft"])
@pytest.mark.parametrize("is_booked", [True, False])
def test_the_next_truck_is_no_no_show_while_somebody_elses_session_is_at_its_bay(enforced, is_booked):
    evse = evse_online(make_depot(terms={**TERMS, "early_start_min": 0, "walk_in": "known"}))
    stays = book(evse, slot(9, 10)) if is_booked else None
    start(evse, stays.tokens.get().uid if stays else make_vehicle().tokens.get().uid, at(9))
    later = book(evse, slot(10, 11), now=at(9))
    Booking.objects.filter(pk=later.pk).update(enforcement=enforced)

    scheduler.run_tick(at(9, 56))
    assert (fresh(later).enforcement, fresh(later).enforcement_why) == ("at_risk", "occupied")
    scheduler.run_tick(at(10, 15))
    later = fresh(later)
    assert (later.status, later.cancelled_by, later.cancel_reason) == ("cancelled", "depot", "FULL")


def test_a_truck_that_follows_another_is_at_risk_only_once_its_own_slot_has_begun():
    evse = evse_online(make_depot(terms={**TERMS, "early_start_min": 0}))
    before = book(evse, slot(9, 10))
    start(evse, before.tokens.get().uid, at(9))
    later = book(evse, slot(10, 11))

    for minute in range(55, 60):
        scheduler.run_tick(at(9, minute))
    assert (fresh(later).enforcement, happened(later, "enforcement")) == ("not_due", [])

    scheduler.run_tick(at(10))
    assert fresh(later).enforcement in {"due", "at_risk"}


def test_the_next_truck_is_moved_from_a_bay_where_the_one_before_overstays():
    depot = make_depot(terms={**TERMS, "early_start_min": 0})
    evse, free = evse_online(depot), evse_online(depot)
    stays = book(evse, slot(9, 10))
    start(evse, stays.tokens.get().uid, at(9))
    later = book(evse, slot(10, 11))
    Booking.objects.filter(pk=later.pk).update(enforcement="soft")

    for second in (0, 10, 20):
        scheduler.run_tick(at(9, 56) + timedelta(seconds=second))

    assert fresh(later).evse == free


def test_a_truck_that_has_charged_since_before_its_time_has_come():
    evse = evse_online()
    booking = book(evse, slot(12, 13))
    session = start(evse, booking.tokens.get().uid, at(10))
    assert fresh(booking).status == "confirmed"

    scheduler.run_tick(at(12, 15))

    assert (fresh(booking).status, fresh(booking).session) == ("charging", session)


# A moment is not a fault


def two_evses() -> tuple[Booking, Evse]:
    depot = make_depot(terms=TERMS)
    evse, other = evse_online(depot), evse_online(depot)
    booking = armed(book(evse, option=make_option(evse, other)))
    assert booking.evse == evse
    return booking, evse


def tick_from(first: datetime, last: datetime) -> None:
    while first <= last:
        enforcement.retry_due(now=first)
        enforcement.rescue(now=first)
        first += timedelta(seconds=10)


def test_two_seconds_out_of_service_move_nobody():
    booking, evse = two_evses()

    told(evse, "unavailable", at(9, 47))
    tick_from(at(9, 47), at(9, 47))
    told(evse, "available", at(9, 47) + timedelta(seconds=2))
    tick_from(at(9, 48), at(9, 52))
    answer("accepted", now=at(9, 52))

    assert (fresh(booking).evse, fresh(booking).enforcement) == (evse, "armed")


def test_an_ordinary_restart_moves_nobody():
    booking, evse = two_evses()
    charger = evse.charger

    told(evse, "unavailable", at(9, 47))
    depots.close_connection(charger_id=charger.pk, holder="gw", now=at(9, 47))
    assert fresh(booking).enforcement_why == "offline"
    tick_from(at(9, 47), at(9, 49))
    online(charger)
    told(evse, "unavailable", at(9, 50))
    tick_from(at(9, 50), at(9, 50) + timedelta(seconds=40))
    told(evse, "available", at(9, 51))
    tick_from(at(9, 51), at(9, 55))

    assert fresh(booking).evse == evse


@pytest.mark.parametrize(
    ("since", "until"),
    [
        (at(9, 47), at(9, 48)),
        (
            at(
                9,
                57,
            )
            + timedelta(seconds=30),
            at(9, 58),
        ),
    ],
)
def test_out_of_service_is_left_after_its_grace_and_shortly_before_the_start(since, until):
    booking, evse = two_evses()

    told(evse, "unavailable", since)
    tick_from(since, until - timedelta(seconds=1))
    assert fresh(booking).evse == evse
    enforcement.rescue(now=until)
    assert fresh(booking).evse != evse


def test_an_evse_that_is_back_and_being_asked_is_not_left():
    booking, evse = two_evses()
    told(evse, "unavailable", at(9, 47))
    told(evse, "available", at(9, 47) + timedelta(seconds=59))

    enforcement.rescue(now=at(9, 49))

    assert fresh(booking).evse == evse
    assert commands(evse.charger)[-1] == ("reserve", booking.pk)


def test_a_reservation_answered_unavailable_waits_for_its_grace_too():
    depot = make_depot(terms=TERMS)
    evse, other = evse_online(depot), evse_online(depot)
    booking = book(evse, option=make_option(evse, other))
    enforcement.arm_due(now=at(9, 45))
    answer("unavailable", now=at(9, 45))
    assert fresh(booking).evse == evse

    enforcement.rescue(now=at(9, 46))
    assert fresh(booking).evse == other


def test_a_charger_that_keeps_no_reservations_is_the_last_to_be_moved_to():
    depot = make_depot(terms=TERMS)
    evse, soft = evse_online(depot), evse_online(depot)
    firm = evse_online(depot)
    Charger.objects.filter(pk=soft.charger_id).update(measured={"reservation": "refuses"})
    booking = armed(book(evse, option=make_option(evse, soft)))
    assert booking.evse == evse

    told(evse, "faulted", at(9, 50))
    assert fresh(booking).evse == firm

    told(firm, "faulted", at(9, 51))
    assert fresh(booking).evse == soft


def test_nothing_is_left_of_the_marks_of_a_booking_that_was_never_interrupted():
    booking = charging()
    stop(booking.session, at(10, 58), 260_000)

    assert not BookingEvent.objects.filter(kind__in=["interrupted", "resumed", "overstay"]).exists()
    assert not fresh(booking).is_interrupted
