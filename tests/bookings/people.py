"""Somebody who is signed in, as a test client, and what their pages carry."""

from typing import Any

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.db.models import Model
from django.test import Client
from django.utils.crypto import get_random_string

from bookings.models import Booking
from bookings.rules.content_version import version_of
from depots.models import User


def client_of(user: User) -> Client:
    """With the session that signing in leaves, which takes seventeen statements by itself: more than many a page."""
    store = SessionStore()
    said = {
        SESSION_KEY: str(user.pk),
        BACKEND_SESSION_KEY: "django.contrib.auth.backends.ModelBackend",
        HASH_SESSION_KEY: user.get_session_auth_hash(),
    }
    session = Session.objects.create(
        session_key=get_random_string(32),
        session_data=store.encode(said),
        expire_date=store.get_expiry_date(),
    )
    client = Client()
    client.cookies[settings.SESSION_COOKIE_NAME] = session.session_key
    return client


def seen(row: Model) -> dict[str, Any]:
    """The hidden field of a form that shows the row as it is now."""
    now = type(row)._default_manager.get(pk=row.pk)
    return {"version": now.version if isinstance(now, Booking) else version_of(now)}
