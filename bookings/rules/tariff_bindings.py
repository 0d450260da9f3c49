"""Tariffs as they are bound, as values: to whom, from when until when, and what each of their versions says."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from django.db.models import Q

from bookings.models import Tariff, TariffBinding, TariffVersion
from bookings.pricing.tariff_content import TariffContent
from bookings.rules.tariff_contents import contents
from depots.periods import Period

# The first and the last moment that a binding knows: it has no open ends.
FIRST_MOMENT, LAST_MOMENT = datetime(1900, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)


class Owner(NamedTuple):
    """What a tariff is bound to: "depot", "option", "evse" or "agreement", by key."""

    kind: str
    pk: int


@dataclass(frozen=True)
class TariffInForce:
    """One version of a tariff; `starts_at` None always was, `ends_at` None lasts until another begins."""

    pk: int
    code: str
    name: str
    number: int
    starts_at: datetime | None
    ends_at: datetime | None
    content: TariffContent

    def __str__(self) -> str:
        return self.name or self.code

    def holds(self, at: datetime) -> bool:
        return (self.starts_at is None or self.starts_at <= at) and (
            self.ends_at is None or at < self.ends_at
        )


@dataclass(frozen=True)
class Binding:
    """`versions` begin one after the other."""

    owner: Owner
    kind: Tariff.Kind
    valid: Period
    versions: tuple[TariffInForce, ...]

    def version_at(self, at: datetime) -> TariffInForce | None:
        return version_at(self.versions, at)


class Tariffs(NamedTuple):
    """What a customer pays somewhere at a moment; None where nothing is said."""

    charging: TariffInForce | None = None
    booking: TariffInForce | None = None

    @property
    def contents(self) -> tuple[TariffContent, ...]:
        return tuple(one.content for one in self if one is not None)


NO_TARIFFS = Tariffs()


def version_at(versions: Iterable[TariffInForce], at: datetime) -> TariffInForce | None:
    """The one that began last of those that hold then: one that ends gives way to the one before it."""
    found = None
    for version in versions:
        if version.holds(at) and (found is None or _begin(version) > _begin(found)):
            found = version
    return found


def bindings_of(depot_ids: Collection[int]) -> dict[int, list[Binding]]:
    """All that are bound at some depots, whenever they hold, by depot id; in three queries at most."""
    of = (
        Q(depot__in=depot_ids)
        | Q(option__depot__in=depot_ids)
        | Q(evse__depot__in=depot_ids)
        | Q(agreement__depot__in=depot_ids)
    )
    rows = TariffBinding.objects.filter(of, tariff__is_withdrawn=False).order_by("pk")
    found: dict[int, list[Binding]] = {depot_id: [] for depot_id in depot_ids}
    bound = list(rows.select_related("tariff", "option", "evse", "agreement"))
    versions = versions_of({row.tariff for row in bound})
    for row in bound:
        holder = row.option or row.evse or row.agreement
        depot_id = row.depot_id or (holder.depot_id if holder else 0)
        binding = Binding(owner_of(row), Tariff.Kind(row.kind), row.valid, versions[row.tariff_id])
        found[depot_id].append(binding)
    return found


def owner_of(row: TariffBinding) -> Owner:
    for kind in ("depot", "option", "evse"):
        if (pk := getattr(row, f"{kind}_id")) is not None:
            return Owner(kind, pk)
    assert row.agreement_id is not None  # tariff_binding_of_one_owner
    return Owner("agreement", row.agreement_id)


def versions_of(tariffs: Collection[Tariff]) -> dict[int, tuple[TariffInForce, ...]]:
    """By tariff id, in the order in which they begin; two queries at most."""
    by_id = {tariff.pk: tariff for tariff in tariffs}
    rows = TariffVersion.objects.filter(tariff__in=by_id).values_list(
        "pk", "tariff_id", "number", "starts_at", "ends_at"
    )
    columns = list(rows) if by_id else []
    said = contents([pk for pk, *_ in columns])
    found: dict[int, list[TariffInForce]] = {pk: [] for pk in by_id}
    for pk, tariff_id, number, starts_at, ends_at in columns:
        tariff = by_id[tariff_id]
        found[tariff_id].append(
            TariffInForce(pk, tariff.code, tariff.name, number, starts_at, ends_at, said[pk])
        )
    return {pk: tuple(sorted(versions, key=_begin)) for pk, versions in found.items()}


def _begin(version: TariffInForce) -> tuple[datetime, int]:
    return version.starts_at or FIRST_MOMENT, version.number
