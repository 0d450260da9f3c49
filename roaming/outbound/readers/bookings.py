"""Our bookings at a partner's depots, each fleet's by itself; what the list leaves out is not over for that."""

from __future__ import annotations

from typing import Any

from roaming.mirror import remote_bookings
from roaming.models import Partner
from roaming.ocpi.dialect import dialect_of
from roaming.outbound.pulled_lists import Page, PulledList, one_by_one


def _url(partner: Partner) -> str:
    return dialect_of(partner).bookings.list_url(partner)


def _keep(page: Page, raw: Any) -> list[str]:
    told = raw if isinstance(raw, dict) else {}
    read = dialect_of(page.partner).bookings.read(page.partner, told)
    remote_bookings.adopt_booking(page.partner, read, told, now=page.now)
    return []


BOOKINGS = PulledList("booking", _url, one_by_one("booking", _keep), complete_every=None, asks_for_each=True)
