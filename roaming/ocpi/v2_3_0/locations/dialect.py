"""Locations of 2.3.0, as the core asks for them (roaming/ocpi/modules/locations.py)."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from depots.models import Depot
from roaming.mirror.values import ToldPlace
from roaming.models import Partner
from roaming.ocpi.style import Style
from roaming.ocpi.v2_3_0.locations.mapping import location_out, place_in
from roaming.ocpi.v2_3_0.locations.reading import read_location
from roaming.ocpi.wire_object import Read
from roaming.published import PublishedDepot


def shown(depots: QuerySet[Depot], style: Style) -> QuerySet[Depot]:
    return depots


def write(published: PublishedDepot, style: Style) -> dict[str, Any]:
    return location_out(published).wire()


def list_url(partner: Partner) -> str:
    return partner.endpoint("locations", "SENDER")


def read(raw: Any) -> Read[ToldPlace]:
    told = read_location(raw)
    is_partial = "evse.unreadable" in told.deviations
    return Read(place_in(told.value, is_partial=is_partial), told.deviations)
