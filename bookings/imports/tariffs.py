"""A file of tariffs into the database: all of it or nothing. docs/operators/tariffs.md lists the fields."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from bookings.actors import Actor
from bookings.errors import TariffRefused
from bookings.imports.bound_tariffs import (
    BoundTariffRow,
    Named,
    OwnersByName,
    bind_faults,
    field_path,
    operator_of,
)
from bookings.imports.tariff_schemas import Fault, OcpiRow
from bookings.operations.tariffs import SetTariff, TariffDraft, set_tariffs
from depots.imports.documents import Document, FieldPath, read_json, read_text
from depots.models import Organisation

MOST_TARIFFS = 1_000


class TariffsFile(OcpiRow):
    tariffs: Annotated[list[BoundTariffRow], Field(min_length=1, max_length=MOST_TARIFFS)]


@dataclass(frozen=True)
class ImportedTariff:
    """What became of one tariff: "created", "updated" or "unchanged"; `bound` as the file writes it, None where it says
    nothing."""

    code: str
    outcome: str
    kind: str
    operator: str
    bound: list[dict[str, Any]] | None


@dataclass
class ImportedTariffs:
    """In the file's order, and sentences about what is allowed but not wise."""

    tariffs: list[ImportedTariff] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def import_tariffs(path: Path, *, actor: Actor, now: datetime) -> ImportedTariffs:
    """Make and bind what the file lists: one tariff, a list of them, or `{"tariffs": […]}`.

    Raises FileRefusedError naming line and field; nothing is changed then.
    """
    document = _as_list(read_json(read_text(path)))
    file = document.read_as(TariffsFile)
    sources = [_without_binding(row) for row in document.data["tariffs"]]
    drafts = _drafts(file.tariffs, sources, document)
    try:
        done = set_tariffs(drafts, actor=actor, now=now).tariffs
    except TariffRefused as refused:
        document.refuse(
            (("tariffs", max(number, 0), *field_path(fault)), fault.text) for number, fault in refused.faults
        )
        raise
    return ImportedTariffs(
        [_imported(row, one) for row, one in zip(file.tariffs, done, strict=True)],
        [text for one in done for text in warning_sentences(one)],
    )


def warning_sentences(one: SetTariff) -> list[str]:
    """What is allowed and not wise, and what a tariff took the place of."""
    said = [f"Tariff {one.tariff.code}, {dotted(field_path(fault))}: {fault.text}." for fault in one.warnings]
    replaced = dict.fromkeys(tariff.code for tariff in one.replaced)
    return [
        *said,
        *(f"Tariff {one.tariff.code} takes the place of {code} where it is bound." for code in replaced),
    ]


def dotted(place: FieldPath) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).removeprefix(".")


def _drafts(
    rows: Sequence[BoundTariffRow], sources: Sequence[dict[str, Any]], document: Document
) -> list[TariffDraft]:
    """Raises FileRefusedError for what is bound to something that is not there, or is not its operator's."""
    owners = OwnersByName(bound for row in rows for bound in row.bind or ())
    faults: list[Fault] = []
    drafts = []
    for number, (row, source) in enumerate(zip(rows, sources, strict=True)):
        named = [owners.find(bound) for bound in row.bind or ()]
        operator = operator_of(row, named)
        if isinstance(operator, Organisation):
            found = list(bind_faults(named, operator))
            bind_to = tuple(one.owner for one in named if isinstance(one, Named))
            drafts.append(row.draft(operator, source, None if row.bind is None else bind_to))
        else:
            found = [operator, *((("bind", n), one) for n, one in enumerate(named) if isinstance(one, str))]
        faults += [(("tariffs", number, *place), text) for place, text in found]
    document.refuse(faults)
    return drafts


def _as_list(document: Document) -> Document:
    """One tariff or a bare list as `{"tariffs": […]}`, whose places are still found in the text."""
    data = document.data
    if isinstance(data, list):
        return Document({"tariffs": data}, document.is_text, lambda place: document.locate(place[1:]))
    if isinstance(data, dict) and "tariffs" not in data:
        return Document({"tariffs": [data]}, document.is_text, lambda place: document.locate(place[2:]))
    return document


def _without_binding(row: Any) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "bind"} if isinstance(row, dict) else {}


def _imported(row: BoundTariffRow, one: SetTariff) -> ImportedTariff:
    bound = None if row.bind is None else [bind.model_dump(exclude_unset=True) for bind in row.bind]
    return ImportedTariff(one.tariff.code, one.outcome, one.tariff.kind, one.tariff.operator.name, bound)
