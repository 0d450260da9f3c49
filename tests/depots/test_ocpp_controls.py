"""What an operator has a charger do, in each version's messages, and what chargers answer."""

from __future__ import annotations

import json
from typing import Any

import pytest

from depots.models import ChargerCommand
from depots.ocpp import schemas, v16
from depots.ocpp.command_sending import UNSUPPORTED
from depots.ocpp.dialect import InvalidCommand
from depots.ocpp.v2x import v21, v201
from depots.secrets import encrypt

DIALECTS = {"1.6": v16, "2.0.1": v201, "2.1": v21}

RESERVATION = {
    "reservation_id": 7, "evse": 1, "token": "04AABBCCDD10", "token_type": "RFID", "group": "",
    "expires_at": "2030-01-15T09:00:00Z",
}  # fmt: skip
PROFILE = {
    "profile_id": 7, "evse": 1, "purpose": "tx_default", "stack_level": 1, "unit": "W", "limits": [[0, 22_000], [600, 11_050]],
    "kind": "relative", "valid_to": None,
}  # fmt: skip
FILE = {"request": 7, "location": "https://berth.example/logs/1"}
FIRMWARE = {
    **FILE, "retrieve_at": "2030-01-15T09:00:00Z", "install_at": None, "certificate": "", "signature": ""
}  # fmt: skip
PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
HASH = {"hashAlgorithm": "SHA256", "issuerNameHash": "7bd6", "issuerKeyHash": "a1f0", "serialNumber": "3e8"}
ENTRY = {"uid": "04AABBCCDD10", "type": "RFID", "group": "", "until": "2030-01-15T09:00:00Z"}
# Every kind of everything we have a charger do, each as it is written into a command. A new action wants its own here.
PAYLOADS: dict[str, list[dict[str, Any]]] = {
    "reserve": [RESERVATION, {**RESERVATION, "group": "G" * 20}, {**RESERVATION, "token_type": "APP_USER"}],
    "cancel_reservation": [{"reservation_id": 7}],
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
    "set_charging_profile": [
        PROFILE,
        {**PROFILE, "purpose": "tx", "transaction": "17", "unit": "A", "phases": 3, "volts": 230},
        {**PROFILE, "kind": "absolute", "starts_at": "2030-01-15T08:00:00Z", "valid_to": "2030-01-15T09:00:00Z"},
    ],
    "clear_charging_profile": [{"profile_id": 7}],
    "get_composite_schedule": [
        {"evse": 1, "unit": "W", "duration_s": 60}, {"evse": 0, "unit": "A", "duration_s": 3600},
    ],
    "send_local_list": [
        {"version": 1, "full": True, "put": [], "remove": []},
        {"version": 2, "full": False, "put": [ENTRY, {**ENTRY, "uid": "05", "group": "B7"}],
         "remove": [{"uid": "06", "type": "RFID"}]},
    ],
    "read_settings": [{"keys": ["OCPPCommCtrlr.HeartbeatInterval"]}],
    "change_settings": [{"settings": {"OCPPCommCtrlr.HeartbeatInterval": "60"}}],
    "ask_inventory": [{"request": 7}],
    "get_diagnostics": [
        {**FILE, "is_security": False, "since": "2030-01-14T08:00:00Z"}, {**FILE, "is_security": True, "since": None},
    ],
    "update_firmware": [
        FIRMWARE,
        {**FIRMWARE, "install_at": "2030-01-15T10:00:00Z", "certificate": "-----BEGIN CERTIFICATE-----", "signature": "c2ln"},
    ],
    "set_password": [{"encrypted": "SOME"}],
    "set_security_profile": [
        {"profile": 2, "slot": 2, "url": "wss://berth.example/ocpp", "interface": "wired"},
        {"profile": 3, "slot": 3, "url": "wss://berth.example/ocpp", "interface": "wireless"},
    ],
    "set_network_priority": [{"slots": [2, 1]}],
    "certificate_signed": [{"chain": PEM, "request": None}, {"chain": PEM, "request": 7}],
    "install_certificate": [{"certificate": PEM}],
    "delete_certificate": [{"hash": HASH}],
    "renew_certificate": [{}],
    "installed_certificates": [{}],
}  # fmt: skip
# Several calls, of which each charger's answers decide the next.
ASKED_IN_PORTIONS = {"ask_capabilities"}
OF_2X_ONLY = {"set_network_priority"}


def test_every_command_has_its_samples():
    assert set(PAYLOADS) | ASKED_IN_PORTIONS == set(ChargerCommand.Action.values)


@pytest.mark.parametrize(
    ("version", "action"),
    [(each, action) for each in DIALECTS for action in PAYLOADS if each != "1.6" or action not in OF_2X_ONLY],
)
def test_every_command_is_a_message_of_its_version(version, action):
    for payload in PAYLOADS[action]:
        told = {"encrypted": encrypt("a-charger-password")} if "encrypted" in payload else payload
        name, message = DIALECTS[version].request(ChargerCommand(action=action, payload=told))

        schemas.check(version, name, message)


@pytest.mark.parametrize(("version", "numbered"), [("1.6", False), ("2.0.1", False), ("2.1", True)])
def test_a_certificate_is_numbered_as_its_request_was_in_2_1_alone(version, numbered):
    command = ChargerCommand(action="certificate_signed", payload={"chain": PEM, "request": 7})

    assert ("requestId" in DIALECTS[version].request(command)[1]) is numbered


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
        ("1.6", "set_network_priority", {"slots": [2, 1]}),
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
    assert DIALECTS[version].read_answer({"status": told}, "reserve")[0] == word


def test_settings_are_read_without_a_status():
    old = {"configurationKey": [{"key": "A", "readonly": False, "value": "1"}], "unknownKey": ["B"]}
    name = {"component": {"name": "C"}, "variable": {"name": "V"}}
    new = {"getVariableResult": [{**name, "attributeStatus": "Accepted", "attributeValue": "1"}]}
    unknown = {"getVariableResult": [{**name, "attributeStatus": "UnknownVariable"}]}

    asked = [(v16, old), (v201, new), (v21, unknown)]
    answers = [version.read_answer(told, "get_configuration") for version, told in asked]
    assert [word for word, _ in answers] == ["accepted"] * 3
    assert [json.loads(text) for _, text in answers] == [{"A": "1", "B": None}, {"C.V": "1"}, {"C.V": None}]


def test_a_reason_beside_the_status_is_kept():
    told = {
        "status": "Rejected",
        "statusInfo": {"reasonCode": "CSNotAccepted", "additionalInfo": "ask later"},
    }

    assert v201.read_answer(told, "unlock") == ("rejected", "CSNotAccepted ask later")


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
