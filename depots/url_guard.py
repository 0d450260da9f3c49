"""Which addresses a partner or a certificate may make us call: public ones over https, unless private partners are allowed.

A URL comes from somebody else's system. It must not reach the machines beside us, neither by name nor by a name whose
answer changes between the check and the connection: the address that was checked is the one that is connected to.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket
import ssl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar
from urllib.parse import urlsplit

from django.conf import settings

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
P = TypeVar("P", bound=asyncio.Protocol)

MAX_URL = 255  # OCPI's URL type
_NAT64 = ipaddress.ip_network("64:ff9b::/96")

# A name server that hangs holds threads; these are not the loop's own. A partner may give us a new name with each message and has
# a few messages under way, so there are many. The system's resolver, which nobody can interrupt, gives up about when we do.
RESOLVING_THREADS = 64
_resolving = ThreadPoolExecutor(RESOLVING_THREADS, thread_name_prefix="resolve")
os.environ.setdefault("RES_OPTIONS", "timeout:1 attempts:2")


class HostileAddress(Exception):
    """A URL we do not call; the text says why."""


def check_url(
    url: str, *, allow_private: bool | None = None, max_length: int = MAX_URL, is_signed: bool = False
) -> str:
    """The URL itself, when its form allows a call. Raises HostileAddress. Where what is answered `is_signed`, plain http will do.

    Its host is looked at again when it is connected to; a name says nothing about where it leads.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise HostileAddress(f"{url!r:.80} is not a URL: {error}.") from None
    if len(url) > max_length or not url.isascii() or any(c <= " " or c == "\x7f" for c in url):
        raise HostileAddress(f"The URL {url[:60]!r}… is too long or has characters a URL cannot have.")
    schemes = {"https", "http"} if is_signed or _private_allowed(allow_private) else {"https"}
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


async def connect(
    protocol: Callable[[], P],
    host: str,
    port: int,
    *,
    tls: ssl.SSLContext | None,
    timeout_s: float,
) -> P:
    """A connection to an address that was checked, never to a name. Raises HostileAddress and OSError.

    The name is still what the certificate must be for.
    """
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(timeout_s):
            addresses = await resolve(host, port)
    except TimeoutError:
        raise OSError(f"no answer for the name {host}") from None
    failure = OSError(f"{host} has no address")
    for address in addresses[:4]:
        try:
            async with asyncio.timeout(timeout_s):
                _, made = await loop.create_connection(
                    protocol, str(address), port, ssl=tls, server_hostname=host if tls else None
                )
                return made
        except TimeoutError:
            failure = OSError(f"{host} does not answer")
        except OSError as error:
            failure = error
    raise failure


def trusting_tls() -> ssl.SSLContext:
    """TLS to servers whose certificates the machine trusts."""
    return ssl.create_default_context()


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
