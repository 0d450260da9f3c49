"""What a partner's answer says, in characters and numbers that can be written down."""

from __future__ import annotations

import json
import math
from typing import Any

# An escape, the first byte of half a surrogate pair, and UTF-16: nothing else can hide a character that is none.
_MAYBE_BROKEN = (b"\\u", b"\xed", b"\x00")


def parsed(content: bytes) -> Any:
    """The JSON of an answer without what no column holds: NUL, and halves of surrogate pairs, escaped or as bytes.

    Left in, a refusal that quotes them could not be written down, nor could the log of all that was said beside it.
    Raises ValueError, for NaN and numbers beyond all bounds too, and RecursionError.
    """
    said = json.loads(content, parse_constant=_finite, parse_float=_finite)
    return _storable(said) if any(mark in content for mark in _MAYBE_BROKEN) else said


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is not JSON")
    return number


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\x00", "").encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [_storable(item) for item in value]
    if isinstance(value, dict):
        return {_storable(name): _storable(item) for name, item in value.items()}
    return value
