"""What spreadsheet programs make of a value on its way into a file, and which of it may not be guessed at.

They write numbers in the country's way, shorten long ones, turn ids into dates and leave error values behind. What can
be read in one way only is read; the rest is refused, since whatever is stored wrong is found at the charger.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic.fields import FieldInfo

_GROUPED = re.compile(r"[+-]?[1-9]\d{0,2}(?:[.,' \u00a0\u202f]\d{3})+", re.ASCII)
_COMMA = re.compile(r"[+-]?\d+,\d+", re.ASCII)
_SHORTENED = re.compile(r"[+-]?\d+(?:[.,]\d+)?E[+-]?\d+", re.ASCII | re.IGNORECASE)
_SHORTENED_TEXT = re.compile(r"\d(?:[.,]\d+)?E\+\d+", re.ASCII | re.IGNORECASE)
_ROUNDED = re.compile(r"\d{15}0{3,}", re.ASCII)
_ERROR = re.compile(r"#(?:[A-ZÄÖÜ/0-9]{1,10}[!?]|N/A|NV|#+)")
_MONTHS = "jan|feb|mar|m[aä]r|mrz|apr|may|mai|jun|jul|aug|sep|oct|okt|nov|dec|dez"
_DATE = re.compile(
    rf"\d{{1,2}}[-./ ]+(?:{_MONTHS})\.?(?:[-./ ]+\d{{2,4}})?|(?:{_MONTHS})\.?[-./ ]+\d{{2,4}}"
    r"|\d{1,2}[./]\d{1,2}[./]\d{2,4}",
    re.IGNORECASE,
)
# "Yes" and "no" of a cell as other languages of the same programs write them.
_FLAGS = {"WAHR": "true", "VRAI": "true", "FALSCH": "false", "FAUX": "false"}


@dataclass(frozen=True)
class Number:
    """A numeric field: whole or not, and the limits that may rule out one way to read it."""

    is_whole: bool
    lowest: float
    highest: float

    def allows(self, value: float) -> bool:
        return self.lowest <= value <= self.highest


def checked(field: FieldInfo, value: Any) -> Any:
    """A cell's text as it may be read into the field. Raises ValueError for what could be meant in two ways.

    Anything but text passes: a number of a JSON file is what it is.
    """
    if not isinstance(value, str):
        return value
    text = value.strip()
    if _ERROR.fullmatch(text):
        raise ValueError(f"{text} is a spreadsheet's error, not a value")
    kind = _kind(field)
    if kind is bool:
        return _FLAGS.get(text.upper(), value)
    if isinstance(kind, Number):
        _refuse_ambiguous(text, kind)
    elif kind is str and (_SHORTENED_TEXT.fullmatch(text) or _ROUNDED.fullmatch(text)):
        raise ValueError(f"{text} looks shortened by a spreadsheet: write it out, in a column of text")
    return value


def no_date(text: str) -> str:
    """An id that is no date: `2-1` becomes `02-Jan` when a spreadsheet guesses. Raises ValueError."""
    if _DATE.fullmatch(text):
        raise ValueError(
            f"{text} looks like a date a spreadsheet made of an id: write it in a column of text"
        )
    return text


def _refuse_ambiguous(text: str, number: Number) -> None:
    if _SHORTENED.fullmatch(text):
        raise ValueError(f"{text} looks shortened by a spreadsheet: write the digits out")
    if _GROUPED.fullmatch(text):
        separators = set(re.sub(r"[\d+-]", "", text))
        together = re.sub(r"[^\d+-]", "", text)
        apart = text.replace(",", ".") if separators <= {".", ","} and len(text) - len(together) == 1 else ""
        if not apart:
            raise ValueError(f"{text}: write {together} without separators")
        if number.is_whole or (number.allows(float(apart)) and number.allows(float(together))):
            raise ValueError(f"{text}: {float(apart):g} or {together}? write it without separators")
    if _COMMA.fullmatch(text):
        raise ValueError(f"{text}: write a decimal point, {text.replace(',', '.')}")


def _kind(field: FieldInfo) -> Number | type | None:
    annotation: Any = field.annotation
    return _kind_of(annotation, tuple(field.metadata))


@cache
def _kind_of(annotation: Any, metadata: tuple[Any, ...]) -> Number | type | None:
    """Number, bool or str where a field holds one of them, with or without None."""
    kinds = {kind for kind, _ in _parts(annotation, metadata)} - {type(None)}
    if len(kinds) != 1:
        return None
    (kind,) = kinds
    if kind in {bool, str}:
        return kind
    if kind not in {int, float}:
        return None
    limits = [mark for _, marks in _parts(annotation, metadata) for mark in marks]
    lowest = max((float(_limit(m)) for m in limits if isinstance(m, Ge | Gt)), default=float("-inf"))
    highest = min((float(_limit(m)) for m in limits if isinstance(m, Le | Lt)), default=float("inf"))
    return Number(kind is int, lowest, highest)


def _limit(mark: Any) -> Any:
    return next(getattr(mark, name) for name in ("ge", "gt", "le", "lt") if hasattr(mark, name))


def _parts(annotation: Any, metadata: tuple[Any, ...]) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """The plain types of an annotation with all marks that lie on them."""
    if get_origin(annotation) is Annotated:
        inner, *marks = get_args(annotation)
        flat = [m for mark in marks for m in (mark.metadata if isinstance(mark, FieldInfo) else [mark])]
        yield from _parts(inner, (*metadata, *flat))
    elif type(None) in get_args(annotation):
        for member in get_args(annotation):
            yield from _parts(member, metadata)
    else:
        yield annotation, metadata
