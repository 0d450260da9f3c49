"""Frames of every kind of wrong, read in bounded time and depth; and what of them waits for the log."""

import asyncio
import json

import pytest

from depots.ocpp import frames
from depots.ocpp.frames import DEEPEST, FrameFault, read
from depots.ocpp.message_buffer import MOST_WAITING_OF_ONE, MessageBuffer
from depots.operations.message_log import LONGEST_FRAME, LoggedFrame
from tests.factories import NOW


def call(payload: str) -> str:
    return f'[2,"id-1","DataTransfer",{payload}]'


@pytest.mark.parametrize(
    "number", ["NaN", "Infinity", "-Infinity", "1e999", "-1E+4000", "9" * 5000, "0." + "1" * 5000]
)
def test_a_number_that_no_column_holds_is_null(number: str):
    assert read(call(f'{{"a":{number},"b":1.5}}'), "1.6")[3] == {"a": None, "b": 1.5}


def nested(depth: int) -> str:
    return '{"a":' * depth + "1" + "}" * depth


@pytest.mark.parametrize("depth", [2, DEEPEST - 1, DEEPEST, 900, 1500, 100_000])
def test_what_is_nested_too_deeply_is_null(depth: int):
    payload = f'{{"kept":"\\"]}}","deep":{nested(depth)},"last":2}}'

    message = read(call(payload), "2.0.1")[3]

    assert (message["kept"], message["last"]) == ('"]}', 2)
    found, deep = 0, message["deep"]
    while isinstance(deep, dict):
        found, deep = found + 1, deep["a"]
    assert (found, deep) == ((depth, 1) if depth <= DEEPEST - 2 else (DEEPEST - 2, None))


def test_no_piece_of_an_endless_text_is_looked_at_twice():
    text = "[" * 2000 + '"' + '\\"' * 300_000

    assert sum(1 for _ in frames._BRACKETS_AND_TEXTS.finditer(text)) == 2001
    with pytest.raises(FrameFault, match="not JSON"):
        read(text, "1.6")


@pytest.mark.parametrize(
    ("frame", "told_id"),
    [('[2,"id-7","Heartbeat",{', "id-7"), ('[3,"id-7",{', "-1"), ('[2,"' + "x" * 37, "-1")],
)
def test_a_call_that_is_cut_off_is_answered_to_its_id(frame: str, told_id: str):
    with pytest.raises(FrameFault) as fault:
        read(frame, "1.6")

    assert (fault.value.code, fault.value.unique_id) == ("FormationViolation", told_id)


@pytest.mark.parametrize(("version", "code"), [("1.6", "FormationViolation"), ("2.1", "RpcFrameworkError")])
def test_a_call_with_too_long_an_id_is_told_so(version: str, code: str):
    with pytest.raises(FrameFault, match="The message id has 37 characters; at most 36") as fault:
        read(json.dumps([2, "x" * 37, "Heartbeat", {}]), version)

    # To the whole id: by a part of it the charger would not find its call.
    assert (fault.value.code, fault.value.unique_id) == (code, "x" * 37)


def test_an_answer_with_too_long_an_id_is_dropped():
    with pytest.raises(FrameFault) as fault:
        read(json.dumps([3, "x" * 37, {}]), "1.6")

    assert fault.value.code == ""


class NoDatabase:
    def __init__(self) -> None:
        self.kept: list[LoggedFrame] = []

    async def run(self, operation, batch: list[LoggedFrame]) -> None:
        self.kept += batch


def test_one_charger_that_says_a_lot_does_not_crowd_out_the_others_from_the_log():
    database = NoDatabase()
    log = MessageBuffer(database, lambda: NOW)
    for _ in range(MOST_WAITING_OF_ONE + 50):
        log.keep(1, True, "DataTransfer", "[2]")
    log.keep(2, True, "DataTransfer", "[2]")

    asyncio.run(log.flush())
    log.keep(1, True, "DataTransfer", "[2]")
    asyncio.run(log.flush())

    assert [message.charger_id for message in database.kept].count(1) == MOST_WAITING_OF_ONE + 1
    assert [message.charger_id for message in database.kept].count(2) == 1


def test_a_frame_that_waits_to_be_written_is_cut_already():
    log = MessageBuffer(NoDatabase(), lambda: NOW)

    log.keep(1, True, "DataTransfer", "x" * 1_000_000)
    log.keep(1, True, "DataTransfer", "x" * 1_000_000 + "basicAuthPassword")

    assert [len(message.frame) for message in log._waiting] == [LONGEST_FRAME, 34]


SAMPLE = '[2,"1","TransactionEvent",{"eventType":"Updated","triggerReason":"MeterValuePeriodic","seqNo":4}]'
SHOWN_CARD = SAMPLE.replace('"seqNo":4', '"idToken":{"idToken":"04A1","type":"ISO14443"}')
END = SAMPLE.replace("Updated", "Ended")


def test_what_comes_all_day_is_not_in_the_log_unless_something_is_wrong_with_it():
    log = MessageBuffer(NoDatabase(), lambda: NOW)
    routine = [
        (True, "Heartbeat", '[2,"1","Heartbeat",{}]'),
        (False, "Heartbeat", '[3,"1",{"currentTime":"2030-01-15T08:00:00Z"}]'),
        (True, "MeterValues", '[2,"1","MeterValues",{"connectorId":1}]'),
        (True, "TransactionEvent", SAMPLE),
        (False, "TransactionEvent", '[3,"1",{}]'),
    ]
    told = [
        (True, "TransactionEvent", SHOWN_CARD),
        (True, "TransactionEvent", END),
        (False, "TransactionEvent", '[3,"1",{"idTokenInfo":{"status":"Invalid"}}]'),
        (True, "StatusNotification", '[2,"1","StatusNotification",{}]'),
    ]

    for frame in (*routine, *told):
        log.keep(1, *frame)
    log.keep(1, *routine[2], is_odd=True)

    kept = [(message.action, message.frame) for message in log._waiting]
    assert kept == [(action, frame) for _, action, frame in (*told, routine[2])]
