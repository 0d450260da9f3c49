"""Who may hear what."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user
from django.http import HttpRequest

from bookings.notifications import inbox
from depots.models import Agreement, Depot, Membership, User
from depots.navigation import BOOKING_ROLES, DEPOT_ROLES, FLEET_ROLES, NETWORK_ROLES, NETWORKS


@dataclass(frozen=True)
class Listener:
    """A person with a living session, and the audiences they belong to."""

    user_id: int
    audiences: frozenset[str]


def fleet_audience(organisation_id: int) -> str:
    return f"fleet-{organisation_id}"


def depot_audience(depot_id: int) -> str:
    return f"depot-{depot_id}"


def calendar_audience(depot_id: int) -> str:
    return f"calendar-{depot_id}"


def evse_audiences(depot_id: int) -> list[str]:
    """Who hears of the state of a depot's EVSEs: who looks after it, and who may book there."""
    return [depot_audience(depot_id), calendar_audience(depot_id)]


def listeners(session_keys: set[str], now: datetime) -> dict[str, Listener]:
    """Those of the session keys that belong to somebody signed in. The same checks as for a page."""
    users = {key: user for key in session_keys if (user := _user_of(key)) is not None}
    memberships = _memberships_of({user.pk for user in users.values()})
    known: dict[tuple[tuple[int, str], ...], frozenset[str]] = {}
    found = {}
    for key, user in users.items():
        roles = tuple(memberships.get(user.pk, ()))
        if roles not in known:  # colleagues share one set, and one look-up
            known[roles] = _audiences(roles, now)
        found[key] = Listener(user.pk, known[roles] | {inbox.audience(user.pk)})
    return found


def _user_of(session_key: str) -> User | None:
    if not session_key.isalnum():
        return None
    request = HttpRequest()
    request.session = _session_store()(session_key)
    user = get_user(request)  # checks the backend, that the person is active, and the password's hash
    return user if isinstance(user, User) else None


def _session_store() -> Any:
    return import_module(settings.SESSION_ENGINE).SessionStore


def _memberships_of(user_ids: set[int]) -> dict[int, list[tuple[int, str]]]:
    found: dict[int, list[tuple[int, str]]] = {}
    for user_id, organisation_id, role in (
        Membership.objects.filter(user__in=user_ids)
        .order_by("pk")
        .values_list("user", "organisation", "role")
    ):
        found.setdefault(user_id, []).append((organisation_id, role))
    return found


def _audiences(roles: tuple[tuple[int, str], ...], now: datetime) -> frozenset[str]:
    fleets = {organisation for organisation, role in roles if role in FLEET_ROLES}
    bookers = {organisation for organisation, role in roles if role in BOOKING_ROLES | FLEET_ROLES}
    operators = {organisation for organisation, role in roles if role in DEPOT_ROLES}
    depots = Depot.objects.filter(operator__in=operators, is_mirror=False).values_list("pk", flat=True)
    sees_networks = any(role in NETWORK_ROLES for _, role in roles)
    return frozenset(
        ([NETWORKS] if sees_networks else [])
        + [fleet_audience(pk) for pk in fleets]
        + [depot_audience(pk) for pk in depots]
        + [calendar_audience(pk) for pk in _bookable_depots(bookers, now)]
    )


def _bookable_depots(organisation_ids: set[int], now: datetime) -> set[int]:
    """Depots of their own, and those that have an agreement with them or with everybody."""
    if not organisation_ids:
        return set()
    own = Depot.objects.filter(operator__in=organisation_ids).values_list("pk", flat=True)
    opened = Agreement.objects.in_force(now).admitting(organisation_ids)
    return set(own) | set(opened.values_list("depot", flat=True))
