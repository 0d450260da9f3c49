"""Whose tries to sign in are counted."""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any

from django.http import HttpRequest


def attempted_name(request: HttpRequest, credentials: dict[str, Any] | None) -> str | None:
    """The login somebody tried, in the one spelling that is counted.

    Named explicitly: the try is announced once with Django's `username` and once with the user model's own field, and
    counting only one of them would lock nobody out.
    """
    given = credentials or {}
    name = given.get("username") or given.get("email") or request.POST.get("login")
    return str(name).lower()[:254] if name else None


def address(request: HttpRequest) -> str | None:
    """From where somebody tried; None when a proxy says something that is no address, which all share.

    Of an IPv6 address the network: whoever has one has the 2**64 of its /64 (RFC 6177).
    """
    try:
        return _place(ip_address(request.META.get("REMOTE_ADDR", "")))
    except ValueError:
        return None


def _place(found: IPv4Address | IPv6Address) -> str:
    if isinstance(found, IPv4Address):
        return str(found)
    return str(found.ipv4_mapped or IPv6Network((int(found), 64), strict=False).network_address)
