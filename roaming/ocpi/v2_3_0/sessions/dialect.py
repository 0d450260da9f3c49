"""Sessions of 2.3.0, as the core asks for them (roaming/ocpi/modules/sessions.py)."""

from __future__ import annotations

from typing import Any

from roaming.mirror.session_values import ToldSession
from roaming.models import Partner
from roaming.ocpi.client import joined
from roaming.ocpi.style import Style
from roaming.ocpi.v2_3_0.cdrs.mapping import core_period
from roaming.ocpi.v2_3_0.sessions.mapping import session_in, session_out
from roaming.ocpi.v2_3_0.sessions.reading import read_session
from roaming.ocpi.wire_object import Read
from roaming.published_sessions import PublishedSession


def url(partner: Partner, session: PublishedSession) -> str:
    base = partner.endpoint("sessions", "RECEIVER")
    return joined(base, *session.owner, session.id) if base else ""


def write(session: PublishedSession, style: Style) -> dict[str, Any]:
    written = session_out(session).wire()
    if session.guest.session_id is None and not style.knows_bookings:
        written["charging_periods"] = [core_period(period) for period in written.get("charging_periods", [])]
    return written


def list_url(partner: Partner) -> str:
    return partner.endpoint("sessions", "SENDER")


def read(raw: Any) -> Read[ToldSession]:
    told = read_session(raw)
    return Read(session_in(told.value), told.deviations)
