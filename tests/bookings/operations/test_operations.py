"""What may be done to a booking at one of our depots, and what is refused."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from bookings import errors, operations
from bookings.core import calendars
from bookings.models import Booking, BookingRequest, BookingStatus, Occupancy
from bookings.rules.terms import Terms
from depots.models import Evse
from depots.periods import Period
from tests.factories import (
    DISPATCHER,
    MANAGER,
    NOW,
    at,
    book_slot,
    change_slot,
    make_depot,
    make_evse,
    make_fleet,
    make_opening_hours,
    make_option,
    make_vehicle,
    open_depot,
    option_of,
    place_hold,
    slot,
)

pytestmark = pytest.mark.django_db


def book(evse: Evse, period: Period = slot(10, 11), **wishes: Any) -> Booking:
    vehicle = wishes.pop("vehicle", None) or make_vehicle()
    asked = {"fleet": vehicle.fleet, "option": option_of(evse), "actor": DISPATCHER, "now": NOW, **wishes}
    return book_slot(vehicle=vehicle, period=period, **asked)


def occupied(booking: Booking, kind: str = "booking") -> Period | None:
    row = Occupancy.objects.filter(holder=booking.pk, kind=kind).first()
    return row.span if row else None


def test_a_free_slot_is_confirmed_at_once_and_occupied():
    evse = make_evse()

    booking = book(evse)

    assert (booking.status, booking.evse, booking.enforcement) == ("confirmed", evse, "not_due")
    assert occupied(booking) == slot(10, 11)
    assert [r.decision for r in booking.requests.all()] == ["accepted"]
    assert [(e.before, e.after) for e in booking.events.all()] == [("", "confirmed")]


def test_a_second_truck_cannot_take_a_taken_slot_and_is_told_the_nearest_free_one():
    evse = make_evse()
    book(evse, slot(10, 12))

    with pytest.raises(errors.SlotTaken) as refusal:
        book(evse, slot(11, 12))

    assert refusal.value.nearest == slot(12, 13)
    assert Booking.objects.count() == 1


def test_slots_that_only_touch_both_stand():
    evse = make_evse()

    book(evse, slot(10, 11))
    book(evse, slot(11, 12))

    assert Occupancy.objects.count() == 2


def test_turnaround_keeps_the_next_truck_away():
    evse = make_evse(make_depot(terms={"turnaround_min": 15}))
    book(evse, slot(10, 11))

    with pytest.raises(errors.SlotTaken):
        book(evse, slot(11, 12))

    assert book(evse, slot((11, 15), 12)).status == "confirmed"


def test_early_start_reaches_back_but_not_into_the_span_before_it():
    evse = make_evse(make_depot(terms={"early_start_min": 30}))
    book(evse, slot((9, 0), (9, 45)))

    booking = book(evse, slot(10, 11))

    assert occupied(booking) == Period(at(9, 45), at(11))


def test_early_start_does_not_reach_before_the_booking_was_made():
    evse = make_evse(make_depot(terms={"early_start_min": 60}))

    booking = book(evse, slot((8, 30), (9, 30)))

    assert occupied(booking) == Period(NOW, at(9, 30))


def test_early_start_of_a_standing_booking_is_kept_for_it():
    evse = make_evse(make_depot(terms={"early_start_min": 30}))
    book(evse, slot(11, 12))

    with pytest.raises(errors.SlotTaken):
        book(evse, slot(10, 11))

    assert book(evse, slot(10, (10, 30))).status == "confirmed"


@pytest.mark.parametrize(
    ("period", "error"),
    [
        (slot(7, 8), errors.InThePast),
        (slot(8, 9), errors.TooSoon),
        (slot(10, 11, day=20), errors.TooFarAhead),
        (slot((10, 7), (11, 7)), errors.NotAligned),
        (slot(10, (10, 15)), errors.TooShort),
        (slot(10, 16), errors.TooLong),
        (slot(17, 18), errors.DepotClosed),
        (slot((16, 30), (17, 30)), errors.DepotClosed),
    ],
)
def test_terms_and_opening_hours_refuse(period, error):
    depot = make_depot(terms={"lead_min": 30}, charging_when_closed=False)
    make_opening_hours(depot, 0, 18 * 60)  # 18:00 in Berlin is 17:00 UTC

    with pytest.raises(error):
        book(make_evse(depot), period)

    assert not Booking.objects.exists()
    assert not Occupancy.objects.exists()


def test_a_vehicle_that_does_not_fit_is_told_why():
    evse = make_evse(max_vehicle_length_cm=1200, standard="MCS")

    with pytest.raises(errors.DoesNotFit) as refusal:
        book(evse, vehicle=make_vehicle(length_cm=1650))

    assert "16.50 m" in str(refusal.value)
    assert "plug" in str(refusal.value)


def test_a_depot_that_is_not_open_to_a_fleet_is_refused_and_one_opened_to_it_is_not():
    evse = make_evse(make_depot(open_to_all=False))
    vehicle = make_vehicle()

    with pytest.raises(errors.NotOpenToYou):
        book(evse, vehicle=vehicle)

    open_depot(evse.depot, vehicle.fleet)
    assert book(evse, vehicle=vehicle).status == "confirmed"


def test_another_fleets_vehicle_is_as_unknown_as_none():
    with pytest.raises(errors.VehicleUnknown):
        book(make_evse(), fleet=make_fleet())


def test_a_pooled_option_takes_the_tightest_fit_and_spares_the_rest():
    depot = make_depot()
    plain = make_evse(depot, max_power_w=400_000)
    make_evse(depot, max_power_w=400_000, refrigeration_outlet=True)
    pool = make_option(*depot.evses.all())
    first = book(plain, option=pool)
    second = book(plain, option=pool)

    assert first.evse == plain
    assert second.evse != plain
    with pytest.raises(errors.SlotTaken):
        book(plain, option=pool)


def test_a_pooled_option_fills_the_smallest_gap():
    depot = make_depot()
    wide, narrow = make_evse(depot), make_evse(depot)
    pool = make_option(wide, narrow)
    book(narrow, slot(9, 10))
    book(narrow, slot(11, 12))

    assert book(wide, slot(10, 11), option=pool).evse == narrow


def test_promises_of_power_never_exceed_the_grid_connection():
    depot = make_depot(grid_limit_w=500_000)
    one, two = make_evse(depot), make_evse(depot)
    book(one, power_w=300_000)

    with pytest.raises(errors.PowerUnavailable) as refusal:
        book(two, power_w=250_000)

    assert refusal.value.available_w == 200_000
    assert book(two).promised_power_w == 200_000
    assert book(two, slot(11, 12), power_w=400_000).promised_power_w == 400_000


def test_approval_waits_and_occupies_until_the_depot_decides():
    evse = make_evse(make_depot(terms={"approval": True}))

    booking = book(evse)

    assert booking.status == "requested"
    assert booking.decide_until == NOW + timedelta(minutes=15)
    assert occupied(booking) is not None
    assert operations.decide(booking_id=booking.pk, accept=True, actor=MANAGER, now=NOW).status == "confirmed"


def test_a_declined_request_gives_the_slot_back():
    evse = make_evse(make_depot(terms={"approval": True}))
    booking = book(evse)

    declined = operations.decide(
        booking_id=booking.pk, accept=False, reason="Yard is full", actor=MANAGER, now=NOW
    )

    assert declined.status == "declined"
    assert occupied(booking) is None
    assert book(evse).status == "requested"
    with pytest.raises(errors.NothingToDecide):
        operations.decide(booking_id=booking.pk, accept=True, actor=MANAGER, now=NOW)


def test_an_undecided_request_fails_at_its_deadline_and_not_before():
    booking = book(make_evse(make_depot(terms={"approval": True})))

    with pytest.raises(errors.NothingToDecide):
        operations.fail_undecided(booking_id=booking.pk, now=NOW + timedelta(minutes=14))
    failed = operations.fail_undecided(booking_id=booking.pk, now=NOW + timedelta(minutes=15))

    assert failed.status == "failed"
    assert [r.decision for r in failed.requests.all()] == ["failed"]


def test_a_change_of_time_moves_what_is_occupied():
    booking = book(make_evse())

    changed = change_slot(booking_id=booking.pk, period=slot(12, 13), actor=DISPATCHER, now=NOW)

    assert changed.period == slot(12, 13)
    assert occupied(booking) == slot(12, 13)
    assert changed.events.last().kind == "changed"
    assert changed.version == booking.version + 1
    assert not changed.is_changed_unseen


def test_a_change_may_overlap_its_own_booking_but_no_other():
    evse = make_evse()
    booking = book(evse, slot(10, 11))
    book(evse, slot(12, 13))

    assert change_slot(booking_id=booking.pk, period=slot(10, 12), actor=DISPATCHER, now=NOW).ends_at == at(
        12
    )
    with pytest.raises(errors.SlotTaken):
        change_slot(booking_id=booking.pk, period=slot(11, 13), actor=DISPATCHER, now=NOW)


def test_a_pooled_booking_changes_its_evse_when_its_own_is_taken():
    depot = make_depot()
    one, two = make_evse(depot), make_evse(depot)
    pool = make_option(one, two)
    booking = book(one, slot(10, 11), option=pool)
    book(booking.evse, slot(12, 13))

    moved = change_slot(booking_id=booking.pk, period=slot(12, 13), actor=DISPATCHER, now=NOW)

    assert {moved.evse, booking.evse} == {one, two}


def test_a_fleet_changes_until_its_deadline_and_a_depot_later():
    booking = book(make_evse())

    with pytest.raises(errors.ChangeTooLate):
        change_slot(booking_id=booking.pk, period=slot(12, 13), actor=DISPATCHER, now=at(9, 1))
    moved = change_slot(booking_id=booking.pk, period=slot(12, 13), by="depot", actor=MANAGER, now=at(9, 1))

    assert moved.period == slot(12, 13)
    assert moved.is_changed_unseen
    assert not operations.mark_seen(booking_id=booking.pk, actor=DISPATCHER, now=at(9, 2)).is_changed_unseen


def test_a_depot_gives_a_slot_that_has_begun_another_end():
    booking = book(make_evse())

    longer = change_slot(booking_id=booking.pk, period=slot(10, 12), by="depot", actor=MANAGER, now=at(10, 5))

    assert longer.ends_at == at(12)
    with pytest.raises(errors.InThePast):
        change_slot(
            booking_id=booking.pk, period=slot(10, (10, 30)), by="depot", actor=MANAGER, now=at(10, 31)
        )


def test_a_change_that_changes_nothing_is_refused():
    booking = book(make_evse())

    with pytest.raises(errors.NothingToChange):
        change_slot(booking_id=booking.pk, period=booking.period, actor=DISPATCHER, now=NOW)


def test_a_change_that_waits_keeps_both_places_and_the_old_period_in_force():
    booking = book(make_evse(make_depot(terms={"approval": True})))
    operations.decide(booking_id=booking.pk, accept=True, actor=MANAGER, now=NOW)

    changed = change_slot(booking_id=booking.pk, period=slot(11, 12), actor=DISPATCHER, now=NOW)

    assert (changed.status, changed.period) == ("confirmed", slot(10, 11))
    assert (occupied(booking), occupied(booking, "pending")) == (slot(10, 11), slot(11, 12))
    accepted = operations.decide(booking_id=booking.pk, accept=True, actor=MANAGER, now=NOW)
    assert (accepted.period, occupied(booking, "pending")) == (slot(11, 12), None)
    assert [r.decision for r in accepted.requests.all()] == ["accepted", "accepted"]


def test_a_refused_change_leaves_the_booking_as_it_was():
    booking = book(make_evse(make_depot(terms={"approval": True})))
    operations.decide(booking_id=booking.pk, accept=True, actor=MANAGER, now=NOW)
    change_slot(booking_id=booking.pk, period=slot(11, 12), actor=DISPATCHER, now=NOW)

    kept = operations.decide(booking_id=booking.pk, accept=False, actor=MANAGER, now=NOW)

    assert (kept.status, kept.period, occupied(booking, "pending")) == ("confirmed", slot(10, 11), None)


def test_a_second_change_replaces_one_that_waits():
    booking = book(make_evse(make_depot(terms={"approval": True})))
    operations.decide(booking_id=booking.pk, accept=True, actor=MANAGER, now=NOW)
    change_slot(booking_id=booking.pk, period=slot(11, 12), actor=DISPATCHER, now=NOW)

    change_slot(booking_id=booking.pk, period=slot(13, 14), actor=DISPATCHER, now=NOW)

    decisions = [r.decision for r in BookingRequest.objects.filter(booking=booking)]
    assert decisions == ["accepted", "declined", "pending"]
    assert occupied(booking, "pending") == slot(13, 14)


def test_a_cancelled_slot_is_free_again():
    evse = make_evse()
    booking = book(evse)

    cancelled = operations.cancel_booking(
        booking_id=booking.pk, reason="TRAFFIC", by="fleet", actor=DISPATCHER, now=NOW
    )

    assert (cancelled.status, cancelled.enforcement) == ("cancelled", "released")
    assert book(evse).status == "confirmed"


def test_a_fleet_cancels_until_its_deadline_and_a_depot_later():
    booking = book(make_evse())

    with pytest.raises(errors.CancelTooLate):
        operations.cancel_booking(
            booking_id=booking.pk, reason="TRAFFIC", by="fleet", actor=DISPATCHER, now=at(9, 31)
        )
    cancelled = operations.cancel_booking(
        booking_id=booking.pk, reason="BROKEN_CHARGER", by="depot", actor=MANAGER, now=at(9, 31)
    )

    assert (cancelled.cancelled_by, cancelled.is_changed_unseen) == ("depot", True)


def test_what_has_ended_cannot_be_cancelled_or_changed():
    booking = book(make_evse())
    operations.cancel_booking(booking_id=booking.pk, reason="TRAFFIC", by="fleet", actor=DISPATCHER, now=NOW)

    with pytest.raises(errors.WrongStatus):
        operations.cancel_booking(
            booking_id=booking.pk, reason="TRAFFIC", by="fleet", actor=DISPATCHER, now=NOW
        )
    with pytest.raises(errors.WrongStatus):
        change_slot(booking_id=booking.pk, period=slot(12, 13), actor=DISPATCHER, now=NOW)


def test_a_hold_keeps_the_slot_and_gives_it_to_whoever_needs_it_when_it_ran_out():
    evse = make_evse()
    vehicle = make_vehicle()
    held = place_hold(
        fleet=vehicle.fleet,
        option=option_of(evse),
        vehicle=vehicle,
        period=slot(10, 11),
        actor=DISPATCHER,
        now=NOW,
    )

    with pytest.raises(errors.SlotTaken):
        book(evse)
    later = NOW + Terms().hold_time
    assert book(evse, now=later).status == "confirmed"
    held.refresh_from_db()
    assert held.status == BookingStatus.EXPIRED
    with pytest.raises(errors.WrongStatus):
        operations.confirm_hold(booking_id=held.pk, actor=DISPATCHER, now=later)


def test_a_confirmed_hold_is_a_booking():
    vehicle = make_vehicle()
    held = place_hold(
        fleet=vehicle.fleet,
        option=option_of(make_evse()),
        vehicle=vehicle,
        period=slot(10, 11),
        actor=DISPATCHER,
        now=NOW,
    )

    confirmed = operations.confirm_hold(booking_id=held.pk, actor=DISPATCHER, now=NOW)

    assert (confirmed.status, confirmed.held_until) == ("confirmed", None)
    assert [t.uid for t in confirmed.tokens.all()] == [t.uid for t in vehicle.tokens.all()]


def test_a_truck_that_does_not_come_loses_its_slot_once():
    evse = make_evse()
    booking = book(evse)

    with pytest.raises(errors.WrongStatus):
        operations.mark_no_show(booking_id=booking.pk, now=at(10, 14))
    assert operations.mark_no_show(booking_id=booking.pk, now=at(10, 15)).status == "no_show"
    with pytest.raises(errors.WrongStatus):
        operations.mark_no_show(booking_id=booking.pk, now=at(10, 16))
    assert book(evse, slot((10, 30), (11, 30)), now=at(10, 16)).status == "confirmed"


def test_a_token_is_not_in_two_places_where_the_terms_forbid_it():
    depot = make_depot(terms={"overlapping_tokens": False})
    vehicle = make_vehicle()
    book(make_evse(depot), vehicle=vehicle)

    with pytest.raises((errors.TokenElsewhere, errors.VehicleElsewhere)):
        book(make_evse(depot), vehicle=vehicle)

    assert book(make_evse(depot), slot(11, 12), vehicle=vehicle).status == "confirmed"


def test_a_closure_refuses_new_bookings_at_once_and_takes_over_what_leaves():
    evse = make_evse()
    booking = book(evse, slot(10, 11))

    operations.close_evse(evse=evse, period=slot(9, 13), reason="Cable worn", actor=MANAGER, now=NOW)

    for period in (slot(9, 10), slot(11, 12)):
        with pytest.raises(errors.SlotTaken):
            book(evse, period)
    operations.cancel_booking(
        booking_id=booking.pk, reason="BROKEN_CHARGER", by="depot", actor=MANAGER, now=NOW
    )
    with pytest.raises(errors.SlotTaken):
        book(evse, slot(10, 11))


def test_clearing_a_closure_moves_what_can_be_moved_and_offers_the_rest_another_time():
    depot = make_depot()
    broken, spare = make_evse(depot), make_evse(depot)
    movable, stuck = book(broken, slot(10, 11)), book(broken, slot(12, 13))
    book(spare, slot(12, 13))
    closure = operations.close_evse(evse=broken, period=slot(9, 14), actor=MANAGER, now=NOW)

    operations.clear_closure(closure_id=closure.pk, actor=MANAGER, now=NOW)

    movable.refresh_from_db()
    stuck.refresh_from_db()
    assert (movable.status, movable.evse, movable.is_changed_unseen) == ("confirmed", spare, True)
    assert (stuck.status, stuck.requests.get(kind="offer").decision) == ("confirmed", "pending")
    assert Occupancy.objects.filter(evse=broken).values_list("span", flat=True).count() >= 1


def test_a_lifted_closure_gives_the_time_back_and_one_below_it_takes_it():
    evse = make_evse()
    first = operations.close_evse(evse=evse, period=slot(9, 12), actor=MANAGER, now=NOW)
    operations.close_evse(evse=evse, period=slot(11, 14), actor=MANAGER, now=NOW)

    operations.lift_closure(closure_id=first.pk, actor=MANAGER, now=NOW)

    assert book(evse, slot(10, 11)).status == "confirmed"
    with pytest.raises(errors.SlotTaken):
        book(evse, slot((11, 0), (11, 30)))


def test_a_request_moved_by_the_depot_still_waits_for_its_decision():
    evse = make_evse(make_depot(terms={"approval": True}))
    asked = book(evse)

    moved = change_slot(booking_id=asked.pk, period=slot(12, 13), by="depot", actor=MANAGER, now=NOW)

    assert (moved.status, moved.period) == ("requested", slot(12, 13))
    assert operations.decide(booking_id=asked.pk, accept=True, actor=MANAGER, now=NOW).status == "confirmed"


def test_a_request_whose_fleet_wants_a_change_is_decided_before_it_is_moved():
    evse = make_evse(make_depot(terms={"approval": True}))
    asked = book(evse)
    change_slot(booking_id=asked.pk, period=slot(11, 12), actor=DISPATCHER, now=NOW)

    with pytest.raises(errors.WrongStatus):
        change_slot(booking_id=asked.pk, period=slot(12, 13), by="depot", actor=MANAGER, now=NOW)

    accepted = operations.decide(booking_id=asked.pk, accept=True, actor=MANAGER, now=NOW)
    assert (accepted.status, accepted.period) == ("confirmed", slot(11, 12))


def test_nothing_waits_for_a_decision_once_the_ask_is_overtaken():
    booking = book(make_evse(make_depot(terms={"approval": True})))
    operations.decide(booking_id=booking.pk, accept=True, actor=MANAGER, now=NOW)
    change_slot(booking_id=booking.pk, period=slot(11, 12), actor=DISPATCHER, now=NOW)

    operations.cancel_booking(booking_id=booking.pk, reason="FULL", by="depot", actor=MANAGER, now=NOW)

    booking.refresh_from_db()
    assert booking.decide_until is None


def test_a_change_whose_place_was_closed_meanwhile_is_refused_when_it_is_accepted():
    evse = make_evse(make_depot(terms={"approval": True}))
    booking = book(evse)
    operations.decide(booking_id=booking.pk, accept=True, actor=MANAGER, now=NOW)
    change_slot(booking_id=booking.pk, period=slot(12, 13), actor=DISPATCHER, now=NOW)
    operations.close_evse(evse=evse, period=slot(12, 14), actor=MANAGER, now=NOW)

    with pytest.raises(errors.SlotTaken):
        operations.decide(booking_id=booking.pk, accept=True, actor=MANAGER, now=NOW)

    declined = operations.decide(booking_id=booking.pk, accept=False, actor=MANAGER, now=NOW)
    assert (declined.status, declined.period) == ("confirmed", slot(10, 11))


def test_a_change_beside_a_hold_that_ran_out_is_accepted():
    depot = make_depot(terms={"approval": True, "early_start_min": 15, "decision_min": 600})
    evse, holder = make_evse(depot), make_vehicle()
    booking = book(evse)
    operations.decide(booking_id=booking.pk, accept=True, actor=MANAGER, now=NOW)
    place_hold(fleet=holder.fleet, option=option_of(evse), vehicle=holder, period=slot(13, 14))
    change_slot(booking_id=booking.pk, period=slot(14, 15))

    later = NOW + Terms().hold_time
    accepted = operations.decide(booking_id=booking.pk, accept=True, actor=MANAGER, now=later)

    assert (accepted.period, occupied(accepted)) == (slot(14, 15), slot(14, 15))


def test_a_change_goes_to_a_free_evse_of_its_pool_where_a_closure_takes_the_place_it_waited_at():
    depot = make_depot(terms={"approval": True, "decision_min": 600})
    one, two = make_evse(depot), make_evse(depot)
    booking = book(one, option=make_option(one, two))
    operations.decide(booking_id=booking.pk, accept=True, actor=MANAGER, now=NOW)
    change_slot(booking_id=booking.pk, period=slot(12, 13))
    kept = Occupancy.objects.get(holder=booking.pk, kind="pending")
    operations.close_evse(evse=kept.evse, period=slot(12, 20), actor=MANAGER, now=NOW)

    change_slot(booking_id=booking.pk, period=slot(12, (12, 45)))

    moved = Occupancy.objects.get(holder=booking.pk, kind="pending")
    assert {kept.evse, moved.evse} == {one, two}
    assert moved.span == slot(12, (12, 45))


@pytest.mark.parametrize("does", ["book", "hold", "change"])
def test_the_place_of_a_hold_that_ran_out_in_a_closure_is_closed_and_another_of_the_pool_is_taken(does):
    depot = make_depot()
    closed, other = make_evse(depot), make_evse(depot)
    pool, holder, truck = make_option(closed, other), make_vehicle(), make_vehicle()
    booking = book(closed, slot(10, 11), option=pool, vehicle=truck)
    place_hold(fleet=holder.fleet, option=pool, evse=closed, vehicle=holder, period=slot(14, 15))
    operations.close_evse(evse=closed, period=slot(13, 20), actor=MANAGER, now=NOW)

    later = NOW + Terms().hold_time
    asked = {"fleet": truck.fleet, "option": pool, "vehicle": truck, "period": slot(14, 15), "now": later}
    if does == "change":
        taken = change_slot(booking_id=booking.pk, period=slot(14, 15), now=later)
    else:
        taken = book_slot(**asked) if does == "book" else place_hold(**asked)

    assert (taken.evse_id, occupied(taken)) == (other.pk, slot(14, 15))


def test_the_calendar_of_a_place_kept_in_vain_says_that_it_is_free_again():
    depot = make_depot(terms={"approval": True})
    one, two = make_evse(depot), make_evse(depot)
    pool = make_option(one, two)
    booking = book(one, option=pool)
    operations.decide(booking_id=booking.pk, accept=True, actor=MANAGER, now=NOW)
    other = two if booking.evse == one else one
    change_slot(booking_id=booking.pk, evse=other, actor=DISPATCHER, now=NOW)
    calendars.raise_marked(lambda: NOW)
    before = option_of(other).calendar_version

    operations.cancel_booking(booking_id=booking.pk, reason="FULL", by="depot", actor=MANAGER, now=NOW)
    calendars.raise_marked(lambda: NOW)

    assert option_of(other).calendar_version > before


@pytest.mark.parametrize("does", ["book", "change"])
def test_no_option_is_locked_for_the_place_of_a_hold_that_ran_out(does):
    terms = {"overlapping_tokens": False}
    evse, elsewhere = make_evse(make_depot(terms=terms)), make_evse(make_depot(terms=terms))
    vehicle, holder = make_vehicle(), make_vehicle()
    place_hold(
        fleet=holder.fleet,
        option=option_of(evse),
        vehicle=holder,
        period=slot(10, 11),
        actor=DISPATCHER,
        now=NOW,
    )
    booked = book(elsewhere if does == "book" else evse, slot(14, 15), vehicle=vehicle)
    later = NOW + timedelta(minutes=11)

    with CaptureQueriesContext(connection) as said:
        if does == "book":
            book(evse, slot(10, 11), vehicle=vehicle, now=later)
        else:
            change_slot(booking_id=booked.pk, period=slot(10, 11), actor=DISPATCHER, now=later)

    statements = [query["sql"] for query in said]
    assert any("pg_advisory_xact_lock" in sql for sql in statements)
    assert not [sql for sql in statements if 'bookingoption" WHERE' in sql and "FOR NO KEY" in sql]
