"""Which addresses a partner may make us call: public ones over https, unless private partners are allowed.

A URL comes from somebody else's system. It must not reach the machines beside us, neither by name nor by a name whose
answer changes between the check and the connection: the address that was checked is the one that is connected to.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import httpcore
from django.conf import settings

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
SocketOption = tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]

MAX_URL = 255  # OCPI's URL type
_NAT64 = ipaddress.ip_network("64:ff9b::/96")

# A name server that hangs holds threads; these are not the loop's own.
_resolving = ThreadPoolExecutor(16, thread_name_prefix="resolve")


class HostileAddress(Exception):
    """A URL we do not call; the text says why."""


def check_url(url: str, *, allow_private: bool | None = None, max_length: int = MAX_URL) -> str:
    """The URL itself, when its form allows a call. Raises HostileAddress.

    Its host is looked at again when it is connected to; a name says nothing about where it leads.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise HostileAddress(f"{url!r:.80} is not a URL: {error}.") from None
    if len(url) > max_length or not url.isascii() or any(c <= " " or c == "\x7f" for c in url):
        raise HostileAddress(f"The URL {url[:60]!r}… is too long or has characters a URL cannot have.")
    schemes = {"https", "http"} if _private_allowed(allow_private) else {"https"}
    if parts.scheme not in schemes:
        raise HostileAddress(f"{url!r:.120} must be an {' or '.join(sorted(schemes, reverse=True))} address.")
    if not host or port == 0 or "@" in parts.netloc:
        raise HostileAddress(f"{url!r:.120} must name a host, and no user.")
    literal = _literal(host)
    if literal:
        check_address(literal, allow_private=allow_private)
    return url


def check_address(address: Address, *, allow_private: bool | None = None) -> None:
    """Raises HostileAddress for an address that is not on the public internet.

    Never a partner, private partners allowed or not: link-local (cloud metadata lives there), multicast, 0.0.0.0.
    """
    inner = _unwrapped(address)
    if inner.is_multicast or inner.is_unspecified or inner.is_link_local:
        raise HostileAddress(f"{address} is not an address of a partner.")
    if not _private_allowed(allow_private) and (not inner.is_global or inner.is_reserved):
        raise HostileAddress(f"{address} is a private address.")


async def resolve(host: str, port: int) -> list[Address]:
    """Every address of a host. Raises HostileAddress when one is not allowed, OSError when there is none."""
    literal = _literal(host)
    if literal:
        addresses = [literal]
    else:
        found = await asyncio.get_running_loop().run_in_executor(
            _resolving, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        )
        addresses = list(dict.fromkeys(ipaddress.ip_address(entry[4][0]) for entry in found))
    for address in addresses:
        check_address(address)
    return addresses


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Connects to an address that was checked, never to a name."""

    def __init__(self) -> None:
        self._plain = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the interface of httpcore
        local_address: str | None = None,
        socket_options: Iterable[SocketOption] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            async with asyncio.timeout(timeout):
                addresses = await resolve(host, port)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(f"no answer for the name {host}") from error
        except OSError as error:
            raise httpcore.ConnectError(f"{host}: {error}") from error
        failure: Exception = httpcore.ConnectError(f"{host} has no address")
        for address in addresses[:4]:
            try:
                return await self._plain.connect_tcp(
                    str(address), port, timeout, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109
        socket_options: Iterable[SocketOption] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        raise HostileAddress("Partners are not reached by Unix socket.")

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def _private_allowed(given: bool | None) -> bool:
    return settings.BERTH_ALLOW_PRIVATE_PARTNERS if given is None else given


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None


def _unwrapped(address: Address) -> Address:
    """The IPv4 address inside an IPv6 one that only carries it."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo[1] if address.teredo else None
    return address.ipv4_mapped or address.sixtofour or teredo or address
