"""An EVSE that is kept for a booking is opened by many at once, and told so once; a truck that plugs in is not moved away."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bookings import enforcement, operations
from bookings.models import Booking, KeptEvse
from bookings.operations import kept_evses
from depots import operations as depots
from depots.models import ChargerCommand, Evse
from tests.bookings.enforcement.online_chargers import TERMS, answer, book, evse_online, start
from tests.factories import MANAGER, at, make_depot
from tests.races.processes import all_at_once
from tests.races.removed_guards import attempt

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.races]


def kept(evse: Evse) -> Booking:
    booking = book(evse)
    enforcement.arm_due(now=at(9, 45))
    answer("rejected", now=at(9, 45))
    out = ChargerCommand.objects.get(action="availability")
    depots.settle_command(command_id=out.pk, answer="accepted", now=at(9, 45))
    return Booking.objects.get(pk=booking.pk)


def doing(work: Callable[[], Any]) -> Callable[[], str]:
    return lambda: attempt(work)


def test_whoever_opens_a_kept_evse_it_is_told_once():
    evse = evse_online(make_depot(terms=TERMS, fallbacks=["availability"]))
    booking = kept(evse)
    kept_id = KeptEvse.objects.get().pk
    cancellation = {"booking_id": booking.pk, "reason": "FULL", "by": "depot", "actor": MANAGER}

    done = all_at_once(
        [
            doing(lambda: kept_evses.give_back_by_hand(kept_id=kept_id, actor=MANAGER, now=at(9, 50))),
            doing(lambda: operations.start_remotely(booking_id=booking.pk, actor=MANAGER, now=at(9, 50))),
            doing(lambda: operations.cancel_booking(**cancellation, now=at(9, 50))),
            doing(lambda: enforcement.follow_kept_evses(now=at(9, 50))),
        ]
    )

    assert not {"OperationalError", "IntegrityError"} & set(done)
    assert not [words for words in done if words.startswith("ERROR")]
    told = [c.payload["operative"] for c in ChargerCommand.objects.filter(action="availability")]
    assert sorted(told) == [False, True]
    assert KeptEvse.objects.get().state == "lifting"


def test_a_truck_that_plugs_in_while_its_booking_is_moved_charges_in_its_booking():
    depot = make_depot(terms=TERMS, fallbacks=["availability"])
    evse, other = evse_online(depot), evse_online(depot)
    booking = kept(evse)
    uid = booking.tokens.get().uid

    done = all_at_once(
        [
            doing(lambda: start(evse, uid, at(10))),
            doing(
                lambda: depots.report_status(
                    charger_id=evse.charger_id, evse_number=1, status="faulted", at=at(10), now=at(10)
                )
            ),
        ]
    )

    assert not {"OperationalError", "IntegrityError"} & set(done)
    assert not [words for words in done if words.startswith("ERROR")]
    booking.refresh_from_db()
    there = booking.evse_id
    assert there in {evse.pk, other.pk}
    assert (booking.status == "charging") == (booking.session is not None)
    assert KeptEvse.objects.filter(evse=evse).get().state == "lifting"
    assert ChargerCommand.objects.filter(action="availability", payload__operative=True).count() == 1


def test_power_kept_back_until_a_slot_comes_back_at_its_start_whatever_else_happens_then():
    evse = evse_online(make_depot(terms=TERMS, fallbacks=["profile_0"]))
    booking = book(evse)
    enforcement.arm_due(now=at(9, 45))
    answer("rejected", now=at(9, 45))
    zero = ChargerCommand.objects.get(action="set_charging_profile")
    ChargerCommand.objects.filter(pk=zero.pk).update(state="sent")
    uid = booking.tokens.get().uid

    done = all_at_once(
        [
            doing(lambda: enforcement.follow_kept_evses(now=at(10))),
            doing(lambda: start(evse, uid, at(10))),
            doing(lambda: depots.settle_command(command_id=zero.pk, answer="accepted", now=at(10))),
            doing(
                lambda: depots.reconcile(charger_id=evse.charger_id, holder="gw", rebooted=False, now=at(10))
            ),
        ]
    )

    assert not {"OperationalError", "IntegrityError"} & set(done)
    assert not [words for words in done if words.startswith("ERROR")]
    booking.refresh_from_db()
    assert booking.status == "charging"
    assert KeptEvse.objects.get().state == "lifting"
    profile_id = zero.payload["profile_id"]
    about_it = ChargerCommand.objects.filter(payload__profile_id=profile_id).order_by("id")
    assert about_it.last().action == "clear_charging_profile"
    assert about_it.filter(action="clear_charging_profile").count() == 1
