"""Where a tariff holds from a moment on. The depots of all owners are locked by the caller."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet

from bookings.models import BookingOption, Tariff, TariffBinding
from bookings.rules.tariff_bindings import LAST_MOMENT, Owner, owner_of, versions_of
from depots.models import Agreement, Depot, Evse
from depots.periods import Period


@dataclass(frozen=True)
class OwnerPlace:
    """The depot an owner of tariffs is of."""

    depot_id: int
    operator_id: int
    is_mirror: bool


def bind(
    tariff: Tariff,
    owners: Collection[Owner],
    *,
    since: datetime,
    instead_of: Iterable[TariffBinding],
    from_file: bool = False,
) -> tuple[bool, list[Tariff]]:
    """From then on the tariff is bound to these owners, and what is given in `instead_of` ends where it is another place.

    Another tariff of the kind at one of them ends then, too. Gives whether anything changed, and the tariffs that ended so.
    """
    changed, replaced = False, []
    for row in instead_of:
        if owner_of(row) not in owners and row.valid.ends_at > since:
            end(row, since)
            changed = True
    for owner in owners:
        rows = list(_rows(owner, tariff.kind).select_related("tariff").filter(valid__endswith__gt=since))
        if any(row.tariff_id == tariff.pk and row.valid.ends_at == LAST_MOMENT for row in rows):
            continue
        for row in rows:
            end(row, since)
            if row.tariff_id != tariff.pk:
                replaced.append(row.tariff)
        TariffBinding.objects.create(
            tariff=tariff, kind=tariff.kind, valid=Period(since, LAST_MOMENT), from_file=from_file,
            **{f"{owner.kind}_id": owner.pk},
        )  # fmt: skip
        changed = True
    return changed, replaced


def bind_by_file(depot_id: int, wanted: Mapping[Tariff, Collection[Owner]], *, now: datetime) -> bool:
    """What a depot file says about all of a depot's owners: what one bound before and it no longer names ends. Gives whether
    anything changed."""
    of = (
        Q(depot=depot_id) | Q(option__depot=depot_id) | Q(evse__depot=depot_id) | Q(agreement__depot=depot_id)
    )
    rows = TariffBinding.objects.filter(of, from_file=True, valid__endswith__gt=now).select_related("tariff")
    standing = list(rows.order_by("pk"))
    changed = False
    for tariff in {**{row.tariff: () for row in standing}, **wanted}:
        of_it = [row for row in standing if row.tariff_id == tariff.pk]
        since = max(now, _first_moment(tariff) or now)
        changed |= bind(tariff, wanted.get(tariff, ()), since=since, instead_of=of_it, from_file=True)[0]
    return changed


def _first_moment(tariff: Tariff) -> datetime | None:
    """When its first version begins; None for one that always was."""
    begin = [version.starts_at for version in versions_of([tariff])[tariff.pk]]
    return min((moment for moment in begin if moment), default=None) if None not in begin else None


def end(row: TariffBinding, at: datetime) -> None:
    """A binding that had not begun is gone."""
    if row.valid.starts_at >= at:
        row.delete()
        return
    row.valid = Period(row.valid.starts_at, at)
    row.save(update_fields=["valid"])


def places_of(owners: Collection[Owner]) -> dict[Owner, OwnerPlace]:
    """The depots of those that there are; a query a kind."""
    found: dict[Owner, OwnerPlace] = {}
    for kind, (model, path) in _OWNERS.items():
        keys = {owner.pk for owner in owners if owner.kind == kind}
        if keys:
            columns = [f"{path}{name}" for name in ("id", "operator_id", "is_mirror")]
            for pk, *place in model.objects.filter(pk__in=keys).values_list("pk", *columns):
                found[Owner(kind, pk)] = OwnerPlace(*place)
    return found


_OWNERS: dict[str, tuple[Any, str]] = {
    "depot": (Depot, ""),
    "option": (BookingOption, "depot__"),
    "evse": (Evse, "depot__"),
    "agreement": (Agreement, "depot__"),
}


def _rows(owner: Owner, kind: str) -> QuerySet[TariffBinding]:
    return TariffBinding.objects.filter(kind=kind, **{owner.kind: owner.pk}).order_by("pk")
