"""Answers as a server sends them, and those of its own, to requests that no page sees."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import unquote

from django.utils.datastructures import CaseInsensitiveMapping

from bookings.api.problems import for_status as problem_for
from bookings.api.transport import is_api
from roaming.ocpi.envelope import for_status
from roaming.ocpi.transport import is_ocpi, message_ids

_TEXTS = {
    400: "The request cannot be read.\n",
    404: "There is nothing here.\n",
    408: "The body did not arrive in time.\n",
    413: "The body is too large.\n",
    414: "The address is too long.\n",
    429: "Too many requests.\n",
    431: "The head of the request is too long.\n",
    500: "Something went wrong on our side.\n",
    503: "Too much is waiting here; try again in a moment.\n",
}

RawHeaders = Iterable[tuple[bytes, bytes]]


class PageAnswer(NamedTuple):
    status: int
    headers: list[tuple[str, str]]
    body: bytes


def refusal(status: int, path: str, headers: RawHeaders = ()) -> PageAnswer:
    """An OCPI envelope below /ocpi, a problem below /api, a line of text elsewhere; `headers` are the request's, as far as
    known."""
    if is_api(path):
        problem = problem_for(status)
        return PageAnswer(status, [("Content-Type", problem["Content-Type"])], problem.content)
    if not is_ocpi(path):
        return PageAnswer(status, [("Content-Type", "text/plain; charset=utf-8")], _TEXTS[status].encode())
    envelope = for_status(status)
    sent = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}
    ids = message_ids(CaseInsensitiveMapping(sent))
    return PageAnswer(status, [("Content-Type", envelope["Content-Type"]), *ids.items()], envelope.content)


def path_of(target: bytes) -> str:
    """The path of a request's target (RFC 9112, section 3.2), whole or not, URL or not."""
    text = target.decode("latin-1").partition("?")[0]
    if not text.startswith("/"):
        text = "/" + text.partition("://")[2].partition("/")[2]
    return unquote(text)
