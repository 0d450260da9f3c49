"""Writes what a depot file says about prices at one depot. Bookings made before keep theirs."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from django.db.models.functions import Upper

from bookings.actors import COMMAND
from bookings.errors import TariffRefused
from bookings.imports.bound_tariffs import (
    BoundTariffRow,
    Named,
    OwnersByName,
    field_path,
)
from bookings.imports.schemas import OfferedDepotRow, ShortTariffRow
from bookings.imports.short_tariffs import short_tariffs
from bookings.imports.tariffs import warning_sentences
from bookings.models import Tariff
from bookings.operations.tariffs import FileBindings, TariffDraft, set_tariffs
from bookings.pricing.tariff_checks import TariffFault
from bookings.rules.tariff_bindings import Owner
from depots.imports.documents import FieldPath
from depots.imports.schemas import folded
from depots.models import Depot, Evse, Organisation

Fault = tuple[FieldPath, str]
PlacedTariff = tuple[FieldPath, BoundTariffRow]


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
        place_name = self.depot.name if prefix == "D" else f"{code}, {self.depot.name}"
        for tariff_code, content in short_tariffs(row, prefix, code):
            draft = TariffDraft(self.depot.operator, tariff_code, content)
            self.drafts.append(replace(draft, name=f"{draft.kind.label}, {place_name}"[:100]))
            self.places.append((*place, "tariff"))
            self.name(tariff_code, owner, (*place, "tariff"))

    def write_out_whole(self, place: FieldPath, row: BoundTariffRow, owners: OwnersByName) -> None:
        """As partners exchange it. Of what it is bound to, what is of this depot; `unbound_faults` finds the rest."""
        self.drafts.append(row.draft(self.depot.operator, None))
        self.places.append(place)
        for position, bound in enumerate(row.bind or ()):
            named = owners.find(bound)
            if isinstance(named, Named) and named.depot.pk == self.depot.pk:
                self.name(row.id, named.owner, (*place, "bind", position))

    def name_all(self, place: FieldPath, ids: Sequence[str], owner: Owner) -> None:
        for position, code in enumerate(ids):
            self.name(code, owner, (*place, "tariff_ids", position))

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


@dataclass(frozen=True)
class WrittenTariffs:
    """Whether anything changed; what is wrong, in which case the caller takes all of it back; what is not wise."""

    changed: bool = False
    faults: Sequence[Fault] = ()
    warnings: Sequence[str] = ()


def write_tariffs(
    place: FieldPath,
    depot: Depot,
    row: OfferedDepotRow,
    written: Mapping[str, tuple[FieldPath, Evse, bool]],
    shared: Sequence[PlacedTariff],
    *,
    now: datetime,
) -> WrittenTariffs:
    """`shared` are the tariffs at the top of the file, with their places there."""
    wishes = _Wishes(depot)
    faults = [*_write_out(wishes, place, row, shared)]
    _name(wishes, place, row, written)
    faults += wishes.faults()
    if faults:
        return WrittenTariffs(faults=faults)
    owners = {code: [owner for owner, _ in named] for code, named in wishes.owners.items()}
    try:
        done = set_tariffs(wishes.drafts, by_file=FileBindings(depot.pk, owners), actor=COMMAND, now=now)
    except TariffRefused as refused:
        return WrittenTariffs(faults=[_fault(place, wishes.places, *found) for found in refused.faults])
    warned = [text for one in done.tariffs for text in warning_sentences(one)]
    return WrittenTariffs(done.changed, (), warned)


def unbound_faults(tariffs: Sequence[PlacedTariff], depots: Collection[Depot]) -> Iterator[Fault]:
    """What tariffs of a file are bound to that is not there or at none of these depots, and whose depot none of them is."""
    owners = OwnersByName(bound for _, row in tariffs for bound in row.bind or ())
    keys = {depot.pk for depot in depots}
    for place, row in tariffs:
        if not any(is_of(row, depot.operator) for depot in depots):
            yield (*place, "party_id"), f"{row.country_code}*{row.party_id} runs no depot here"
        for position, bound in enumerate(row.bind or ()):
            named = owners.find(bound)
            if isinstance(named, str):
                yield (*place, "bind", position), named
            elif named.depot.pk not in keys:
                yield (*place, "bind", position), f"is at {named.depot.code}, which this is not about"


def is_of(row: BoundTariffRow, operator: Organisation) -> bool:
    """Without a party a tariff is of whoever runs the depot."""
    if row.country_code is None or row.party_id is None:
        return True
    party = (operator.country_code.upper(), operator.cpo_party_id.upper())
    return (row.country_code.upper(), row.party_id.upper()) == party


def _write_out(
    wishes: _Wishes, place: FieldPath, row: OfferedDepotRow, shared: Sequence[PlacedTariff]
) -> Iterator[Fault]:
    """The tariffs that are said in full."""
    depot = wishes.depot
    own: list[PlacedTariff] = [((*place, "tariffs", t), tariff) for t, tariff in enumerate(row.tariffs)]
    yield from unbound_faults(own, [depot])
    said = [*(one for one in shared if is_of(one[1], depot.operator)), *own]
    owners = OwnersByName(bound for _, tariff in said for bound in tariff.bind or ())
    for where, tariff in said:
        wishes.write_out_whole(where, tariff, owners)


def _name(
    wishes: _Wishes,
    place: FieldPath,
    row: OfferedDepotRow,
    written: Mapping[str, tuple[FieldPath, Evse, bool]],
) -> None:
    """Where tariffs hold: short ones where they are written, others by their ids."""
    depot = wishes.depot
    options = {folded(option.code): option for option in depot.options.all()}
    own = Owner("depot", depot.pk)
    wishes.write_out(place, row.tariff, "D", depot.code, own)
    wishes.name_all(place, row.tariff_ids, own)
    for o, option in enumerate(row.offered()):
        # An EVSE's own tariff is that of its option, and is to be found with it where the file lists none.
        where = (*place, "options", o) if row.options is not None else written[folded(option.id)][0]
        owner = Owner("option", options[folded(option.id)].pk)
        wishes.write_out(where, option.tariff, "O", option.id, owner)
        wishes.name_all(where, option.tariff_ids, owner)
    for evse_row in row.evses():
        where, evse, _ = written[folded(evse_row.uid)]
        wishes.name_all(where, evse_row.tariff_ids, Owner("evse", evse.pk))


def _fault(place: FieldPath, places: list[FieldPath], number: int, fault: TariffFault) -> Fault:
    """At the tariff as the file writes it; one that several tariffs of the depot make together at the depot."""
    if number < 0:
        return (*place, "tariff_ids"), fault.text
    if places[number][-1] == "tariff":
        return (*places[number], fault.field), fault.text
    return _whole_fault(places[number], fault)


def _whole_fault(place: FieldPath, fault: TariffFault) -> Fault:
    return (*place, *field_path(fault)), fault.text
