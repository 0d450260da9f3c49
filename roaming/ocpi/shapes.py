"""The names and shapes a partner's object comes in, brought into those of the version it is read as."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeVar

from roaming.ocpi.lenient import read
from roaming.ocpi.wire_object import NOT_ASSIGNED, Notes, Read, UnreadableError, WireObject

W = TypeVar("W", bound=WireObject)


@dataclass(frozen=True)
class Shape:
    """An object's old names, the fields that are lists, and the shapes of the objects inside.

    `singles` are objects that were lists once: the first counts. Each names the field that a bare text in its place is, empty
    where it is none.
    """

    name: str
    renamed: dict[str, str] = field(default_factory=dict)
    lists: frozenset[str] = frozenset()
    singles: dict[str, str] = field(default_factory=dict)
    inside: dict[str, Shape] = field(default_factory=dict)
    into_option: frozenset[str] = frozenset()


PLAIN = Shape("object")


def shaped_as(raw: Any, shape: Shape, notes: Notes) -> Any:
    """The object under the names of 1.1. A field under its proper name wins over an old one.

    `null` is left out, and so is an empty text: it says as little.
    """
    if not isinstance(raw, dict):
        return raw
    shaped: dict[str, Any] = {}
    for key, value in sorted(_clean_keys(raw, notes), key=lambda item: item[0] in shape.renamed):
        name = shape.renamed.get(key, key)
        if name != key:
            notes.add(f"{shape.name}.{key}")
        if is_empty(value):
            notes.add(f"{shape.name}.{name}.empty")
        elif value is not None and name not in shaped:
            told = _single(value, name, shape.singles[name], notes) if name in shape.singles else value
            if told is not None:
                shaped[name] = _inside(told, name, shape, notes)
    _move_into_option(shaped, shape, notes)
    return shaped


def _clean_keys(raw: dict[str, Any], notes: Notes) -> list[tuple[str, Any]]:
    for key in raw:
        if key != key.strip():
            notes.add("key.blank")
    return [(key.strip(), value) for key, value in raw.items()]


def named_as(shape: Shape, kept: dict[str, Any]) -> dict[str, Any]:
    """What is kept as it came, under the names of the version: a part of it under its proper name, beside all of it under an old
    one, would be all that counts."""
    named: dict[str, Any] = shaped_as(kept, shape, Notes())
    return named


def _single(value: Any, name: str, text_is: str, notes: Notes) -> Any:
    if isinstance(value, list):
        notes.add(f"{name}.list")
        if len(value) > 1:
            notes.add(f"{name}.several")
        value = value[0] if value else None
    if isinstance(value, str) and text_is:
        notes.add(f"{name}.only_url")
        return {text_is: value}
    return value


def _inside(value: Any, name: str, shape: Shape, notes: Notes) -> Any:
    if name in shape.lists and not isinstance(value, list):
        notes.add(f"{shape.name}.{name}.single")
        value = [value]
    inner = shape.inside.get(name, PLAIN)
    if isinstance(value, list):
        if any(is_empty(one) for one in value):
            notes.add(f"{shape.name}.{name}.empty")
        return [shaped_as(one, inner, notes) for one in value if one is not None and not is_empty(one)]
    return shaped_as(value, inner, notes)


def is_empty(value: Any) -> bool:
    return isinstance(value, str) and not value.strip()


def _move_into_option(shaped: dict[str, Any], shape: Shape, notes: Notes) -> None:
    """1.0 had the EVSE beside the option; the one inside wins. `#NA` means none."""
    outside = sorted(shape.into_option & shaped.keys())
    option = shaped.setdefault("booking_option", {}) if outside else shaped.get("booking_option")
    for name in outside:
        notes.add(f"{shape.name}.{name}")
        value = shaped.pop(name)
        if isinstance(option, dict):
            option.setdefault(name, value)
    if not isinstance(option, dict):
        return
    for name in ("evse_uid", "connector_id", "parking_id"):
        if option.get(name) in (NOT_ASSIGNED, NOT_ASSIGNED.lower()):
            if name == "connector_id":  # of an EVSE it may be said, of a connector 1.0 did
                notes.add(f"{shape.name}.connector_id.not_assigned")
            del option[name]


def read_shaped(model: type[W], shaped: Any, notes: Notes) -> Read[W]:
    if not isinstance(shaped, dict):
        raise UnreadableError("", "must be an object")
    value = read(model, shaped, notes)
    return Read(value, tuple(notes.names))


def or_none(model: type[W], raw: Any, notes: Notes) -> W | None:
    try:
        return read(model, raw, notes)
    except UnreadableError:
        notes.add(f"{model.__name__.lower()}.unreadable")
        return None
