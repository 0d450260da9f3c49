"""Limits of power on the wire: charging profiles set, replaced, cleared and asked for, in every version."""

from __future__ import annotations

import json
from typing import Any

import pytest

from depots.models import Charger, ChargerCommand
from depots.operations import queue_command
from simulators.charger import Mute
from tests.factories import NOW, make_charger, make_evse
from tests.scenarios.bed import Bed, ScriptedCharger, eventually

pytestmark = pytest.mark.usefixtures("gate")

ALL = ("ocpp1.6", "ocpp2.0.1", "ocpp2.1")
DEFAULT = {"purpose": "tx_default", "stack_level": 1, "unit": "W", "limits": [[0, 90_000]]}


@pytest.fixture
def row(transactional_db) -> Charger:
    row = make_charger()
    make_evse(charger=row)
    make_evse(charger=row)
    return row


def online(bed: Bed, row: Charger, protocol: str) -> ScriptedCharger:
    charger = bed.charger(row, protocol)
    charger.come_online()
    return charger


def ask(row: Charger, action: str, **payload: Any) -> ChargerCommand:
    return queue_command(charger=row, action=action, payload=payload, now=NOW)


def limit(row: Charger, profile_id: int = 7, **payload: Any) -> ChargerCommand:
    return ask(row, "set_charging_profile", **{"profile_id": profile_id, "evse": 1, **DEFAULT, **payload})


def becomes(command: ChargerCommand, state: str, answer: str = "") -> ChargerCommand:
    def look() -> bool:
        command.refresh_from_db()
        return command.state == state

    eventually(look)
    assert command.answer == answer, command.answer_text
    return command


@pytest.mark.parametrize("protocol", ALL)
def test_what_a_free_evse_may_give_is_set_replaced_asked_for_and_cleared(bed: Bed, row, protocol):
    charger = online(bed, row, protocol)
    schedule = {"chargingRateUnit": "W", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 90_000}]}
    profile = {
        "stackLevel": 1,
        "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Relative",
    }

    becomes(limit(row), "answered", "accepted")

    if protocol == "ocpp1.6":
        assert charger.heard("SetChargingProfile") == {
            "connectorId": 1,
            "csChargingProfiles": {"chargingProfileId": 7, **profile, "chargingSchedule": schedule},
        }
    else:
        assert charger.heard("SetChargingProfile") == {
            "evseId": 1,
            "chargingProfile": {"id": 7, **profile, "chargingSchedule": [{"id": 7, **schedule}]},
        }
    assert charger.station.offered_w(1) == 90_000
    becomes(limit(row, limits=[[0, 40_000]]), "answered", "accepted")
    assert charger.station.offered_w(1) == 40_000
    told = becomes(
        ask(row, "get_composite_schedule", evse=1, unit="W", duration_s=60), "answered", "accepted"
    )
    assert json.loads(told.answer_text) == {"unit": "W", "periods": [[0, 40_000, None]]}
    becomes(ask(row, "clear_charging_profile", profile_id=7), "answered", "accepted")
    assert charger.station.offered_w(1) == 150_000
    becomes(ask(row, "clear_charging_profile", profile_id=7), "answered", "unknown")


@pytest.mark.parametrize("protocol", ALL)
def test_a_running_transaction_has_a_limit_of_its_own_in_amperes_rounded_down(bed: Bed, row, protocol):
    """22 kW over three phases of 230 V are 31.88 A: never more than was meant, one decimal at most."""
    charger = online(bed, row, protocol)
    charger.station.profiles.units = frozenset("A")
    charger.start(1, "04AABBCCDD10")
    session = eventually(row.sessions.first)
    tx = {"purpose": "tx", "transaction": session.transaction, "limits": [[0, 22_000], [600, 11_000]]}

    rejected = becomes(limit(row, **tx), "answered", "rejected")
    becomes(limit(row, **tx, unit="A", phases=3, volts=230), "answered", "accepted")

    asked = [payload for action, payload in charger.script.received if action == "SetChargingProfile"][-1]
    profile = asked.get("csChargingProfiles") or asked["chargingProfile"]
    schedules = profile["chargingSchedule"]
    periods = (schedules if isinstance(schedules, dict) else schedules[0])["chargingSchedulePeriod"]
    assert periods == [
        {"startPeriod": 0, "limit": 31.8, "numberPhases": 3},
        {"startPeriod": 600, "limit": 15.9, "numberPhases": 3},
    ]
    assert str(profile["transactionId"]) == session.transaction
    assert rejected.answer_text == ""
    charger.stop(1)
    assert not charger.station.profiles.installed


def test_an_absolute_schedule_says_when_it_begins_and_ends(bed: Bed, row):
    charger = online(bed, row, "ocpp1.6")

    becomes(
        limit(row, kind="absolute", starts_at="2030-01-15T08:00:00Z", valid_to="2030-01-15T09:00:00Z"),
        "answered",
        "accepted",
    )

    profile = charger.heard("SetChargingProfile")["csChargingProfiles"]
    assert profile["chargingSchedule"]["startSchedule"] == "2030-01-15T08:00:00.000Z"
    assert profile["validTo"] == "2030-01-15T09:00:00.000Z"
    bed.clock.advance(hours=2)
    assert charger.station.offered_w(1) == 150_000


@pytest.mark.parametrize(
    "wrong",
    [
        {"purpose": "tx", "transaction": "x" * 40},
        {"purpose": "forever"},
        {"unit": "kW"},
        {"kind": "weekly"},
        {"limits": []},
        {"limits": [[0, 1], [0, 2]]},
        {"limits": [[5, 1]]},
    ],
)
@pytest.mark.parametrize("protocol", ["ocpp1.6", "ocpp2.0.1"])
def test_what_no_profile_can_say_is_not_sent(wrong, protocol):
    from depots.ocpp import v16
    from depots.ocpp.dialect import InvalidCommand
    from depots.ocpp.v2x import v201

    payload = {"profile_id": 7, "evse": 1, **DEFAULT, **wrong}
    command = ChargerCommand(action="set_charging_profile", payload=payload)
    with pytest.raises(InvalidCommand):
        (v16 if protocol == "ocpp1.6" else v201).request(command)


def test_of_two_limits_that_wait_the_last_is_sent(bed: Bed, row):
    first, last, other = limit(row), limit(row, limits=[[0, 30_000]]), limit(row, 8, evse=2)

    charger = online(bed, row, "ocpp1.6")

    becomes(last, "answered", "accepted")
    becomes(other, "answered", "accepted")
    becomes(first, "stale")
    assert charger.count("SetChargingProfile") == 2


def test_a_limit_whose_answer_was_lost_is_sent_again_unless_another_came_after_it(bed: Bed, row):
    charger = online(bed, row, "ocpp2.0.1")
    eventually(lambda: row.commands.filter(action="ask_capabilities", state="answered").exists())
    charger.will_answer("SetChargingProfile", Mute())
    lost = limit(row)
    eventually(lambda: charger.count("SetChargingProfile") == 1)
    later = limit(row, limits=[[0, 30_000]])

    charger.drop()
    charger.connect()

    becomes(later, "answered", "accepted")
    becomes(lost, "unclear")
    assert charger.count("SetChargingProfile") == 2
    assert charger.station.offered_w(1) == 30_000
