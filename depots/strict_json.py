"""JSON that means one thing and can be kept: what others send is read here before any rule looks at it."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

MAX_DEPTH = 32
LONGEST_NAME = 80  # of a field that a message names


class NotJson(ValueError):
    """The body cannot be parsed."""


class Unusable(ValueError):
    """The body is JSON that no rule allows. `str()` is a sentence."""


def parse(body: bytes) -> Any:
    """Raises NotJson, or Unusable where a field stands twice in an object (which of both is meant nobody can say: RFC 8259,
    section 4), or something is in it that cannot be kept."""
    try:
        said = json.loads(body, parse_constant=_no_constant, object_pairs_hook=_each_once)
    except Unusable:
        raise
    except (ValueError, RecursionError):
        raise NotJson("The body is not JSON.") from None
    if flaw := _flaw(said):
        raise Unusable(flaw)
    return said


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = Counter(name for name, _ in pairs).most_common(1)[0][0]
        is_name = twice.isprintable() and len(twice) <= LONGEST_NAME
        raise Unusable(f"{twice}: stands there twice" if is_name else "A field stands there twice.")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _flaw(body: Any) -> str:
    """Why a body that parses can still not be kept: too deep, NUL or broken characters, numbers beyond all bounds."""
    stack: list[tuple[Any, int]] = [(body, 1)]
    while stack:
        value, depth = stack.pop()
        if depth > MAX_DEPTH:
            return f"The body is nested deeper than {MAX_DEPTH} levels."
        if isinstance(value, dict):
            stack += [(part, depth + 1) for pair in value.items() for part in pair]
        elif isinstance(value, list):
            stack += [(part, depth + 1) for part in value]
        elif flaw := _flaw_of_value(value):
            return flaw
    return ""


def _flaw_of_value(value: Any) -> str:
    if isinstance(value, str) and ("\x00" in value or not _is_text(value)):
        return "The body holds a NUL or a broken character."
    if isinstance(value, float) and abs(value) == float("inf"):
        return "The body holds a number that is too large."
    return ""


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
