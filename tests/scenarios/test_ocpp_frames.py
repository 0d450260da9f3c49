"""Frames of every kind of wrong: each is answered as its version says, and the connection lives on."""

import json
from collections.abc import Iterator
from contextlib import suppress

import pytest

from depots.models import Charger, ChargerMessage
from tests.factories import make_charger, make_evse
from tests.scenarios.bed import Bed, ScriptedCharger, eventually

pytestmark = pytest.mark.usefixtures("gate")

V16, V201, V21 = "ocpp1.6", "ocpp2.0.1", "ocpp2.1"
ALL = (V16, V201, V21)


def connected(bed: Bed, protocol: str) -> ScriptedCharger:
    charger = bed.charger(make_charger(), protocol)
    charger.connect()
    return charger


# What the gateway asks a charger that has just come.
QUESTIONS = {"GetConfiguration", "GetVariables"}


def reply_to(charger: ScriptedCharger, frame: str | bytes) -> list:
    """The next answer that comes back; the gateway may ask something of its own in between."""
    before = len(charger.sim.frames)
    charger.send(frame)
    return eventually(lambda: next(_answers(charger.sim.frames, since=before), None))


def _answers(frames: list[str], *, since: int = 0) -> Iterator[list]:
    """Those from a frame on, without the charger's own to what it was asked: frames of both directions are there."""
    asked = set()
    for number, frame in enumerate(frames):
        with suppress(ValueError):
            message = json.loads(frame)
            if message[0] == 2 and message[2] in QUESTIONS:
                asked.add(message[1])
            elif number >= since and message[0] in {3, 4} and message[1] not in asked:
                yield message


@pytest.mark.parametrize("protocol", ALL)
def test_a_frame_that_is_no_message_is_named_as_such(bed: Bed, protocol: str):
    charger = connected(bed, protocol)
    code = "FormationViolation" if protocol == V16 else "RpcFrameworkError"
    frames = [
        "",
        "not json",
        "{}",
        "[]",
        '"text"',
        "null",
        "[NaN]",
        "\x00",
        b"\xff\xfe",
        "[" * 100_000,
        "[2]",
        "2",
    ]

    replies = [reply_to(charger, frame)[:3] for frame in frames]

    assert replies == [[4, "-1", code]] * len(frames)
    assert charger.heartbeat()


@pytest.mark.parametrize("protocol", ALL)
def test_a_call_of_the_wrong_shape_is_answered_to_its_id(bed: Bed, protocol: str):
    charger = connected(bed, protocol)
    code = "FormationViolation" if protocol == V16 else "RpcFrameworkError"
    wrong = [[], ["Heartbeat"], ["Heartbeat", []], ["", {}], [7, {}], ["Heartbeat", {}, 1]]

    replies = [reply_to(charger, json.dumps([2, "id-7", *rest]))[:3] for rest in wrong]

    assert replies == [[4, "id-7", code]] * len(wrong)
    assert charger.heartbeat()


@pytest.mark.parametrize("protocol", [V201, V21])
def test_an_unknown_type_of_message_is_named_in_2x(bed: Bed, protocol: str):
    charger = connected(bed, protocol)

    assert reply_to(charger, '[9,"id-7","Heartbeat",{}]')[:3] == [4, "id-7", "MessageTypeNotSupported"]
    assert charger.heartbeat()


def test_an_unknown_type_of_message_is_ignored_in_1_6(bed: Bed):
    charger = connected(bed, V16)

    before = len(charger.sim.frames)
    charger.send('[9,"id-7","Heartbeat",{}]')
    charger.heartbeat()

    assert [answer[0] for answer in _answers(charger.sim.frames, since=before)] == [3]


@pytest.mark.parametrize("protocol", ALL)
def test_an_answer_to_nothing_is_dropped(bed: Bed, protocol: str):
    charger = connected(bed, protocol)

    before = len(charger.sim.frames)
    for frame in ('[3,"nobody-asked",{}]', '[4,"nobody-asked","X","",{}]', '[3,"x"]', "[3,7,{}]"):
        charger.send(frame)
    charger.heartbeat()

    # The first of these is our own frame, as sent.
    answers = [answer for answer in _answers(charger.sim.frames, since=before) if answer[1] != "nobody-asked"]
    assert [answer[0] for answer in answers] == [3]


@pytest.mark.parametrize("protocol", ALL)
def test_an_unknown_action_is_not_implemented_and_one_of_ours_not_supported(bed: Bed, protocol: str):
    charger = connected(bed, protocol)

    assert reply_to(charger, '[2,"1","MakeCoffee",{}]')[:3] == [4, "1", "NotImplemented"]
    for number, action in enumerate(["../Heartbeat", "../2.0.1/HeartbeatRequest", "N" * 5000, "Müll"]):
        assert reply_to(charger, f'[2,"a{number}","{action}",{{}}]')[:3] == [
            4,
            f"a{number}",
            "NotImplemented",
        ]
    assert reply_to(charger, '[2,"3","ReserveNow",{}]')[:3] == [4, "3", "NotSupported"]


STATUS_16 = {"connectorId": 1, "errorCode": "NoError", "status": "Available"}
STATUS_2X = {
    "timestamp": "2030-01-15T08:00:00Z",
    "evseId": 1,
    "connectorId": 1,
    "connectorStatus": "Available",
}


@pytest.mark.parametrize(
    ("protocol", "payload"),
    [
        (V16, {**STATUS_16, "connectorId": "1"}),
        (V16, {**STATUS_16, "status": "available", "info": "x" * 51}),
        (V16, {**STATUS_16, "extra": 1}),
        (V201, {**STATUS_2X, "evseId": 1.0, "connectorStatus": "AVAILABLE"}),
        (V21, {**STATUS_2X, "extra": 1}),
    ],
)
def test_a_payload_that_breaks_its_schema_is_read_and_answered(bed: Bed, protocol, payload):
    row = make_charger()
    evse = make_evse(charger=row, status="unavailable")
    charger = bed.charger(row, protocol)
    charger.connect()

    assert reply_to(charger, json.dumps([2, "1", "StatusNotification", payload])) == [3, "1", {}]

    evse.refresh_from_db()
    assert evse.status == "available"


def test_a_transaction_with_thousands_of_odd_samples_is_answered_and_beside_it_others(bed: Bed):
    row = make_charger()
    make_evse(charger=row)
    charger, other = bed.charger(row), connected(bed, V16)
    charger.connect()
    data = [{"timestamp": NOON, "sampledValue": [{"value": "1", "unit": "Bananas"}] * 20_000}]
    stop = {"transactionId": 1, "meterStop": 9, "timestamp": NOON, "transactionData": data}

    charger.send(json.dumps([2, "stop", "StopTransaction", stop]))
    assert other.heartbeat()

    answers = eventually(lambda: [told for told in _answers(charger.sim.frames) if told[1] == "stop"])
    assert [told[0] for told in answers] == [3]


@pytest.mark.parametrize("protocol", ALL)
@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e999", "9" * 5000])
def test_numbers_without_end_are_set_aside_and_the_transaction_is_kept(bed: Bed, protocol: str, number: str):
    row = make_charger()
    make_evse(charger=row)
    charger = bed.charger(row, protocol)
    charger.connect()
    samples = f'[{{"timestamp":"{NOON}","sampledValue":[{{"value":{number}}}]}}]'
    stop = f'{{"transactionId":1,"meterStop":9,"timestamp":"{NOON}","transactionData":{samples}}}'
    info = f'"eventType":"Ended","triggerReason":"Trigger","seqNo":0,"timestamp":"{NOON}"'
    ended = f'{{{info},"transactionInfo":{{"transactionId":"T"}},"meterValue":{samples}}}'
    action, payload = ("StopTransaction", stop) if protocol == V16 else ("TransactionEvent", ended)

    assert reply_to(charger, f'[2,"1","{action}",{payload}]')[:2] == [3, "1"]
    assert "malformed" in row.sessions.get().flags
    assert charger.heartbeat()


@pytest.mark.parametrize("depth", [100, 900, 20_000])
def test_nesting_without_end_is_set_aside_and_the_transaction_is_kept(bed: Bed, depth: int):
    row = make_charger()
    make_evse(charger=row)
    charger = bed.charger(row, V201)
    charger.connect()
    deep = f'{{"vendorId":"v","x":{"[" * depth}{"]" * depth}}}'
    info = (
        f'"eventType":"Started","triggerReason":"Trigger","seqNo":0,"timestamp":"{NOON}","customData":{deep}'
    )

    reply = reply_to(
        charger, f'[2,"1","TransactionEvent",{{{info},"transactionInfo":{{"transactionId":"T"}}}}]'
    )

    assert reply[:2] == [3, "1"]
    assert row.sessions.get().transaction == "T"
    assert charger.heartbeat()


def test_a_late_answer_that_cannot_be_taken_does_not_end_the_connection(bed: Bed, monkeypatch):
    charger = connected(bed, V16)
    charger.heartbeat()
    connection = next(iter(bed.gateway.connections.values()))
    connection._wire._late["late"] = "ReserveNow"

    async def fail(self, unique_id: str, payload: dict) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(type(connection), "on_late_answer", fail)
    charger.send('[3,"late",{"status":"Accepted"}]')

    assert charger.heartbeat()


def test_a_frame_larger_than_any_report_ends_its_own_connection_only(bed: Bed):
    other = connected(bed, V16)
    charger = connected(bed, V16)

    charger.send(json.dumps([2, "1", "DataTransfer", {"vendorId": "x", "data": "x" * 2_000_000}]))

    charger.closed()
    assert charger.sim.connection.socket.close_code == 1009
    assert other.heartbeat()


def test_a_failing_handler_is_an_internal_error_and_no_more(bed: Bed, gate):
    charger = connected(bed, V16)
    gate.fails = True

    kind, _, code, sentence, _ = reply_to(charger, '[2,"1","Authorize",{"idTag":"T"}]')

    assert (kind, code) == (4, "InternalError")
    assert "broken" not in sentence
    assert charger.heartbeat()


def test_characters_no_text_column_holds_are_left_out(bed: Bed):
    row = make_charger()
    charger = bed.charger(row)
    charger.connect()

    charger.frames_after(
        '[2,"1","BootNotification",{"chargePointVendor":"A\\u0000B","chargePointModel":"\\ud800M"}]'
    )

    row.refresh_from_db()
    assert (row.vendor, row.model) == ("AB", "?M")


def test_frames_are_kept_both_ways_without_passwords(bed: Bed):
    row = make_charger()
    charger = bed.charger(row)
    charger.come_online()
    charger.configuration["SupportedFeatureProfiles"] = "Core"
    charger.send('[2,"9","DataTransfer",{"vendorId":"v","data":"AuthorizationKey=secret"}]')
    charger.heartbeat()
    charger.ask("StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Available"})

    def kept() -> list[tuple]:
        return list(ChargerMessage.objects.filter(charger=row).values_list("is_incoming", "action"))

    told = {(True, "StatusNotification"), (False, "StatusNotification"), (True, "DataTransfer")}
    eventually(lambda: told <= set(kept()))
    assert "Heartbeat" not in {action for _, action in kept()}
    assert not ChargerMessage.objects.filter(frame__contains="secret").exists()


NOON = "2030-01-15T12:00:00Z"
START = {"connectorId": 1, "idTag": "T", "meterStart": 5, "timestamp": NOON}
SAMPLES = [{"value": "1", "unit": "Bananas"}, {"value": "2", "extra": 2}]


@pytest.mark.parametrize(
    ("action", "payload"),
    [
        ("StartTransaction", {**START, "extra": 1}),
        ("StartTransaction", {**START, "reservationId": "seven"}),
        ("StartTransaction", {**START, "meterStart": 5.4}),
        ("StartTransaction", {**START, "meterStart": "5"}),
        ("StopTransaction", {"transactionId": 10**80, "meterStop": 9, "timestamp": NOON}),
        ("MeterValues", {"connectorId": 1, "meterValue": [{"timestamp": NOON, "sampledValue": SAMPLES}]}),
        ("StopTransaction", {"transactionId": 1, "meterStop": 9, "timestamp": NOON, "reason": "Boredom"}),
    ],
)
def test_a_transaction_is_not_lost_for_a_field_too_many(bed: Bed, action: str, payload: dict):
    row = make_charger()
    make_evse(charger=row)
    charger = bed.charger(row)
    charger.connect()

    assert reply_to(charger, json.dumps([2, "1", action, payload]))[0] == 3


def test_a_transaction_without_its_essentials_is_recorded(bed: Bed):
    """Energy flows already; a CALLERROR would make the charger throw it away."""
    row = make_charger()
    make_evse(charger=row)
    charger = bed.charger(row)
    charger.connect()

    start = {"connectorId": 1, "idTag": "T", "timestamp": "2030-01-15T08:00:00Z"}
    frame = [2, "1", "StartTransaction", start]

    assert reply_to(charger, json.dumps(frame))[0] == 3
    assert row.sessions.get().flags == ["malformed", "no_meter_start"]
    [seen] = eventually(lambda: Charger.objects.get(pk=row.pk).deviations)
    assert (seen["action"], seen["what"]) == ("StartTransaction", "meterStart is missing")
