"""Payloads of our own that deviate from Bookings 1.1 in one way each: a base object and what is otherwise in it."""

from __future__ import annotations

import itertools
import json
from copy import deepcopy
from pathlib import Path
from typing import Any

SAMPLES = Path(__file__).parents[4] / "samples/ocpi"


def base(kind: str) -> dict[str, Any]:
    """`booking`, `booking_location`, `booking_request` or `calendar`, as Bookings 1.1 has it."""
    read: dict[str, Any] = json.loads((SAMPLES / f"{kind}.json").read_text())
    return read


def deviations() -> list[dict[str, Any]]:
    """`row` of the table of deviations, `what` it is, `kind`, then either a `patch` or what is done to the base: `move`, `drop`
    and `set` by path. `noted` are the names under which it is counted, `reads` what it is read as."""
    read: list[dict[str, Any]] = json.loads((SAMPLES / "deviations.json").read_text())
    return read


def body_of(deviation: dict[str, Any]) -> dict[str, Any]:
    if "patch" in deviation:
        return dict(deviation["patch"])
    body = base(deviation["kind"])
    for source, target in deviation.get("move", {}).items():
        value = deepcopy(at(body, source))
        _remove(body, source)
        _put(body, target, value)
    for path in deviation.get("drop", []):
        _remove(body, path)
    for path, value in deviation.get("set", {}).items():
        _put(body, path, value)
    return body


def at(value: Any, path: str) -> Any:
    """What stands at a path of names and numbers; None where it leads nowhere. Attributes of models are names, too."""
    for step in path.split("."):
        if isinstance(value, list):
            value = value[int(step)] if int(step) < len(value) else None
        elif isinstance(value, dict):
            value = value.get(step)
        else:
            value = getattr(value, step, None)
    return value


def _put(body: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split(".")
    part: Any = body
    for step, following in itertools.pairwise([*parents, last]):
        if isinstance(part, list):
            part = part[int(step)]
        else:
            # A list in the place of what was moved away.
            part = part.setdefault(step, [] if following.isdigit() else {})
    if isinstance(part, list):
        part[int(last) : int(last) + 1] = [value]
    else:
        part[last] = value


def _remove(body: dict[str, Any], path: str) -> None:
    parent, _, last = path.rpartition(".")
    part = at(body, parent) if parent else body
    del part[int(last) if isinstance(part, list) else last]
