"""Moments read as whole seconds, for queries that give thousands of which few are different.

What PostgreSQL sends for a timestamp Django reads in Python, 6 µs each: of a board's week more than all else it reads.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.db.models import BigIntegerField, Func


class Seconds(Func):
    """A timestamp as seconds since 1970, fractions cut off."""

    template = "floor(extract(epoch FROM %(expressions)s))::bigint"
    output_field = BigIntegerField()

    def __init__(self, moment: Any) -> None:
        super().__init__(moment)


class DatetimeBySecond(dict[int, datetime]):
    """The aware UTC datetime of such seconds, made once: `moments[1893456000]`."""

    def __missing__(self, seconds: int) -> datetime:
        found = self[seconds] = datetime.fromtimestamp(seconds, UTC)
        return found
