"""The organisations in which somebody has one of some roles."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from django.contrib.auth.models import AnonymousUser

from depots.models import Membership, Organisation, User
from depots.navigation import memberships_of

Person = User | AnonymousUser


def organisation_ids(user: Person, roles: Collection[str]) -> set[int]:
    return {membership.organisation_id for membership in _memberships(user) if membership.role in roles}


def organisations(user: Person, roles: Collection[str]) -> Iterable[Organisation]:
    return {m.organisation_id: m.organisation for m in _memberships(user) if m.role in roles}.values()


def _memberships(user: Person) -> list[Membership]:
    return memberships_of(user) if isinstance(user, User) else []
