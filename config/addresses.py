"""`host:port` from the environment: read, listened on, and made part of our own address when any port would do."""

import os
import socket

from django.conf import settings
from django.core.management.base import CommandError

# Connections that wait to be accepted. Who has asyncio accept says so there too, or 100 are left of it.
BACKLOG = 2048
CHOOSE_ANOTHER = "Choose another with BERTH_HTTP or BERTH_OCPP."


def read(address: str) -> tuple[str, int]:
    """Host and port of `127.0.0.1:8000` or `[::1]:8000`. Raises CommandError."""
    host, separator, port = address.rpartition(":")
    if not separator or not port.isdigit() or int(port) > 65535:
        raise CommandError(f"{address!r} is not an address: write host:port, as in 127.0.0.1:8000.")
    return host.strip("[]") or "127.0.0.1", int(port)


def listen(address: str, *, is_shared: bool = False, advice: str = CHOOSE_ANOTHER) -> socket.socket:
    """A socket that listens there; port 0 takes a free one. Raises CommandError with the advice when somebody else has it,
    unless both have come to share it.

    Made for TCP by number, which `socket.create_server` leaves out: asyncio sets TCP_NODELAY on what it accepts only
    where the protocol says TCP, and without it each answer on a kept connection waits 40 ms for an acknowledgement.
    """
    host, port = read(address)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port that was just left is free
        if is_shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise CommandError(f"Cannot listen on {address}: {error.strerror}. {advice}") from error
    return listener


def reachable(address: str) -> str:
    """The address by which this machine reaches what listens there: 0.0.0.0 is everywhere, so here too."""
    host, port = read(address)
    return f"{_bracketed({'0.0.0.0': '127.0.0.1', '::': '::1'}.get(host, host))}:{port}"  # noqa: S104


def adopt_http_port(listener: socket.socket) -> str:
    """Our address as others see it; with port 0 the one that was taken becomes BERTH_BASE_URL, if none was set."""
    host, port = read(settings.BERTH_HTTP)
    if port == 0:
        port = listener.getsockname()[1]
        if "BERTH_BASE_URL" not in os.environ:
            settings.BERTH_BASE_URL = f"http://{_bracketed(host)}:{port}"
    return f"http://{_bracketed(host)}:{port}"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
