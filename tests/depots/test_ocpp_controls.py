"""What an operator has a charger do, in each version's messages, and what chargers answer."""

from __future__ import annotations

import json
from typing import Any

import pytest

from depots.models import ChargerCommand
from depots.ocpp import schemas, v16, v21, v201
from depots.ocpp.connection import UNSUPPORTED
from depots.ocpp.dialect import InvalidCommand

DIALECTS = {"1.6": v16, "2.0.1": v201, "2.1": v21}

PAYLOADS: dict[str, list[dict[str, Any]]] = {
    "unlock": [{"evse": 2}],
    "reset": [{"hard": True, "evse": None}, {"hard": False, "evse": None}],
    "trigger": [{"message": "statusnotification", "evse": 2}, {"message": "Heartbeat", "evse": None}],
    "availability": [{"operative": True, "evse": 1}, {"operative": False, "evse": None}],
    "clear_cache": [{}],
    "get_configuration": [{"keys": ["OCPPCommCtrlr.HeartbeatInterval", "A.B"]}],
    "remote_start": [
        {"evse": 1, "token": "04AB", "token_type": "RFID", "reservation_id": 7, "group": "G" * 20}
    ],
    "remote_stop": [{"transaction": "77"}],
}


@pytest.mark.parametrize("version", DIALECTS)
@pytest.mark.parametrize("action", PAYLOADS)
def test_every_command_is_a_message_of_its_version(version, action):
    for payload in PAYLOADS[action]:
        name, message = DIALECTS[version].request(ChargerCommand(action=action, payload=payload))

        schemas.check(version, name, message)


@pytest.mark.parametrize(
    ("version", "action", "payload", "expected"),
    [
        ("1.6", "availability", {"operative": False, "evse": None}, {"connectorId": 0, "type": "Inoperative"}),
        ("1.6", "get_configuration", {"keys": []}, {}),
        ("2.0.1", "reset", {"hard": False, "evse": 2}, {"type": "OnIdle", "evseId": 2}),
        ("2.1", "availability", {"operative": True, "evse": 2}, {"operationalStatus": "Operative", "evse": {"id": 2}}),
        ("2.0.1", "trigger", {"message": "StatusNotification", "evse": 2},
         {"requestedMessage": "StatusNotification", "evse": {"id": 2, "connectorId": 1}}),
    ],
)  # fmt: skip
def test_places_and_kinds_are_said_as_the_version_has_them(version, action, payload, expected):
    assert DIALECTS[version].request(ChargerCommand(action=action, payload=payload))[1] == expected


@pytest.mark.parametrize(
    ("version", "action", "payload"),
    [
        ("1.6", "reset", {"hard": True, "evse": 1}), ("1.6", "trigger", {"message": "Coffee", "evse": None}),
        ("2.0.1", "get_configuration", {"keys": []}), ("2.1", "get_configuration", {"keys": ["HeartbeatInterval"]}),
    ],
)  # fmt: skip
def test_what_a_version_cannot_say_is_not_sent(version, action, payload):
    with pytest.raises(InvalidCommand):
        DIALECTS[version].request(ChargerCommand(action=action, payload=payload))


@pytest.mark.parametrize("version", DIALECTS)
@pytest.mark.parametrize(
    ("told", "word"),
    [("Accepted", "accepted"), ("Scheduled", "scheduled"), ("Unlocked", "unlocked"), ("UnlockFailed", "unlock_failed"),
     ("NotImplemented", "not_supported"), ("Dancing", "error")],
)  # fmt: skip
def test_statuses_are_read_in_every_version(version, told, word):
    assert DIALECTS[version].read_answer({"status": told})[0] == word


def test_settings_are_read_without_a_status():
    old = {"configurationKey": [{"key": "A", "readonly": False, "value": "1"}], "unknownKey": ["B"]}
    name = {"component": {"name": "C"}, "variable": {"name": "V"}}
    new = {"getVariableResult": [{**name, "attributeStatus": "Accepted", "attributeValue": "1"}]}
    unknown = {"getVariableResult": [{**name, "attributeStatus": "UnknownVariable"}]}

    answers = [v16.read_answer(old), v201.read_answer(new), v21.read_answer(unknown)]
    assert [word for word, _ in answers] == ["accepted"] * 3
    assert [json.loads(text) for _, text in answers] == [{"A": "1", "B": None}, {"C.V": "1"}, {"C.V": None}]


def test_a_reason_beside_the_status_is_kept():
    told = {
        "status": "Rejected",
        "statusInfo": {"reasonCode": "CSNotAccepted", "additionalInfo": "ask later"},
    }

    assert v201.read_answer(told) == ("rejected", "CSNotAccepted ask later")


@pytest.mark.parametrize(
    "code",
    [
        "NotImplemented",
        "NotSupported",
        "FormationViolation",
        "FormatViolation",
        "OccurenceConstraintViolation",
    ],
)
def test_errors_of_form_and_support_are_not_asked_again(code):
    assert code in UNSUPPORTED


@pytest.mark.parametrize("code", ["InternalError", "GenericError", "SecurityError"])
def test_errors_of_the_moment_are(code):
    assert code not in UNSUPPORTED
