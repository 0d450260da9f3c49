"""The cards, apps and contracts of a fleet, as its dispatchers keep them. Bookings made before keep the tokens they have."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from bookings.core.constraints import violation_raises
from bookings.errors import ChangedMeanwhile, TokenInUse, VehicleUnknown
from bookings.models import Token, Vehicle
from bookings.rules.content_version import version_of
from bookings.signals import tokens_changed
from depots.imports.writing import assign
from depots.models import Organisation


@dataclass(frozen=True, kw_only=True)
class TokenFacts:
    """All that is kept of a token; see the model."""

    uid: str
    type: str
    contract_id: str = ""
    label: str = ""
    group_name: str = ""
    is_read_either_way: bool = False
    vehicle: Vehicle | None = None

    def columns(self) -> dict[str, Any]:
        """The model's, all of them."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def add_token(*, fleet: Organisation, facts: TokenFacts) -> Token:
    """Raises TokenInUse or VehicleUnknown."""
    _check_vehicle(fleet.pk, facts)
    with _one_token(fleet), transaction.atomic():
        token = Token(fleet=fleet)
        write(token, facts)
    return token


def change_token(*, token_id: int, facts: TokenFacts, seen_version: int) -> Token:
    """Raises ChangedMeanwhile when it is another than was seen (of `version_of`), TokenInUse or VehicleUnknown."""
    fleet = Organisation.objects.get(tokens=token_id)
    _check_vehicle(fleet.pk, facts)
    with _one_token(fleet), transaction.atomic():
        token = _lock_unchanged(token_id, seen_version)
        write(token, facts)
    return token


def set_blocked(*, token_id: int, is_blocked: bool, seen_version: int) -> Token:
    """A blocked one charges nowhere from now on. Raises ChangedMeanwhile."""
    with transaction.atomic():
        token = _lock_unchanged(token_id, seen_version)
        token.is_blocked = is_blocked
        token.save(update_fields=["is_blocked"])
        tell_changed([token.pk])
    return token


def write(token: Token, facts: TokenFacts, *, is_blocked: bool | None = None) -> bool:
    """The writing itself, of a new token or one that its caller has locked; whether anything is different now."""
    columns = facts.columns() | ({} if is_blocked is None else {"is_blocked": is_blocked})
    is_new = token.pk is None
    changed = assign(token, columns)
    if is_new:
        token.save()
    elif changed:
        token.save(update_fields=list(columns))
    if is_new or changed:
        tell_changed([token.pk])
    return changed or is_new


def release(token: Token) -> None:
    """It stays its fleet's, without a vehicle. Its caller has locked it."""
    token.vehicle = None
    token.save(update_fields=["vehicle"])
    tell_changed([token.pk])


def tell_changed(token_ids: Collection[int]) -> None:
    """Partners that know of them hear of it; what a vehicle's retiring changes, too. Needs a transaction."""
    now = timezone.now()
    Token.objects.filter(pk__in=token_ids).update(version=F("version") + 1, updated_at=now)
    tokens_changed.send(sender=Token, token_ids=list(token_ids), at=now)


def _check_vehicle(fleet_id: int, facts: TokenFacts) -> None:
    if facts.vehicle is not None and facts.vehicle.fleet_id != fleet_id:
        raise VehicleUnknown("The vehicle belongs to another fleet.")


@contextmanager
def _one_token(fleet: Organisation) -> Iterator[None]:
    with violation_raises({"token_once": TokenInUse(f"{fleet} has this token already.")}):
        yield


def _lock_unchanged(token_id: int, seen_version: int) -> Token:
    token = Token.objects.select_for_update(no_key=True, of=("self",)).get(pk=token_id)
    if version_of(token) != seen_version:
        raise ChangedMeanwhile(f"{token} was changed since this page was shown.")
    return token
