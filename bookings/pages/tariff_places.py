"""Where tariffs hold, in words, and where one may be bound."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import Case, When

from bookings.models import BookingOption, Tariff, TariffBinding
from bookings.rules.tariff_bindings import FIRST_MOMENT, LAST_MOMENT, Owner, owner_of
from depots.models import Agreement, Depot, Evse, Organisation


@dataclass(frozen=True)
class BoundPlace:
    """One binding: what it is, where, and for how long; None has no bound there."""

    what: str
    where: str
    since: datetime | None
    until: datetime | None
    zone: ZoneInfo


@dataclass(frozen=True)
class PlaceChoice:
    """`value` is what the form sends; `other` names the tariff of the kind that holds there now."""

    value: str
    words: str
    is_chosen: bool
    other: str


@dataclass(frozen=True)
class PlaceGroup:
    title: str
    choices: list[PlaceChoice]

    @property
    def chosen(self) -> int:
        return sum(choice.is_chosen for choice in self.choices)


@dataclass(frozen=True)
class DepotChoices:
    """A depot as a whole, and the parts of it and agreements about it that may have a tariff of their own."""

    depot: PlaceChoice
    groups: list[PlaceGroup]


def bound_places(tariffs: Collection[Tariff], *, now: datetime) -> dict[int, list[BoundPlace]]:
    """What holds or is to hold, by tariff id; one query."""
    rows = TariffBinding.objects.filter(tariff__in=tariffs, valid__endswith__gt=now).select_related(
        "depot", "option__depot", "evse__depot", "agreement__depot", "agreement__guest"
    )
    found: dict[int, list[BoundPlace]] = {tariff.pk: [] for tariff in tariffs}
    for row in sorted(rows, key=lambda row: (row.valid.starts_at, row.pk)):
        found[row.tariff_id].append(_bound(row))
    return found


def place_choices(
    operator: Organisation, kind: str, chosen: Collection[Owner], own: Tariff | None, *, now: datetime
) -> list[DepotChoices]:
    """All that an operator may bind a tariff of this kind to; a constant number of queries."""
    depots = list(
        Depot.objects.filter(operator=operator, is_mirror=False, is_withdrawn=False).order_by("name")
    )
    holding = _holding(depots, kind, own, now)
    options = _by_depot(BookingOption.objects.filter(depot__in=depots, is_withdrawn=False).order_by("code"))
    evses = _by_depot(Evse.objects.filter(depot__in=depots, is_withdrawn=False).order_by("uid"))
    agreements = _by_depot(Agreement.objects.filter(depot__in=depots).select_related("guest").order_by("pk"))

    def choice(owner: Owner, words: str) -> PlaceChoice:
        return PlaceChoice(f"{owner.kind}:{owner.pk}", words, owner in chosen, holding.get(owner, ""))

    found = []
    for depot in depots:
        groups = [
            PlaceGroup(
                "By agreement", [choice(Owner("agreement", a.pk), _guest(a)) for a in agreements[depot.pk]]
            ),
            PlaceGroup("Single options", [choice(Owner("option", o.pk), str(o)) for o in options[depot.pk]]),
            PlaceGroup("Single EVSEs", [choice(Owner("evse", e.pk), e.uid) for e in evses[depot.pk]]),
        ]
        found.append(
            DepotChoices(
                choice(Owner("depot", depot.pk), depot.name), [group for group in groups if group.choices]
            )
        )
    return found


def owners_bound(tariff: Tariff) -> set[Owner]:
    """What it is bound to now or later."""
    return {owner_of(row) for row in tariff.bindings.filter(valid__endswith=LAST_MOMENT)}


def zone_of(operator: Organisation) -> ZoneInfo:
    """Whose midnight is meant where a day is named: that of the first depot in the operator's own country, else of its first."""
    abroad = Case(When(country=operator.country, then=0), default=1)
    depot = Depot.objects.filter(operator=operator, is_mirror=False).order_by(abroad, "name", "pk").first()
    return depot.zone if depot else ZoneInfo("UTC")


def _holding(depots: Collection[Depot], kind: str, own: Tariff | None, now: datetime) -> dict[Owner, str]:
    """The other tariffs that hold now, by what they are bound to."""
    rows = TariffBinding.objects.filter(
        kind=kind, tariff__operator__in={depot.operator_id for depot in depots}, valid__contains=now
    )
    others = rows.exclude(tariff=own) if own else rows
    return {owner_of(row): str(row.tariff) for row in others.select_related("tariff")}


def _by_depot(rows: Iterable[BookingOption | Evse | Agreement]) -> dict[int, list[Any]]:
    found = defaultdict(list)
    for row in rows:
        found[row.depot_id].append(row)
    return found


def _bound(row: TariffBinding) -> BoundPlace:
    holder = row.option or row.evse or row.agreement
    depot = row.depot or (holder.depot if holder else None)
    assert depot is not None  # tariff_binding_of_one_owner
    if row.option is not None:
        what = f"Option {row.option}"
    elif row.evse is not None:
        what = f"EVSE {row.evse.uid}"
    else:
        what = _guest(row.agreement) if row.agreement is not None else "The whole depot"
    since, until = row.valid.starts_at, row.valid.ends_at
    return BoundPlace(
        what,
        depot.name,
        None if since == FIRST_MOMENT else since,
        None if until == LAST_MOMENT else until,
        depot.zone,
    )


def _guest(agreement: Agreement) -> str:
    return agreement.guest.name if agreement.guest else "Everybody else by agreement"
