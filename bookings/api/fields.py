"""Types of fields that many bodies and queries have, each with its limits."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

LARGEST_ID = 2**31
# RFC 3339, section 5.6; seconds may be left out.
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?([Zz]|[+-]\d\d:\d\d)")
_ISO_FRACTION = re.compile(r"(\.\d{6})\d+")


class Body(BaseModel):
    """What a body may hold: nothing that is not named, and no text where a number belongs."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Parameters(BaseModel):
    """What a query may hold, as text; that nothing else is in it is looked at before (guard.py)."""


def read_moment(given: Any) -> Any:
    """A time with its offset, in UTC. Raises ValueError."""
    if isinstance(given, datetime):
        return given
    if not isinstance(given, str) or not _MOMENT.fullmatch(given):
        raise ValueError("a time is written with its offset, as in 2026-12-01T10:00:00+01:00")
    try:
        moment = datetime.fromisoformat(_ISO_FRACTION.sub(r"\1", given.upper().replace(" ", "T")))
    except ValueError:
        raise ValueError(f"{given} is not in the calendar") from None
    if not 2000 <= moment.year < 2200:  # near the ends of the calendar sums overflow
        raise ValueError(f"{given} is too far from our days")
    return moment.astimezone(UTC)


def _stripped(text: str) -> str:
    if not text.strip():
        raise ValueError("is empty")
    if not text.isprintable():
        raise ValueError("holds characters that are no text")
    return text.strip()


Moment = Annotated[
    datetime, BeforeValidator(read_moment), WithJsonSchema({"type": "string", "format": "date-time"})
]
# What something is called; compared without regard to case.
Name = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_stripped)]
Plate = Annotated[str, Field(min_length=1, max_length=20), AfterValidator(_stripped)]
Kilowatts = Annotated[float, Field(ge=0.001, le=100_000, allow_inf_nan=False)]
Latitude = Annotated[float, Field(ge=-90, le=90)]
Longitude = Annotated[float, Field(ge=-180, le=180)]


def watts(kilowatts: float | None) -> int | None:
    return None if kilowatts is None else round(kilowatts * 1000)


def whole_number(text: str) -> int | None:
    """An id in an address; None for what is none, so that it is not there."""
    is_id = text.isascii() and text.isdigit() and len(text) < 11
    return int(text) if is_id and int(text) < LARGEST_ID else None
