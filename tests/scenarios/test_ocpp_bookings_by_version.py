"""What becomes of bookings at the plug, in each version over a real socket: armed in time, swapped, kept in other ways,
overstayed, charged offline. docs/integrators/ocpp-rules.md says which rule each shows.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from bookings import operations, scheduler
from bookings.models import Booking, KeptEvse
from depots.models import Charger, ChargerCommand, ChargingSession, Evse
from depots.ocpp import schemas
from simulators.charger import IdToken, Refuse
from simulators.charger.behaviour import HONEST, Behaviour
from tests.bookings.enforcement.charging_trucks import fresh, happened
from tests.bookings.enforcement.online_chargers import TERMS, book
from tests.factories import DISPATCHER, at, make_charger, make_depot, make_evse, make_vehicle, slot
from tests.scenarios.bed import QUICK, Bed, ScriptedCharger, eventually, running_bed

ALL = ["ocpp1.6", "ocpp2.0.1", "ocpp2.1"]
every_version = pytest.mark.parametrize("protocol", ALL)
STRANGER = "0BADCAFE"
TOKEN = "04AABBCCDD10"
# A tick of whole five seconds would look after the charger's settings, too.
ODD = 1


@pytest.fixture
def bed(transactional_db: None) -> Iterator[Bed]:
    """Its hours are milliseconds: a lease, which is renewed by real time, outlasts them."""
    with running_bed(replace(QUICK, lease_s=86_400)) as bed:
        yield bed


@dataclass
class Place:
    """A charger with its EVSEs at a depot, a scheduler, and the one clock of all."""

    bed: Bed
    protocol: str
    row: Charger
    evses: list[Evse]
    charger: ScriptedCharger

    @property
    def now(self) -> datetime:
        return self.bed.clock()

    def tick(self, hour: int, minute: int, second: int = ODD) -> None:
        """The scheduler's at that time, and all that the charger is told by it."""
        self.bed.clock.now = at(hour, minute).replace(second=second)
        scheduler.run_tick(self.now)
        self.settle()

    def settle(self) -> None:
        asked = ChargerCommand.objects.filter(charger=self.row, state__in=["queued", "sent"])
        for _ in range(2):  # what it reports of what it was told may have it told more
            eventually(lambda: not asked.exclude(not_before__gt=self.now).exists())
            self.charger.idle()

    def is_at(self, booking: Booking, *state: str) -> None:
        eventually(
            lambda: (fresh(booking).enforcement, fresh(booking).enforcement_why)[: len(state)] == state
        )

    def count(self, *actions: str) -> int:
        return sum(self.charger.count(action) for action in actions)

    def asked(self, *actions: str) -> list[dict[str, Any]]:
        return [payload for action, payload in self.charger.script.received if action in actions]

    def tell(self, evse: int, status: str, at: str) -> None:
        if self.protocol == "ocpp1.6":
            told = {"connectorId": evse, "errorCode": "NoError", "status": status, "timestamp": at}
        else:
            told = {"evseId": evse, "connectorId": 1, "connectorStatus": status, "timestamp": at}
        self.charger.ask("StatusNotification", told)

    def check_messages(self) -> None:
        """Whatever it was asked is a message of its version."""
        for action, payload in self.charger.script.received:
            schemas.check(self.protocol.removeprefix("ocpp"), action, payload, is_answer=False)


STOPS = ("RemoteStopTransaction", "RequestStopTransaction")


def place(bed: Bed, protocol: str, evses: int = 2, fallbacks: tuple[str, ...] = (), **terms: Any) -> Place:
    depot = make_depot(terms={**TERMS, **terms}, fallbacks=list(fallbacks))
    row = make_charger(depot)
    made = [make_evse(charger=row) for _ in range(evses)]
    charger = bed.charger(row, protocol, evses=evses)
    charger.come_online()
    charger.sim.vehicles_stay = True
    eventually(lambda: Evse.objects.filter(charger=row, status="available").count() == evses)
    eventually(lambda: Charger.objects.get(pk=row.pk).told)
    bed.clock.advance(seconds=ODD)
    return Place(bed, protocol, row, made, charger)


def spelled(token: str) -> str:
    """As another reader writes the same card."""
    return "-".join(token[i : i + 2] for i in range(0, len(token), 2)).lower()


@every_version
def test_a_booking_is_armed_in_time_and_every_answer_has_its_next_step(bed: Bed, protocol: str):
    here = place(bed, protocol, evses=4, cancel_until_min=0)
    charger, (first, second, _, fourth) = here.charger, here.evses
    booked = book(first, slot(9, 10), now=here.now)

    # At its lead, not before; Occupied is tried again every minute and with the next status.
    here.tick(8, 44)
    assert here.count("ReserveNow") == 0
    charger.will_answer("ReserveNow", {"status": "Occupied"}, {"status": "Occupied"})
    here.tick(8, 45)
    here.is_at(booked, "at_risk", "occupied")
    here.tick(8, 45, 31)
    assert here.count("ReserveNow") == 1
    here.tick(8, 46, 2)
    assert here.count("ReserveNow") == 2
    charger.report(1)
    here.is_at(booked, "armed")
    here.settle()
    assert here.count("ReserveNow") >= 3
    assert [held.evse for held in charger.station.reservations.values()] == [1]

    # An answer that a charger keeps may be used for no longer than it is known to hold.
    is_16, uid = protocol == "ocpp1.6", booked.tokens.get().uid
    payload = {"idTag": uid} if is_16 else {"idToken": {"idToken": uid, "type": "ISO14443"}}
    told = charger.ask("Authorize", payload)["idTagInfo" if is_16 else "idTokenInfo"]
    assert told["status"] == "Accepted"
    assert told["expiryDate" if is_16 else "cacheExpiryDateTime"] > "2030-01-15T08:46:02"

    # One made within the lead is armed at once, and a broken EVSE is left at once.
    charger.will_answer("ReserveNow", {"status": "Faulted"})
    moved = book(second, slot(9, 10), now=here.now)
    here.is_at(moved, "armed")
    assert fresh(moved).evse_id not in {first.pk, second.pk}

    # Times are understood however they are written, and ours are written in one way.
    for told, second_of_it in [
        ("2030-01-15T10:46:01.25+02", 1.25),
        ("2030-01-15T09:46:01.5", 1.5),
        ("1970-01-01T00:00:07Z", 2),
    ]:
        here.tell(2, "Unavailable", told)
        seen = Evse.objects.get(pk=second.pk).status_at
        assert seen == at(8, 46) + timedelta(seconds=second_of_it), told
    told = charger.ask("Heartbeat", {})["currentTime"]
    assert re.fullmatch(r"2030-01-15T08:46:02\.\d{3}Z", told)

    # What is cancelled while it is away is told when it is back, before what should stand.
    charger.drop()
    operations.cancel_booking(
        booking_id=booked.pk, reason="TRAFFIC", by="fleet", actor=DISPATCHER, now=here.now
    )
    bed.clock.advance(seconds=20)
    charger.script.received.clear()
    charger.come_back()
    here.settle()
    eventually(lambda: here.count("ReserveNow") == 1)
    order = [action for action, _ in charger.script.received if "Reserv" in action]
    assert order == ["CancelReservation", "ReserveNow"]
    assert [held.id for held in charger.station.reservations.values()] == [moved.reservation_id]

    # Where it refuses the gate keeps the slot: from a stranger, for its holder, whose card has another spelling here.
    charger.will_answer("ReserveNow", {"status": "Rejected"})
    guarded = book(fourth, slot(9, 10), now=here.now)
    here.is_at(guarded, "soft", "rejected")
    assert charger.tap(4, STRANGER) is None
    assert charger.tap(4, spelled(guarded.tokens.get().uid)) is not None
    eventually(lambda: fresh(guarded).status == "charging")
    here.check_messages()


@every_version
def test_nobody_is_moved_once_the_trucks_time_is_over_and_the_depot_says_why(bed: Bed, protocol: str):
    here = place(bed, protocol)
    charger = here.charger
    charger.behave(Behaviour(occupied=True))
    charger.plug_in(2)
    full = book(here.evses[0], slot((8, 15), (8, 45)), now=here.now)
    here.is_at(full, "at_risk", "occupied")

    here.tick(8, 29)
    assert fresh(full).status == "confirmed"
    bed.clock.now = at(8, 30)
    charger.unplug(2)
    here.tick(8, 30)
    ended = fresh(full)
    assert (ended.status, ended.cancel_reason, ended.evse_id) == ("cancelled", "FULL", here.evses[0].pk)

    charger.behave(HONEST)
    charger.plug_in(2)
    broken = book(here.evses[0], slot((8, 45), (9, 15)), now=here.now)
    here.is_at(broken, "armed")
    charger.fault(1)
    here.tick(8, 59)
    assert fresh(broken).status == "confirmed"
    charger.unplug(2)
    here.tick(9, 0)
    ended = fresh(broken)
    assert ended.evse_id == here.evses[1].pk or ended.cancel_reason == "BROKEN_CHARGER"
    here.check_messages()


@every_version
def test_who_overstays_is_stopped_and_the_next_truck_is_sent_elsewhere(bed: Bed, protocol: str):
    here = place(
        bed, protocol, early_start_min=0, late_stop_min=0, overstay="stop", overstay_min=5, end_warning_min=0
    )
    charger, (first, second) = here.charger, here.evses
    stays = book(first, slot((8, 15), 9), now=here.now)
    later = book(first, slot(9, 10), now=here.now)
    here.tick(8, 15)
    here.is_at(stays, "armed")
    assert charger.tap(1, stays.tokens.get().uid) is not None
    eventually(lambda: fresh(stays).status == "charging")

    # It waits for the other's slot without being at risk, and is moved as that is over.
    here.tick(8, 59)
    assert (fresh(later).enforcement, happened(later, "enforcement")) == ("not_due", [])
    here.tick(9, 0)
    here.tick(9, 0, 31)
    assert fresh(later).evse_id == second.pk
    here.is_at(later, "armed")

    # Asked thrice, then somebody has to go.
    charger.will_answer(STOPS[protocol != "ocpp1.6"], *[{"status": "Rejected"}] * 3)
    here.tick(9, 4)
    assert here.count(*STOPS) == 0
    for minute in range(5, 9):
        here.tick(9, minute)
    assert here.count(*STOPS) == 3
    assert [told.get("in_vain", False) for told in happened(stays, "overstay")] == [False, True]

    # It stops by itself and leaves; the next one does not come.
    charger.stop(1, stays=True)
    eventually(lambda: fresh(stays).status == "completed")
    assert Evse.objects.get(pk=first.pk).status == "occupied"
    charger.unplug(1)
    eventually(lambda: Evse.objects.get(pk=first.pk).status == "available")
    here.tick(9, 15)
    assert fresh(later).status == "no_show"
    assert here.asked("CancelReservation")[-1] == {"reservationId": later.reservation_id}
    assert not charger.station.reservations
    here.check_messages()


@every_version
def test_a_charger_that_lies_lets_go_goes_out_of_service_after_its_truck_and_is_given_back(
    bed: Bed, protocol: str
):
    here = place(bed, protocol, evses=1, fallbacks=("availability",))
    charger, evse = here.charger, here.evses[0]
    booking = book(evse, slot((8, 15), 9), now=here.now)
    here.is_at(booking, "armed")
    charger.behave(Behaviour(lies=True, ignores_answers=True))
    charger.will_answer(STOPS[protocol != "ocpp1.6"], {"status": "Rejected"})
    charger.sim.script.received.clear()

    # Somebody else is let charge on: first it lets go, then it goes out of service, for the time after.
    assert charger.tap(1, STRANGER) is not None
    bed.clock.advance(seconds=90)
    charger.forget()
    charger.stop(1)
    eventually(lambda: Charger.objects.get(pk=here.row.pk).measured["reservation"] == "lies")
    eventually(lambda: KeptEvse.objects.filter(booking=booking, state="standing").exists())
    kept = [a for a, _ in charger.script.received if a in {"CancelReservation", "ChangeAvailability"}]
    assert kept == ["CancelReservation", "ChangeAvailability"]
    here.is_at(booking, "soft", "availability")
    assert not charger.station.evses[1].is_operative

    # It is said again after a return, and undone by what ends it.
    charger.drop()
    bed.clock.advance(seconds=20)
    charger.come_online()
    eventually(lambda: here.count("ChangeAvailability") == 2)
    here.settle()
    here.tick(8, 31)
    assert fresh(booking).status == "no_show"
    eventually(lambda: KeptEvse.objects.get(booking=booking).state == "over")
    assert charger.station.evses[1].is_operative
    assert Evse.objects.get(pk=evse.pk).kept_for is None
    here.check_messages()


@every_version
def test_where_nothing_else_is_accepted_an_evse_has_no_power_until_its_slot(bed: Bed, protocol: str):
    here = place(bed, protocol, evses=1, fallbacks=("availability", "profile_0"))
    charger = here.charger
    charger.behave(Behaviour(refuses={"ReserveNow": "Rejected", "ChangeAvailability": "Rejected"}))

    booking = book(here.evses[0], slot((8, 15), 9), now=here.now)
    here.is_at(booking, "soft", "profile_0")
    here.settle()
    assert charger.station.offered_w(1) == 0
    here.tick(8, 15)

    assert here.count("ClearChargingProfile") == 1
    assert charger.station.offered_w(1) > 0
    here.check_messages()


@every_version
def test_a_truck_is_its_booking_though_it_came_before_it_or_was_heard_of_after_it(bed: Bed, protocol: str):
    here = place(bed, protocol, walk_in="known")
    charger, (first, second) = here.charger, here.evses
    vehicle = make_vehicle(token=TOKEN)
    assert charger.tap(1, TOKEN) is not None
    early = book(first, slot(9, 10), now=here.now, vehicle=vehicle)
    late = book(second, slot(9, 10), now=here.now)

    here.tick(8, 44)
    assert fresh(early).status == "confirmed"
    here.tick(8, 45)
    assert (fresh(early).status, fresh(early).session) == ("charging", ChargingSession.objects.get())
    here.is_at(late, "armed")

    # Its start waits in the charger's queue until the no-show is over.
    bed.clock.now = at(9, 5)
    begun = charger.station.begin(2, IdToken(late.tokens.get().uid))
    message = charger.sim.ocpp.started(begun, is_offline=True)
    here.tick(9, 15)
    assert fresh(late).status == "no_show"
    bed.clock.now = at(9, 40)
    charger.ask(*message)
    heard = eventually(lambda: ChargingSession.objects.filter(evse=second).first())
    assert (heard.started_at, heard.is_entitled) == (at(9, 5), True)
    here.settle()
    assert here.count(*STOPS) == 0


SIGNED = "OCMF|{}|{}"


@every_version
def test_messages_repeated_reordered_or_missing_make_one_bill_each(bed: Bed, gate, protocol: str):
    here = place(bed, protocol)
    charger, evse = here.charger, here.evses[0]

    def messages(*, begins_wh: int, ends_wh: int, minute: int) -> list[tuple[str, dict[str, Any]]]:
        bed.clock.now = at(8, minute)
        charger.station.evses[1].register_wh = begins_wh
        begun = charger.station.begin(1, IdToken(TOKEN))
        started = charger.sim.ocpp.started(begun, is_offline=False)
        if protocol == "ocpp1.6":
            begun.csms_id = charger.ask(*started)["transactionId"]
        bed.clock.now = at(8, minute + 1)
        begun.meter_wh = ends_wh
        sampled = charger.sim.ocpp.sampled(begun, is_offline=False)
        [samples] = sampled[1]["meterValue"]
        signed = {"value": ends_wh, "signedMeterValue": {
            "signedMeterData": SIGNED, "signingMethod": "", "encodingMethod": "OCMF", "publicKey": "",
        }}  # fmt: skip
        told = {"value": SIGNED, "format": "SignedData"} if protocol == "ocpp1.6" else signed
        samples["sampledValue"].append(told)
        bed.clock.now = at(8, minute + 2)
        charger.station.end(1)
        return [started, sampled, charger.sim.ocpp.ended(begun, "Local", is_offline=False)]

    def session(place: int) -> ChargingSession:
        return ChargingSession.objects.filter(evse=evse).order_by("started_at")[place]

    # Each twice, the end before what came before it.
    started, sampled, ended = messages(begins_wh=1000, ends_wh=21_000, minute=10)
    for message in [ended, started, sampled, started, ended, sampled]:
        charger.ask(*message)
    assert ChargingSession.objects.count() == 1
    assert (session(0).energy_wh, session(0).ended_at) == (20_000, at(8, 12))
    [kept] = session(0).signed_values.all()
    assert SIGNED in json.dumps(kept.sample)

    # A register that began anew leaves the energy to a person.
    started, _, ended = messages(begins_wh=90_000, ends_wh=500, minute=20)
    for message in [started, ended]:
        charger.ask(*message)
    assert (session(1).energy_wh, session(1).flags) == (None, ["bad_meter"])

    # Of one whose end is lost the last sample is known.
    started, sampled, _ = messages(begins_wh=1000, ends_wh=5000, minute=30)
    for message in [started, sampled, messages(begins_wh=5000, ends_wh=6000, minute=40)[0]]:
        charger.ask(*message)
    assert (session(2).energy_wh, "no_stop" in session(2).flags) == (4000, True)
    assert session(3).ended_at is None


@every_version
def test_an_error_of_the_moment_is_asked_again_and_one_of_form_is_not(bed: Bed, protocol: str):
    here = place(bed, protocol)
    here.charger.will_answer("ReserveNow", Refuse("InternalError"))
    first = book(here.evses[0], slot((8, 15), 9), now=here.now)
    here.is_at(first, "at_risk", "error")
    here.tick(8, 1, 2)
    here.is_at(first, "armed")
    here.settle()

    # In either spelling.
    here.charger.will_answer("ReserveNow", Refuse(f"Format{'ion' * (protocol != 'ocpp2.0.1')}Violation"))
    second = book(here.evses[1], slot((8, 15), 9), now=here.now)
    here.is_at(second, "soft")
    before = here.count("ReserveNow")
    here.tick(8, 2, 3)
    assert here.count("ReserveNow") == before
