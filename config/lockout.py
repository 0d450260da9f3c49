"""Whose tries to sign in are counted."""

from ipaddress import ip_address
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
    """From where somebody tried; None when a proxy says something that is no address, which all share."""
    try:
        return str(ip_address(request.META.get("REMOTE_ADDR", "")))
    except ValueError:
        return None
