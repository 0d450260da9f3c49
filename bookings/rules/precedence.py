"""Whose terms and tariff hold for an option: the depot's, the agreement with everybody, the one with the fleet, the
option's own; the narrower goes before the broader."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import TypeVar

from django.db.models import Q, QuerySet

from bookings.models import BookingOption, FlatTariff, TermsOverride
from depots.models import Agreement, Organisation

Owned = TypeVar("Owned", TermsOverride, FlatTariff)


def applying(
    rows: QuerySet[Owned], options: Collection[BookingOption], fleet: Organisation, *, now: datetime
) -> dict[int, list[Owned]]:
    """Of all terms or tariffs those that hold for a fleet, by option id, the broadest first; in one query."""
    depot_ids = {option.depot_id for option in options}
    agreed = Agreement.objects.in_force(now).admitting([fleet.pk]).filter(depot__in=depot_ids)
    held = Q(depot__in=depot_ids) | Q(agreement__in=agreed) | Q(option__in=[o.pk for o in options])
    found = sorted(rows.filter(held).select_related("agreement"), key=_breadth)
    return {option.pk: [row for row in found if _is_of(row, option)] for option in options}


def of_depots(rows: QuerySet[Owned], depot_ids: Collection[int]) -> dict[int, list[Owned]]:
    """All terms or tariffs at these depots by depot id, whomever they hold for, the broadest first; in one query."""
    of = Q(depot__in=depot_ids) | Q(agreement__depot__in=depot_ids) | Q(option__depot__in=depot_ids)
    found: dict[int, list[Owned]] = {depot_id: [] for depot_id in depot_ids}
    for row in sorted(rows.filter(of).select_related("agreement", "option"), key=_breadth):
        owner = row.agreement or row.option
        found[row.depot_id or (owner.depot_id if owner else 0)].append(row)
    return found


def holds(row: TermsOverride | FlatTariff, option_id: int, agreement_ids: Collection[int]) -> bool:
    """Whether a row of a depot's holds for one of its options, to whom is admitted by these agreements."""
    if row.agreement_id is not None:
        return row.agreement_id in agreement_ids
    return row.option_id in {None, option_id}


def _breadth(row: TermsOverride | FlatTariff) -> int:
    if row.depot_id:
        return 0
    if row.agreement is not None:
        return 2 if row.agreement.guest_id else 1
    return 3


def _is_of(row: TermsOverride | FlatTariff, option: BookingOption) -> bool:
    if row.agreement is not None:
        return row.agreement.depot_id == option.depot_id
    return row.depot_id == option.depot_id or row.option_id == option.pk
