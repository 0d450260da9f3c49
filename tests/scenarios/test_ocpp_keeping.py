"""A charger that refuses reservations, at a depot that allows other ways: the slot is kept all the same, and opened again."""

from __future__ import annotations

import pytest

from bookings import scheduler
from bookings.models import Booking, KeptEvse
from depots.models import Charger, Evse, LocalList
from tests.factories import (
    DISPATCHER,
    NOW,
    book_slot,
    make_charger,
    make_depot,
    make_evse,
    make_vehicle,
    option_of,
    slot,
)
from tests.scenarios.bed import Bed, eventually

# Half an hour from now on.
TERMS = {
    "arm_lead_min": 15,
    "early_start_min": 15,
    "no_show_min": 15,
    "min_duration_min": 15,
    "slot_step_min": 5,
}
TOKEN = "04AABBCCDD10"

OUT = {
    "ocpp1.6": {"connectorId": 1, "type": "Inoperative"},
    "ocpp2.0.1": {"operationalStatus": "Inoperative", "evse": {"id": 1}},
    "ocpp2.1": {"operationalStatus": "Inoperative", "evse": {"id": 1}},
}
START = {"ocpp1.6": "RemoteStartTransaction"}


@pytest.mark.parametrize("protocol", sorted(OUT))
def test_a_slot_is_kept_without_a_reservation_and_opened_for_its_truck(bed: Bed, protocol: str):
    depot = make_depot(terms=TERMS, fallbacks=["availability", "local_list"])
    row = make_charger(depot)
    evse = make_evse(charger=row)
    make_evse(charger=row)
    vehicle = make_vehicle(token=TOKEN)
    charger = bed.charger(row, protocol, settings={"LocalAuthListCtrlr.Enabled": "true"})
    charger.will_answer("ReserveNow", {"status": "Rejected"})
    charger.come_online()
    eventually(lambda: Charger.objects.get(pk=row.pk).told.get("local_list"))
    eventually(lambda: Evse.objects.filter(charger=row, status="available").count() == 2)
    booking = book_slot(
        vehicle=vehicle,
        fleet=vehicle.fleet,
        option=option_of(evse),
        period=slot((8, 10), 9),
        actor=DISPATCHER,
        now=NOW,
    )

    # It refuses, so the EVSE goes out of service: kept, not broken.
    charger.heard("ReserveNow")
    assert charger.heard("ChangeAvailability") == OUT[protocol]
    eventually(lambda: KeptEvse.objects.filter(booking=booking, state="standing").exists())
    eventually(lambda: Evse.objects.get(pk=evse.pk).is_kept)
    state = Booking.objects.values_list("enforcement", "enforcement_why").get(pk=booking.pk)
    assert state == ("soft", "availability")

    # For a bad network the charger is told who may charge, in the tongue of its protocol.
    scheduler.run_tick(bed.clock())
    told = charger.heard("SendLocalList")["localAuthorizationList"]
    assert [entry.get("idTag") or entry["idToken"]["idToken"] for entry in told] == [TOKEN]
    eventually(lambda: LocalList.objects.filter(charger=row, synced_at__isnull=False).exists())

    # The card at the reader opens it and starts.
    charger.authorize(TOKEN)
    assert charger.heard("ChangeAvailability") != OUT[protocol]
    eventually(lambda: Evse.objects.get(pk=evse.pk).kept_for is None)
    assert Evse.objects.get(pk=evse.pk).status == "available"
    bed.clock.advance(seconds=4)
    asked = charger.heard(START.get(protocol, "RequestStartTransaction"))
    assert asked.get("idTag") or asked["idToken"]["idToken"] == TOKEN
    assert KeptEvse.objects.get(booking=booking).why == "arrived"
    assert charger.count("ReserveNow") == 1


def test_a_killed_gateway_leaves_no_evse_closed(bed: Bed):
    depot = make_depot(terms=TERMS, fallbacks=["availability"])
    row = make_charger(depot)
    evse = make_evse(charger=row)
    make_evse(charger=row)
    vehicle = make_vehicle(token=TOKEN)
    charger = bed.charger(row)
    charger.will_answer("ReserveNow", {"status": "Rejected"})
    charger.come_online()
    eventually(lambda: Evse.objects.filter(charger=row, status="available").count() == 2)
    booking = book_slot(
        vehicle=vehicle,
        fleet=vehicle.fleet,
        option=option_of(evse),
        period=slot((8, 10), 9),
        actor=DISPATCHER,
        now=NOW,
    )
    charger.heard("ChangeAvailability")
    eventually(lambda: Evse.objects.get(pk=evse.pk).is_kept)

    bed.kill_gateway()
    bed.clock.advance(minutes=25)  # its truck does not come, and nobody tells the charger
    scheduler.run_tick(bed.clock())
    assert Booking.objects.get(pk=booking.pk).status == "no_show"
    bed.restart_gateway()
    charger.come_online()

    eventually(lambda: KeptEvse.objects.get(booking=booking).state == "over")
    eventually(lambda: Evse.objects.get(pk=evse.pk).status == "available")
    assert Evse.objects.get(pk=evse.pk).kept_for is None
