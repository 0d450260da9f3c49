"""Somebody who is signed in, as a test client, and what their pages carry."""

from typing import Any

from django.db.models import Model
from django.test import Client

from bookings.models import Booking
from bookings.rules.content_version import version_of
from depots.models import User


def client_of(user: User) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def seen(row: Model) -> dict[str, Any]:
    """The hidden field of a form that shows the row as it is now."""
    now = type(row)._default_manager.get(pk=row.pk)
    return {"version": now.version if isinstance(now, Booking) else version_of(now)}
