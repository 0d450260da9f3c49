"""What was changed since somebody looked: three groups stand beside each other, the same one is refused."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest
from django.db import connection

from bookings import operations
from bookings.actors import Actor
from bookings.errors import ChangedMeanwhile, EndsBeforeStart, SlotTaken
from bookings.models import Booking, BookingEvent
from bookings.rules.content_version import seen_version
from bookings.rules.entitlement import TokenName
from depots.models import Evse
from tests.factories import (
    DISPATCHER,
    MANAGER,
    NOW,
    at,
    book_slot,
    change_slot,
    make_depot,
    make_evse,
    make_option,
    make_vehicle,
    place_hold,
    slot,
)

pytestmark = pytest.mark.django_db

BY_DEPOT = {"by": "depot", "actor": Actor.manager("manager@depot.example")}
BY_FLEET = {"by": "fleet", "actor": Actor.dispatcher("dispatcher@fleet.example")}


def booked(*, approval: bool = False, **wishes: Any) -> Booking:
    """In a pool of two EVSEs, by a truck with one card."""
    depot = make_depot(terms={"approval": approval})
    pool = make_option(make_evse(depot), make_evse(depot))
    truck = wishes.pop("vehicle", None) or make_vehicle()
    asked = {"fleet": truck.fleet, "option": pool, "vehicle": truck, "period": slot(10, 11), **wishes}
    booking = book_slot(actor=DISPATCHER, now=NOW, **asked)
    if approval:
        operations.decide(booking_id=booking.pk, accept=True, actor=MANAGER, now=NOW)
    return Booking.objects.get(pk=booking.pk)


def change(booking: Booking, **wishes: Any) -> Booking:
    return change_slot(booking_id=booking.pk, now=NOW, **{**BY_FLEET, **wishes})


def other_evse(booking: Booking) -> Evse:
    found = booking.option.evses.exclude(pk=booking.evse_id).first()
    assert found is not None
    return found


def cards(booking: Booking) -> list[str]:
    return [token.uid for token in booking.tokens.all()]


def card(fleet: Any, uid: str) -> TokenName:
    fleet.tokens.create(uid=uid)
    return TokenName(uid)


def test_new_cards_stand_beside_a_move_made_meanwhile():
    booking = booked()
    elsewhere = other_evse(booking)
    change(booking, evse=elsewhere, period=slot(12, 13), **BY_DEPOT)

    changed = change(booking, tokens=[card(booking.fleet, "CARD-2")], seen_version=booking.version)

    assert (changed.evse, changed.period, cards(changed)) == (elsewhere, slot(12, 13), ["CARD-2"])


def test_another_time_is_refused_when_the_depot_has_moved_it_meanwhile_and_says_what_it_did():
    booking = booked()
    elsewhere = other_evse(booking)
    change(booking, evse=elsewhere, **BY_DEPOT)

    with pytest.raises(ChangedMeanwhile) as refused:
        change(booking, period=slot(12, 13), seen_version=booking.version)

    (move,) = refused.value.changes
    assert (move.side, move.actor, move.at, move.groups) == ("depot", MANAGER, NOW, {"place"})
    assert (move.detail["before"]["evse"], move.detail["after"]["evse"]) == (booking.evse.uid, elsewhere.uid)
    assert f"by the depot at 09:00: EVSE {elsewhere.uid} instead of {booking.evse.uid}" in str(refused.value)
    assert Booking.objects.get(pk=booking.pk).period == slot(10, 11)


def test_two_dispatchers_do_not_mix_a_vehicle_with_the_cards_of_another():
    booking = booked()
    second = make_vehicle(booking.fleet)
    change(booking, vehicle=second)

    with pytest.raises(ChangedMeanwhile):
        change(booking, tokens=[card(booking.fleet, "CARD-2")], seen_version=booking.version)

    after = Booking.objects.get(pk=booking.pk)
    assert (after.vehicle, cards(after)) == (second, [second.tokens.get().uid])


def test_who_does_not_say_what_they_saw_changes_the_latest():
    booking = booked()
    change(booking, evse=other_evse(booking), **BY_DEPOT)

    assert change(booking, period=slot(12, 13)).period == slot(12, 13)


def test_a_version_that_never_was_is_refused():
    booking = booked()

    with pytest.raises(ChangedMeanwhile):
        change(booking, period=slot(12, 13), seen_version=booking.version + 1)


def test_what_only_the_charger_did_is_no_change():
    booking = booked()
    change_slot(booking_id=booking.pk, period=slot(12, 13), now=NOW, **BY_DEPOT)
    seen = Booking.objects.get(pk=booking.pk).version
    operations.mark_seen(booking_id=booking.pk, actor=DISPATCHER, now=NOW)

    assert change(booking, period=slot(14, 15), seen_version=seen).period == slot(14, 15)


def test_one_end_alone_is_put_on_the_period_there_is_by_then():
    booking = booked()
    change(booking, period=slot(12, 13), **BY_DEPOT)

    assert change(booking, ends_at=at(14)).period == slot(12, 14)
    with pytest.raises(EndsBeforeStart):
        change(booking, starts_at=at(15))


def test_a_cancellation_is_refused_when_it_would_end_another_slot_than_the_one_seen():
    booking = booked()
    change(booking, period=slot(12, 13), **BY_DEPOT)
    asked = {"booking_id": booking.pk, "reason": "TRAFFIC", "now": NOW, **BY_FLEET}

    with pytest.raises(ChangedMeanwhile):
        operations.cancel_booking(seen_version=booking.version, **asked)

    assert operations.cancel_booking(seen_version=booking.version + 1, **asked).status == "cancelled"


@pytest.mark.parametrize("does", [operations.confirm_hold, operations.release_hold])
def test_a_hold_the_depot_has_put_elsewhere_is_looked_at_again(does):
    depot, truck = make_depot(), make_vehicle()
    pool = make_option(make_evse(depot), make_evse(depot))
    hold = place_hold(
        fleet=truck.fleet, option=pool, vehicle=truck, period=slot(10, 11), actor=DISPATCHER, now=NOW
    )
    closure = operations.close_evse(evse=hold.evse, period=slot(9, 12), actor=MANAGER, now=NOW)
    operations.clear_closure(closure_id=closure.pk, actor=MANAGER, now=NOW)

    with pytest.raises(ChangedMeanwhile):
        does(booking_id=hold.pk, seen_version=hold.version, actor=DISPATCHER, now=NOW)

    assert does(booking_id=hold.pk, seen_version=hold.version + 1, actor=DISPATCHER, now=NOW).status != "held"


def test_an_answer_meant_for_another_ask_is_refused():
    booking = booked(approval=True)
    change(booking, period=slot(12, 13))
    seen = Booking.objects.get(pk=booking.pk).version
    change(booking, period=slot(14, 15))

    with pytest.raises(ChangedMeanwhile) as refused:
        operations.decide(booking_id=booking.pk, accept=True, seen_version=seen, actor=MANAGER, now=NOW)

    assert "asked for: Time Tue 15 Jan 15:00–16:00 instead of Tue 15 Jan 11:00–12:00" in str(refused.value)


def test_an_ask_that_waits_is_kept_in_the_groups_a_later_one_says_nothing_of():
    booking = booked(approval=True)
    elsewhere = other_evse(booking)
    change(booking, period=slot(12, 13), evse=elsewhere)

    change(booking, tokens=[card(booking.fleet, "CARD-2")], seen_version=booking.version)

    after = operations.decide(booking_id=booking.pk, accept=True, actor=MANAGER, now=NOW)
    assert (after.period, after.evse, cards(after)) == (slot(12, 13), elsewhere, ["CARD-2"])


def test_cards_that_wait_are_kept_when_the_time_is_asked_for_next():
    booking = booked(approval=True)
    other = make_vehicle(booking.fleet)
    change(booking, vehicle=other)

    change(booking, period=slot(12, 13))

    after = operations.decide(booking_id=booking.pk, accept=True, actor=MANAGER, now=NOW)
    assert (after.period, after.vehicle, cards(after)) == (slot(12, 13), other, [other.tokens.get().uid])


def test_a_drag_does_not_decline_an_ask_its_manager_has_not_seen():
    booking = booked(approval=True)
    change(booking, tokens=[card(booking.fleet, "CARD-2")])

    with pytest.raises(ChangedMeanwhile):
        change(booking, evse=other_evse(booking), seen_version=booking.version, **BY_DEPOT)

    assert booking.requests.filter(decision="pending").exists()


def test_an_evse_withdrawn_meanwhile_is_not_moved_to():
    booking = booked()
    Evse.objects.filter(pk=other_evse(booking).pk).update(is_withdrawn=True)
    operations.close_evse(evse=booking.evse, period=slot(12, 13), actor=MANAGER, now=NOW)

    with pytest.raises(SlotTaken):
        change(booking, period=slot(12, 13))


def test_every_event_knows_the_version_it_made():
    booking = booked()
    change(booking, evse=other_evse(booking), **BY_DEPOT)
    operations.cancel_booking(booking_id=booking.pk, reason="TRAFFIC", now=NOW, **BY_FLEET)

    assert list(booking.events.values_list("version", flat=True)) == [1, 2, 3]


def test_events_of_before_are_numbered_back_from_the_version_there_is():
    booking = booked()
    change(booking, period=slot(12, 13))
    other = booked(vehicle=make_vehicle())
    BookingEvent.objects.update(version=0)
    Booking.objects.filter(pk=booking.pk).update(version=7)

    with connection.cursor() as cursor:
        cursor.execute(import_module("bookings.migrations.0005_event_version").NUMBER)

    assert list(booking.events.values_list("version", flat=True)) == [6, 7]
    assert list(other.events.values_list("version", flat=True)) == [1]


@pytest.mark.parametrize("given", ["", "x", "-1", "0", "1.0", "٣", "9" * 30])
def test_a_form_that_does_not_say_what_it_showed_is_out_of_date(given):
    with pytest.raises(ChangedMeanwhile):
        seen_version({"version": given})

    assert seen_version({"version": "12"}) == 12
