"""Where a charger keeps no reservation the depot may allow other ways to keep the EVSE: set in time, and always undone."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from bookings import enforcement, operations, scheduler
from bookings.errors import WrongStatus
from bookings.models import Booking, KeptEvse, Occupancy
from bookings.operations.kept_evses import give_back_by_hand
from depots import operations as depots
from depots.charging_profile_forms import forms_of
from depots.models import Charger, ChargerCommand, Depot, Evse
from tests.bookings.enforcement.charging_trucks import fresh, stop
from tests.bookings.enforcement.online_chargers import TERMS, answer, book, evse_online, online, start
from tests.factories import MANAGER, at, make_depot, slot

pytestmark = pytest.mark.django_db

# What every charger is asked.
ROUTINE = ["ask_capabilities", "read_settings"]
OUT, BACK = ("availability", False), ("availability", True)


def place(*fallbacks: str, **fields: Any) -> Evse:
    return evse_online(make_depot(terms=TERMS, fallbacks=list(fallbacks)), **fields)


def refused(evse: Evse, now: datetime = at(9, 45), **wishes: Any) -> Booking:
    """A booking whose charger has been asked to reserve, and will not."""
    booking = book(evse, **wishes)
    enforcement.arm_due(now=now)
    answer("rejected", now=now)
    return fresh(booking)


def kept(evse: Evse, **wishes: Any) -> Booking:
    booking = refused(evse, **wishes)
    settle("accepted")
    shows(evse, "unavailable", at(9, 45))
    booking = fresh(booking)
    assert (booking.enforcement, booking.enforcement_why) == ("soft", "availability")
    return booking


def settle(word: str, *, state: str = "answered", now: datetime = at(9, 45)) -> None:
    command = ChargerCommand.objects.exclude(action__in=["reserve", *ROUTINE]).latest("id")
    depots.settle_command(command_id=command.pk, state=state, answer=word, now=now)


def shows(evse: Evse, status: str, now: datetime) -> None:
    depots.report_status(charger_id=evse.charger_id, evse_number=evse.number, status=status, at=now, now=now)


def told(evse: Evse) -> list[tuple[str, Any]]:
    """What the charger was told beside reservations: the action, and whether in or out of service."""
    rows = ChargerCommand.objects.filter(charger=evse.charger_id).exclude(action__in=["reserve", *ROUTINE])
    return [(row.action, row.payload.get("operative")) for row in rows.order_by("id")]


def state_of(booking: Booking) -> tuple[str, str]:
    one = KeptEvse.objects.filter(booking=booking).latest("id")
    return one.state, one.why


def test_where_the_depot_allows_nothing_the_gate_alone_guards():
    evse = place()

    booking = refused(evse)

    assert (booking.enforcement, booking.enforcement_why) == ("soft", "rejected")
    assert told(evse) == []


def test_an_evse_is_taken_out_of_service_for_a_charger_that_refuses_and_is_not_called_broken():
    evse = place("availability")

    booking = kept(evse)

    assert told(evse) == [OUT]
    payload = ChargerCommand.objects.exclude(action__in=ROUTINE).latest("id").payload
    assert payload == {"operative": False, "evse": 1}  # never the charger as a whole
    evse.refresh_from_db()
    assert (evse.kept_for, evse.is_kept, evse.is_out_of_order) == (booking.pk, True, False)
    for minute in (46, 50, 56, 59):
        scheduler.run_tick(at(9, minute))
    assert told(evse) == [OUT]
    assert fresh(booking).enforcement == "soft"
    assert ChargerCommand.objects.filter(action="reserve").count() == 1


def test_a_reservation_of_a_charger_that_lies_is_taken_back_before_the_evse_goes_out_of_service():
    evse = place("availability")
    booking = book(evse)
    enforcement.arm_due(now=at(9, 45))
    answer("accepted", now=at(9, 45))
    shows(evse, "reserved", at(9, 45))
    Charger.objects.filter(pk=evse.charger_id).update(measured={"reservation": "lies"})

    shows(evse, "available", at(9, 46))  # somebody else has charged there for a moment

    assert told(evse) == [("cancel_reservation", None), OUT]
    assert fresh(booking).enforcement_why == "availability"
    assert fresh(booking).armed_evse is None


def test_one_that_accepts_once_it_is_known_to_lie_is_told_to_let_go_first():
    evse = place("availability")
    book(evse)
    enforcement.arm_due(now=at(9, 45))
    Charger.objects.filter(pk=evse.charger_id).update(measured={"reservation": "lies"})

    answer("accepted", now=at(9, 45))

    assert told(evse) == [("cancel_reservation", None), OUT]


def test_a_charger_that_is_known_to_lie_is_not_asked_to_reserve_where_its_evse_is_kept():
    evse = place("availability")
    Charger.objects.filter(pk=evse.charger_id).update(measured={"reservation": "lies"})
    booking = book(evse)

    enforcement.arm_due(now=at(9, 45))

    assert told(evse) == [OUT]
    assert not ChargerCommand.objects.filter(action="reserve").exists()
    assert fresh(booking).enforcement_why == "availability"


def test_while_somebody_charges_it_is_scheduled_and_stands_once_they_have_left():
    evse = place("availability")
    Charger.objects.filter(pk=evse.charger_id).update(
        measured={"reservation": "refuses"}, told={"reservation": False}
    )
    before = book(evse, slot(9, 10))
    session = start(evse, before.tokens.get().uid, at(9))
    booking = book(evse, slot(10, 11))
    Booking.objects.filter(pk=before.pk).update(ends_at=at(9, 30))  # it outlives its slot
    Occupancy.objects.filter(holder=before.pk).delete()

    enforcement.arm_due(now=at(9, 45))

    assert (fresh(booking).enforcement, fresh(booking).enforcement_why) == ("at_risk", "occupied")
    assert told(evse) == [OUT]
    settle("scheduled")
    stop(session, at(9, 50), wh=50_000)
    shows(evse, "unavailable", at(9, 50))
    assert (fresh(booking).enforcement, fresh(booking).enforcement_why) == ("soft", "availability")
    assert told(evse) == [OUT]


@pytest.mark.parametrize(
    ("ends", "why"),
    [
        (
            lambda b: operations.cancel_booking(
                booking_id=b.pk, reason="FULL", by="depot", actor=MANAGER, now=at(9, 50)
            ),
            "ended",
        ),
        (lambda b: scheduler.run_tick(at(10, 15)), "ended"),
        (lambda b: Depot.objects.update(fallbacks=[]) and scheduler.run_tick(at(9, 50)), "not_allowed"),
        (lambda b: give_back_by_hand(kept_id=b.kept_evses.get().pk, actor=MANAGER, now=at(9, 50)), "manager"),
    ],
    ids=["cancel", "no_show", "depot", "manager"],
)
def test_whatever_ends_it_the_evse_is_given_back(ends, why):
    evse = place("availability")
    booking = kept(evse)

    ends(booking)

    assert told(evse) == [OUT, BACK]
    assert state_of(booking) == ("lifting", why)
    settle("accepted", now=at(10, 16))
    assert state_of(booking) == ("lifted", why)
    evse.refresh_from_db()
    assert evse.is_kept  # what the charger says of itself is not news of a fault yet
    shows(evse, "available", at(10, 16))
    evse.refresh_from_db()
    assert (state_of(booking)[0], evse.kept_for) == ("over", None)


def test_a_swap_gives_it_back_where_it_was():
    depot = make_depot(terms=TERMS, fallbacks=["availability"])
    evse, other = evse_online(depot), evse_online(depot)
    booking = kept(evse)

    shows(evse, "faulted", at(9, 50))

    assert fresh(booking).evse_id == other.pk
    assert told(evse) == [OUT, BACK]


def test_a_manager_who_opened_it_is_not_overruled():
    evse = place("availability")
    booking = kept(evse)
    one = booking.kept_evses.get()

    give_back_by_hand(kept_id=one.pk, actor=MANAGER, now=at(9, 50))
    with pytest.raises(WrongStatus):
        give_back_by_hand(kept_id=one.pk, actor=MANAGER, now=at(9, 50))
    settle("accepted", now=at(9, 50))
    shows(evse, "available", at(9, 51))
    online(evse.charger)
    depots.reconcile(charger_id=evse.charger_id, holder="gw", rebooted=False, now=at(9, 52))

    assert told(evse) == [OUT, BACK]


def test_the_check_in_opens_it_and_then_starts():
    evse = place("availability")
    booking = kept(evse)

    command = operations.start_remotely(booking_id=booking.pk, actor=MANAGER, now=at(9, 58))

    assert told(evse) == [OUT, BACK, ("remote_start", None)]
    assert command.not_before is not None
    assert command.not_before > at(9, 58)
    assert state_of(booking) == ("lifting", "arrived")
    assert [e.after for e in booking.events.filter(kind="fallback")] == ["asked", "arrived"]


def test_the_card_shown_at_a_neighbouring_charger_opens_it_too():
    evse = place("availability")
    booking = kept(evse)
    beside = evse_online(evse.depot)
    uid = booking.tokens.get().uid

    depots.authorize(charger_id=beside.charger_id, token_uid="04FFFFFFFFFF", now=at(9, 58))
    assert told(evse) == [OUT]
    depots.authorize(charger_id=beside.charger_id, token_uid=uid, now=at(9, 40))  # long before its time
    assert told(evse) == [OUT]
    depots.authorize(charger_id=beside.charger_id, token_uid=uid, now=at(9, 58))

    assert told(evse) == [OUT, BACK, ("remote_start", None)]


@pytest.mark.parametrize("rebooted", [True, False])
def test_what_should_stand_is_said_again_after_a_return(rebooted):
    evse = place("availability")
    kept(evse)

    depots.reconcile(charger_id=evse.charger_id, holder="gw", rebooted=rebooted, now=at(9, 50))

    assert told(evse) == [OUT, OUT]
    assert ChargerCommand.objects.filter(action="reserve").count() == 1  # never beside a reservation


def test_a_lost_answer_is_asked_for_again_until_there_is_one():
    evse = place("availability")
    booking = refused(evse)
    settle("", state="unclear")

    scheduler.run_tick(at(9, 46))
    assert told(evse) == [OUT, OUT]
    settle("accepted", now=at(9, 46))
    assert state_of(booking)[0] == "standing"

    operations.cancel_booking(booking_id=booking.pk, reason="FULL", by="depot", actor=MANAGER, now=at(9, 50))
    for minute in (51, 52, 53):
        settle("rejected", now=at(9, minute - 1))
        scheduler.run_tick(at(9, minute))
    assert told(evse) == [OUT, OUT, BACK, BACK, BACK, BACK]


def test_a_charger_that_was_away_at_the_end_is_told_when_it_is_back():
    evse = place("availability")
    booking = kept(evse)
    depots.close_connection(charger_id=evse.charger_id, holder="gw", now=at(9, 50))
    operations.cancel_booking(booking_id=booking.pk, reason="FULL", by="depot", actor=MANAGER, now=at(9, 51))
    waiting = ChargerCommand.objects.exclude(action__in=ROUTINE).latest("id")
    assert (waiting.payload["operative"], waiting.state, waiting.not_after) == (True, "queued", None)


def test_an_evse_set_by_hand_is_the_hands():
    evse = place("availability")
    booking = kept(evse)

    by_hand = depots.queue_command(
        charger=evse.charger, action="availability", payload={"operative": False, "evse": 1}, now=at(9, 50)
    )
    depots.settle_command(command_id=by_hand.pk, answer="accepted", now=at(9, 50))
    operations.cancel_booking(booking_id=booking.pk, reason="FULL", by="depot", actor=MANAGER, now=at(9, 51))

    assert state_of(booking) == ("over", "by_hand")
    assert told(evse) == [OUT, ("availability", False)]
    evse.refresh_from_db()
    assert evse.is_out_of_order


def test_without_power_until_the_slot_where_the_evse_may_not_be_taken_out_of_service():
    evse = place("availability", "profile_0")
    booking = refused(evse)

    settle("rejected")

    assert fresh(booking).enforcement_why == "profile_0"
    sent = ChargerCommand.objects.exclude(action__in=ROUTINE).latest("id")
    assert sent.action == "set_charging_profile"
    assert sent.payload["limits"] == [[0, 0]]
    assert sent.payload["valid_to"] == "2030-01-15T10:00:00Z"
    # Of equal purpose and level the later takes the place of the one before: limits of power stand below.
    assert sent.payload["stack_level"] > max(form.stack_level for form in forms_of(sent.charger))
    settle("accepted")
    scheduler.run_tick(at(9, 59))
    assert told(evse)[-1][0] == "set_charging_profile"
    scheduler.run_tick(at(10))
    assert told(evse)[-1][0] == "clear_charging_profile"
    settle("unknown", now=at(10))
    assert state_of(booking) == ("over", "begun")


def test_a_session_that_runs_is_not_cut_off_by_a_profile_for_the_next():
    evse = place("profile_0")
    start(evse, "STRANGER", at(9, 40))

    refused(evse)

    assert not ChargerCommand.objects.filter(action="set_charging_profile").exists()


def test_what_refuses_every_way_is_left_to_the_gate():
    evse = place("availability", "profile_0")
    booking = refused(evse)

    settle("rejected")
    settle("not_supported")

    assert fresh(booking).enforcement_why == "rejected"
    evse.refresh_from_db()
    assert evse.kept_for is None
