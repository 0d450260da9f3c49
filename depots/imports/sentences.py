"""What is wrong with a value, in words for the person who wrote the file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

_SECRET = "password"  # noqa: S105 - the name of a field whose value is never shown

_WORDS: Mapping[str, Callable[[dict[str, Any]], str]] = {
    "missing": lambda _: "is missing",
    "extra_forbidden": lambda _: "is not a field of this file",
    "string_type": lambda _: "must be text",
    "string_unicode": lambda _: "contains characters that are no text",
    "string_too_short": lambda c: f"must have at least {c['min_length']} character{_s(c['min_length'])}",
    "string_too_long": lambda c: f"must have at most {c['max_length']} characters",
    "string_pattern_mismatch": lambda _: "has characters that are not allowed there",
    "literal_error": lambda c: f"must be {c['expected']}",
    "list_type": lambda _: "must be a list",
    "too_short": lambda c: (
        f"must have at least {c['min_length']} entr{'y' if c['min_length'] == 1 else 'ies'}"
    ),
    "too_long": lambda c: f"must have at most {c['max_length']} entries",
    "greater_than": lambda c: f"must be more than {c['gt']:g}",
    "greater_than_equal": lambda c: f"must be {c['ge']:g} or more",
    "less_than": lambda c: f"must be less than {c['lt']:g}",
    "less_than_equal": lambda c: f"must be {c['le']:g} or less",
    "finite_number": lambda _: "must be a number",
    "value_error": lambda c: str(c["error"]),
}
_BY_PREFIX = {
    "int": "must be a whole number",
    "float": "must be a number",
    "decimal": "must be a number",
    "bool": "must be true or false",
    "model": "must be an object with fields",
    "dict": "must be an object with fields",
}


def sentence(fault: dict[str, Any]) -> str:
    """A pydantic fault as the end of a sentence whose subject is the field: "must be a number, not 'abc'"."""
    kind, context = fault["type"], fault.get("ctx", {})
    if kind in _WORDS:
        words = _WORDS[kind](context)
    else:
        words = _BY_PREFIX.get(kind.partition("_")[0], fault["msg"][0].lower() + fault["msg"][1:])
    if kind in {"missing", "extra_forbidden", "value_error"} or _SECRET in fault["loc"]:
        return words
    return f"{words}, not {shown(fault['input'])}"


def shown(value: Any) -> str:
    """A value as it can stand in a sentence: one short line, without characters a terminal would act on."""
    text = ascii(value) if isinstance(value, str) and not value.isprintable() else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _s(count: int) -> str:
    return "" if count == 1 else "s"
