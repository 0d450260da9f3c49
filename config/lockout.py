"""Whose tries to sign in are counted."""

from ipaddress import ip_address
from typing import Any

from django.http import HttpRequest

from depots.client_address import client_network


def attempted_name(request: HttpRequest, credentials: dict[str, Any] | None) -> str | None:
    """The login somebody tried, in the one spelling that is counted.

    Named explicitly: the try is announced once with Django's `username` and once with the user model's own field, and
    counting only one of them would lock nobody out.
    """
    given = credentials or {}
    name = given.get("username") or given.get("email") or request.POST.get("login")
    return str(name).lower()[:254] if name else None


def address(request: HttpRequest) -> str | None:
    """From where somebody tried, of IPv6 its `client_network`; None when a proxy says something that is no address, which all
    share."""
    network = client_network(request.META.get("REMOTE_ADDR", "")).partition("/")[0]
    try:
        return str(ip_address(network))
    except ValueError:
        return None
