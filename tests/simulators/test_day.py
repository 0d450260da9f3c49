"""A scripted day does what its file says, in the same way every time, and tells what each truck got."""

from __future__ import annotations

import asyncio
import json
from dataclasses import fields
from datetime import timedelta
from pathlib import Path

import pytest

from simulators.charger.behaviour import Behaviour
from simulators.charger.charger_file import UnreadableFile
from simulators.charger.day import ChargerDay, make_day
from simulators.charger.day_run import DayClock, summary
from simulators.charger.day_script import read_day
from simulators.charger.oddities import ODDITIES
from simulators.charger.station import Reservation
from tests.simulators.test_charger import FELLOW, HOLDER, NOW, Clock, Csms, listening

TRUCK = {"truck": "A", "token": "04AA", "battery_kwh": 500, "soc": 20, "until_soc": 40, "takes_kw": 150}


def written(tmp_path: Path, *events: dict, **charger) -> Path:
    file = tmp_path / "day.json"
    row = {"identity": "CP", "day": list(events), **charger}
    file.write_text(json.dumps({"begins_at": "2030-01-15T08:00:00Z", "chargers": [row]}))
    return file


MINUTE = timedelta(minutes=1)


def lived(
    tmp_path: Path,
    *events: dict,
    hours: float = 3,
    step: timedelta = MINUTE,
    set_up=lambda day: None,
    **charger,
):
    """(what the CSMS heard, the day) after so many hours, step by step."""

    async def live() -> tuple[list[tuple[str, dict]], ChargerDay]:
        clock, csms = Clock(), Csms()
        async with listening(csms, charger.get("protocol", "ocpp1.6")) as url:
            (script,) = read_day(written(tmp_path, *events, **charger), url).chargers
            object.__setattr__(script.options, "clock", clock)
            day = make_day(script, NOW)
            set_up(day)
            for _ in range(timedelta(hours=hours) // step):
                clock.now += step
                await day.advance()
                await day.charger.idle()
            await day.charger.disconnect()
            return csms.said, day

    return asyncio.run(live())


def heard(said: list[tuple[str, dict]], *actions: str) -> list[str]:
    return [action for action, _ in said if action in actions]


@pytest.mark.parametrize("protocol", ["ocpp1.6", "ocpp2.0.1"])
def test_a_truck_comes_charges_blocks_the_bay_and_leaves(tmp_path: Path, protocol: str):
    _, day = lived(tmp_path, {"at": "0:10", **TRUCK, "overstays": "0:20"}, protocol=protocol)

    (story,) = day.stories
    assert (story.outcome, story.came_at) == ("charged", NOW + timedelta(minutes=10))
    assert 100_000 <= story.energy_wh <= 103_000  # 20 % of 500 kWh, and what the last minute brought
    assert story.left_at - story.ended_at == timedelta(minutes=20)
    assert day.is_over


def test_the_same_script_makes_the_same_day(tmp_path: Path):
    events = [{"at": "0:10", **TRUCK, "overstays": "0:20"}, {"at": "0:20", "restarts": "0:05"}]

    assert lived(tmp_path, *events)[0] == lived(tmp_path, *events)[0]


def test_what_happens_offline_is_told_afterwards(tmp_path: Path):
    said, day = lived(
        tmp_path, {"at": "0:05", "offline": "2:00"}, {"at": "0:10", **TRUCK},
        settings={"AllowOfflineTxForUnknownId": "true"},
    )  # fmt: skip

    assert day.stories[0].outcome == "charged"
    assert heard(said, "StartTransaction", "StopTransaction") == ["StartTransaction", "StopTransaction"]
    assert len(heard(said, "BootNotification")) == 1, "only the network was away"


def test_a_truck_that_is_cut_off_by_a_power_failure_tries_again(tmp_path: Path):
    said, day = lived(tmp_path, {"at": "0:10", **TRUCK}, {"at": "0:20", "restarts": "0:03"})

    (story,) = day.stories
    assert (story.outcome, story.interruptions) == ("charged", 1)
    assert len(heard(said, "StartTransaction")) == 2
    assert len(heard(said, "BootNotification")) == 2


def test_a_broken_plug_serves_nobody_and_a_taken_bay_neither(tmp_path: Path):
    _, day = lived(
        tmp_path,
        {"at": "0:10", "breaks": 1, "during": "2:00"}, {"at": "0:20", **TRUCK, "evse": 1},
        {"at": "0:20", **TRUCK, "truck": "B", "evse": 2, "overstays": "2:00"},
        {"at": "1:30", **TRUCK, "truck": "C", "evse": 2},
        evses=2,
    )  # fmt: skip

    assert {story.truck: story.outcome for story in day.stories} == {
        "A": "out_of_order",
        "B": "charged",
        "C": "bay_taken",
    }


def test_whoever_waits_for_less_than_a_minute_does_not_stay_for_one(tmp_path: Path):
    _, day = lived(
        tmp_path, {"at": "0:00", "breaks": 1, "during": "0:10"}, {"at": "0:01", **TRUCK, "waits": "0:00:30"},
        hours=1 / 30, step=timedelta(seconds=10),
    )  # fmt: skip

    (story,) = day.stories
    assert (story.outcome, story.left_at - story.came_at) == ("out_of_order", timedelta(seconds=30))


def test_a_wrong_clock_and_a_new_behaviour_come_when_the_script_says_so(tmp_path: Path):
    said, _ = lived(
        tmp_path, {"at": "0:09", "stubborn": {"ignores_time": True}}, {"at": "0:10", "clock_s": -3600},
        {"at": "0:12", "breaks": 1, "during": "0:01"}, hours=0.25,
    )  # fmt: skip

    assert [p["timestamp"][:13] for a, p in said if a == "StatusNotification"][-1] == "2030-01-15T07"


@pytest.mark.parametrize("protocol", ["ocpp1.6", "ocpp2.0.1", "ocpp2.1"])
def test_what_a_charger_tells_of_itself_is_kept_while_it_is_offline(tmp_path: Path, protocol: str):
    problem = {"at": "0:20", "problem": "Fan", "evse": 1, "code": "E42", "during": "0:02"}
    said, _ = lived(
        tmp_path, {"at": "0:05", "security_event": "TamperDetectionActivated", "info": "door"},
        {"at": "0:10", "offline": "0:30"}, {"at": "0:15", "security_event": "MemoryExhaustion"},
        *([] if protocol == "ocpp1.6" else [problem]), hours=1, protocol=protocol,
    )  # fmt: skip

    events = [payload for action, payload in said if action == "SecurityEventNotification"]
    assert [(e["type"], e.get("techInfo"), e["timestamp"][11:16]) for e in events] == [
        ("TamperDetectionActivated", "door", "08:05"), ("MemoryExhaustion", None, "08:15"),
    ]  # fmt: skip
    told = [event for action, payload in said if action == "NotifyEvent" for event in payload["eventData"]]
    assert [(e["eventId"], e["actualValue"], e.get("cleared"), e["timestamp"][11:16]) for e in told] == (
        [] if protocol == "ocpp1.6" else [(1, "true", None, "08:20"), (2, "false", True, "08:22")]
    )
    assert all((e["component"], e["techCode"]) == ({"name": "Fan", "evse": {"id": 1}}, "E42") for e in told)


def test_reservations_are_forgotten_after_a_while_by_a_firmware_that_does(tmp_path: Path):
    held = Reservation(7, 1, HOLDER, "", NOW + timedelta(hours=2))
    reserved: list[str] = []

    def set_up(day: ChargerDay) -> None:
        reserved.append(day.charger.station.reserve(held))

    _, day = lived(
        tmp_path, {"at": "0:10", **TRUCK, "token": FELLOW.uid, "waits": "1:00"},
        hours=1, set_up=set_up, stubborn={"forgets_after_min": 30},
    )  # fmt: skip

    assert reserved == ["Accepted"]
    assert day.stories[0].refusals == 20
    assert day.stories[0].started_at == NOW + timedelta(minutes=30)


def test_the_summary_counts_what_the_trucks_got(tmp_path: Path):
    _, day = lived(tmp_path, {"at": "0:10", **TRUCK})

    told = summary([day])

    assert told["outcomes"] == {"charged": 1}
    assert told["energy_wh"] == day.charger.station.evses[1].register_wh
    assert json.dumps(told)


def test_its_clock_goes_as_fast_as_it_is_told():
    clock = DayClock(NOW, 1_000_000)

    first, second = clock(), clock()

    assert NOW <= first < second


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        ({"at": "25", **TRUCK}, "charger 1, event 1"), ({"at": "0:10"}, "an event is one of"),
        ({"at": "0:10", "stubborn": {"sleepy": True}}, "no charger is stubborn by sleepy"),
        ({"at": "0:10", "breaks": 1}, "during"), ({"at": "0:10", "problem": "Fan"}, "OCPP 1.6 cannot tell of a part"),
        ({"at": "0:10", "security_event": ""}, "1 to 50 characters"),
    ],
)  # fmt: skip
def test_a_fault_in_the_file_is_named(tmp_path: Path, told: dict, sentence: str):
    with pytest.raises(UnreadableFile, match=sentence):
        read_day(written(tmp_path, told), "ws://x")


def test_the_day_in_the_documentation_can_be_read(tmp_path: Path):
    guide = (Path(__file__).parents[2] / "docs" / "integrators" / "simulator.md").read_text()
    file = tmp_path / "day.json"
    file.write_text(guide.split("```json\n")[1].split("```")[0])

    day = read_day(file, "ws://x")

    assert [type(event).__name__ for event in day.chargers[0].events] == [
        "Visit", "Restart", "Breakdown", "Offline", "WrongClock", "Change", "SecurityEvent",
    ]  # fmt: skip
    assert all(f"`{name}`" in guide for name in ODDITIES)
    assert all(f"`{each.name}`" in guide for each in fields(Behaviour))


def test_an_oddity_that_there_is_not_is_named(tmp_path: Path):
    with pytest.raises(UnreadableFile, match="purple is not one of the oddities"):
        read_day(written(tmp_path, stubborn={"oddities": ["purple"]}), "ws://x")
