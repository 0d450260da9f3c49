"""A request to one of the platform's modules, and its answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

import httpx

from simulators.partner.ocpi_format import Json, Refusal

PAGE = 50


@dataclass(frozen=True)
class Request:
    """Of an authenticated caller: "peer", "pending", or the token A it holds. `url` is its address without the query, `sender`
    the party it is from as its routing headers have it."""

    method: str
    path: list[str]
    query: dict[str, str]
    body: Any
    caller: str
    url: str = ""
    sender: tuple[str, str] | None = None

    def with_body(self, body: Json) -> Request:
        return replace(self, body=body)


class RoutedAnswer(NamedTuple):
    data: Any
    http_status: int = 200
    headers: dict[str, str] = {}
    message: str = ""


class Module(Protocol):
    """A module in one role. It answers below /ocpi/{side}/{version}/{path}; `side` is "cpo" or "emsp"."""

    identifier: str
    role: str
    side: str
    path: str

    def answer(self, request: Request, rest: list[str]) -> RoutedAnswer:
        """`rest` is the path below the module. Raises Refusal."""


def page_of(request: Request, found: Sequence[Json]) -> RoutedAnswer:
    """A page of a list, by offset and limit, of what was updated from date_from until before date_to."""
    offset, limit = _window(request.query)
    since, until = request.query.get("date_from"), request.query.get("date_to")
    found = [
        each
        for each in found
        if (not since or each["last_updated"] >= since) and (not until or each["last_updated"] < until)
    ]
    headers = {"X-Total-Count": str(len(found)), "X-Limit": str(PAGE)}
    if offset + limit < len(found):
        query = {**request.query, "offset": str(offset + limit), "limit": str(limit)}
        headers["Link"] = f'<{httpx.URL(request.url, params=query)}>; rel="next"'
    return RoutedAnswer(found[offset : offset + limit], 200, headers)


def _window(query: dict[str, str]) -> tuple[int, int]:
    """Offset and limit. Raises Refusal."""
    try:
        offset, limit = int(query.get("offset", 0)), min(int(query.get("limit", PAGE)), PAGE)
    except ValueError:
        raise Refusal(2001, "offset and limit are numbers") from None
    if offset < 0 or limit < 1:
        raise Refusal(2001, "offset and limit are not negative")
    return offset, limit
