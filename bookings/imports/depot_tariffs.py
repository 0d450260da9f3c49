"""Writes what a depot file says about prices at one depot. Bookings made before keep theirs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models.functions import Upper

from bookings.actors import COMMAND
from bookings.errors import TariffRefused
from bookings.imports.schemas import OfferedDepotRow, ShortTariffRow
from bookings.imports.short_tariffs import short_tariffs
from bookings.models import Tariff
from bookings.operations.tariffs import FileBindings, TariffDraft, set_tariffs
from bookings.pricing.tariff_checks import TariffFault
from bookings.rules.tariff_bindings import Owner
from depots.imports.documents import FieldPath
from depots.imports.schemas import folded
from depots.models import Depot, Evse

Fault = tuple[FieldPath, str]


@dataclass
class _Wishes:
    """Tariffs that a depot's part of the file writes out, each with its place, and the owners of each code, known ones too."""

    depot: Depot
    drafts: list[TariffDraft] = field(default_factory=list)
    places: list[FieldPath] = field(default_factory=list)
    owners: dict[str, list[tuple[Owner, FieldPath]]] = field(default_factory=dict)

    def write_out(
        self, place: FieldPath, row: ShortTariffRow | None, prefix: str, code: str, owner: Owner
    ) -> None:
        if row is None:
            return
        for tariff_code, content in short_tariffs(row, prefix, code):
            self.drafts.append(TariffDraft(self.depot.operator, tariff_code, content))
            self.places.append((*place, "tariff"))
            self.name(tariff_code, owner, (*place, "tariff"))

    def name(self, code: str, owner: Owner, place: FieldPath) -> None:
        self.owners.setdefault(folded(code), []).append((owner, place))

    def faults(self) -> Iterator[Fault]:
        """Tariffs that there are none of, and two of a kind at one owner."""
        kinds = {folded(draft.code): draft.kind.value for draft in self.drafts}
        known = Tariff.objects.annotate(key=Upper("code")).filter(
            operator=self.depot.operator, key__in=self.owners
        )
        kinds = {row.code.upper(): row.kind for row in known} | kinds
        held: set[tuple[Owner, str]] = set()
        for code, named in self.owners.items():
            for owner, place in named:
                kind = kinds.get(code)
                if kind is None:
                    yield place, f"{code} is no tariff of {self.depot.operator}"
                elif (owner, kind) in held:
                    yield place, f"has two {kind} tariffs at one time"
                else:
                    held.add((owner, kind))


def write_tariffs(
    place: FieldPath,
    depot: Depot,
    row: OfferedDepotRow,
    written: Mapping[str, tuple[FieldPath, Evse, bool]],
    *,
    now: datetime,
) -> tuple[bool, list[Fault]]:
    """Whether anything changed, and what is wrong, in which case the caller takes all of it back."""
    wishes = _wishes(place, depot, row, written)
    if faults := list(wishes.faults()):
        return False, faults
    owners = {code: [owner for owner, _ in named] for code, named in wishes.owners.items()}
    try:
        done = set_tariffs(wishes.drafts, by_file=FileBindings(depot.pk, owners), actor=COMMAND, now=now)
    except TariffRefused as refused:
        return False, [_fault(place, wishes.places, *found) for found in refused.faults]
    return done.changed, []


def _wishes(
    place: FieldPath, depot: Depot, row: OfferedDepotRow, written: Mapping[str, tuple[FieldPath, Evse, bool]]
) -> _Wishes:
    wishes = _Wishes(depot)
    options = {folded(option.code): option for option in depot.options.all()}
    wishes.write_out(place, row.tariff, "D", depot.code, Owner("depot", depot.pk))
    for o, option in enumerate(row.offered()):
        # An EVSE's own tariff is that of its option, and is to be found with it where the file lists none.
        where = (*place, "options", o) if row.options is not None else written[folded(option.id)][0]
        owner = Owner("option", options[folded(option.id)].pk)
        wishes.write_out(where, option.tariff, "O", option.id, owner)
    return wishes


def _fault(place: FieldPath, places: list[FieldPath], number: int, fault: TariffFault) -> Fault:
    """At the tariff as the file writes it; one that several tariffs of the depot make together at the depot."""
    where = (*places[number], fault.field) if number >= 0 else (*place, "tariff")
    return where, fault.text
