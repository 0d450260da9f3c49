"""What the charger is told about a booking, and what its answers make of it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from unittest.mock import patch

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from bookings import enforcement, errors, operations, scheduler
from bookings.enforcement import arming
from bookings.gate import may_charge
from bookings.models import Booking, Token
from bookings.rules.fit import Needs
from depots import operations as depots
from depots.models import Charger, ChargerCommand, Evse, Organisation
from depots.signals import reservation_ended
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
from tests.factories import (
    DISPATCHER,
    MANAGER,
    NOW,
    PARTNER,
    at,
    book_slot,
    change_slot,
    make_charger,
    make_depot,
    make_evse,
    make_option,
    make_vehicle,
    option_of,
    place_hold,
    slot,
)

pytestmark = pytest.mark.django_db


def test_a_booking_is_armed_at_its_lead_and_not_before():
    booking = book(evse_online())

    assert enforcement.arm_due(now=at(9, 44)) == 0
    assert enforcement.arm_due(now=at(9, 45)) == 1
    assert enforcement.arm_due(now=at(9, 45)) == 0

    command = ChargerCommand.objects.get()
    token = booking.tokens.get()
    assert command.payload == {
        "reservation_id": booking.pk,
        "evse": 1,
        "token": token.uid,
        "token_type": "RFID",
        "group": booking.group,
        "expires_at": "2030-01-15T10:15:00Z",
    }
    booking.refresh_from_db()
    assert booking.enforcement == "due"


def test_of_a_days_bookings_only_those_that_are_due_are_read_every_second():
    evse = evse_online(make_depot(terms={**TERMS, "arm_lead_min": 5, "early_start_min": 20}))
    due = book(evse, slot(10, 11))
    for hour in (12, 13, 14):
        book(evse, slot(hour, hour + 1))

    with patch.object(arming, "is_due", wraps=arming.is_due) as asked:
        assert enforcement.arm_due(now=at(9, 39)) == 0
        assert not asked.called
        assert enforcement.arm_due(now=at(9, 40)) == 1
    assert {call.args[0].pk for call in asked.call_args_list} == {due.pk}


def test_a_booking_just_made_within_the_lead_is_armed_at_once():
    evse = evse_online(make_depot(terms={**TERMS, "min_duration_min": 2, "slot_step_min": 1}))

    booking = book(evse, slot((10, 5), 11), now=at(10))

    assert commands() == [("reserve", booking.pk)]


def test_an_accepted_reservation_arms_the_booking():
    booking = armed(book(evse_online()))

    assert [e.after for e in booking.events.filter(kind="enforcement")] == ["due", "armed"]


def test_a_token_too_long_for_ocpp_1_6_gives_way_to_the_next_and_at_last_to_a_generated_one():
    vehicle = make_vehicle(token=None)
    vehicle.tokens.create(fleet=vehicle.fleet, uid="A" * 30)
    booking = book(evse_online(), vehicle=vehicle)

    enforcement.arm_due(now=at(9, 45))

    assert ChargerCommand.objects.get().payload["token"] == booking.group


def test_an_occupied_evse_is_tried_again_on_its_next_status_and_every_minute():
    evse = evse_online()
    booking = book(evse)
    enforcement.arm_due(now=at(9, 45))

    answer("occupied", now=at(9, 45))

    booking.refresh_from_db()
    assert (booking.enforcement, booking.enforcement_why) == ("at_risk", "occupied")
    assert enforcement.retry_due(now=at(9, 45)) == 0
    assert enforcement.retry_due(now=at(9, 46)) == 1
    assert commands() == [("reserve", booking.pk)] * 2
    answer("occupied", now=at(9, 46))
    assert evse.charger is not None
    Evse.objects.filter(pk=evse.pk).update(status="occupied")
    depots.report_status(
        charger_id=evse.charger_id, evse_number=1, status="available", at=at(9, 47), now=at(9, 47)
    )
    assert commands() == [("reserve", booking.pk)] * 3


def test_an_evse_that_says_again_that_it_is_free_is_tried_again():
    evse = evse_online()
    booking = book(evse)
    enforcement.arm_due(now=at(9, 45))
    answer("occupied", now=at(9, 45))

    depots.report_status(
        charger_id=evse.charger_id, evse_number=evse.number, status="available", at=at(9, 45), now=at(9, 45)
    )

    assert commands() == [("reserve", booking.pk)] * 2


@pytest.mark.parametrize("refusal", ["rejected", "not_supported"])
def test_a_charger_that_refuses_reservations_makes_it_soft(refusal):
    booking = book(evse_online())
    enforcement.arm_due(now=at(9, 45))

    answer(refusal, now=at(9, 45))

    booking.refresh_from_db()
    assert (booking.enforcement, booking.status) == ("soft", "confirmed")


def test_a_charger_that_refused_once_is_asked_again():
    evse = evse_online()
    first = book(evse)
    enforcement.arm_due(now=at(9, 45))
    answer("rejected", now=at(9, 45))
    operations.cancel_booking(booking_id=first.pk, reason="BLOCKED", by="depot", actor=MANAGER, now=at(9, 46))

    second = book(evse, now=at(9, 46))

    assert commands()[-1] == ("reserve", second.pk)


def test_a_charger_that_refused_and_says_that_it_cannot_is_not_asked():
    evse = evse_online()
    Charger.objects.filter(pk=evse.charger_id).update(
        told={"reservation": False}, measured={"reservation": "refuses"}
    )

    booking = book(evse, now=at(9, 46))

    booking.refresh_from_db()
    assert (booking.enforcement, booking.enforcement_why) == ("soft", "not_supported")
    assert commands() == []


def test_a_charger_that_lied_is_asked_to_reserve_but_not_believed():
    evse = evse_online()
    Charger.objects.filter(pk=evse.charger_id).update(measured={"reservation": "lies"})
    booking = book(evse)
    enforcement.arm_due(now=at(9, 45))

    answer("accepted", now=at(9, 45))

    booking.refresh_from_db()
    assert (booking.enforcement, booking.enforcement_why) == ("soft", "lies")
    operations.cancel_booking(
        booking_id=booking.pk, reason="BLOCKED", by="depot", actor=MANAGER, now=at(9, 50)
    )
    assert commands()[-1] == ("cancel_reservation", booking.pk)


def test_a_charger_that_has_started_again_is_trusted_anew():
    charger = evse_online().charger
    Charger.objects.filter(pk=charger.pk).update(told={"reservation": True}, measured={"reservation": "lies"})

    depots.record_boot(charger_id=charger.pk, vendor="V", model="M", now=NOW)

    charger.refresh_from_db()
    assert (charger.told, charger.measured) == ({"reservation": True}, {})


def test_a_lost_answer_is_at_risk_and_a_late_one_arms():
    booking = book(evse_online())
    enforcement.arm_due(now=at(9, 45))

    answer("", state="unclear", now=at(9, 46))

    booking.refresh_from_db()
    assert (booking.enforcement, booking.enforcement_why) == ("at_risk", "no_answer")
    answer("accepted", now=at(9, 47))
    booking.refresh_from_db()
    assert booking.enforcement == "armed"


def test_a_reservation_that_is_accepted_once_its_truck_charges_is_used_and_not_taken_back():
    booking = book(evse_online())
    enforcement.arm_due(now=at(9, 45))
    start(booking.evse, booking.tokens.get().uid, at(9, 46))

    answer("accepted", now=at(9, 46))

    booking.refresh_from_db()
    assert (booking.status, booking.enforcement, booking.armed_evse) == ("charging", "used", None)
    assert commands() == [("reserve", booking.reservation_id)]


def test_a_faulted_evse_is_swapped_at_once_for_a_working_one():
    depot = make_depot(terms=TERMS)
    broken, spare = evse_online(depot), evse_online(depot)
    booking = book(broken)
    enforcement.arm_due(now=at(9, 45))

    answer("faulted", now=at(9, 45))

    booking.refresh_from_db()
    assert (booking.evse, booking.is_changed_unseen, booking.enforcement) == (spare, True, "due")
    assert booking.events.get(kind="changed").detail["why"] == "faulted"
    assert commands(spare.charger) == [("reserve", booking.pk)]


def test_a_limit_from_outside_keeps_no_truck_from_another_evse():
    """It may take little for now, and there is power again later."""
    depot = make_depot(terms=TERMS)
    broken, spare = evse_online(depot), evse_online(depot)
    booking = book(broken)
    operations.limit_depot(depot=depot, watts=10_000, period=slot(9, (10, 30)), actor=DISPATCHER, now=at(9))
    enforcement.arm_due(now=at(9, 45))
    answer("faulted", now=at(9, 45))

    enforcement.rescue(now=at(9, 46))

    promised_w = booking.promised_power_w
    booking.refresh_from_db()
    assert (booking.evse, booking.promised_power_w) == (spare, promised_w)


def test_an_evse_still_occupied_five_minutes_before_the_start_is_swapped():
    depot = make_depot(terms=TERMS)
    evse, spare = evse_online(depot), evse_online(depot)
    booking = book(evse)
    enforcement.arm_due(now=at(9, 45))
    answer("occupied", now=at(9, 45))

    assert enforcement.rescue(now=at(9, 54)) == 0
    assert enforcement.rescue(now=at(9, 55)) == 1

    booking.refresh_from_db()
    assert booking.evse == spare


def test_a_plug_that_is_just_being_freed_is_waited_for_even_shortly_before_the_start():
    depot = make_depot(terms={**TERMS, "min_duration_min": 2, "slot_step_min": 1})
    evse, spare = evse_online(depot), evse_online(depot)
    booking = book(evse, slot((10, 1), 11), now=at(10))
    answer("occupied", now=at(10))

    assert enforcement.rescue(now=at(10) + timedelta(seconds=19)) == 0
    assert enforcement.rescue(now=at(10) + timedelta(seconds=20)) == 1

    booking.refresh_from_db()
    assert booking.evse == spare


def test_without_another_evse_the_depot_cancels_at_the_no_show_time_and_says_full():
    booking = book(evse_online())
    enforcement.arm_due(now=at(9, 45))
    answer("occupied", now=at(9, 45))

    scheduler.run_tick(at(10, 14))
    booking.refresh_from_db()
    assert booking.status == "confirmed"
    scheduler.run_tick(at(10, 15))

    booking.refresh_from_db()
    assert (booking.status, booking.cancel_reason, booking.cancelled_by) == ("cancelled", "FULL", "depot")


def test_a_booking_whose_time_is_over_is_not_moved_any_more_but_ended_by_the_depot():
    depot = make_depot(terms=TERMS)
    evse, other = evse_online(depot), evse_online(depot)
    booking = book(evse)
    Evse.objects.filter(pk=other.pk).update(status="occupied")
    enforcement.arm_due(now=at(9, 45))
    answer("occupied", now=at(9, 45))
    scheduler.run_tick(at(10, 14))

    Evse.objects.filter(pk=other.pk).update(status="available")
    scheduler.run_tick(at(10, 15))

    booking.refresh_from_db()
    assert (booking.evse, booking.status, booking.cancel_reason) == (evse, "cancelled", "FULL")


@pytest.mark.parametrize(("minute", "moved"), [(14, True), (15, False)])
def test_a_fault_moves_a_booking_at_once_only_while_its_truck_may_still_come(minute, moved):
    depot = make_depot(terms=TERMS)
    evse, _ = evse_online(depot), evse_online(depot)
    booking = armed(book(evse))

    depots.report_status(
        charger_id=evse.charger_id,
        evse_number=evse.number,
        status="faulted",
        at=at(10, minute),
        now=at(10, minute),
    )

    booking.refresh_from_db()
    assert (booking.evse != evse) is moved


def test_a_truck_that_does_not_come_is_a_no_show_and_the_reservation_is_taken_back():
    booking = armed(book(evse_online()))

    scheduler.run_tick(at(10, 15))

    booking.refresh_from_db()
    assert (booking.status, booking.enforcement) == ("no_show", "released")
    assert commands()[-1] == ("cancel_reservation", booking.pk)


def test_a_no_show_while_the_charger_was_unreachable_is_free_of_its_fee():
    evse = evse_online()
    booking = armed(book(evse))
    depots.close_connection(charger_id=evse.charger_id, holder="gw", now=at(9, 50))

    scheduler.run_tick(at(10, 15))

    booking.refresh_from_db()
    assert booking.status == "no_show"
    assert booking.events.filter(kind="waived").get().detail["why"] == "offline"
    assert booking.events.get(after="no_show").detail == {"waived": "offline"}


def test_a_cancelled_booking_is_taken_back_from_the_charger():
    booking = armed(book(evse_online()))

    operations.cancel_booking(
        booking_id=booking.pk, reason="BLOCKED", by="depot", actor=MANAGER, now=at(9, 50)
    )

    assert commands() == [("reserve", booking.pk), ("cancel_reservation", booking.pk)]


def test_a_booking_moved_to_another_charger_is_armed_there_and_taken_back_here():
    depot = make_depot(terms=TERMS)
    here, there = evse_online(depot), evse_online(depot)
    booking = armed(book(here))

    change_slot(booking_id=booking.pk, evse=there, by="depot", actor=MANAGER, now=at(9, 50))

    assert commands(here.charger) == [("reserve", booking.pk), ("cancel_reservation", booking.pk)]
    assert commands(there.charger) == [("reserve", booking.pk)]


def test_an_answer_for_a_booking_cancelled_meanwhile_is_taken_back():
    booking = book(evse_online())
    enforcement.arm_due(now=at(9, 45))
    operations.cancel_booking(
        booking_id=booking.pk, reason="BLOCKED", by="depot", actor=MANAGER, now=at(9, 46)
    )
    ChargerCommand.objects.filter(action="cancel_reservation").delete()

    answer("accepted", now=at(9, 46))

    assert commands()[-1] == ("cancel_reservation", booking.pk)


def test_a_booking_placed_before_an_armed_one_disarms_it_first():
    terms = {**TERMS, "early_start_min": 0, "arm_lead_min": 60, "change_until_min": 0}
    evse = evse_online(make_depot(terms=terms))
    later = armed(book(evse, slot(10, 11)), now=at(9, 0))

    earlier = book(evse, slot((9, 15), (9, 45)), now=at(9, 1))

    later.refresh_from_db()
    assert later.enforcement == "not_due"
    assert commands() == [("reserve", later.pk), ("cancel_reservation", later.pk), ("reserve", earlier.pk)]
    assert enforcement.arm_due(now=at(9, 44)) == 0
    assert enforcement.arm_due(now=at(9, 46)) == 1


def test_a_booking_is_not_armed_while_another_still_has_the_evse():
    evse = evse_online(make_depot(terms={**TERMS, "slot_step_min": 5}))
    book(evse, slot((9, 0), (9, 50)))
    booking = book(evse, slot(10, 11))

    enforcement.arm_due(now=at(9, 49))
    booking.refresh_from_db()
    assert booking.enforcement == "not_due"
    enforcement.arm_due(now=at(9, 50))
    booking.refresh_from_db()
    assert booking.enforcement == "due"


def test_after_a_reconnect_cancels_come_first_and_what_should_stand_is_sent_again():
    evse = evse_online()
    gone = armed(book(evse, slot(10, 11)))
    Booking.objects.filter(pk=gone.pk).update(armed_evse=None)
    operations.cancel_booking(booking_id=gone.pk, reason="BLOCKED", by="depot", actor=MANAGER, now=at(9, 46))
    stands = armed(book(evse, slot((10, 0), 11), now=at(9, 46)), now=at(9, 46))
    before = len(commands())
    depots.close_connection(charger_id=evse.charger_id, holder="gw", now=at(9, 50))
    stands.refresh_from_db()
    assert (stands.enforcement, stands.enforcement_why) == ("at_risk", "offline")
    online(evse.charger)

    depots.reconcile(charger_id=evse.charger_id, holder="gw", rebooted=False, now=at(9, 51))

    assert commands()[before:] == [("cancel_reservation", gone.pk), ("reserve", stands.pk)]
    answer("accepted", now=at(9, 51))
    stands.refresh_from_db()
    assert stands.enforcement == "armed"


def test_an_offline_charger_puts_the_booking_at_risk_and_is_armed_on_return():
    evse = make_evse(make_depot(terms=TERMS))
    booking = book(evse)
    enforcement.arm_due(now=at(9, 45))
    booking.refresh_from_db()
    assert (booking.enforcement, booking.enforcement_why) == ("at_risk", "offline")
    online(evse.charger)

    depots.reconcile(charger_id=evse.charger_id, holder="gw", rebooted=True, now=at(9, 50))

    assert commands() == [("reserve", booking.pk)]


def test_a_reservation_the_charger_dropped_is_made_again():
    evse = evse_online()
    booking = armed(book(evse))

    reservation_ended.send(
        sender=Charger,
        charger=evse.charger,
        reservation_id=booking.pk,
        outcome="no_transaction",
        at=at(9, 55),
    )

    assert commands() == [("reserve", booking.pk)] * 2


def test_a_claim_that_a_charger_caps_is_renewed_with_the_same_id_before_it_ends():
    evse = evse_online(make_depot(terms={**TERMS, "arm_lead_min": 30}))
    booking = armed(book(evse), at(9, 30))
    depots.report_reservation_ended(
        charger_id=evse.charger_id, reservation_id=booking.pk, outcome="expired", now=at(9, 35)
    )
    assert ChargerCommand.objects.latest("id").payload["expires_at"] == "2030-01-15T09:40:00Z"
    answer("accepted", now=at(9, 35))

    assert enforcement.retry_due(now=at(9, 39)) == 0
    assert enforcement.retry_due(now=at(9, 39).replace(second=30)) == 1

    renewed = ChargerCommand.objects.latest("id")
    assert (renewed.reservation_id, renewed.payload["expires_at"]) == (booking.pk, "2030-01-15T09:44:30Z")
    booking.refresh_from_db()
    assert booking.enforcement == "armed"


def test_the_bookings_token_uses_it_and_its_end_completes_it():
    evse = evse_online()
    booking = armed(book(evse))
    token = booking.tokens.get()

    session = start(evse, token.uid.lower(), at(9, 55))
    booking.refresh_from_db()
    assert (booking.status, booking.enforcement, booking.session) == ("charging", "used", session)
    end = depots.Stop(transaction=session.transaction, at=at(10, 40), meter_wh=90_000)
    depots.stop_session(charger_id=evse.charger_id, stop=end, now=at(10, 40))

    booking.refresh_from_db()
    assert booking.status == "completed"
    assert book(evse, slot((10, 45), (11, 30)), now=at(10, 40)).status == "confirmed"


def test_a_stranger_in_a_booked_slot_is_refused_and_changes_nothing():
    evse = evse_online()
    booking = armed(book(evse))
    stranger = make_vehicle().tokens.get()

    session = start(evse, stranger.uid, at(9, 55))

    booking.refresh_from_db()
    assert not session.is_entitled
    assert booking.status == "confirmed"


def ask(charger: Charger, uid: str, now: datetime, evse: Evse | None = None) -> tuple[bool, str, str]:
    given = may_charge(charger=charger, evse=evse, token_uid=uid, now=now)
    return given.allowed, given.reason, given.group


def test_every_token_of_a_booking_is_let_in_under_its_group_from_the_moment_it_is_armed():
    evse = evse_online()
    vehicle = make_vehicle()
    vehicle.tokens.create(fleet=vehicle.fleet, uid="SECOND")
    booking = armed(book(evse, vehicle=vehicle))

    for token in booking.tokens.all():
        assert ask(evse.charger, token.uid, at(9, 45)) == (True, "", booking.group)


def test_a_stranger_may_charge_beside_a_booked_evse_but_not_at_it():
    depot = make_depot(terms=TERMS)
    charger = online(make_charger(depot))
    booked, free = make_evse(charger=charger), make_evse(charger=charger)
    armed(book(booked))
    stranger = make_vehicle().tokens.get().uid

    assert ask(charger, stranger, at(9, 50), booked) == (False, "booked_by_another", "")
    assert ask(charger, stranger, at(9, 50), free)[0]
    anywhere = may_charge(charger=charger, evse=None, token_uid=stranger, now=at(9, 50))
    assert (anywhere.allowed, anywhere.evse_numbers) == (True, [free.number])


def test_a_token_too_early_for_its_slot_is_told_so():
    evse = evse_online(make_depot(terms={**TERMS, "early_start_min": 5, "arm_lead_min": 15}))
    booking = armed(book(evse))

    assert ask(evse.charger, booking.tokens.get().uid, at(9, 50), evse) == (False, "not_yet", "")
    assert ask(evse.charger, booking.tokens.get().uid, at(9, 55), evse)[0]


def test_unknown_and_blocked_cards_are_refused_where_nobody_has_booked():
    evse = evse_online()
    vehicle = make_vehicle()
    vehicle.tokens.update(is_blocked=True)

    assert ask(evse.charger, "NEVERSEEN", NOW, evse) == (False, "unknown_token", "")
    assert ask(evse.charger, vehicle.tokens.get().uid, NOW, evse) == (False, "blocked", "")


def test_a_closed_evse_lets_nobody_charge():
    evse = evse_online()
    operations.close_evse(evse=evse, period=slot(9, 12), actor=MANAGER, now=NOW)

    assert ask(evse.charger, make_vehicle().tokens.get().uid, at(10), evse) == (False, "elsewhere", "")


def test_a_driver_at_another_free_evse_of_the_same_offer_uses_the_booking_there():
    depot = make_depot(terms=TERMS)
    one, two = evse_online(depot), evse_online(depot)
    booking = book(one, option=make_option(one, two))
    assert booking.evse is not None
    other = two if booking.evse == one else one
    enforcement.arm_due(now=at(9, 45))

    start(other, booking.tokens.get().uid, at(10, 2))

    left = booking.evse
    booking.refresh_from_db()
    assert (booking.status, booking.evse) == ("charging", other)
    assert book(left, slot((10, 15), 11), now=at(10, 2)).evse == left
    with pytest.raises(errors.SlotTaken):
        book(other, slot((10, 15), 11), now=at(10, 2))


def test_a_session_whose_end_nobody_told_ends_when_its_evse_was_seen_free():
    evse = evse_online()
    booking = armed(book(evse))
    session = start(evse, booking.tokens.get().uid, at(9, 55))
    assert evse.charger_id is not None
    depots.report_status(
        charger_id=evse.charger_id, evse_number=1, status="available", at=at(10, 40), now=at(10, 40)
    )

    scheduler.run_tick(at(11, 59))
    booking.refresh_from_db()
    assert booking.status == "charging"
    scheduler.run_tick(at(12, 0))

    booking.refresh_from_db()
    session.refresh_from_db()
    assert (booking.status, session.ended_at, session.flags) == ("completed", at(10, 40), ["no_stop"])


def test_a_session_that_still_runs_long_after_its_slot_is_left_to_run():
    evse = evse_online()
    booking = armed(book(evse))
    start(evse, booking.tokens.get().uid, at(9, 55))

    scheduler.run_tick(at(13, 0))

    booking.refresh_from_db()
    assert booking.status == "charging"


def test_hundreds_due_at_once_take_few_statements_each(django_assert_max_num_queries):
    depot = make_depot(terms=TERMS)
    evses = [evse_online(depot) for _ in range(5)]
    for evse in evses:
        book(evse)

    with django_assert_max_num_queries(150):
        assert enforcement.arm_due(now=at(9, 45)) == 5


def test_the_scheduler_expires_holds_and_fails_what_nobody_decided():
    evse, slow = evse_online(), evse_online(make_depot(terms={**TERMS, "approval": True}))
    vehicle = make_vehicle()
    held = place_hold(
        fleet=vehicle.fleet,
        option=option_of(evse),
        vehicle=vehicle,
        period=slot(10, 11),
        actor=DISPATCHER,
        now=NOW,
    )
    asked = book(slow)

    scheduler.run_tick(NOW + timedelta(minutes=15))

    held.refresh_from_db()
    asked.refresh_from_db()
    assert (held.status, asked.status) == ("expired", "failed")


def test_an_answer_that_comes_after_an_earlier_truck_was_let_in_front_does_not_arm():
    terms = {**TERMS, "early_start_min": 0, "arm_lead_min": 60}
    evse = evse_online(make_depot(terms=terms))
    later = book(evse, slot(10, 11))
    enforcement.arm_due(now=at(9, 0))
    sent = ChargerCommand.objects.get(reservation_id=later.pk)
    book(evse, slot((9, 15), (9, 45)), now=at(9, 1))

    depots.settle_command(command_id=sent.pk, answer="accepted", now=at(9, 1))

    later.refresh_from_db()
    assert later.enforcement == "not_due"
    enforcement.arm_due(now=at(9, 46))
    later.refresh_from_db()
    assert later.enforcement == "due"


def test_a_reservation_accepted_after_an_older_one_was_refused_is_taken_back_in_the_end():
    evse = evse_online()
    booking = book(evse)
    enforcement.arm_due(now=at(9, 45))
    old = ChargerCommand.objects.get()
    depots.take_command(charger_id=evse.charger_id, holder="gw", now=at(9, 45))
    change_slot(booking_id=booking.pk, period=slot(10, (11, 30)), by="depot", actor=MANAGER, now=at(9, 45))
    depots.settle_command(command_id=old.pk, answer="rejected", now=at(9, 46))
    answer("accepted", now=at(9, 46))

    operations.cancel_booking(
        booking_id=booking.pk, reason="BLOCKED", by="depot", actor=MANAGER, now=at(9, 50)
    )

    assert commands()[-1] == ("cancel_reservation", booking.pk)


def test_a_truck_at_another_evse_of_the_offer_leaves_no_reservation_behind():
    depot = make_depot(terms=TERMS)
    one, two = evse_online(depot), evse_online(depot)
    booking = armed(book(one, option=make_option(one, two)))
    other = two if booking.evse == one else one

    start(other, booking.tokens.get().uid, at(10, 2))

    assert commands()[-1] == ("cancel_reservation", booking.pk)


def test_the_next_truck_may_start_early_once_the_one_before_it_has_left():
    evse = evse_online(make_depot(terms={**TERMS, "slot_step_min": 5, "min_duration_min": 5}))
    first, second = book(evse, slot(9, 10)), book(evse, slot(10, 11))
    session = start(evse, first.tokens.get().uid, at(9, 0))
    end = depots.Stop(transaction=session.transaction, at=at(9, 50), meter_wh=90_000)
    depots.stop_session(charger_id=evse.charger_id, stop=end, now=at(9, 50))
    armed(second, now=at(9, 50))

    start(evse, second.tokens.get().uid, at(9, 52))

    second.refresh_from_db()
    assert second.status == "charging"
    with pytest.raises(errors.SlotTaken):
        book(evse, slot((9, 55), 10), now=at(9, 54))


def test_a_partners_truck_whose_session_broke_off_may_start_again_in_its_slot():
    evse = evse_online(make_depot(terms={**TERMS, "turnaround_min": 5}))
    booking = armed(book(evse))
    uid = booking.tokens.get().uid
    Token.objects.all().delete()
    Organisation.objects.filter(pk=booking.fleet_id).update(is_partner=True)
    session = start(evse, uid, at(10, 1))
    end = depots.Stop(transaction=session.transaction, at=at(10, 2), meter_wh=1100)
    depots.stop_session(charger_id=evse.charger_id, stop=end, now=at(10, 2))

    for moment in (at(10, 3), at(10, 30)):
        assert ask(evse.charger, uid, moment, evse) == (True, "", "")
        assert ask(evse.charger, uid, moment) == (True, "", "")
    assert ask(evse.charger, uid, at(11), evse) == (False, "unknown_token", "")


def test_a_partners_driver_is_let_in_at_another_charger_of_the_offer():
    depot = make_depot(terms=TERMS)
    one, two = evse_online(depot), evse_online(depot)
    booking = armed(book(one, option=make_option(one, two)))
    uid = booking.tokens.get().uid
    Token.objects.all().delete()
    Organisation.objects.filter(pk=booking.fleet_id).update(is_partner=True)
    other = two if booking.evse == one else one

    assert ask(other.charger, uid, at(9, 50)) == (True, "", booking.group)
    assert ask(other.charger, uid, at(9, 50), other) == (True, "", booking.group)
    assert ask(evse_online(depot).charger, uid, at(9, 50)) == (False, "unknown_token", "")


def test_a_booking_that_cannot_be_armed_holds_up_no_other():
    broken, fine = book(evse_online()), book(evse_online())
    with patch.object(arming, "reservation", side_effect=_fails_for(broken)):
        assert enforcement.arm_due(now=at(9, 45)) == 1
        Booking.objects.update(enforcement="due", next_try_at=at(9, 46))
        assert enforcement.retry_due(now=at(9, 46)) == 1

    assert {pk for _, pk in commands()} == {fine.pk}


def _fails_for(broken: Booking) -> Any:
    made = arming.reservation

    def reservation(booking: Booking, charger: Charger, *told: Any) -> dict[str, Any]:
        if booking == broken:
            raise ValueError("a booking nobody foresaw")
        return made(booking, charger, *told)

    return reservation


def test_a_token_refused_too_early_uses_its_booking_when_it_is_shown_again():
    evse = evse_online(make_depot(terms={**TERMS, "early_start_min": 5}))
    booking = armed(book(evse))
    uid = booking.tokens.get().uid

    def show(seq_no: int, now: datetime) -> bool:
        kind = "updated" if seq_no else "started"
        report = depots.TransactionReport("T1", seq_no, kind, now, evse_number=evse.number, token_uid=uid)
        outcome = depots.record_transaction(charger_id=evse.charger_id, report=report, now=now)
        assert outcome.answer is not None
        return outcome.answer.allowed

    assert not show(0, at(9, 50))
    assert show(1, at(9, 56))

    booking.refresh_from_db()
    assert booking.status == "charging"
    assert not ChargerCommand.objects.filter(action="remote_stop", state="queued").exists()


@pytest.mark.parametrize("why", ["swap", "closure"])
def test_a_partners_truck_is_moved_only_to_where_what_it_asked_for_fits(why):
    depot = make_depot(terms=TERMS)
    booked = evse_online(depot, max_vehicle_length_cm=1800)
    short = evse_online(depot, max_vehicle_length_cm=1200)
    fleet = make_vehicle().fleet
    booking = book_slot(
        fleet=fleet, option=option_of(booked), period=slot(10, 11), needs=Needs(length_cm=1650),
        tokens=(), actor=PARTNER, now=NOW,
    )  # fmt: skip

    if why == "swap":
        enforcement.arm_due(now=at(9, 45))
        answer("faulted", now=at(9, 45))
        enforcement.rescue(now=at(9, 50))
    else:
        closure = operations.close_evse(evse=booked, period=slot(9, 12), actor=MANAGER, now=NOW)
        operations.clear_closure(closure_id=closure.pk, actor=MANAGER, now=NOW)

    booking.refresh_from_db()
    assert booking.evse != short


def test_an_ask_of_a_partner_that_has_left_fails_when_its_slot_is_over():
    asked = book(evse_online(make_depot(terms={**TERMS, "approval": True})))
    Booking.objects.filter(pk=asked.pk).update(route="outbound", decide_until=None)

    scheduler.run_tick(at(11))
    asked.refresh_from_db()
    assert asked.status == "requested"
    scheduler.run_tick(at(11, 2))

    asked.refresh_from_db()
    assert (asked.status, asked.requests.get().decision) == ("failed", "failed")


def test_a_start_in_time_that_is_heard_of_after_the_no_show_is_not_stopped():
    evse = evse_online()
    booking = armed(book(evse))
    uid = booking.tokens.get().uid
    Token.objects.all().delete()
    Organisation.objects.filter(pk=booking.fleet_id).update(is_partner=True)
    enforcement.give_up_or_no_show(booking_id=booking.pk, now=at(10, 15))

    def told_late(began_at: datetime) -> bool:
        begun = depots.Start(
            evse_number=evse.number, token_uid=uid, key=f"{began_at}", at=began_at, meter_wh=1
        )
        return depots.start_session(
            charger_id=evse.charger_id, start=begun, now=at(10, 40)
        ).session.is_entitled

    assert told_late(at(10, 5))
    assert not told_late(at(10, 20))


def test_ten_bookings_that_are_due_together_cost_as_many_statements_as_one_more():
    depot = make_depot(terms=TERMS)

    def statements(count: int) -> int:
        booked = [book(evse_online(depot)) for _ in range(count)]
        with CaptureQueriesContext(connection) as captured:
            assert enforcement.arm_due(now=at(9, 45)) == count
        armed = Booking.objects.filter(pk__in=[one.pk for one in booked], enforcement="due")
        assert [one.armed_evse_id for one in armed.order_by("pk")] == [one.evse_id for one in booked]
        assert {one.events.filter(kind="enforcement", after="due").count() for one in booked} == {1}
        return len([query for query in captured if not query["sql"].startswith(("SAVEPOINT", "RELEASE"))])

    assert statements(10) == statements(1)


def test_bookings_armed_together_name_their_tokens_as_each_by_itself_does():
    together, alone = [book(evse_online()) for _ in range(3)], book(evse_online())
    Token.objects.filter(uid=together[1].tokens.get().uid).update(is_blocked=True)

    enforcement.arm_due(now=at(9, 45))

    told = {row.reservation_id: row.payload for row in ChargerCommand.objects.filter(action="reserve")}
    for booking in (*together, alone):
        charger = Charger.objects.get(pk=booking.evse.charger_id)
        row = Booking.objects.get(pk=booking.pk)
        assert told[booking.pk] == arming.reservation(row, charger, at(9, 45))
    assert told[together[1].pk]["token"] == together[1].group


@pytest.mark.parametrize("status", ["unavailable", "faulted"])
@pytest.mark.parametrize("is_answered_late", [False, True])
def test_a_reservation_that_ended_with_a_fault_of_moments_is_made_again(status, is_answered_late):
    booking = armed(book(evse_online()))
    evse = booking.evse

    def show(word: str, second: int) -> None:
        now = at(9, 46).replace(second=second)
        depots.report_status(charger_id=evse.charger_id, evse_number=1, status=word, at=now, now=now)

    show("reserved", 0)
    show(status, 10)
    booking.refresh_from_db()
    assert (booking.enforcement, booking.enforcement_why) == ("at_risk", status)
    if is_answered_late:
        Booking.objects.filter(pk=booking.pk).update(enforcement="armed", enforcement_why="")
    assert len(commands()) == 1
    show("available", 20)

    assert commands() == [("reserve", booking.reservation_id)] * 2
    answer("accepted", now=at(9, 47))
    booking.refresh_from_db()
    assert booking.enforcement == "armed"


def test_an_evse_that_shows_as_reserved_before_its_charger_answers_is_not_asked_again():
    booking = armed(book(evse_online()))
    evse = booking.evse

    def show(word: str, minute: int) -> None:
        depots.report_status(
            charger_id=evse.charger_id, evse_number=1, status=word, at=at(9, minute), now=at(9, minute)
        )

    show("faulted", 50)
    show("available", 51)
    assert len(commands()) == 2
    ChargerCommand.objects.filter(pk=ChargerCommand.objects.latest("id").pk).update(state="sent")
    show("reserved", 52)
    assert len(commands()) == 2

    answer("accepted", now=at(9, 53))
    booking.refresh_from_db()
    assert booking.enforcement == "armed"
    assert len(commands()) == 2


def test_a_lead_as_long_as_no_other_is_looked_for_as_far_ahead() -> None:
    usual, early = book(evse_online(), slot(12, 13)), book(evse_online(), slot(12, 13))
    Booking.objects.filter(pk=early.pk).update(terms_json={**early.terms_json, "arm_lead_min": 170})
    Booking.objects.filter(pk=usual.pk).update(terms_json={})

    assert enforcement.arm_due(now=at(9, 9)) == 0
    assert enforcement.arm_due(now=at(9, 10)) == 1
    assert enforcement.arm_due(now=at(11, 44)) == 0
    assert enforcement.arm_due(now=at(11, 45)) == 1
