"""Sessions of 2.2.1, as the core asks for them (roaming/ocpi/modules/sessions.py)."""

from __future__ import annotations

from typing import Any

from roaming.mirror.session_values import ToldSession
from roaming.ocpi.style import Style
from roaming.ocpi.v2_2_1.sessions.mapping import session_out
from roaming.ocpi.v2_2_1.tariffs.prices import own_prices
from roaming.ocpi.v2_3_0.sessions import dialect as newest
from roaming.ocpi.v2_3_0.sessions.dialect import list_url, url
from roaming.ocpi.wire_object import Read
from roaming.published_sessions import PublishedSession

__all__ = ["list_url", "read", "url", "write"]


def write(session: PublishedSession, style: Style) -> dict[str, Any]:
    return session_out(newest.write(session, style), style)


def read(raw: Any) -> Read[ToldSession]:
    return own_prices(newest.read(raw))
