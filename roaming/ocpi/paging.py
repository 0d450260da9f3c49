"""Lists in pages: `date_from` inclusive, `date_to` exclusive, `offset`, `limit`; oldest first (OCPI 2.3.0
transport_and_format, Pagination)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import urlencode

from django.conf import settings
from django.db.models import Case, F, Model, QuerySet
from django.db.models.lookups import GreaterThanOrEqual, LessThan
from django.http import HttpRequest

from depots.periods import Period
from roaming.ocpi.envelope import Code, OcpiResponse, RefusalError, ok
from roaming.ocpi.times import EARLIEST, LATEST, read_time

MAX_LIMIT = 100
MAX_OFFSET = 10**9
M = TypeVar("M", bound=Model)


@dataclass(frozen=True)
class Page:
    """Which part of a list is asked for."""

    offset: int
    limit: int
    date_from: datetime | None
    date_to: datetime | None
    query: dict[str, str]
    path: str

    @classmethod
    def of(cls, request: HttpRequest) -> Page:
        """Raises RefusalError (2001) naming the parameter that is wrong."""
        return cls(
            offset=_whole(request, "offset", 0, 0, MAX_OFFSET),
            limit=min(_whole(request, "limit", MAX_LIMIT, 1, MAX_OFFSET), MAX_LIMIT),
            date_from=moment(request, "date_from"),
            date_to=moment(request, "date_to"),
            query={name: str(value) for name, value in request.GET.items()},
            path=request.path_info,
        )

    @property
    def asks_for_changes(self) -> bool:
        return self.date_from is not None or self.date_to is not None

    def changed_in(self, rows: QuerySet[M], last_updated: F | Case) -> QuerySet[M]:
        """Those last changed in the span asked for."""
        if self.date_from:
            rows = rows.filter(GreaterThanOrEqual(last_updated, self.date_from))
        return rows.filter(LessThan(last_updated, self.date_to)) if self.date_to else rows

    def answer(self, rows: QuerySet[M], write: Callable[[Sequence[M]], Sequence[Any]]) -> OcpiResponse:
        """One page of a queryset in a stable order, with its headers; `write` maps all rows of the page at once."""
        total = rows.count()
        found = list(rows[self.offset : self.offset + self.limit]) if self.offset < total else []
        return self._answered(total, list(write(found)) if found else [])

    def answer_list(self, objects: Sequence[Any]) -> OcpiResponse:
        """The same of objects that were computed already."""
        return self._answered(len(objects), list(objects[self.offset : self.offset + self.limit]))

    def _answered(self, total: int, objects: list[Any]) -> OcpiResponse:
        headers = {"X-Total-Count": str(total), "X-Limit": str(MAX_LIMIT)}
        following = self.offset + self.limit
        if following < total:
            query = {**self.query, "offset": str(following), "limit": str(self.limit)}
            headers["Link"] = f'<{settings.BERTH_BASE_URL}{self.path}?{urlencode(query)}>; rel="next"'
        return ok(objects, headers=headers)


def moment(request: HttpRequest, name: str) -> datetime | None:
    """A time from the query, where a `+` before an offset often arrives as a blank."""
    text = request.GET.get(name)
    if not text:
        return None
    try:
        return read_time(text[:-6] + "+" + text[-5:] if len(text) > 6 and text[-6] == " " else text)
    except ValueError as error:
        raise RefusalError(Code.INVALID, f"{name}: {error}") from None


def span(request: HttpRequest, first: str, last: str) -> Period | None:
    """The span between two optional query times; None without both. Raises RefusalError when it is empty."""
    starts_at, ends_at = moment(request, first), moment(request, last)
    if starts_at is None and ends_at is None:
        return None
    try:
        return Period(starts_at or EARLIEST, ends_at or LATEST)
    except ValueError:
        raise RefusalError(Code.INVALID, f"{last}: must be after {first}") from None


def _whole(request: HttpRequest, name: str, default: int, least: int, most: int) -> int:
    text = request.GET.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 10 or not least <= int(text) <= most:
        raise RefusalError(Code.INVALID, f"{name}: must be a whole number from {least}")
    return int(text)
