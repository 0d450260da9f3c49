"""Locations of 2.3.0, as the core asks for them (roaming/ocpi/modules/locations.py)."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from depots.models import Depot
from roaming.mirror.values import ToldPlace
from roaming.models import Partner
from roaming.ocpi.client import joined
from roaming.ocpi.style import Style
from roaming.ocpi.v2_3_0.locations.mapping import location_out, place_in
from roaming.ocpi.v2_3_0.locations.reading import read_location
from roaming.ocpi.v2_3_0.locations.schemas import EvseStatus
from roaming.ocpi.wire_object import Read
from roaming.published import PublishedDepot, owner_of


def shown(depots: QuerySet[Depot], style: Style) -> QuerySet[Depot]:
    return depots


def write(published: PublishedDepot, style: Style) -> dict[str, Any]:
    return location_out(published, may_unlock=style.may_unlock).wire()


def write_gone(published: PublishedDepot, style: Style) -> dict[str, Any]:
    """There is no DELETE: a Location without a valid EVSE is not shown."""
    return gone(write(published, style))


def write_evse(published: PublishedDepot, uid: str, style: Style) -> dict[str, Any] | None:
    return evse_in(write(published, style), uid)


def gone(location: dict[str, Any]) -> dict[str, Any]:
    removed = [{**evse, "status": EvseStatus.REMOVED.value} for evse in location["evses"]]
    return {**location, "publish": False, "evses": removed}


def evse_in(location: dict[str, Any], uid: str) -> dict[str, Any] | None:
    return next((evse for evse in location["evses"] if evse["uid"] == uid), None)


def without_statuses(written: dict[str, Any]) -> dict[str, Any]:
    """That an EVSE was removed is no status that passes."""
    evses = [{**evse, "status": evse["status"] == EvseStatus.REMOVED} for evse in written["evses"]]
    return {**written, "evses": evses}


def url(partner: Partner, depot: Depot, evse_uid: str = "") -> str:
    base = partner.endpoint("locations", "RECEIVER")
    return (
        joined(base, *owner_of(depot), depot.location_id, *([evse_uid] if evse_uid else [])) if base else ""
    )


def list_url(partner: Partner) -> str:
    return partner.endpoint("locations", "SENDER")


def read(raw: Any) -> Read[ToldPlace]:
    told = read_location(raw)
    is_partial = "evse.unreadable" in told.deviations
    return Read(place_in(told.value, is_partial=is_partial), told.deviations)
