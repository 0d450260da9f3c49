"""What the simulated partner makes of EVSEs and connectors that are pushed by themselves (OCPI mod_locations, PUT and PATCH)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from simulators.partner.locations import LocationsReceiver
from simulators.partner.ocpi_format import Refusal
from simulators.partner.received_objects import ReceivedObjects
from simulators.partner.requests import Request
from simulators.partner.state_file import StateFile

KEY = ["NL", "LPK", "DEP-7"]
EARLY, NOW, LATE = "2030-01-15T08:00:00Z", "2030-01-15T09:00:00Z", "2030-01-15T10:00:00Z"


class Peer:
    def parties(self, role: str) -> list[list[str]]:
        return [["NL", "LPK"]] if role == "CPO" else []


def connector(name: str, at: str = NOW) -> dict[str, Any]:
    return {"id": name, "standard": "MCS", "last_updated": at}


def evse(uid: str, status: str = "AVAILABLE", at: str = NOW) -> dict[str, Any]:
    return {"uid": uid, "status": status, "connectors": [connector("1")], "last_updated": at}


@pytest.fixture
def received(tmp_path: Path) -> ReceivedObjects:
    found = ReceivedObjects(StateFile(tmp_path / "state.json"), Peer())  # type: ignore[arg-type]
    found.keep("locations", KEY, {"id": "DEP-7", "evses": [evse("E1")], "last_updated": NOW})
    return found


def send(received: ReceivedObjects, method: str, rest: list[str], body: Any = None) -> tuple[int, Any]:
    answer = LocationsReceiver(received).answer(Request(method, [], {}, body, "peer"), [*KEY, *rest])
    return answer.http_status, answer.data


@pytest.mark.parametrize(
    ("method", "rest", "body", "http", "statuses"),
    [
        ("PUT", ["e1"], evse("E1", "CHARGING", LATE), 200, {"E1": "CHARGING"}),
        ("PUT", ["E1"], evse("E1", "CHARGING", EARLY), 200, {"E1": "AVAILABLE"}),
        ("PUT", ["E2"], evse("E2"), 201, {"E1": "AVAILABLE", "E2": "AVAILABLE"}),
        ("PATCH", ["E1"], {"status": "CHARGING", "last_updated": LATE}, 200, {"E1": "CHARGING"}),
    ],
)
def test_an_evse_is_told_by_itself_and_the_rest_of_its_location_stays(
    received: ReceivedObjects, method: str, rest: list[str], body: Any, http: int, statuses: dict[str, str]
) -> None:
    assert send(received, method, rest, body) == (http, None)

    held = received.find("locations", KEY)
    assert {one["uid"]: one["status"] for one in held["evses"]} == statuses
    assert held["evses"][0]["connectors"] == [connector("1")]


def test_a_connector_is_told_by_itself(received: ReceivedObjects) -> None:
    assert send(received, "PUT", ["E1", "2"], connector("2")) == (201, None)

    assert send(received, "GET", ["E1", "2"]) == (200, connector("2"))
    assert [one["id"] for one in received.find("locations", KEY)["evses"][0]["connectors"]] == ["1", "2"]


@pytest.mark.parametrize(
    ("method", "rest", "body"),
    [
        ("PATCH", ["E9"], {"last_updated": LATE}),
        ("PUT", ["E9", "1"], connector("1")),
        ("GET", ["E1", "9"], None),
        ("PUT", ["E1", "1", "more"], connector("1")),
    ],
)
def test_what_is_not_there_is_404(received: ReceivedObjects, method: str, rest: list[str], body: Any) -> None:
    with pytest.raises(Refusal) as refused:
        send(received, method, rest, body)

    assert refused.value.http_status == 404
    assert received.find("locations", KEY)["evses"] == [evse("E1")]
