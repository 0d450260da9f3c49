"""The types of single fields: texts, ids, numbers, flags, names out of a list (OCPI 2.3.0 types).

Each reads a partner's value generously when there are `Notes` to write down what was forgiven, and ours to the letter.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Annotated, Any
from urllib.parse import quote, urlsplit

from pydantic import (
    BeforeValidator,
    PlainSerializer,
    ValidationInfo,
)

from roaming.ocpi.wire_object import Notes, notes_of

LARGEST_NUMBER = 10**12
FOREIGN_ID_LENGTH = 64
FOREIGN_PARTY_LENGTH = 5
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def _ci_string(limit: int, foreign: int) -> Callable[[Any, ValidationInfo], str]:
    """CiString(limit): printable ASCII. From partners up to `foreign` characters, and numbers where text belongs."""

    def check(value: Any, info: ValidationInfo) -> str:
        notes = notes_of(info)
        text = _as_text(value, notes)
        if not text or _has_control(text):
            raise ValueError("must be a text of printable characters")
        if not text.isascii():
            raise ValueError("must be printable ASCII")
        if len(text) > limit:
            if notes is None or len(text) > foreign:
                raise ValueError(f"must have at most {limit} characters")
            notes.add("id.too_long")
        return text

    return check


def _string(limit: int) -> Callable[[Any, ValidationInfo], str]:
    """string(limit): any printable text. A partner's longer text is cut, its line breaks become blanks."""

    def check(value: Any, info: ValidationInfo) -> str:
        notes = notes_of(info)
        text = _as_text(value, notes)
        if notes is not None and _has_control(text):
            notes.add("text.control_characters")
            text = "".join(" " if _has_control(c) else c for c in text)
        if notes is not None and len(text) > limit:
            notes.add("text.too_long")
            text = text[:limit]
        if _has_control(text) or len(text) > limit:
            raise ValueError(f"must be a printable text of at most {limit} characters")
        return text

    return check


def _has_control(text: str) -> bool:
    return _CONTROL.search(text) is not None


def _url(value: Any, info: ValidationInfo) -> str:
    """URL: 255 characters of ASCII. A partner's umlauts are written as RFC 3987 has it, which leads to the same place."""
    notes = notes_of(info)
    if notes is not None and isinstance(value, str) and not value.isascii():
        value = _ascii_url(value.strip())
        notes.add("url.not_ascii")
    return _ci_string(255, 500)(value, info)


def _ascii_url(text: str) -> str:
    """Raises ValueError for what no host is called."""
    parts = urlsplit(text)
    if not parts.scheme or not parts.hostname or "@" in parts.netloc:
        raise ValueError("must be an absolute URL")
    try:
        host = parts.hostname.encode("idna").decode()
    except UnicodeError:
        raise ValueError("must name a host") from None
    netloc = f"{host}:{parts.port}" if parts.port else host
    kept = "/%:@!$&'()*+,;=~-._"
    return parts._replace(
        netloc=netloc,
        path=quote(parts.path, safe=kept),
        query=quote(parts.query, safe=kept + "?"),
        fragment="",
    ).geturl()


def _as_text(value: Any, notes: Notes | None) -> str:
    if isinstance(value, str):
        return value
    if notes is not None and isinstance(value, int | float) and not isinstance(value, bool):
        notes.add("text.number_instead")
        return str(value)
    raise ValueError("must be a text")


Id36 = Annotated[str, BeforeValidator(_ci_string(36, FOREIGN_ID_LENGTH))]
# An id of 36, and what marks the credit of a CDR.
Id39 = Annotated[str, BeforeValidator(_ci_string(39, FOREIGN_ID_LENGTH))]
TokenId = Annotated[str, BeforeValidator(_ci_string(36, 36))]
EchoedId = Annotated[str, BeforeValidator(_ci_string(FOREIGN_ID_LENGTH, FOREIGN_ID_LENGTH))]
EchoedPartyId = Annotated[str, BeforeValidator(_ci_string(FOREIGN_PARTY_LENGTH, FOREIGN_PARTY_LENGTH))]
Id255 = Annotated[str, BeforeValidator(_ci_string(255, 255))]
Id48 = Annotated[str, BeforeValidator(_ci_string(48, FOREIGN_ID_LENGTH))]
CountryCode = Annotated[str, BeforeValidator(_ci_string(2, 2))]
PartyId = Annotated[str, BeforeValidator(_ci_string(3, FOREIGN_PARTY_LENGTH))]
HubPartyId = Annotated[str, BeforeValidator(_ci_string(5, 7))]
Token64 = Annotated[str, BeforeValidator(_ci_string(64, 64))]
OwnId = Annotated[str, BeforeValidator(_ci_string(36, 36))]
Url = Annotated[str, BeforeValidator(_url)]
OpenName = Annotated[str, BeforeValidator(_ci_string(60, 60))]
Text4 = Annotated[str, BeforeValidator(_string(4))]
Text10 = Annotated[str, BeforeValidator(_string(10))]
Text12 = Annotated[str, BeforeValidator(_string(12))]
Text16 = Annotated[str, BeforeValidator(_string(16))]
Text25 = Annotated[str, BeforeValidator(_string(25))]
Text45 = Annotated[str, BeforeValidator(_string(45))]
Text64 = Annotated[str, BeforeValidator(_string(64))]
Text100 = Annotated[str, BeforeValidator(_string(100))]
Text255 = Annotated[str, BeforeValidator(_string(255))]
Text512 = Annotated[str, BeforeValidator(_string(512))]
_WALL = re.compile(r"(\d{1,2})[:.]?(\d\d)(?::[0-5]\d)?", re.ASCII)


def _wall_time(value: Any, info: ValidationInfo) -> str:
    """`HH:MM` of a local day, `24:00` being its end. From partners with one digit, seconds, or without colon too."""
    notes = notes_of(info)
    match = _WALL.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None or int(match[1]) > 24 or int(match[2]) > 59 or (match[1] == "24" and match[2] != "00"):
        raise ValueError("must be a time of day like 08:00")
    text = f"{int(match[1]):02}:{match[2]}"
    if text != value:
        if notes is None:
            raise ValueError("must be a time of day like 08:00")
        notes.add("hours.spelling")
    return text


def _weekday(value: Any, info: ValidationInfo) -> int:
    day = _number(value, info)
    if day not in range(1, 8):
        raise ValueError("must be a weekday from 1, Monday, to 7")
    return int(day)


def _degrees(most: int) -> Callable[[Any, ValidationInfo], str]:
    """A coordinate as text. A partner's number, or decimal comma, is taken."""

    def check(value: Any, info: ValidationInfo) -> str:
        notes = notes_of(info)
        text = _as_text(value, notes).strip()
        if notes is not None and text.count(",") == 1 and "." not in text:
            notes.add("coordinates.comma")
            text = text.replace(",", ".")
        try:
            degrees = Decimal(text)
        except InvalidOperation:
            raise ValueError("must be decimal degrees") from None
        if not degrees.is_finite() or abs(degrees) > most:
            raise ValueError(f"must be decimal degrees from -{most} to {most}")
        return text if len(text) <= 12 else f"{degrees:.6f}"

    return check


WallTime = Annotated[str, BeforeValidator(_wall_time)]
Weekday = Annotated[int, BeforeValidator(_weekday)]
Latitude = Annotated[str, BeforeValidator(_degrees(90))]
Longitude = Annotated[str, BeforeValidator(_degrees(180))]


def _number(value: Any, info: ValidationInfo) -> float:
    if isinstance(value, str):
        value = _number_in(value)
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise ValueError("must be a number")
    if not -LARGEST_NUMBER < value < LARGEST_NUMBER:  # NaN is refused here too
        raise ValueError("must be a number of sensible size")
    number = float(value)
    if number < 0:
        raise ValueError("must not be negative")
    return number


def _number_in(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text


def _whole(value: Any, info: ValidationInfo) -> int:
    """An int; a partner's fraction is rounded up, so that nobody gets less than asked for."""
    number = _number(value, info)
    if number != int(number):
        notes = notes_of(info)
        if notes is None:
            raise ValueError("must be a whole number")
        notes.add("number.fraction")
    return math.ceil(number)


def _plain(number: float) -> int | float:
    return int(number) if number == int(number) else round(number, 4)


def _boolean(value: Any, info: ValidationInfo) -> bool:
    notes = notes_of(info)
    if isinstance(value, bool):
        return value
    known = {"true": True, "1": True, "false": False, "0": False}
    if notes is not None and str(value).lower() in known:
        notes.add("boolean.spelling")
        return known[str(value).lower()]
    raise ValueError("must be true or false")


Number = Annotated[float, BeforeValidator(_number), PlainSerializer(_plain, return_type=int | float)]
Whole = Annotated[int, BeforeValidator(_whole)]
Flag = Annotated[bool, BeforeValidator(_boolean)]


def one_of(
    names: type[StrEnum], *, also: Mapping[str, str] | None = None, unknown: StrEnum | None = None
) -> BeforeValidator:
    """One value of a closed list in any case; `also` maps spellings. A partner's unknown one becomes `unknown`."""

    def check(value: Any, info: ValidationInfo) -> StrEnum:
        notes = notes_of(info)
        found = _known(names, value, also or {}, notes)
        if found is None and notes is not None and unknown is not None:
            notes.add(f"{names.__name__}.unknown")
            return unknown
        if found is None:
            raise ValueError(f"must be one of {', '.join(names)}")
        return found

    return BeforeValidator(check)


def some_of(names: type[StrEnum]) -> BeforeValidator:
    """A list of values of a closed list; a partner's unknown ones are left out."""

    def check(values: Any, info: ValidationInfo) -> list[StrEnum]:
        notes = notes_of(info)
        if not isinstance(values, list | tuple):
            raise ValueError("must be a list")
        found = [(value, _known(names, value, {}, notes)) for value in values]
        if any(known is None for _, known in found):
            if notes is None or not all(isinstance(value, str) for value, _ in found):
                raise ValueError(f"must each be one of {', '.join(names)}")
            notes.add(f"{names.__name__}.unknown")
        return [known for _, known in found if known is not None]

    return BeforeValidator(check)


def _known(names: type[StrEnum], value: Any, also: Mapping[str, str], notes: Notes | None) -> StrEnum | None:
    if not isinstance(value, str):
        return None
    folded = value.strip().upper().replace("-", "_")
    folded = also.get(folded, folded)
    if folded not in names.__members__.values():
        return None
    if folded != value and notes is not None:
        notes.add(f"{names.__name__}.spelling")
    return names(folded)
