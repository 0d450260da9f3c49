"""One port for everything: live streams natively, all else through threads.

Django's own ASGI handler costs a thread hop per middleware and request; WSGI in threads serves pages several times
faster, and streams need neither.
"""

import os
from typing import Any

from a2wsgi import WSGIMiddleware
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

_pages = WSGIMiddleware(get_wsgi_application(), workers=8)

from bookings.live import application as live  # noqa: E402 - needs the apps that get_wsgi_application loads


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
    elif scope["path"].startswith("/live/"):
        await live(scope, receive, send)
    elif scope["type"] == "http":
        await _pages(scope, receive, send)


async def _lifespan(receive: Any, send: Any) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
