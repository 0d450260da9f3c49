"""Random frames as no charger should send them: whole messages, mutated ones, and noise. The same seed makes the same."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from depots.ocpp import schemas, v16
from depots.ocpp.v2x import v21, v201

DIALECTS = {"ocpp1.6": v16, "ocpp2.0.1": v201, "ocpp2.1": v21}
LONGEST_ID = 36
# Sent without an answer.
UNANSWERED = {"NotifyPeriodicEventStream"}
ODD_VALUES: list[Any] = [
    None, True, "", " ", "\x00", "\ud800", "x" * 300, "x" * 5000, 0, -1, 1, 1.5, -1e-9, 10**15, 10**80, 1e308, [], {},
    [[]], {"a": None}, [None] * 300, "2030-01-15T08:00:00Z", "2030-01-15T08:00:00", "1970-01-01T00:00:00Z",
    "9999-12-31T23:59:59.999999999+14:00", "30:00", "NaN", "Infinity", "-1", "1,5", "1e999", "Accepted", "available",
    "ChargePointStatus.charging", "'; DROP TABLE x; --", "<script>", "日本語", "a" * 36, "../../etc/passwd", "%00",
    {"customData": {"vendorId": "x"}},
]  # fmt: skip
# Written as they are, where a number stands.
ODD_NUMBERS = [
    "NaN",
    "Infinity",
    "-Infinity",
    "1e999",
    "-1E+4000",
    "9" * 5000,
    "0." + "1" * 5000,
    "1e-400",
    "-0",
]
NOISE = [
    "", " ", "[]", "{}", "null", "2", '"x"', "[2]", '[2,""]', '[2,"a"]', '[2,"a","Heartbeat"]', '[2,"a","Heartbeat",[]]',
    '[2,"a","Heartbeat",{},1]', "[3]", '[3,"x"]', '[3,"x",{}]', '[4,"x","c","d",{}]', '[4,"x"]', '[5,"x","c","d",{}]',
    '[6,"x","Heartbeat",{}]', '[7,"x"]', "[true,1]", '[2.0,"x","Heartbeat",{}]', "\ufeff[]", "[" * 5000, '{"a":' * 5000,
    '[2,"' + "i" * 40 + '","Heartbeat",{}]', '[3,"x",null]', '[3,"x",[1]]', "[9e999]",
]  # fmt: skip


@dataclass
class Burst:
    """Frames to send, and the ids that must be answered, once each."""

    frames: list[str | bytes] = field(default_factory=list)
    due: dict[str, str] = field(default_factory=dict)


class FrameMaker:
    def __init__(self, seed: str, protocol: str) -> None:
        self._random = random.Random(seed)
        self._dialect = DIALECTS[protocol]
        self._version = self._dialect.VERSION
        self._actions = sorted(set(self._dialect.ANSWERS) - UNANSWERED)
        self._count = 0

    def burst(self, length: int) -> Burst:
        made = Burst()
        for _ in range(length):
            self._add(made)
        self._random.shuffle(made.frames)
        return made

    def answer(self, frame: list[Any]) -> str:
        """To a CALL of the gateway: right, odd, an error or noise."""
        value = self._pick(ODD_VALUES)
        kinds: list[Callable[[], Any]] = [
            lambda: [3, frame[1], {"status": "Accepted"}],
            lambda: [3, frame[1], {"status": value}],
            lambda: [3, frame[1], value],
            lambda: [4, frame[1], value, value, value],
            lambda: [4, frame[1]],
            lambda: [3, value, {}],
        ]
        return json.dumps(self._pick(kinds)())

    def _add(self, made: Burst) -> None:
        frame, id_ = self._call()
        kind = self._random.random()
        if kind < 0.55:
            made.frames.append(frame)
        elif kind < 0.65:
            made.frames.append(self._with_odd_number(frame))
        elif kind < 0.85:
            made.frames.append(self._cut(frame))
            id_ = ""
        elif kind < 0.95:
            made.frames.append(self._pick(NOISE))
            id_ = ""
        else:
            made.frames.append(
                self._pick([b"\xff\xfe", frame.encode("utf-16"), frame.encode()[:-1] + b"\xc3"])
            )
            id_ = ""
        if id_:
            made.due[id_] = frame

    def _call(self) -> tuple[str, str]:
        """A CALL that is a message, whatever its payload; and its id."""
        self._count += 1
        id_ = f"f{self._count}"
        action = self._pick(self._actions)
        if self._random.random() < 0.05:
            action = self._pick(
                ["ReserveNow", "MakeCoffee", "x" * 200, "../v16/Authorize", "日本", "Authorize "]
            )
            return json.dumps([2, id_, action, {}]), id_
        schema = schemas.load(self._version, action)
        payload = self._value(schema, schema.get("definitions", {}))
        for _ in range(self._pick([0, 0, 1, 1, 2, 5])):
            payload = self._mutated(payload)
        return json.dumps([2, id_, action, payload if isinstance(payload, dict) else {}]), id_

    def _value(self, schema: dict[str, Any], definitions: dict[str, Any]) -> Any:
        """Something the schema allows, with some of what is optional."""
        if reference := schema.get("$ref"):
            return self._value(definitions[reference.rpartition("/")[2]], definitions)
        if "enum" in schema:
            return self._pick(schema["enum"])
        match schema.get("type"):
            case "object":
                needed = schema.get("required", [])
                return {
                    name: self._value(part, definitions)
                    for name, part in schema.get("properties", {}).items()
                    if name in needed or self._random.random() < 0.5
                }
            case "array":
                return [self._value(schema["items"], definitions) for _ in range(self._pick([1, 1, 2, 3]))]
            case "string":
                return self._text(schema)
            case "integer":
                return self._pick([0, 1, 2, 3, 17, -1, 5000])
            case "number":
                return self._pick([0.0, 1.5, 100, 150_000.25, -3.25])
            case "boolean":
                return self._random.random() < 0.5
        return "x"

    def _text(self, schema: dict[str, Any]) -> str:
        if schema.get("format") == "date-time":
            minute = self._random.randrange(-600, 600)
            return f"2030-01-15T{8 + minute // 60 % 10:02}:{minute % 60:02}:00Z"
        text = self._pick(["04AABBCCDD10", "7", "tx-1", "1.5", "abc", "x"])
        return text[: schema.get("maxLength", 20)]

    def _mutated(self, payload: Any) -> Any:
        """One place of it dropped, doubled, or odd."""
        payload = copy.deepcopy(payload)
        places = list(_places(payload))
        if not places:
            return payload
        holder, key = self._pick(places)
        change = self._random.random()
        if change < 0.2:
            del holder[key]
        elif change < 0.3 and isinstance(holder, list):
            holder.extend([holder[key]] * 50)
        elif change < 0.4 and isinstance(holder, dict):
            holder[self._pick(["vendor", "", "\x00", "Timestamp", "idtag", "_malformed", "x" * 100])] = (
                self._pick(ODD_VALUES)
            )
        else:
            holder[key] = self._pick(ODD_VALUES)
        return payload

    def _with_odd_number(self, frame: str) -> str:
        """In place of the last value, or as a field of its own."""
        return f'{frame[:-2]}{"" if frame.endswith("{}]") else ","}"odd":{self._pick(ODD_NUMBERS)}}}]'

    def _cut(self, frame: str) -> str:
        at = self._random.randrange(len(frame))
        return self._pick([
            lambda: frame[:at],
            lambda: frame[:at] + self._pick(list('[]{}",:\\0')) + frame[at:],
            lambda: frame[:at] + frame[at + 1 :],
            lambda: frame[:at] + frame[at:] * 2,
            lambda: frame[:at] + chr(self._random.randrange(1, 0xD000)) + frame[at + 1 :],
        ])()  # fmt: skip

    def _pick(self, of: list[Any]) -> Any:
        return of[self._random.randrange(len(of))]


def is_call(frame: str | bytes) -> str:
    """The id of what is a CALL still, by the letter of OCPP-J (1.6 §4.2.1); empty for everything else."""
    try:
        message = json.loads(frame if isinstance(frame, str) else frame.decode())
    except (ValueError, RecursionError):
        return ""
    if not (isinstance(message, list) and len(message) == 4 and type(message[0]) is int and message[0] == 2):
        return ""
    id_, action, payload = message[1:]
    is_whole = isinstance(id_, str) and 0 < len(id_) <= LONGEST_ID and isinstance(action, str) and action
    return id_ if is_whole and isinstance(payload, dict) else ""


def _places(part: Any) -> Iterator[tuple[Any, Any]]:
    """(holder, key) of every value within."""
    keys: Any = range(len(part)) if isinstance(part, list) else part if isinstance(part, dict) else ()
    for key in list(keys):
        yield part, key
        yield from _places(part[key])
