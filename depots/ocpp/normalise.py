"""What a charger sends, made to fit its schema: one walk over message and schema together, whatever is wrong with it.

A part that does not conform is converted where its meaning is plain (`"12"` for 12, `accepted` for Accepted, a text that
is too long cut), else set aside, and its path is told. Setting aside never changes what is left: a sampled value whose
unit cannot be read is set aside whole, since without a unit it would be read as watt-hours.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Protocol

from depots.ocpp import schemas

# So many places are named in full; what lies behind them is normalised all the same.
MOST_PATHS = 20
_LONGEST_STEP = 50

# Ids and signed values are kept whole: cut they would be others.
LONGEST_IDENTIFIER = 255
_IDENTIFIERS = frozenset({"idTag", "parentIdTag", "idToken", "transactionId"})
_SIGNED = frozenset({"signedMeterData", "publicKey", "encodingMethod", "signingMethod"})
# Missing, these have a meaning of their own (Energy.Active.Import.Register, Wh, total, Outlet, Raw, 1), or there is
# nothing without them: the object that holds one which cannot be read is set aside as a whole.
_INSEPARABLE = frozenset(
    {"value", "measurand", "unit", "multiplier", "unitOfMeasure", "phase", "location", "format"}
)
_NEUTRAL = {"unit": ("Wh",), "format": ("Raw",), "multiplier": (0,)}
_NUMBER = re.compile(r"\s*[+-]?\d{1,30}(\.\d{1,30})?([eE][+-]?\d{1,3})?\s*")
_NOTHING = object()


class MissingField(Exception):
    """A message lacks a field without which it cannot be answered."""

    def __init__(self, name: str) -> None:
        super().__init__(f"'{name}' is a required property")


class Message(dict[str, Any]):
    """An object as far as it conforms. Asked for a field that is not there by `[…]`, it raises MissingField."""

    def __missing__(self, name: str) -> Any:
        raise MissingField(name)


def normalise(version: str, action: str, payload: Mapping[str, Any]) -> tuple[Message, list[str]]:
    """The payload of a CALL as its schema has it, and the paths of what was converted, cut or set aside.

    Required fields may be missing from it, lists may be empty or too long: the action says what it cannot do without.
    """
    walk = _Walk()
    fitted = _node_of(version, action).fit(payload, walk)
    return (fitted if isinstance(fitted, Message) else Message()), walk.paths()


@dataclass
class _Walk:
    """Where in the message we are, and what was odd so far."""

    steps: list[str] = field(default_factory=list)
    odd: list[str] = field(default_factory=list)
    more: int = 0

    def note(self) -> None:
        if len(self.odd) < MOST_PATHS:
            self.odd.append(".".join(step[:_LONGEST_STEP] for step in self.steps))
        else:
            self.more += 1

    def paths(self) -> list[str]:
        return [*self.odd, f"and {self.more} more"] if self.more else self.odd


class _Node(Protocol):
    def fit(self, value: Any, walk: _Walk) -> Any:
        """The value as the schema has it, or _NOTHING. Notes what it changes; what it gives up its holder notes."""


class _Anything:
    def fit(self, value: Any, walk: _Walk) -> Any:
        return value


@dataclass(frozen=True)
class _Object:
    fields: Mapping[str, _Node]
    is_open: bool
    required: frozenset[str]

    def fit(self, value: Any, walk: _Walk) -> Any:
        if not isinstance(value, dict):
            return _NOTHING
        fitted = Message()
        for name, told in value.items():
            walk.steps.append(name)
            kept = self._fit_field(name, told, walk)
            if kept is not _NOTHING:
                fitted[name] = kept
            elif told is not None and self._is_inseparable(name, told):
                walk.note()
                walk.steps.pop()
                return _NOTHING
            else:
                walk.note()
            walk.steps.pop()
        is_void = any(name not in fitted for name in self.required & _INSEPARABLE)
        return _NOTHING if is_void else fitted

    def _is_inseparable(self, name: str, told: Any) -> bool:
        """A sampled value may also have such a field of another version, `"unit": "kWh"` in 2.x, unless that says
        nothing else than its absence."""
        if name not in self.fields:
            return name in _INSEPARABLE and "measurand" in self.fields and told not in _NEUTRAL.get(name, ())
        return name in _INSEPARABLE

    def _fit_field(self, name: str, told: Any, walk: _Walk) -> Any:
        if node := self.fields.get(name):
            return _NOTHING if told is None else node.fit(told, walk)
        return told if self.is_open else _NOTHING


@dataclass(frozen=True)
class _List:
    item: _Node

    def fit(self, value: Any, walk: _Walk) -> Any:
        if isinstance(value, dict):  # how some serialisers write a list of one
            walk.note()
            value = [value]
        if not isinstance(value, list):
            return _NOTHING
        fitted = []
        for number, told in enumerate(value):
            walk.steps.append(str(number))
            kept = self.item.fit(told, walk)
            if kept is _NOTHING:
                walk.note()
            else:
                fitted.append(kept)
            walk.steps.pop()
        return fitted


@dataclass(frozen=True)
class _Text:
    longest: int | None

    def fit(self, value: Any, walk: _Walk) -> Any:
        text = _text_in(value)
        if text is None:
            return _NOTHING
        fitted = text[: self.longest]
        if fitted != value:
            walk.note()
        return fitted


@dataclass(frozen=True)
class _Identifier:
    longest: int

    def fit(self, value: Any, walk: _Walk) -> Any:
        """Too long for the protocol, it is still what it is; beyond what a column holds it is given up."""
        text = _text_in(value)
        if text is None or len(text) > LONGEST_IDENTIFIER:
            return _NOTHING
        if text is not value or len(text) > self.longest:
            walk.note()
        return text


@dataclass(frozen=True)
class _Word:
    """One of an enumeration, found without regard to case and separators."""

    words: Mapping[str, str]

    def fit(self, value: Any, walk: _Walk) -> Any:
        if not isinstance(value, str):
            return _NOTHING
        word = self.words.get(_plain(value))
        if word is None:
            return _NOTHING
        if word != value:
            walk.note()
        return word


@dataclass(frozen=True)
class _Number:
    is_whole: bool
    least: float
    most: float

    def fit(self, value: Any, walk: _Walk) -> Any:
        number = _number_in(value)
        if number is None or not self.least <= number <= self.most:
            return _NOTHING
        if self.is_whole and not isinstance(number, int):
            number = round(number)
        if number is not value:
            walk.note()
        return number


class _YesNo:
    def fit(self, value: Any, walk: _Walk) -> Any:
        if isinstance(value, bool):
            return value
        told = {"true": True, "1": True, "false": False, "0": False}.get(str(value).strip().lower(), _NOTHING)
        if told is not _NOTHING:
            walk.note()
        return told


def _text_in(value: Any) -> str | None:
    """A text, also of a firmware that does not quote its digits."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _number_in(value: Any) -> int | float | None:
    """A finite number, also of a firmware that quotes its numbers. A text with a comma could be two numbers."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        if not _NUMBER.fullmatch(value):
            return None
        value = float(value) if any(sign in value for sign in ".eE") else int(value)
    if isinstance(value, int):
        return value
    return value if isinstance(value, float) and math.isfinite(value) else None


def _plain(word: str) -> str:
    return re.sub(r"[\s._-]", "", word[:100]).casefold()


@cache
def _node_of(version: str, action: str) -> _Node:
    schema = schemas.load(version, action)
    return _compile(schema, schema.get("definitions", {}), "")


def _compile(schema: Mapping[str, Any], definitions: Mapping[str, Any], name: str) -> _Node:
    """The node of a schema in a field of this name. OCPP's schemas use these few keywords, and no recursion."""
    if reference := schema.get("$ref"):
        return _compile(definitions[reference.rpartition("/")[2]], definitions, name)
    kind = schema.get("type")
    if kind == "object":
        fields = {
            key: _compile(inner, definitions, key) for key, inner in schema.get("properties", {}).items()
        }
        is_open = schema.get("additionalProperties", True) is not False
        return _Object(fields, is_open, frozenset(schema.get("required", ())))
    if kind == "array":
        return _List(_compile(schema["items"], definitions, name))
    if kind == "string":
        return _compile_text(schema, name)
    if kind in {"integer", "number"}:
        bounds = schema.get("minimum", -math.inf), schema.get("maximum", math.inf)
        return _Number(kind == "integer", *bounds)
    return _YesNo() if kind == "boolean" else _Anything()


def _compile_text(schema: Mapping[str, Any], name: str) -> _Node:
    if "enum" in schema:
        return _Word({_plain(word): word for word in schema["enum"]})
    longest = schema.get("maxLength")
    if name in _IDENTIFIERS:
        return _Identifier(longest or LONGEST_IDENTIFIER)
    return _Text(None if name in _SIGNED else longest)
