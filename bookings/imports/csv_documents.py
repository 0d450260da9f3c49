"""CSV files as the documents their JSON twins would be: an EVSE or a vehicle a row, the fields of what holds it repeated."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from bookings.imports.schemas import (
    OfferedChargerRow,
    OfferedDepotRow,
    OfferedEvseRow,
    ShortTariffRow,
    TermsRow,
    VehicleRow,
)
from depots.imports.documents import CsvRow, Document, FieldPath, FileRefusedError, cell_list, read_rows

# The ids of tariffs stand for the EVSE of a row; what tariffs say is written out in JSON, and so are ways, pictures and
# where the energy comes from.
IN_JSON = {"terms", "tariff", "tariffs", "tariff_ids", "directions", "images", "energy_mix", "access"}
DEPOT_FIELDS = set(OfferedDepotRow.model_fields) - {"chargers"} - IN_JSON
CHARGER_FIELDS = set(OfferedChargerRow.model_fields) - {"evses"}
EVSE_FIELDS = set(OfferedEvseRow.model_fields) - {"terms", "tariff"}
NESTED = {"terms": set(TermsRow.model_fields), "tariff": set(ShortTariffRow.model_fields)}
VEHICLE_FIELDS = set(VehicleRow.model_fields)
REQUIRED = ("id", "identity", "uid")


def depot_document(text: str) -> Document:
    """Rows of EVSEs as a depot file. Raises FileRefusedError.

    A value of a depot or charger may be left out on its later rows, and may not differ. Terms and tariffs that all
    rows of a depot share are the depot's; others are those of the EVSE's own option.
    """
    rows = read_rows(text, known=_is_depot_column)
    _require(rows, REQUIRED)
    return _Depots(rows).document()


def vehicle_document(text: str) -> Document:
    """Rows of vehicles as a vehicle file. Raises FileRefusedError."""
    rows = read_rows(text, known=VEHICLE_FIELDS.__contains__)
    vehicles = [{name: _value(row, name, cell) for name, cell in row.cells.items()} for row in rows]

    def locate(place: FieldPath) -> tuple[int | None, str]:
        row = rows[int(place[1])] if len(place) > 1 else None
        return (row.line if row else None), ".".join(str(part) for part in place[2:3])

    return Document({"vehicles": vehicles}, is_text=True, locate=locate)


class _Depots:
    """Builds the nested document and remembers which row each part of it came from."""

    def __init__(self, rows: list[CsvRow]) -> None:
        self.lines: dict[FieldPath, int] = {}
        self.faults: list[str] = []
        self.depots: list[dict[str, Any]] = []
        self._places: dict[tuple[str, ...], FieldPath] = {}
        self._rows_of: dict[int, list[tuple[CsvRow, dict[str, Any]]]] = {}
        for row in rows:
            self._add(row)
        for d, members in self._rows_of.items():
            for name in NESTED:
                self._share(self.depots[d], name, members)

    def document(self) -> Document:
        if self.faults:
            raise FileRefusedError("\n".join(self.faults[:20]))
        return Document({"depots": self.depots}, is_text=True, locate=self._locate)

    def _add(self, row: CsvRow) -> None:
        d, depot = self._holder(row, (row.cells["id"],), self.depots, (), "depots", {"chargers": []})
        self._fill(depot, row, DEPOT_FIELDS, f"depot {row.cells['id']}")
        key = (row.cells["id"], row.cells["identity"])
        c, charger = self._holder(row, key, depot["chargers"], ("depots", d), "chargers", {"evses": []})
        self._fill(charger, row, CHARGER_FIELDS, f"charger {row.cells['identity']}")
        evse = {name: _value(row, name, cell) for name, cell in row.cells.items() if name in EVSE_FIELDS}
        self.lines["depots", d, "chargers", c, "evses", len(charger["evses"])] = row.line
        charger["evses"].append(evse)
        self._rows_of.setdefault(d, []).append((row, evse))

    def _holder(
        self,
        row: CsvRow,
        key: tuple[str, ...],
        siblings: list[Any],
        above: FieldPath,
        name: str,
        empty: dict[str, Any],
    ) -> tuple[int, dict[str, Any]]:
        """The depot or charger this row belongs to, new with its first row."""
        folded = tuple(part.upper() for part in key)
        if folded not in self._places:
            self._places[folded] = (*above, name, len(siblings))
            self.lines[self._places[folded]] = row.line
            siblings.append(empty)
        position = int(self._places[folded][-1])
        return position, siblings[position]

    def _fill(self, holder: dict[str, Any], row: CsvRow, names: set[str], what: str) -> None:
        for name in names & row.cells.keys():
            value = _value(row, name, row.cells[name])
            if name in {"id", "identity"} and name in holder:
                continue
            if holder.setdefault(name, value) != value:
                self.faults.append(f"Line {row.line}, {name}: differs from an earlier row of {what}.")

    def _share(self, depot: dict[str, Any], name: str, members: list[tuple[CsvRow, dict[str, Any]]]) -> None:
        prefix = f"{name}."
        given = [
            {c.removeprefix(prefix): v for c, v in row.cells.items() if c.startswith(prefix)}
            for row, _ in members
        ]
        shared = {c: v for c, v in given[0].items() if all(other.get(c) == v for other in given)}
        if name == "tariff" and any(other != shared for other in given):
            shared = {}  # a tariff holds as a whole; half of one would price the rest at nothing
        if shared:
            depot[name] = shared
        for (_, evse), own in zip(members, given, strict=True):
            rest = {c: v for c, v in own.items() if c not in shared}
            if rest:
                evse[name] = rest

    def _locate(self, place: FieldPath) -> tuple[int | None, str]:
        for depth in range(len(place), 0, -1):
            if place[:depth] in self.lines:
                return self.lines[place[:depth]], ".".join(str(part) for part in place[depth:])
        return None, ".".join(str(part) for part in place)


def _is_depot_column(name: str) -> bool:
    holder, _, field = name.partition(".")
    return name in DEPOT_FIELDS | CHARGER_FIELDS | EVSE_FIELDS or field in NESTED.get(holder, ())


def _require(rows: list[CsvRow], names: tuple[str, ...]) -> None:
    faults = [
        f"Line {row.line}, {name}: is missing." for row in rows for name in names if name not in row.cells
    ]
    if faults:
        raise FileRefusedError("\n".join(faults[:20]))


def _value(row: CsvRow, name: str, cell: str) -> Any:
    reader = _CELLS.get(name)
    if reader is None:
        return cell
    try:
        return reader(cell)
    except (ValueError, RecursionError, AssertionError):
        raise FileRefusedError(
            f"Line {row.line}, {name}: {cell[:60]!r} is not a list as the columns' page describes."
        ) from None


def _words(cell: str) -> list[Any]:
    return cell_list(cell, separators=";|, ")


_HOURS = re.compile(r"([1-7])(?:-([1-7]))?\s+(\d\d:\d\d)-(\d\d:\d\d)", re.ASCII)


def _hours(cell: str) -> list[Any]:
    """`1-5 06:00-22:00; 6 08:00-14:00`, or JSON. Raises ValueError."""
    if cell.startswith("["):
        return cell_list(cell)
    hours = []
    for part in cell_list(cell):
        match = _HOURS.fullmatch(part)
        if match is None:
            raise ValueError(part)
        first, last, opens, closes = match.groups()
        hours += [
            {"weekday": day, "from": opens, "to": closes} for day in range(int(first), int(last or first) + 1)
        ]
    return hours


def _tokens(cell: str) -> list[Any]:
    """`04AABBCC; APP_USER:driver-7`: uids, each after its type if it is no card; or JSON."""
    tokens = []
    for part in cell_list(cell):
        if not isinstance(part, str):
            tokens.append(part)
            continue
        kind, colon, uid = part.partition(":")
        known = colon and kind in {"RFID", "APP_USER", "EMAID", "MAC", "KEY_CODE", "OTHER"}
        tokens.append({"type": kind, "uid": uid} if known else {"uid": part})
    return tokens


_CELLS: dict[str, Callable[[str], Any]] = {
    "vehicle_types": _words,
    "inlet_sides": _words,
    "connector_standards": _words,
    "fallbacks": cell_list,
    "facilities": _words,
    "parking_restrictions": _words,
    "open_to": cell_list,
    "tariff_ids": cell_list,
    "opening_hours": _hours,
    "options": cell_list,
    "tokens": _tokens,
}
