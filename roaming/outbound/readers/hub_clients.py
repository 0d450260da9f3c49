"""The parties behind a hub: all of them when it registers and every night, and what it pushes in between."""

from __future__ import annotations

from typing import Any

from roaming.hubs.clients import HUB, hub_party, keep_client
from roaming.models import Partner
from roaming.ocpi.dialect import dialect_of
from roaming.outbound.pulled_lists import Page, PulledList, one_by_one


def _url(partner: Partner) -> str:
    return partner.endpoint("hubclientinfo", "SENDER") if hub_party(partner) else ""


def _keep(page: Page, raw: Any) -> list[str]:
    read = dialect_of(page.partner).hub_clients.read(raw)
    keep_client(page.partner, read.value, raw, now=page.now)
    return list(read.deviations)


HUB_CLIENTS = PulledList("hub_client", _url, one_by_one("hub_client", _keep), owner=HUB, is_routed=False)
