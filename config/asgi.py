"""One port for everything: live streams natively, all else through threads.

Django's own ASGI handler costs a thread hop per middleware and request; WSGI in threads serves pages several times
faster, and streams need neither.
"""

import asyncio
import re
from functools import cache
from importlib import import_module
from math import ceil
from typing import Any, NamedTuple

from django.conf import settings

from bookings.api.transport import MAX_BODY as MOST_API_BODY
from bookings.api.transport import is_api
from config import bodies, wsgi
from config.answers import PageAnswer, refusal
from config.lanes import PAUSE_S, Callers, LaneFull
from config.wsgi_threads import WsgiThreads
from roaming.ocpi.envelope import MAX_BODY as MOST_OCPI_BODY
from roaming.ocpi.transport import is_ocpi

# How long a client may take to send a body, and how much of one is taken.
BODY_S = 30
MOST_BODY: int = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
# Forms that take a file of somebody else: a bank's statement, a supplier's invoice (their own limits are below this). Each
# is in memory until it is read: a few at a time.
MOST_FILE_BODY: int = settings.MOST_FILE_BODY
FILES_AT_ONCE = 4
_TAKES_FILE = re.compile(r"/organisations/\d+/bank/statements/|/invoices/incoming/[\w/]+", re.ASCII)

# A charger's log, over a modem.
CHARGER_BODY_S = 300
_FROM_CHARGER = re.compile(r"/charger-files/[\w-]+/[^/]*", re.ASCII)


class Limits(NamedTuple):
    """Of a body: its bytes, the seconds that it may take (None: BODY_S). `is_one_of_few`: a semaphore bounds what is here of
    such bodies, so that they take nothing from the sum for all others."""

    most: int
    within_s: float | None = None
    is_one_of_few: bool = False


# A thread serves one request; the database pool (settings.py) has one connection for each, and some to spare.
_callers = Callers()
_pages = WsgiThreads(wsgi.application, threads=8, callers=_callers)


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Everything that a serving process answers."""
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
    elif scope["type"] == "http" and scope["path"].startswith("/live/"):
        await _live()(scope, receive, send)
    elif scope["type"] == "http":
        await _page(scope, receive, send)


async def _page(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """What becomes of a request, also of one that asks too much at once."""
    try:
        await _within_its_limits(scope, receive, send)
    except (bodies.NoRoomError, LaneFull):
        await _send_last(send, _come_back(503, scope, PAUSE_S))


async def _within_its_limits(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["method"] == "POST" and _TAKES_FILE.fullmatch(scope["path"]) and await _is_signed_in(scope):
        async with _files():
            await _answer(scope, receive, send, Limits(MOST_FILE_BODY, is_one_of_few=True))
    elif scope["method"] in {"PUT", "POST"} and _FROM_CHARGER.fullmatch(scope["path"]):
        await _charger_file(scope, receive, send)
    else:
        await _answer(scope, receive, send, Limits(_most(scope["path"])))


def _most(path: str) -> int:
    if is_ocpi(path):
        return MOST_OCPI_BODY
    return MOST_API_BODY if is_api(path) else MOST_BODY


async def _is_signed_in(scope: dict[str, Any]) -> bool:
    """Who is not has no file taken, and holds none of the few places: it is sent to sign in like after any form."""
    asked = await _pages.answer({**scope, "method": "HEAD"}, b"")
    return asked.status != 302


async def _charger_file(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Only a charger that was asked for a file may hold one of the few places, for as long as a modem takes."""
    asked = await _pages.answer({**scope, "method": "HEAD"}, b"")
    if asked.status != 204:
        await _send_last(send, refusal(404, scope["path"]))
        return
    async with _charger_files():
        await _answer(scope, receive, send, Limits(MOST_FILE_BODY, CHARGER_BODY_S, is_one_of_few=True))


async def _answer(scope: dict[str, Any], receive: Any, send: Any, limits: Limits) -> None:
    lane = _callers.lane_of(scope)
    if wait_s := _callers.rests_s(lane):
        await asyncio.sleep(PAUSE_S)
        await _send_last(send, _come_back(429, scope, wait_s))
        return
    with bodies.kept(None if limits.is_one_of_few else lane) as body:
        await _read_and_answer(scope, receive, send, body, lane, limits)


async def _read_and_answer(
    scope: dict[str, Any], receive: Any, send: Any, body: bodies.Body, lane: str, limits: Limits
) -> None:
    """Take a thread once the whole body is here: a few clients that send theirs slowly would hold all threads."""
    try:
        async with asyncio.timeout(BODY_S if limits.within_s is None else limits.within_s):
            is_whole = await body.read(scope, receive, limits.most)
    except TimeoutError:
        await _send_last(send, refusal(408, scope["path"], scope["headers"]))
    except bodies.TooLargeError as found:
        await _send_last(send, await _too_large(scope, found.body, lane))
    else:
        if is_whole:
            await _send(send, await _pages.answer(scope, bytes(body.content), lane))


@cache
def _files() -> asyncio.Semaphore:
    """Made within the loop that serves."""
    return asyncio.Semaphore(FILES_AT_ONCE)


@cache
def _charger_files() -> asyncio.Semaphore:
    """Apart from those of people: a slow modem keeps nobody from sending an invoice."""
    return asyncio.Semaphore(FILES_AT_ONCE)


def _come_back(status: int, scope: dict[str, Any], after_s: float) -> PageAnswer:
    """What somebody is told who has asked too much at once."""
    answer = refusal(status, scope["path"], scope["headers"])
    return answer._replace(headers=[*answer.headers, ("Retry-After", str(ceil(after_s)))])


async def _too_large(scope: dict[str, Any], body: bytes, lane: str) -> PageAnswer:
    """413. Below /ocpi a page says it, which also writes it into the partner's log."""
    if is_ocpi(scope["path"]):
        return await _pages.answer(scope, body, lane)
    return refusal(413, scope["path"])


async def _send_last(send: Any, answer: PageAnswer) -> None:
    """An answer to a request that has not come to its end: nothing that follows on this connection could be read."""
    await _send(send, answer._replace(headers=[*answer.headers, ("Connection", "close")]))


async def _send(send: Any, answer: PageAnswer) -> None:
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


@cache
def _live() -> Any:
    return import_module("bookings.pages.live").application


async def _lifespan(receive: Any, send: Any) -> None:
    while True:
        message = await receive()
        # From the first moment on, so that a page opened right after the start misses nothing.
        await (_live().start() if message["type"] == "lifespan.startup" else _live().stop())
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
