"""One port for everything: live streams natively, all else through threads.

Django's own ASGI handler costs a thread hop per middleware and request; WSGI in threads serves pages several times
faster, and streams need neither.
"""

import asyncio
from functools import cache
from importlib import import_module
from typing import Any

from django.conf import settings
from django.http import HttpResponse

from config import wsgi
from config.wsgi_threads import PageAnswer, WsgiThreads
from roaming.ocpi.envelope import for_status
from roaming.ocpi.transport import is_ocpi

# How long a client may take to send a body, and how much of it is taken: beyond it every page refuses.
BODY_S = 30
MOST_BODY: int = settings.DATA_UPLOAD_MAX_MEMORY_SIZE

# A thread serves one request; the database pool (settings.py) has one connection for each, and some to spare.
_pages = WsgiThreads(wsgi.application, threads=8)


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Everything that a serving process answers."""
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
    elif scope["type"] == "http" and scope["path"].startswith("/live/"):
        await _live()(scope, receive, send)
    elif scope["type"] == "http":
        await _page(scope, receive, send)


async def _page(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Take a thread once the whole body is here: a few clients that send theirs slowly would hold all threads."""
    try:
        async with asyncio.timeout(BODY_S):
            body = await _read_body(receive)
    except TimeoutError:
        await _send(send, _too_slow(scope["path"]))
        return
    if body is not None:
        await _send(send, await _pages.answer(scope, body))


async def _read_body(receive: Any) -> bytes | None:
    """What the client sends, cut beyond what anybody here reads; None when it has gone."""
    body = bytearray()
    while len(body) <= MOST_BODY:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if not message.get("more_body", False):
            break
    return bytes(body)


def _too_slow(path: str) -> PageAnswer:
    """408, in an envelope where everything is one."""
    answer = for_status(408) if is_ocpi(path) else HttpResponse("The body did not arrive in time.\n")
    headers = [("content-type", answer["Content-Type"]), ("connection", "close")]
    return PageAnswer(408, headers, answer.content)


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
