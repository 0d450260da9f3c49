"""Locations of 2.2.1, as the core asks for them (roaming/ocpi/modules/locations.py)."""

from __future__ import annotations

from typing import Any

from django.db.models import Exists, OuterRef, QuerySet

from depots.models import Connector, Depot
from roaming.ocpi.style import Style
from roaming.ocpi.v2_2_1.locations.mapping import CONNECTORS, location_out
from roaming.ocpi.v2_3_0.locations import dialect as newest
from roaming.ocpi.v2_3_0.locations.dialect import evse_in, gone, list_url, read, url, without_statuses
from roaming.published import PublishedDepot

__all__ = ["list_url", "read", "shown", "url", "without_statuses", "write", "write_evse", "write_gone"]


def shown(depots: QuerySet[Depot], style: Style) -> QuerySet[Depot]:
    if style.shows_unlisted_connectors:
        return depots
    return depots.filter(
        Exists(Connector.objects.filter(evse__depot=OuterRef("pk"), standard__in=sorted(CONNECTORS)))
    )


def write(published: PublishedDepot, style: Style) -> dict[str, Any]:
    return location_out(newest.write(published, style), style)


def write_gone(published: PublishedDepot, style: Style) -> dict[str, Any]:
    return gone(write(published, style))


def write_evse(published: PublishedDepot, uid: str, style: Style) -> dict[str, Any] | None:
    return evse_in(write(published, style), uid)
