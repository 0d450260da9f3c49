"""A partner's depots."""

from __future__ import annotations

from typing import Any

import structlog

from roaming.mirror import partner_places
from roaming.models import Partner
from roaming.ocpi.dialect import dialect_of
from roaming.outbound.pulled_lists import Page, PulledList, is_of, one_by_one

logger = structlog.get_logger(__name__)


def _url(partner: Partner) -> str:
    return dialect_of(partner).locations.list_url(partner)


def _keep(page: Page, raw: Any) -> list[str]:
    place = dialect_of(page.partner).locations.read(raw)
    if not is_of(page.party, place.value.country_code, place.value.party_id):
        return ["location.of_another_party"]
    depot = partner_places.adopt_place(page.partner, place, raw, now=page.now).depot
    if place.value.time_zone is None:
        logger.warning(
            "a depot has no time zone that can be read", depot=depot.code, shown_in=depot.time_zone
        )
    return []


LOCATIONS = PulledList("location", _url, one_by_one("location", _keep))
