"""The simulated charger by itself: its hardware keeps reservations truthfully, and it obeys a CSMS of the test's own."""

from __future__ import annotations

import asyncio
import copy
import json
from argparse import ArgumentParser
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from websockets.asyncio.server import serve

from depots.ocpp.wire import CallRefused, CallUnanswered, Wire
from simulators.charger import (
    ChargerOptions,
    IdToken,
    Reservation,
    SimulatedCharger,
    SimulatedEvse,
    command_line,
)
from simulators.charger.behaviour import HONEST, Behaviour
from simulators.charger.charging_profiles import ChargingPeriod, ChargingProfile
from simulators.charger.network_profiles import PRIORITY
from simulators.charger.oddities import ODDITIES, written_oddly
from simulators.charger.simulation import SHOWS_UP, Simulation
from simulators.charger.station import Station
from tests.contract_certificates import authorities

NOW = datetime(2030, 1, 15, 8, 0, tzinfo=UTC)
HOLDER, FELLOW, STRANGER = IdToken("04AA"), IdToken("04BB"), IdToken("04CC")


class Clock:
    now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def station(clock: Clock) -> Station:
    return Station({1: SimulatedEvse(1), 2: SimulatedEvse(2)}, clock=clock)


def wish(id_: int = 7, evse: int | None = 1, minutes: int = 60, token: IdToken = HOLDER) -> Reservation:
    return Reservation(id_, evse, token, "B7", NOW + timedelta(minutes=minutes))


def test_a_reservation_is_replaced_by_its_own_id_only(station: Station):
    assert station.reserve(wish(7)) == "Accepted"
    assert station.reserve(wish(8)) == "Occupied"
    assert station.reserve(wish(7, evse=2)) == "Accepted"
    assert station.reserve(wish(8)) == "Accepted"


@pytest.mark.parametrize("evse", [None, 0, 9])
def test_only_an_evse_that_exists_can_be_reserved(station: Station, evse: int | None):
    assert station.reserve(wish(evse=evse)) == "Rejected"


def test_what_cannot_charge_cannot_be_reserved(station: Station):
    station.evses[1].is_faulted = True
    station.evses[2].is_operative = False

    assert [station.reserve(wish(1, 1)), station.reserve(wish(2, 2))] == ["Faulted", "Unavailable"]


def test_an_evse_in_use_is_occupied(station: Station):
    station.begin(1, STRANGER)
    station.evses[2].is_plugged = True

    assert [station.reserve(wish(1, 1)), station.reserve(wish(2, 2))] == ["Occupied", "Occupied"]


def test_a_reservation_ends_by_the_stations_own_clock(station: Station, clock: Clock):
    station.reserve(wish(minutes=5))
    assert station.status(1) == "Reserved"

    clock.now += timedelta(minutes=5)

    assert station.status(1) == "Available"
    assert station.cancel(7) == "Rejected"


def test_the_holder_or_its_group_may_use_it(station: Station):
    held = wish()

    assert station.is_holder(held, IdToken("04aa"))
    assert station.is_holder(held, FELLOW, "b7")
    assert not station.is_holder(held, STRANGER)
    assert not station.is_holder(held, IdToken("04AA", "Central"))
    station.knows_types = False
    assert station.is_holder(held, IdToken("04AA", "Central"))


def test_a_start_uses_the_reservation_up(station: Station):
    station.reserve(wish())

    transaction = station.begin(1, HOLDER)

    assert transaction.reservation_id == 7
    assert station.reservations == {}


def test_the_meter_only_counts_what_flows(station: Station):
    station.begin(1, HOLDER)
    station.deliver(1, timedelta(hours=1), power_w=400_000)
    station.profiles.install(
        ChargingProfile(1, 1, "TxDefaultProfile", 0, "W", (ChargingPeriod(0, 50_000),)), running=frozenset()
    )
    station.deliver(1, timedelta(hours=1), power_w=400_000)
    station.deliver(2, timedelta(hours=1), power_w=400_000)

    assert station.evses[1].register_wh == 150_000 + 50_000
    assert station.evses[2].register_wh == 0


class Csms:
    """Accepts everything a charger says, and asks it what a test wants."""

    def __init__(self) -> None:
        self.said: list[tuple[str, dict]] = []
        self.wire: Wire | None = None
        self.news = asyncio.Condition()

    async def ask(self, action: str, payload: dict) -> dict:
        return await self.wire.call(action, payload)

    async def hears(self, action: str, count: int = 1) -> dict:
        async with asyncio.timeout(60), self.news:
            while len(found := [payload for name, payload in self.said if name == action]) < count:
                await self.news.wait()
        return found[-1]

    async def serve(self, socket) -> None:
        version = socket.subprotocol.removeprefix("ocpp")
        actions = {
            "BootNotification": {"status": "Accepted", "currentTime": "2030-01-15T08:00:00Z", "interval": 60},
            "StatusNotification": {},
            "Heartbeat": {"currentTime": "2030-01-15T08:00:00Z"},
            "MeterValues": {},
            "ReservationStatusUpdate": {},
            "DiagnosticsStatusNotification": {},
            "FirmwareStatusNotification": {},
            "LogStatusNotification": {},
            "NotifyReport": {},
            "NotifyEvent": {},
            "SecurityEventNotification": {},
        }
        if version == "1.6":
            accepted = {"idTagInfo": {"status": "Accepted"}}
            actions |= {"Authorize": accepted, "StartTransaction": {"transactionId": 5, **accepted}}
            actions |= {"StopTransaction": {}}
        else:
            accepted = {"idTokenInfo": {"status": "Accepted"}}
            actions |= {"Authorize": accepted, "TransactionEvent": {}}
        self.wire = Wire(
            socket, version, {name: self._note(name, answer) for name, answer in actions.items()}
        )
        await self.wire.run()

    def _note(self, action: str, answer: dict) -> Callable[[dict], Awaitable[dict]]:
        async def note(payload: dict) -> dict:
            async with self.news:
                self.said.append((action, payload))
                self.news.notify_all()
            return answer

        return note


@asynccontextmanager
async def listening(csms: Csms, protocol: str):
    """The address of a CSMS."""
    async with serve(csms.serve, "127.0.0.1", 0, subprotocols=[protocol]) as server:
        yield f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}/ocpp"


@asynccontextmanager
async def connected(protocol: str, clock: Clock):
    csms = Csms()
    async with listening(csms, protocol) as url:
        charger = SimulatedCharger(ChargerOptions("CP", url, protocol=protocol, evses=2, clock=clock))
        await charger.come_online()
        yield csms, charger
        await charger.disconnect()


def in_both(test):
    """Run an async test over 1.6 and over 2.0.1; it gets (csms, charger, is_16)."""

    @pytest.mark.parametrize("protocol", ["ocpp1.6", "ocpp2.0.1"])
    def run(protocol: str, clock: Clock) -> None:
        async def body() -> None:
            async with connected(protocol, clock) as (csms, charger):
                await test(csms, charger, protocol == "ocpp1.6")

        asyncio.run(body())

    run.__name__ = test.__name__
    return run


@in_both
async def test_it_obeys_a_charging_profile_until_it_is_cleared(csms: Csms, charger, is_16: bool):
    period = [{"startPeriod": 0, "limit": 60_000.0}]
    schedule = {"chargingRateUnit": "W", "chargingSchedulePeriod": period}
    profile = {
        "stackLevel": 1,
        "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Relative",
    }
    if is_16:
        asked = {
            "connectorId": 1,
            "csChargingProfiles": {"chargingProfileId": 1, **profile, "chargingSchedule": schedule},
        }
        clear: dict = {"connectorId": 1}
    else:
        asked = {
            "evseId": 1,
            "chargingProfile": {"id": 1, **profile, "chargingSchedule": [{"id": 1, **schedule}]},
        }
        clear = {"chargingProfileCriteria": {"evseId": 1}}

    assert await csms.ask("SetChargingProfile", asked) == {"status": "Accepted"}
    await charger.start(1, HOLDER)
    await charger.charge(1, timedelta(hours=1), power_w=400_000)

    assert charger.station.evses[1].register_wh == 60_000
    assert await csms.ask("ClearChargingProfile", clear) == {"status": "Accepted"}
    assert await csms.ask("ClearChargingProfile", clear) == {"status": "Unknown"}


@in_both
async def test_it_refuses_by_name_what_breaks_the_protocol(csms: Csms, charger, is_16: bool):
    known = '"Heartbeat",{}'  # an action, but not one to ask a charger
    asked = ('"ReserveNow",{}', '"ClearCache",{"more":1}', '"Nonsense",{}', known)

    for number, call in enumerate(asked):
        await csms.wire.socket.send(f'[2,"{number}",{call}]')
    for noise in ("no JSON", "[]", '[9,"x"]', '[3,"nobody-asked",{}]', "[2]"):
        await csms.wire.socket.send(noise)

    assert await csms.ask("GetLocalListVersion", {}), "it lives on"
    refused = [json.loads(frame) for frame in charger.frames if frame.startswith("[4,")]
    assert [(told[1], told[2]) for told in refused] == [
        ("0", "ProtocolError"),
        ("1", "FormationViolation" if is_16 else "FormatViolation"),
        ("2", "NotImplemented"),
        ("3", "NotSupported"),
    ]


@in_both
async def test_it_goes_out_of_service_and_loses_its_reservation(csms: Csms, charger, is_16: bool):
    charger.station.reserve(wish())
    asked = (
        {"connectorId": 1, "type": "Inoperative"}
        if is_16
        else {"operationalStatus": "Inoperative", "evse": {"id": 1}}
    )

    assert await csms.ask("ChangeAvailability", asked) == {"status": "Accepted"}
    await charger.idle()

    assert charger.station.status(1) == "Unavailable"
    assert charger.station.reservations == {}
    if not is_16:
        assert (await csms.hears("ReservationStatusUpdate"))["reservationUpdateStatus"] == "Removed"


@in_both
async def test_a_reset_ends_everything_and_boots(csms: Csms, charger, is_16: bool):
    charger.station.reserve(wish())
    await charger.start(2, STRANGER)

    assert await csms.ask("Reset", {"type": "Hard" if is_16 else "Immediate"}) == {"status": "Accepted"}
    await csms.hears("BootNotification", 2)
    await charger.idle()

    assert charger.station.reservations == {}
    assert charger.station.evses[2].transaction is None
    ended = await csms.hears("StopTransaction" if is_16 else "TransactionEvent")
    assert (ended.get("reason") or ended["transactionInfo"]["stoppedReason"]) in {"SoftReset", "Reboot"}


@in_both
async def test_it_says_again_what_it_is_asked_to(csms: Csms, charger, is_16: bool):
    await csms.hears("StatusNotification", 2)

    for message in ("BootNotification", "StatusNotification", "Heartbeat"):
        assert await csms.ask("TriggerMessage", {"requestedMessage": message}) == {"status": "Accepted"}
    await charger.idle()

    await csms.hears("BootNotification", 2)
    await csms.hears("StatusNotification", 4)
    await csms.hears("Heartbeat")
    idle = "DiagnosticsStatusNotification" if is_16 else "LogStatusNotification"
    assert await csms.ask("TriggerMessage", {"requestedMessage": idle}) == {"status": "Accepted"}
    assert await csms.hears(idle) == {"status": "Idle"}
    if not is_16:
        unknown = {"requestedMessage": "PublishFirmwareStatusNotification"}
        assert await csms.ask("TriggerMessage", unknown) == {"status": "NotImplemented"}


@in_both
async def test_its_configuration_is_read_and_changed(csms: Csms, charger, is_16: bool):
    if is_16:
        change = await csms.ask("ChangeConfiguration", {"key": "HeartbeatInterval", "value": "7"})
        unknown = await csms.ask("ChangeConfiguration", {"key": "Colour", "value": "red"})
        told = await csms.ask("GetConfiguration", {"key": ["HeartbeatInterval", "Colour"]})
        fixed = await csms.ask("ChangeConfiguration", {"key": "NumberOfConnectors", "value": "9"})
        words = await csms.ask("ChangeConfiguration", {"key": "HeartbeatInterval", "value": "often"})
        assert (change["status"], unknown["status"]) == ("Accepted", "NotSupported")
        assert fixed["status"] == words["status"] == "Rejected"
        assert charger.heartbeat_s == 7
        assert (told["configurationKey"][0]["value"], told["unknownKey"]) == ("7", ["Colour"])
        return
    interval = {"component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "HeartbeatInterval"}}
    colour = {"component": {"name": "Lamp"}, "variable": {"name": "Colour"}}
    change = await csms.ask("SetVariables", {"setVariableData": [{**interval, "attributeValue": "7"}]})
    told = await csms.ask("GetVariables", {"getVariableData": [interval, colour]})
    assert change["setVariableResult"][0]["attributeStatus"] == "Accepted"
    assert told["getVariableResult"][0]["attributeValue"] == "7"
    assert told["getVariableResult"][1]["attributeStatus"] == "UnknownComponent"
    start = {"component": {"name": "TxCtrlr"}, "variable": {"name": "TxStartPoint"}}
    asked = {"setVariableData": [{**start, "attributeValue": "EVConnected"}]}
    assert (await csms.ask("SetVariables", asked))["setVariableResult"][0][
        "attributeStatus"
    ] == "RebootRequired"
    await csms.ask("GetBaseReport", {"requestId": 3, "reportBase": "FullInventory"})
    await charger.idle()
    reports = [payload for action, payload in csms.said if action == "NotifyReport"]
    assert [report["tbc"] for report in reports] == [True] * (len(reports) - 1) + [False]


@in_both
async def test_a_remote_start_is_refused_where_another_holds_the_reservation(
    csms: Csms, charger, is_16: bool
):
    charger.station.reserve(wish())

    def start(uid: str) -> tuple[str, dict]:
        if is_16:
            return "RemoteStartTransaction", {"connectorId": 1, "idTag": uid}
        token = {"idToken": uid, "type": "ISO14443"}
        return "RequestStartTransaction", {"remoteStartId": 1, "evseId": 1, "idToken": token}

    assert await csms.ask(*start(STRANGER.uid)) == {"status": "Rejected"}
    assert await csms.ask(*start(HOLDER.uid)) == {"status": "Accepted"}
    await charger.idle()

    assert charger.station.evses[1].transaction.reservation_id == 7


def token_16_or_2x(is_16: bool, uid: str, allowed: bool = True) -> dict:
    """An entry of a local list."""
    status = {"status": "Accepted" if allowed else "Blocked"}
    if is_16:
        return {"idTag": uid, "idTagInfo": status}
    return {"idToken": {"idToken": uid, "type": "ISO14443"}, "idTokenInfo": status}


@in_both
async def test_its_local_list_decides_while_it_is_offline(csms: Csms, charger, is_16: bool):
    version = "listVersion" if is_16 else "versionNumber"
    charger.change_setting("LocalAuthListEnabled" if is_16 else "LocalAuthListCtrlr.Enabled", "true")
    entries = [token_16_or_2x(is_16, "04AA"), token_16_or_2x(is_16, "04BB", allowed=False)]

    def send(number: int, kind: str, tokens: list[dict]) -> tuple[str, dict]:
        return "SendLocalList", {version: number, "updateType": kind, "localAuthorizationList": tokens}

    assert await csms.ask(*send(4, "Full", entries)) == {"status": "Accepted"}
    assert await csms.ask(*send(4, "Differential", entries)) == {"status": "VersionMismatch"}
    many = [token_16_or_2x(is_16, f"05{number:02}") for number in range(30)]
    assert await csms.ask(*send(5, "Differential", many)) == {"status": "Failed"}
    gone = {name: value for name, value in token_16_or_2x(is_16, "04CC").items() if "Info" not in name}
    assert await csms.ask(*send(6, "Differential", [token_16_or_2x(is_16, "04CC"), gone])) == {
        "status": "Accepted"
    }
    assert await csms.ask("GetLocalListVersion", {}) == {version: 6}
    await charger.drop()

    assert await charger.tap(1, FELLOW) is None
    assert await charger.tap(1, STRANGER) is None
    assert await charger.tap(1, HOLDER) is not None
    assert len(charger.outbox) == 1


@in_both
async def test_out_of_service_waits_for_the_end_of_the_charging(csms: Csms, charger, is_16: bool):
    await charger.start(1, HOLDER)
    asked: dict = (
        {"connectorId": 1, "type": "Inoperative"}
        if is_16
        else {"operationalStatus": "Inoperative", "evse": {"id": 1}}
    )

    assert await csms.ask("ChangeAvailability", asked) == {"status": "Scheduled"}
    assert charger.station.status(1) == "Charging"
    await charger.stop(1)

    assert charger.station.status(1) == "Unavailable"


@in_both
async def test_it_hands_over_its_log_and_installs_firmware_when_it_is_to(csms: Csms, charger, is_16: bool):
    taken: dict[str, bytes] = {}
    web = await asyncio.start_server(lambda *pair: _serve_files(taken, *pair), "127.0.0.1", 0)
    url = f"http://127.0.0.1:{web.sockets[0].getsockname()[1]}"
    log = {"logType": "DiagnosticsLog", "requestId": 7, "log": {"remoteLocation": f"{url}/logs/"}}

    told = await csms.ask("GetLog", log)
    await charger.idle()
    if is_16:
        await csms.ask(
            "UpdateFirmware", {"location": f"{url}/v2.0.bin", "retrieveDate": "2030-01-15T08:00:00Z"}
        )
    else:
        firmware = {
            "location": f"{url}/v2.0.bin", "retrieveDateTime": "2030-01-15T08:00:00Z",
            "installDateTime": "2030-01-15T08:30:00Z",
        }  # fmt: skip
        await csms.ask("UpdateFirmware", {"requestId": 8, "firmware": firmware})
        await csms.hears("FirmwareStatusNotification", 3)
        charger.clock.now += timedelta(minutes=30)
    await csms.hears("FirmwareStatusNotification", 4 if is_16 else 5)
    web.close()

    assert b"BootNotification" in taken[f"/logs/{told['filename']}"]
    assert [p["status"] for a, p in csms.said if a == "LogStatusNotification"] == ["Uploading", "Uploaded"]
    installed = [p["status"] for a, p in csms.said if a == "FirmwareStatusNotification"]
    waited = [] if is_16 else ["InstallScheduled"]
    assert installed == ["Downloading", "Downloaded", *waited, "Installing", "Installed"]
    boot = [payload for action, payload in csms.said if action == "BootNotification"][-1]
    assert (boot if is_16 else boot["chargingStation"])["firmwareVersion"] == "v2.0"


async def _serve_files(taken: dict[str, bytes], reader, writer) -> None:
    """One HTTP request: what is put is kept, what is fetched is there."""
    method, path, _ = (await reader.readline()).decode().split()
    headers = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = next(
        (int(line[15:]) for line in headers.split(b"\r\n") if line.startswith(b"content-length:")), 0
    )
    if method == "PUT":
        taken[path] = await reader.readexactly(length)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
    await writer.drain()
    writer.close()


@in_both
async def test_a_file_it_cannot_hand_over_is_told(csms: Csms, charger, is_16: bool):
    log = {"logType": "DiagnosticsLog", "requestId": 7, "log": {"remoteLocation": "http://127.0.0.1:1/"}}

    await csms.ask("GetLog", log)
    await charger.idle()

    assert (await csms.hears("LogStatusNotification", 2))["status"] == "UploadFailure"


@in_both
async def test_it_is_as_stubborn_as_it_is_told_to_be(csms: Csms, charger, is_16: bool):
    cancel = ("CancelReservation", {"reservationId": 1})
    charger.behave(Behaviour(occupied=True, refuses={"ClearCache": "NotSupported", "Reset": "Rejected"}))
    told = await csms.ask("Reset", {"type": "Hard" if is_16 else "Immediate"})
    with pytest.raises(CallRefused, match="NotSupported"):
        await csms.ask("ClearCache", {})
    assert told == {"status": "Rejected"}

    charger.behave(Behaviour(answers={"CancelReservation": {"status": "Accepted"}}, late_s={"*": 0.01}))
    assert await csms.ask(*cancel) == {"status": "Accepted"}

    csms.wire.timeout_s = 0.05
    for lost in (Behaviour(silent=("CancelReservation",)), Behaviour(buffer_bytes=20)):
        charger.behave(lost)
        with pytest.raises(CallUnanswered):
            await csms.ask(*cancel)

    charger.behave(Behaviour(lies=True))
    charger.station.reserve(wish())
    assert charger.station.status(1) == "Reserved"
    assert await charger.tap(1, STRANGER) is not None


@in_both
async def test_a_wrong_clock_is_set_by_the_csms_unless_it_ignores_the_time(csms: Csms, charger, is_16: bool):
    charger.clock_offset = timedelta(hours=-1)
    charger.behave(Behaviour(ignores_time=True))
    await charger.heartbeat()
    await charger.report(1)
    assert (await csms.hears("StatusNotification"))["timestamp"].startswith("2030-01-15T07:00")

    charger.behave(HONEST)
    await charger.heartbeat()

    assert charger.now() == NOW


@pytest.mark.parametrize("name", sorted(ODDITIES))
def test_every_oddity_changes_something_an_honest_charger_sends(name: str):
    before = copy.deepcopy(SPOKEN)

    odd = [(action, written_oddly(action, payload, [name])) for action, payload in SPOKEN]

    assert odd != SPOKEN
    assert before == SPOKEN


AT = "2030-01-15T08:00:00.000Z"
REGISTER = {"value": "100", "measurand": "Energy.Active.Import.Register"}
REGISTER_2X = {**REGISTER, "value": 100, "unitOfMeasure": {"unit": "Wh"}}
START = {"connectorId": 1, "idTag": "04AABB", "meterStart": 5, "timestamp": AT, "reservationId": 7}
# What honest chargers of 1.6 and 2.x send.
SPOKEN = [
    (
        "StatusNotification",
        {"connectorId": 1, "errorCode": "NoError", "status": "Available", "timestamp": AT},
    ),
    ("BootNotification", {"chargePointVendor": "B", "chargePointModel": "S"}),
    ("Authorize", {"idTag": "04AABB"}),
    ("StartTransaction", START),
    ("MeterValues", {"connectorId": 1, "meterValue": [{"timestamp": AT, "sampledValue": [REGISTER]}]}),
    ("TransactionEvent", {"timestamp": AT, "meterValue": [{"timestamp": AT, "sampledValue": [REGISTER_2X]}]}),
]


def test_a_truck_comes_charges_and_leaves_and_the_same_seed_brings_the_same(clock: Clock):
    async def visit(seed: int) -> tuple[list[str], int]:
        clock.now = NOW
        async with connected("ocpp1.6", clock) as (csms, charger):
            life = Simulation(charger, Random(seed))
            charger.station.reserve(wish())
            for _ in range(240):
                clock.now += timedelta(minutes=1)
                await life.tick(timedelta(minutes=1))
            return [action for action, _ in csms.said], charger.station.evses[1].register_wh

    arrives = next(seed for seed in range(10) if Random(seed).random() <= SHOWS_UP)
    said, energy_wh = asyncio.run(visit(arrives))

    assert [action for action in said if "Transaction" in action] == ["StartTransaction", "StopTransaction"]
    assert "MeterValues" in said
    assert 100_000 < energy_wh < 600_000
    assert asyncio.run(visit(arrives)) == (said, energy_wh)


def test_one_truck_in_ten_stays_away(clock: Clock):
    async def visit() -> list[str]:
        async with connected("ocpp1.6", clock) as (csms, charger):
            absent = next(seed for seed in range(100) if Random(seed).random() > SHOWS_UP)
            life = Simulation(charger, Random(absent))
            charger.station.reserve(wish())
            for _ in range(90):
                clock.now += timedelta(minutes=1)
                await life.tick(timedelta(minutes=1))
            assert charger.station.status(1) == "Available"
            return [action for action, _ in csms.said]

    assert "StartTransaction" not in asyncio.run(visit())


@pytest.mark.parametrize(("shows_up", "comes"), [(0, False), (1, True)])
def test_of_the_reservations_a_truck_comes_for_the_share_that_is_told(
    shows_up: float, comes: bool, clock: Clock
):
    async def visit(seed: int) -> bool:
        async with connected("ocpp1.6", clock) as (csms, charger):
            life = Simulation(charger, Random(seed), shows_up)
            charger.station.reserve(wish())
            for _ in range(90):
                clock.now += timedelta(minutes=1)
                await life.tick(timedelta(minutes=1))
            clock.now = NOW
            return "StartTransaction" in [action for action, _ in csms.said]

    assert {asyncio.run(visit(seed)) for seed in range(12)} == {comes}


@pytest.mark.parametrize("told", ["1.1", "-0.1", "nan", "some"])
def test_a_share_of_trucks_is_from_0_to_1(told: str, capsys: pytest.CaptureFixture[str]):
    parser = ArgumentParser()
    command_line.add_arguments(parser, url="", file="")
    with pytest.raises(SystemExit):
        parser.parse_args(["--shows-up", told])

    assert f"{told} is no share from 0 to 1" in capsys.readouterr().err


def test_a_restart_takes_up_the_network_profile_that_is_first(clock: Clock):
    """Told by itself, a simulated charger does what it does when told in a scenario."""
    secure = "wss://csms.example/ocpp"
    told = {
        "ocppCsmsUrl": secure, "securityProfile": 2, "messageTimeout": 30, "ocppInterface": "Wired0",
        "ocppTransport": "JSON", "ocppVersion": "OCPP20",
    }  # fmt: skip

    async def restarted() -> tuple[str, int]:
        async with connected("ocpp2.0.1", clock) as (csms, charger):
            Simulation(charger, Random(1))
            root = authorities()[0].pem
            assert await csms.ask(
                "InstallCertificate", {"certificateType": "CSMSRootCertificate", "certificate": root}
            )
            assert await csms.ask("SetNetworkProfile", {"configurationSlot": 2, "connectionData": told})
            assert charger.network.change(PRIORITY, "2,1") == "Accepted"
            before = charger.url
            await charger.on_reset()
            assert before != charger.url
            return charger.url, charger.network.security_profile

    assert asyncio.run(restarted()) == (secure, 2)
