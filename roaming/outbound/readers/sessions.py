"""Charging of our fleets at a partner's depots, each fleet's by itself."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from roaming.mirror import partner_sessions
from roaming.models import Partner
from roaming.ocpi.dialect import dialect_of
from roaming.outbound.pulled_lists import Page, PulledList, is_of, one_by_one

# What ended before that is billed by now.
REACHES_BACK = timedelta(days=7)


def _url(partner: Partner) -> str:
    return dialect_of(partner).sessions.list_url(partner)


def _keep(page: Page, raw: Any) -> list[str]:
    told = raw if isinstance(raw, dict) else {}
    read = dialect_of(page.partner).sessions.read(told)
    if not is_of(page.party, read.value.country_code, read.value.party_id):
        return ["session.of_another_party"]
    partner_sessions.adopt_session(page.partner, read, told, now=page.now)
    return []


SESSIONS = PulledList(
    "session",
    _url,
    one_by_one("session", _keep),
    complete_every=None,
    reaches_back=REACHES_BACK,
    asks_for_each=True,
)
