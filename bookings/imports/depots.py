"""A depot file into the database: all of it or nothing, and nothing against what is promised already.

What stands on an EVSE (a live booking, a running session) keeps it from being withdrawn, moved, weakened below its
promise or changed so that the booked vehicle no longer fits. Terms and prices hold for new bookings only; each booking
carries its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from django.db import connection, transaction
from django.db.models.functions import Upper

from bookings.core import power_marks
from bookings.core.calendars import mark_depot_changed
from bookings.core.locking import lock_evses
from bookings.imports.access_rules import write_access
from bookings.imports.csv_documents import depot_document
from bookings.imports.depot_tariffs import PlacedTariff, unbound_faults, write_tariffs
from bookings.imports.offers import write_offers
from bookings.imports.promises import OnEvses, broken_limits
from bookings.imports.schemas import DepotFile, OfferedDepotRow, depot_faults
from bookings.models import BookingOption, Closure
from bookings.operations.open_depot import open_depot
from bookings.rules.agreements import guest_called
from depots.imports import writing
from depots.imports.documents import Document, FieldPath, read_json, read_text
from depots.imports.schemas import folded, lost_zero_faults
from depots.models import Charger, Depot, Evse, Organisation
from depots.parties import UnknownOrganisationError, organisation_called

SHORT_PASSWORD_BYTES = 16
Fault = tuple[FieldPath, str]


@dataclass(frozen=True)
class ImportedDepot:
    """What became of one depot: "created", "updated" or "unchanged"."""

    code: str
    outcome: str
    chargers: int
    evses: int
    options: list[str]
    withdrawn: list[str]


@dataclass
class Imported:
    """Depots in the file's order, and sentences about what is allowed but not wise."""

    depots: list[ImportedDepot] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def import_depots(path: Path, *, now: datetime) -> Imported:
    """Create or update what the file lists. Raises FileRefusedError naming line and field; nothing is changed then."""
    text = read_text(path)
    document = depot_document(text) if path.suffix.lower() == ".csv" else read_json(text)
    return write_depot_file(document, now=now)


def write_depot_file(document: Document, *, now: datetime) -> Imported:
    """See `import_depots`; for a document that is read already."""
    file = document.read_as(DepotFile)
    document.refuse(depot_faults(file))
    if document.is_text:
        document.refuse(lost_zero_faults(file.depots))
    with transaction.atomic():
        _queue_imports()
        imported = Imported()
        operators = _operators(file, document)
        known = _locked_depots(file)
        faults: list[Fault] = []
        shared: list[PlacedTariff] = [(("tariffs", t), tariff) for t, tariff in enumerate(file.tariffs)]
        for d, row in enumerate(file.depots):
            one = _OneDepot(("depots", d), row, operators[d], known.get(folded(row.id)), now, shared)
            faults += one.write()
            imported.depots.append(one.outcome())
            imported.warnings += one.warnings
        document.refuse(faults)
        document.refuse(unbound_faults(shared, _depots_of(file)))
    return imported


class _OneDepot:
    """One depot of the file on its way into the tables. A fault is kept; the caller then rolls all of it back."""

    def __init__(
        self,
        place: FieldPath,
        row: OfferedDepotRow,
        operator: Organisation,
        depot: Depot | None,
        now: datetime,
        shared_tariffs: Sequence[PlacedTariff],
    ) -> None:
        self.place, self.row, self.operator, self.known = place, row, operator, depot
        self.now, self.shared_tariffs = now, shared_tariffs
        self.warnings: list[str] = []
        self.changed = depot is None
        self.withdrawn: list[str] = []

    def write(self) -> list[Fault]:
        faults = self._depot_faults() or self._stranger_faults()
        if faults:
            return faults
        here = self.known.evses.values_list("pk", flat=True) if self.known else []
        evses = {folded(evse.uid): evse for evse in lock_evses(list(here)).values()}
        standing = OnEvses.at(evses.values(), now=self.now)
        faults = [*self._missing_faults(evses, standing), *self._moving_faults(evses, standing)]
        if faults:
            return faults
        depot, changed = writing.write_depot(self.known, self.row, self.operator)
        self.changed |= changed
        self.depot = depot
        self._withdraw(evses)
        written = self._write_chargers(evses)
        faults = self._promise_faults(written, standing)
        self.changed |= write_offers(depot, self.row, written)
        prices = write_tariffs(self.place, depot, self.row, written, self.shared_tariffs, now=self.now)
        self.changed |= prices.changed
        self.warnings += prices.warnings
        faults += prices.faults
        self._open(depot, faults)
        self._set_access(depot, faults)
        self._warn_of_hours(depot, standing)
        if self.changed:
            mark_depot_changed(depot.pk, at=self.now)
            power_marks.mark_depot(depot.pk, due_at=self.now)
        return faults

    def outcome(self) -> ImportedDepot:
        word = "created" if self.known is None else "updated" if self.changed else "unchanged"
        return ImportedDepot(
            code=self.row.id,
            outcome=word,
            chargers=len(self.row.chargers),
            evses=len(self.row.evses()),
            options=[option.id for option in self.row.offered()],
            withdrawn=sorted(self.withdrawn),
        )

    def _depot_faults(self) -> list[Fault]:
        depot = self.known
        if depot is None:
            return []
        if depot.is_mirror:
            return [((*self.place, "id"), f"{self.row.id} is a depot of the partner {depot.operator}")]
        if depot.operator_id != self.operator.pk:
            return [
                (
                    (*self.place, "operator"),
                    f"{self.row.id} is run by {depot.operator}; a file does not change that",
                )
            ]
        return []

    def _stranger_faults(self) -> list[Fault]:
        """Ids that something at another depot has."""
        depot_id = self.known.pk if self.known else None
        uids = {folded(evse.uid) for evse in self.row.evses()}
        codes = {folded(option.id) for option in self.row.offered()}
        identities = {folded(charger.identity) for charger in self.row.chargers}
        evses = Evse.objects.annotate(key=Upper("uid")).filter(key__in=uids, charger__isnull=False)
        options = BookingOption.objects.annotate(key=Upper("code")).filter(key__in=codes, is_mirror=False)
        chargers = Charger.objects.annotate(key=Upper("identity")).filter(
            key__in=identities, evses__isnull=False
        )
        taken_uids = dict(evses.exclude(depot=depot_id).values_list("key", "depot__code"))
        taken_codes = dict(options.exclude(depot=depot_id).values_list("key", "depot__code"))
        taken_identities = dict(chargers.exclude(depot=depot_id).values_list("key", "depot__code"))
        return [
            *self._charger_faults(taken_identities, taken_uids, taken_codes),
            *(
                (
                    (*self.place, "options", o, "id"),
                    f"{option.id} is an option of depot {taken_codes[folded(option.id)]}",
                )
                for o, option in enumerate(self.row.options or [])
                if folded(option.id) in taken_codes
            ),
        ]

    def _charger_faults(
        self, identities: Mapping[str, str], uids: Mapping[str, str], codes: Mapping[str, str]
    ) -> Iterable[Fault]:
        for c, charger in enumerate(self.row.chargers):
            place = (*self.place, "chargers", c)
            if folded(charger.identity) in identities:
                yield (
                    (*place, "identity"),
                    f"{charger.identity} stands at depot {identities[folded(charger.identity)]}",
                )
            for e, evse in enumerate(charger.evses):
                elsewhere = uids.get(folded(evse.uid)) or (
                    codes.get(folded(evse.uid)) if self.row.options is None else None
                )
                if elsewhere:
                    yield (*place, "evses", e, "uid"), f"{evse.uid} is taken at depot {elsewhere}"

    def _missing_faults(self, evses: Mapping[str, Evse], standing: OnEvses) -> Iterable[Fault]:
        listed = {folded(evse.uid) for evse in self.row.evses()}
        for uid, evse in evses.items():
            reason = standing.what_stands_on(evse)
            if uid not in listed and reason:
                yield (*self.place, "chargers"), f"EVSE {evse.uid} cannot be withdrawn: {reason}"

    def _moving_faults(self, evses: Mapping[str, Evse], standing: OnEvses) -> Iterable[Fault]:
        for place, charger, row, number in self._numbered():
            evse = evses.get(folded(row.uid))
            if evse is None or evse.charger is None:
                continue
            reason = standing.what_stands_on(evse)
            if reason and (folded(evse.charger.identity), evse.number) != (folded(charger.identity), number):
                yield (*place, "number"), f"EVSE {row.uid} cannot change its charger or number: {reason}"

    def _withdraw(self, evses: Mapping[str, Evse]) -> None:
        wanted = {
            folded(row.uid): (folded(charger.identity), number)
            for _, charger, row, number in self._numbered()
        }
        writing.release_numbers(list(evses.values()), wanted)
        for uid, evse in evses.items():
            if uid not in wanted and not evse.is_withdrawn:
                writing.withdraw_evse(evse)
                Closure.objects.filter(evse=evse, lifted_at__isnull=True).update(lifted_at=self.now)
                evse.occupancy.filter(kind="closure").delete()
                self.withdrawn.append(evse.uid)
        kept = {folded(charger.identity) for charger in self.row.chargers}
        for charger in self.depot.chargers.all():
            if folded(charger.identity) not in kept:
                self.changed |= writing.withdraw_charger(charger)
        self.changed |= bool(self.withdrawn)

    def _write_chargers(self, evses: Mapping[str, Evse]) -> dict[str, tuple[FieldPath, Evse, bool]]:
        """Every EVSE of the file by folded uid, with its place and whether it is new or different."""
        identities = [folded(row.identity) for row in self.row.chargers]
        known = {
            folded(charger.identity): charger
            for charger in Charger.objects.annotate(key=Upper("identity")).filter(key__in=identities)
        }
        written = {}
        numbered = list(self._numbered())
        for row in self.row.chargers:
            charger, changed = writing.write_charger(known.get(folded(row.identity)), row, self.depot)
            self.changed |= changed
            self._warn_of_password(row.identity, row.password, charger)
            for place, holder, evse_row, number in numbered:
                if holder is not row:
                    continue
                evse, changed = writing.write_evse(evses.get(folded(evse_row.uid)), evse_row, charger, number)
                self.changed |= changed
                written[folded(evse_row.uid)] = (place, evse, changed)
        return written

    def _promise_faults(
        self, written: Mapping[str, tuple[FieldPath, Evse, bool]], standing: OnEvses
    ) -> list[Fault]:
        faults: list[Fault] = []
        for place, evse, changed in written.values():
            if changed:
                faults += [((*place, name), why) for name, why in standing.broken_by(evse)]
        faults += [
            ((*self.place, *where), why) for where, why in broken_limits(self.depot, self.row, now=self.now)
        ]
        return faults

    def _open(self, depot: Depot, faults: list[Fault]) -> None:
        for g, name in enumerate(self.row.open_to):
            try:
                _, is_new = open_depot(depot=depot, guest=guest_called(name), now=self.now)
            except UnknownOrganisationError as unknown:
                faults.append(((*self.place, "open_to", g), str(unknown).rstrip(".")))
            else:
                self.changed |= is_new

    def _set_access(self, depot: Depot, faults: list[Fault]) -> None:
        """Hours and quotas that the file does not speak of stay as they were set on pages, and so does who sees the depot."""
        if self.row.listed is not None and depot.is_listed != self.row.listed:
            depot.is_listed = self.row.listed
            depot.save(update_fields=["is_listed"])
            self.changed = True
        if self.row.access is not None:
            changed, wrong = write_access(depot, self.row.access, (*self.place, "access"))
            self.changed |= changed
            faults += wrong

    def _warn_of_password(self, identity: str, password: str | None, charger: Charger) -> None:
        if password is not None and len(password.encode()) < SHORT_PASSWORD_BYTES:
            self.warnings.append(
                f"The password of charger {identity} is shorter than {SHORT_PASSWORD_BYTES} bytes and easily guessed."
            )
        if not charger.password_hash:
            self.warnings.append(
                f"Charger {identity} has no password and cannot connect until it is given one."
            )

    def _warn_of_hours(self, depot: Depot, standing: OnEvses) -> None:
        depot = Depot.objects.prefetch_related("opening_hours").get(pk=depot.pk)
        outside = [booking for booking in standing.bookings if not depot.is_open(booking.period)]
        if outside:
            names = ", ".join(booking.reference for booking in outside[:5])
            self.warnings.append(
                f"{len(outside)} bookings at {depot.code} lie outside its opening hours and stand: {names}."
            )

    def _numbered(self) -> Iterable[tuple[FieldPath, Any, Any, int]]:
        for c, charger in enumerate(self.row.chargers):
            for e, evse in enumerate(charger.evses):
                yield (*self.place, "chargers", c, "evses", e), charger, evse, evse.number or e + 1


def _queue_imports() -> None:
    """One import at a time: two that create the same depot would otherwise meet in a unique index."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('import_depots', 0))")


def _operators(file: DepotFile, document: Document) -> list[Organisation]:
    found: list[Organisation] = []
    faults: list[Fault] = []
    for d, row in enumerate(file.depots):
        try:
            organisation = organisation_called(row.operator)
        except UnknownOrganisationError as unknown:
            faults.append((("depots", d, "operator"), str(unknown).rstrip(".")))
            continue
        if organisation.is_partner:
            faults.append(
                (("depots", d, "operator"), f"{organisation} is a partner network and brings its own depots")
            )
        found.append(organisation)
    document.refuse(faults)
    return found


def _depots_of(file: DepotFile) -> list[Depot]:
    codes = [folded(row.id) for row in file.depots]
    return list(Depot.objects.annotate(key=Upper("code")).filter(key__in=codes).select_related("operator"))


def _locked_depots(file: DepotFile) -> dict[str, Depot]:
    """The depots of the file that exist, by folded code, locked in the order of their keys."""
    codes = [folded(row.id) for row in file.depots]
    keys = Depot.objects.annotate(key=Upper("code")).filter(key__in=codes).values("pk")
    locked = Depot.objects.filter(pk__in=keys).order_by("pk").select_for_update(no_key=True, of=("self",))
    return {folded(depot.code): depot for depot in locked.select_related("operator")}
