"""The simulated hub by itself: who is told what, and whom it refuses."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from simulators.hub import HubParty, SimulatedHub
from simulators.hub.command_line import say_statuses
from simulators.partner import PartnerSettings, PlatformError, SimulatedPartner
from simulators.partner.ocpi_format import Party, authorization, routing
from simulators.partner.other_platform import OtherPlatform
from tests.roaming.running import waited_for

ROOT = Path(__file__).parents[2]
SITES, TRUCKS = ("FR", "SIT"), ("SE", "TRK")
EVERY_PLACE = {f"FR/SIT/SIM-{town}" for town in ("LYON", "METZ", "DIJON")}
OFFERS = {f"SIM-{offer}" for offer in ("LYON-CCS", "METZ-MCS", "DIJON-CCS")}


def make_hub(tmp_path: Path, *parties: HubParty, version: str = "2.3.0") -> SimulatedHub:
    settings = PartnerSettings(
        tmp_path / "hub.json", country_code="NL", party_id="HUB", name="Hub", version=version
    )
    return SimulatedHub(settings, parties)


@pytest.fixture
def hub(tmp_path: Path, clock: Any) -> Iterator[SimulatedHub]:
    with make_hub(tmp_path, HubParty(*SITES, ("CPO",)), HubParty(*TRUCKS, ("EMSP",))) as running:
        waited_for(lambda: told(running.partners[1]) and running.is_idle)
        yield running


def told(trucks: SimulatedPartner) -> bool:
    """Of every place, and of what is told last: where it can be booked."""
    offers = {offer["id"] for offer in trucks.received.of("booking_locations").values()}
    return trucks.received.of("locations").keys() == EVERY_PLACE and offers >= OFFERS


def said(
    hub: SimulatedHub, method: str, path: str, sender: Party | None, receiver: Party | None
) -> tuple[int, int]:
    """HTTP and OCPI status of what the platform of the sites is answered."""
    routed = routing(sender, receiver) if sender else {}
    headers = {name.lower(): value for name, value in routed.items()}
    headers["authorization"] = authorization(hub.partners[0].peer.known()["token_out"])
    status, envelope, _ = hub.answer(method, path, headers, b"{}")
    return status, envelope["status_code"]


@pytest.mark.parametrize("version", ["2.3.0", "2.2.1"])
def test_what_is_for_all_reaches_all_and_what_is_for_one_reaches_it(
    tmp_path: Path, clock: Any, version: str
) -> None:
    third = HubParty("DE", "OTH", ("EMSP",))
    parties = HubParty(*SITES, ("CPO",)), HubParty(*TRUCKS, ("EMSP",)), third
    with make_hub(tmp_path, *parties, version=version) as hub:
        sites, trucks, others = hub.partners
        waited_for(lambda: told(trucks) and hub.is_idle)

        booked = trucks.emsp.book()

        assert booked is not None
        assert booked["reservation_status"] in ("RESERVED", "PENDING")
        assert list(sites.desk.bookings()) == [booked["id"]]
        waited_for(lambda: f"FR/SIT/{booked['id']}" in trucks.received.of("bookings"))
        base = trucks.peer.endpoint("booking", "SENDER")
        assert [one["id"] for one in trucks.peer.pages(base)] == [booked["id"]]
        assert list(others.peer.pages(base)) == []
        assert not others.received.of("bookings")


def test_everybody_is_told_who_else_is_there(hub: SimulatedHub) -> None:
    sites, trucks = hub.partners

    assert sites.hub_clients.clients()["EMSP/SE/TRK"]["status"] == "CONNECTED"
    assert trucks.hub_clients.clients()["CPO/FR/SIT"]["status"] == "CONNECTED"
    listed = {
        one["party_id"]
        for one in OtherPlatform(sites.settings, sites.state).pages(
            sites.peer.endpoint("hubclientinfo", "SENDER")
        )
    }
    assert listed == {"TRK"}
    assert sites.peer.hub == ("NL", "HUB")


def test_who_does_not_answer_is_away_until_it_does(hub: SimulatedHub, tmp_path: Path, clock: Any) -> None:
    sites, trucks = hub.partners
    offer = next(o for o in trucks.received.of("booking_locations").values() if o["id"] == "SIM-LYON-CCS")
    sites.stop()

    with pytest.raises(PlatformError, match="4003"):
        trucks.peer.call(
            "GET",
            f"{trucks.peer.endpoint('booking', 'SENDER')}/booking_locations/{offer['id']}",
            to_party=SITES,
        )
    waited_for(lambda: trucks.hub_clients.clients()["CPO/FR/SIT"]["status"] == "OFFLINE")
    with SimulatedPartner(sites.settings):
        clock.shift(timedelta(seconds=20))
        waited_for(lambda: trucks.hub_clients.clients()["CPO/FR/SIT"]["status"] == "CONNECTED")


def test_a_message_that_names_no_receiver_goes_to_whom_it_concerns(hub: SimulatedHub, clock: Any) -> None:
    sites, trucks = hub.partners
    offer = next(o for o in trucks.received.of("booking_locations").values() if o["id"] == "SIM-LYON-CCS")
    start = clock_now(sites) + timedelta(hours=1)
    booked = trucks.emsp.ask(offer, start, start + timedelta(hours=1))
    clock.shift(timedelta(hours=1))
    waited_for(lambda: trucks.received.of("sessions"))
    waited_for(lambda: hub.is_idle)

    stop = {"session_id": f"S-{booked['id']}"}
    answer = trucks.commands.command("STOP_SESSION", stop)
    seen = trucks.peer.call("GET", f"{trucks.peer.endpoint('locations', 'SENDER')}/SIM-LYON")

    assert answer["result"] == "ACCEPTED"
    assert waited_for(lambda: trucks.commands.results().get(answer["key"])) == {"result": "ACCEPTED"}
    assert seen["party_id"] == "SIT"
    with pytest.raises(PlatformError, match="4001"):
        trucks.commands.command("STOP_SESSION", {"session_id": "nobody's"})
    [cdr] = waited_for(lambda: list(trucks.received.of("cdrs").values()))
    assert cdr["booking_id"] == booked["id"]


def clock_now(partner: SimulatedPartner) -> Any:
    return partner.settings.clock()


SESSION = "/ocpi/emsp/2.3.0/sessions/FR/SIT/S-1"
PLACE = "/ocpi/emsp/2.3.0/locations/FR/SIT/SIM-LYON"


REFUSED = [
    ("PUT", PLACE, None, None, (200, 2001)),
    ("PUT", PLACE, ("FR", "OTH"), TRUCKS, (404, 2001)),
    ("PUT", PLACE, SITES, ("XX", "YYY"), (200, 4001)),
    ("PUT", SESSION, SITES, ("NL", "HUB"), (200, 2001)),
    ("PUT", SESSION, SITES, None, (200, 4001)),
    ("GET", SESSION, SITES, TRUCKS, (404, 2000)),
    ("GET", "/ocpi/emsp/2.3.0/parking", SITES, TRUCKS, (404, 2000)),
    ("GET", "/ocpi/to/nobody/x", SITES, TRUCKS, (404, 2000)),
]


def test_what_cannot_be_passed_on_is_refused(hub: SimulatedHub) -> None:
    for method, path, sender, receiver, expected in REFUSED:
        assert said(hub, method, path, sender, receiver) == expected, (method, path, sender, receiver)


def test_what_a_file_says_of_a_party_holds_until_it_does_not(hub: SimulatedHub, tmp_path: Path) -> None:
    sites, _ = hub.partners
    file = tmp_path / "statuses.json"
    file.write_text('{"SE*TRK": "SUSPENDED", "DE*NEW:EMSP": "PLANNED"}')

    now = say_statuses(hub, file, {})

    waited_for(lambda: sites.hub_clients.clients()["EMSP/SE/TRK"]["status"] == "SUSPENDED")
    assert sites.hub_clients.clients()["EMSP/DE/NEW"]["status"] == "PLANNED"
    assert said(hub, "GET", SESSION, SITES, TRUCKS) == (200, 4003)
    file.write_text('{"SE*TRK": "ASLEEP"}')
    now = say_statuses(hub, file, now)
    file.write_text("{}")
    say_statuses(hub, file, now)
    waited_for(lambda: sites.hub_clients.clients()["EMSP/SE/TRK"]["status"] == "CONNECTED")


def test_it_runs_from_the_command_line_and_ends_cleanly(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "simulators.hub", "--invite", "--invite", "--state", tmp_path / "h.json"],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline().startswith("Listening on http://127.0.0.1:")
    tokens = [json.loads(process.stdout.readline())["token_a"] for _ in range(2)]
    assert len(set(tokens)) == 2
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 0
