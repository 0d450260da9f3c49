"""Who is admitted as a guest: under which agreement a fleet or partner may book at somebody else's depot."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from depots.models import Agreement, Depot, Organisation
from depots.parties import EVERYBODY, organisation_called


def guest_called(text: str) -> Organisation | None:
    """Whom a depot is opened to; None for everybody ("all"). Raises UnknownOrganisationError."""
    return None if text.strip().lower() == EVERYBODY else organisation_called(text)


def guests_admit(depot: Depot, organisation_ids: Collection[int], *, now: datetime) -> bool:
    """May one of these organisations book at the depot as a guest?"""
    if not organisation_ids:
        return False
    return Agreement.objects.in_force(now).admitting(organisation_ids).filter(depot=depot).exists()
