"""One port for everything: live streams natively, all else through threads.

Django's own ASGI handler costs a thread hop per middleware and request; WSGI in threads serves pages several times
faster, and streams need neither.
"""

from functools import cache
from importlib import import_module
from typing import Any, cast

from a2wsgi import WSGIMiddleware

from config import wsgi

# A thread serves one request; the database pool (settings.py) has one connection for each, and some to spare.
_pages: Any = WSGIMiddleware(cast("Any", wsgi.application), workers=8)

# What a machine beside us asks of every process, the one for streams too.
_HEALTH = {"/healthz", "/readyz", "/metrics"}


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Everything, in one process."""
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
    elif scope["type"] == "http" and scope["path"].startswith("/live/"):
        await _live()(scope, receive, send)
    elif scope["type"] == "http":
        await _pages(scope, receive, send)


async def live_only(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """The streams alone, for an installation whose pages come from `serve --wsgi`."""
    if scope["type"] == "http" and not scope["path"].startswith("/live/") and scope["path"] not in _HEALTH:
        await send({"type": "http.response.start", "status": 404, "headers": []})
        await send({"type": "http.response.body"})
    else:
        await application(scope, receive, send)


@cache
def _live() -> Any:
    return import_module("bookings.live").application


async def _lifespan(receive: Any, send: Any) -> None:
    while True:
        message = await receive()
        # From the first moment on, so that a page opened right after the start misses nothing.
        await (_live().start() if message["type"] == "lifespan.startup" else _live().stop())
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
