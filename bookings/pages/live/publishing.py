from __future__ import annotations

import json
from collections.abc import Iterable

from django.db import connection

CHANNEL = "berth_live"
ACCESS = "access"


def publish(kind: str, object_id: int, audiences: Iterable[str]) -> None:
    """Tell open pages that an object is different, as soon as the caller's transaction commits.

    Name every audience that saw it before or sees it now: one the renderer leaves out hears that it is gone.
    The same call twice in one transaction is one notification.
    """
    _notify({"kind": kind, "id": object_id, "audiences": sorted(set(audiences))})


def publish_access(user_id: int | None = None) -> None:
    """Have the streams of a person, or everybody's, checked again: a session, membership or agreement has changed."""
    _notify({"kind": ACCESS, "id": user_id})


def _notify(note: dict[str, object]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, %s)", [CHANNEL, json.dumps(note)])
