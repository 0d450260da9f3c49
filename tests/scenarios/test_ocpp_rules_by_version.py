"""What does not depend on the version holds in each: a claim's life, lost answers, returns with old messages, odd statuses.

docs/integrators/ocpp-rules.md says which rule each shows.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from bookings import scheduler
from bookings.models import Booking
from depots.gate import Authorization
from depots.models import Charger, ChargingSession, Evse
from depots.queries import armed_reservations
from simulators.charger import IdToken, Mute
from tests.factories import (
    DISPATCHER,
    NOW,
    book_slot,
    make_charger,
    make_depot,
    make_evse,
    make_option,
    make_vehicle,
    slot,
)
from tests.scenarios.bed import Bed, ScriptedCharger, ScriptedGate, eventually
from tests.scenarios.reserving import TOKEN, becomes, cancel, online, reserve

every_version = pytest.mark.parametrize("protocol", ["ocpp1.6", "ocpp2.0.1", "ocpp2.1"])
STRANGER = "0455667788"
BOOKED = Authorization(allowed=False, reason="booked_by_another")


@pytest.fixture
def row(transactional_db) -> Charger:
    row = make_charger()
    make_evse(charger=row)
    make_evse(charger=row)
    return row


def armed(row: Charger, bed: Bed) -> list[int]:
    row.refresh_from_db()
    return [each.reservation_id for each in armed_reservations(row, now=bed.clock())]


def id_of(asked: dict[str, Any]) -> int:
    return asked.get("reservationId") or asked["id"]


def answers(frames: list[str]) -> int:
    return sum(json.loads(frame)[0] == 3 for frame in frames)


def report(charger: ScriptedCharger, protocol: str, evse: int, status: str, at: str) -> None:
    """The status of an EVSE, or in 1.6 of the whole charger (0), as of a time; 2.x has fewer words."""
    if protocol == "ocpp1.6":
        told = {"connectorId": evse, "errorCode": "NoError", "status": status, "timestamp": at}
    else:
        word = "Occupied" if status == "Preparing" else status
        told = {"evseId": evse, "connectorId": min(evse, 1), "connectorStatus": word, "timestamp": at}
    charger.ask("StatusNotification", told)


@every_version
def test_a_claim_lives_until_it_is_used_taken_back_or_over(bed: Bed, row, gate: ScriptedGate, protocol: str):
    gate.answers[TOKEN.lower()] = gate.answers[TOKEN] = Authorization(
        allowed=True, group="B7", reservation_id=7
    )
    too_late = reserve(row, 5, payload={"expires_at": "2030-01-15T08:00:00Z"})
    overtaken, last = reserve(row, 6), cancel(row, 6)
    charger = online(bed, row, protocol)
    becomes(too_late, "stale")
    becomes(overtaken, "stale")
    becomes(last, "answered", "rejected")
    assert charger.count("ReserveNow") == 0

    # An answer that no version has arms nothing.
    charger.will_answer("ReserveNow", {"status": "Perhaps"})
    assert "Perhaps" in becomes(reserve(row, 8, evse=2), "answered", "error").answer_text
    assert armed(row, bed) == []

    # One at a time, in order; the same id again, with a later end, takes its own place.
    for command in [reserve(row), reserve(row, 8, evse=2)]:
        becomes(command, "answered", "accepted")
    becomes(reserve(row, payload={"expires_at": "2030-01-15T09:30:00Z"}), "answered", "accepted")
    told = [id_of(payload) for action, payload in charger.script.received if action == "ReserveNow"]
    assert told == [8, 7, 8, 7]
    assert sorted(armed(row, bed)) == [7, 8]
    assert [held.expires_at.minute for held in charger.station.reservations.values() if held.id == 7] == [30]

    # Its holder uses it, however the card is spelled; taken back afterwards it stops nobody.
    transaction = charger.tap(1, TOKEN.lower())
    assert transaction.reservation_id == 7
    becomes(cancel(row), "answered", "rejected")
    assert (ChargingSession.objects.get().reservation_id, ChargingSession.objects.get().ended_at) == (7, None)
    assert armed(row, bed) == [8]

    # The charger says nothing of the end of the other; our own clock does.
    bed.clock.advance(minutes=61)
    assert armed(row, bed) == []


@every_version
def test_a_lost_answer_is_unclear_counts_late_and_two_end_the_connection_once(
    bed: Bed, row, gate: ScriptedGate, protocol: str
):
    charger = online(bed, row, protocol)
    eventually(lambda: row.commands.filter(action="ask_capabilities", state="answered").exists())
    charger.will_answer("ReserveNow", Mute())
    with bed.impatient(row):
        command = becomes(reserve(row, not_after=NOW + timedelta(seconds=1)), "unclear")
    row.commands.filter(state="queued").delete()  # the same is to be asked again, but the answer comes first

    frames = [json.loads(frame) for frame in charger.sim.frames]
    [unique_id] = [frame[1] for frame in frames if frame[0] == 2 and frame[2] == "ReserveNow"]
    charger.send(json.dumps([3, unique_id, {"status": "Accepted"}]))
    becomes(command, "answered", "accepted")

    charger.will_answer("ReserveNow", Mute(), Mute())
    with bed.impatient(row):
        reserve(row, 8, evse=2)
        reserve(row, 9, evse=2)
        assert charger.closed() == "calls are not answered"
    assert Charger.objects.get(pk=row.pk).measured["answers_calls"] is False

    # It comes back without a boot, and what was unclear is asked again.
    bed.clock.advance(seconds=21)
    charger.connect()
    again = eventually(lambda: row.commands.filter(reservation_id=8, state="answered").first())
    assert again.answer in {"accepted", "occupied"}


@every_version
def test_what_was_queued_comes_first_is_of_its_own_time_and_moves_no_newer_state(
    bed: Bed, row, gate: ScriptedGate, protocol: str
):
    bed.stop_gateway()
    bed.restart_gateway(after_boot_s=1, drain_s=1)
    charger = bed.charger(row, protocol)
    charger.start(1, STRANGER)
    bed.clock.advance(minutes=20)
    charger.charge(1, timedelta(minutes=20), power_w=60_000)
    charger.stop(1)
    bed.clock.advance(hours=2)
    command = reserve(row, payload={"expires_at": "2030-01-15T13:00:00Z"})

    charger.come_online()
    old_ones = answers(charger.sim.frames)

    session = ChargingSession.objects.get()
    assert (session.started_at, session.ended_at) == (NOW, NOW + timedelta(minutes=20))
    assert (session.energy_wh, session.end_received_at) == (20_000, NOW + timedelta(minutes=140))
    assert gate.asked[0]["now"] == NOW
    becomes(command, "answered", "accepted")
    [asked] = [number for number, frame in enumerate(charger.sim.frames) if '"ReserveNow"' in frame]
    assert answers(charger.sim.frames[:asked]) >= old_ones
    eventually(lambda: Evse.objects.get(number=1).status == "reserved")

    # A start of before, told now, is recorded, and the EVSE stays what it is.
    begun = charger.station.begin(2, IdToken(STRANGER))
    action, payload = charger.sim.ocpp.started(begun, is_offline=True)
    charger.ask(action, json.loads(json.dumps(payload).replace("T10:20:00", "T09:00:00")))
    assert ChargingSession.objects.count() == 2
    assert Evse.objects.get(number=2).status == "available"

    # After a boot nothing is known to stand.
    assert armed(row, bed) == [7]
    bed.clock.advance(seconds=1)
    charger.boot()
    assert armed(row, bed) == []


@every_version
def test_a_wrong_clock_is_known_and_what_it_dates_is_of_now(bed: Bed, row, gate: ScriptedGate, protocol: str):
    charger = online(bed, row, protocol)
    eventually(lambda: row.commands.filter(action="ask_capabilities", state="answered").exists())
    charger.sim.clock = lambda: bed.clock() + timedelta(minutes=5)
    eventually(lambda: charger.report(1) or Charger.objects.get(pk=row.pk).clock_offset_s == 300)

    charger.start(1, TOKEN)
    bed.clock.advance(minutes=20)
    charger.stop(1)

    session = ChargingSession.objects.get()
    assert (session.started_at, session.ended_at) == (NOW, NOW + timedelta(minutes=20))


@every_version
def test_no_odd_status_around_a_reservation_moves_a_booking_or_makes_its_driver_a_stranger(
    bed: Bed, protocol: str
):
    depot = make_depot(
        terms={"arm_lead_min": 15, "early_start_min": 15, "no_show_min": 15, "turnaround_min": 0}
    )
    row = make_charger(depot)
    evses = [make_evse(charger=row, option=False), make_evse(charger=row, option=False)]
    vehicle = make_vehicle(token=TOKEN)
    charger = online(bed, row, protocol)
    eventually(lambda: Evse.objects.filter(charger=row, status="available").count() == 2)
    charger.will_answer("ReserveNow", Mute())
    booking = book_slot(
        vehicle=vehicle, fleet=vehicle.fleet, option=make_option(*evses, code="ANY"), evse=evses[0],
        period=slot((8, 15), 9), actor=DISPATCHER, now=NOW,
    )  # fmt: skip

    def state() -> tuple[str, int]:
        fresh = Booking.objects.get(pk=booking.pk)
        return fresh.enforcement, fresh.evse_id

    def ticks_leave_it(seconds: int) -> None:
        bed.clock.advance(seconds=seconds)
        scheduler.run_tick(bed.clock())
        assert state()[1] == evses[0].pk

    # Its status may come before its answer, and is no reason to ask again.
    eventually(lambda: charger.count("ReserveNow") == 1)
    report(charger, protocol, 1, "Reserved", "2030-01-15T08:00:00Z")
    calls = [json.loads(frame) for frame in charger.sim.frames if '"ReserveNow"' in frame]
    assert state()[0] == "due"
    charger.send(json.dumps([3, calls[0][1], {"status": "Accepted"}]))
    eventually(lambda: state() == ("armed", evses[0].pk))
    assert charger.count("ReserveNow") == 1
    # A firmware that shows every EVSE, or the whole charger, as reserved, and takes it back.
    for evse, status in [(2, "Reserved"), (0, "Reserved"), (2, "Available"), (0, "Available")]:
        report(charger, protocol, evse, status, "2030-01-15T08:00:00Z")
    ticks_leave_it(30)
    assert state()[0] == "armed"
    # Free for a moment before it is out of service, and back: it stays, and stands, where it was.
    report(charger, protocol, 1, "Available", "2030-01-15T08:00:30Z")
    report(charger, protocol, 1, "Unavailable", "2030-01-15T08:00:30.500Z")
    ticks_leave_it(10)
    report(charger, protocol, 1, "Available", "2030-01-15T08:00:40Z")
    eventually(lambda: state()[0] == "armed")
    # The plug goes in before the card is read: that is the driver, not somebody else.
    bed.clock.advance(minutes=11)
    report(charger, protocol, 1, "Preparing", "2030-01-15T08:11:40Z")
    ticks_leave_it(60)
    transaction = charger.tap(1, TOKEN)

    assert transaction is not None
    eventually(lambda: Booking.objects.get(pk=booking.pk).status == "charging")
    assert charger.count("RemoteStopTransaction") + charger.count("RequestStopTransaction") == 0


@pytest.mark.parametrize("protocol", ["ocpp2.0.1", "ocpp2.1"])
def test_2x_tells_a_foreign_reservation_from_none_and_a_lie_from_a_mistake(
    bed: Bed, row, gate: ScriptedGate, protocol: str
):
    charger = online(bed, row, protocol)
    becomes(reserve(row), "answered", "accepted")
    gate.answers[STRANGER] = BOOKED

    def tell(kind: str, transaction: str, minute: int, seq_no: int, **fields: Any) -> ChargingSession:
        at = f"2030-01-15T08:{minute:02}:00Z"
        charger.wait_until(at)
        told = {
            "eventType": kind, "timestamp": at, "triggerReason": "Authorized", "seqNo": seq_no,
            "transactionInfo": {"transactionId": transaction}, "evse": {"id": 1, "connectorId": 1}, **fields,
        }  # fmt: skip
        charger.frames_after(json.dumps([2, f"{transaction}-{seq_no}", "TransactionEvent", told]))
        return eventually(lambda: ChargingSession.objects.filter(transaction=transaction).first())

    card = {"idToken": {"idToken": STRANGER, "type": "ISO14443"}}
    for number, id_told in enumerate([0, -1]):
        session = tell("Started", f"T{number}", number, 0, **card, reservationId=id_told)
        assert session.reservation_id is None
        tell("Ended", f"T{number}", number, 1)
    assert Charger.objects.get(pk=row.pk).measured["reservation"] == "works"

    assert "foreign_token" in tell("Started", "T7", 5, 0, **card, reservationId=7).flags
    tell("Ended", "T7", 9, 1)
    eventually(lambda: Charger.objects.get(pk=row.pk).measured["reservation"] == "lies")
