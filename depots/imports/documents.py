"""A file as it lies on disk, made into one nested document whose every value knows its line.

Both forms (.json and .csv) end as the same document, so that one schema and one set of rules judge them, and a fault
is named by line and field whichever form it came in.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from depots.imports.sentences import sentence

# The way to a value in the document: ("depots", 0, "chargers", 2, "password").
FieldPath = tuple[str | int, ...]
Schema = TypeVar("Schema", bound=BaseModel)

MAX_BYTES = 20 * 1024 * 1024
MAX_FAULTS = 20
MAX_DIGITS = 1000
FORMS = (".json", ".csv")
NO_TEXT = "contains a character that is no text"
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


class FileRefusedError(Exception):
    """The file changes nothing. `str()` is one sentence a fault, each with its line and field where it has one."""


@dataclass(frozen=True)
class CsvRow:
    """A line of a CSV file: its number, counted from 1 with the header, and its cells that are not blank."""

    line: int
    cells: dict[str, str]


@dataclass(frozen=True)
class Document:
    """`data` is what the file says. `is_text` when every value came as text (CSV) and numbers are to be read from it."""

    data: Any
    is_text: bool
    locate: Callable[[FieldPath], tuple[int | None, str]]

    def read_as(self, schema: type[Schema]) -> Schema:
        """The checked document. Raises FileRefusedError naming every fault."""
        try:
            return schema.model_validate(self.data, strict=not self.is_text)
        except ValidationError as faults:
            self.refuse((_place(fault), sentence(fault)) for fault in _found(faults))
            raise  # refuse() always raises when there is a fault

    def refuse(self, faults: Iterable[tuple[FieldPath, str]]) -> None:
        """Raise FileRefusedError if there is any fault, each (place, what is wrong there)."""
        found = sorted({(*self._where(place), text) for place, text in faults})
        if not found:
            return
        lines = [_said(line, field, text) for line, field, text in found[:MAX_FAULTS]]
        if len(found) > MAX_FAULTS:
            lines.append(f"{len(found) - MAX_FAULTS} more faults follow.")
        raise FileRefusedError("\n".join(lines))

    def _where(self, place: FieldPath) -> tuple[int, str]:
        line, field = self.locate(place)
        return line or 0, field


def read_text(path: Path, *, forms: Collection[str] | None = FORMS) -> str:
    """The text of a file whose name ends in one of `forms` (None: in anything).

    Raises FileRefusedError for one that cannot be read, is empty, huge or not text.
    """
    if forms is not None and path.suffix.lower() not in forms:
        raise FileRefusedError(f"{path.name} is neither a .json nor a .csv file.")
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise FileRefusedError(f"{path} cannot be read: {why}.") from None
    if len(content) > MAX_BYTES:
        raise FileRefusedError(f"{path.name} is larger than {MAX_BYTES // 1024 // 1024} MB.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise FileRefusedError(f"Line {line} is not UTF-8 text.") from None
    if "\0" in text:
        raise FileRefusedError(
            f"Line {text.count(chr(10), 0, text.index(chr(0))) + 1} contains a NUL character."
        )
    if not text.strip():
        raise FileRefusedError(f"{path.name} is empty.")
    return text


def read_json(text: str) -> Document:
    """Raises FileRefusedError for text that is not JSON or names a field twice."""
    try:
        data = json.loads(text, parse_int=_int, parse_constant=_no_constant, object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        raise FileRefusedError(
            f"Line {error.lineno} is not valid JSON: {error.msg}, at character {error.colno}."
        ) from None
    except RecursionError:
        raise FileRefusedError("The file is nested too deeply.") from None
    except ValueError as error:
        raise FileRefusedError(f"The file is not valid JSON: {error}.") from None

    def locate(place: FieldPath) -> tuple[int | None, str]:
        return _line_in_json(text, place), _dotted(place)

    document = Document(data, is_text=False, locate=locate)
    if "\\u" in text:  # what the file itself cannot hold, it can still name
        document.refuse((place, NO_TEXT) for place in _unstorable(data, ()))
    return document


def _unstorable(value: Any, place: FieldPath) -> Iterator[FieldPath]:
    """Texts, and names of fields, that no table and no XML can hold: with NUL, or half of a surrogate pair."""
    if isinstance(value, str):
        if _UNSTORABLE.search(value):
            yield place
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from _unstorable(one, (*place, number))
    elif isinstance(value, dict):
        for name, one in value.items():
            yield from [place] if _UNSTORABLE.search(name) else _unstorable(one, (*place, name))


def read_rows(text: str, *, known: Callable[[str], bool]) -> list[CsvRow]:
    """The rows of a CSV file with a header. Raises FileRefusedError naming columns and lines that make no sense.

    What spreadsheet programs add is passed over: a first line that names the separator, columns without name or value
    at the right edge.
    """
    delimiter = _delimiter(text)
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=delimiter, strict=True, skipinitialspace=True
    )
    try:
        rows, faults = _rows_and_faults(reader, known)
    except csv.Error as error:
        raise FileRefusedError(f"Line {reader.line_num} is not valid CSV: {error}.") from None
    if faults:
        raise FileRefusedError("\n".join(faults[:MAX_FAULTS]))
    if not rows:
        raise FileRefusedError("The file has a header and no rows.")
    return rows


def _rows_and_faults(reader: Any, known: Callable[[str], bool]) -> tuple[list[CsvRow], list[str]]:
    """Of a `csv.reader`, with a sentence for each line that has not as many cells as the header."""
    rows: list[CsvRow] = []
    header: list[str] = []
    faults: list[str] = []
    for line, found in _numbered(reader):
        if not header:
            if _names_separator(found):
                continue
            header = _without_blank_end([cell.strip() for cell in found])
            _check_header(header, line, known)
            continue
        cells = found[: len(header)] + _without_blank_end(found[len(header) :])
        if len(cells) != len(header):
            faults.append(f"Line {line} has {len(cells)} cells, the header has {len(header)}.")
        else:
            named = zip(header, (_unquoted(cell.strip()) for cell in cells), strict=True)
            rows.append(CsvRow(line, {name: cell for name, cell in named if cell}))
    return rows, faults


def cell_list(cell: str, *, separators: str = ";|") -> list[Any]:
    """A list in a cell: JSON when it starts with a bracket, else parts between separators. Raises ValueError."""
    if cell.startswith("["):
        found = json.loads(cell, parse_constant=_no_constant, object_pairs_hook=_once)
        assert isinstance(found, list)
        if next(_unstorable(found, ()), None) is not None:
            raise ValueError(NO_TEXT)
        return found
    return [part.strip() for part in re.split(f"[{re.escape(separators)}]", cell) if part.strip()]


def _numbered(reader: Any) -> Iterator[tuple[int, list[str]]]:
    """Each row that is not blank with the line it starts on; quoted cells may span lines."""
    before = 0
    for cells in reader:
        if any(cell.strip() for cell in cells):
            yield before + 1, cells
        before = reader.line_num


_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?', re.IGNORECASE)
_FORMULA_TEXT = re.compile(r'="([^"]*)"')


def _delimiter(text: str) -> str:
    first = next(line for line in text.splitlines() if line.strip())
    named = _SEPARATOR_LINE.fullmatch(first.strip(" "))
    return named[1] if named and named[1] in ",;\t" else max(",;\t", key=first.count)


def _names_separator(cells: list[str]) -> bool:
    return cells[0].strip().lower() == "sep=" or bool(_SEPARATOR_LINE.fullmatch(cells[0].strip()))


def _without_blank_end(cells: list[str]) -> list[str]:
    while cells and not cells[-1].strip():
        cells = cells[:-1]
    return cells


def _unquoted(cell: str) -> str:
    """`="0412"` is how text is kept from being read as a number."""
    formula = _FORMULA_TEXT.fullmatch(cell)
    return formula[1].strip() if formula else cell


def _check_header(header: list[str], line: int, known: Callable[[str], bool]) -> None:
    for name in header:
        if not known(name):
            raise FileRefusedError(
                f"Line {line}: {name or 'a column without a name'} is not a column of this file."
            )
        if header.count(name) > 1:
            raise FileRefusedError(f"Line {line}: the column {name} is there twice.")


def _found(faults: ValidationError) -> list[Any]:
    return faults.errors(include_url=False)


def _place(fault: Any) -> FieldPath:
    return tuple(fault["loc"])


def _said(line: int, field: str, text: str) -> str:
    where = f"Line {line}, {field}" if line and field else f"Line {line}" if line else field
    return f"{where}: {text}." if where else f"{text}."


def _dotted(place: FieldPath) -> str:
    words = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    return words.removeprefix(".")


def _int(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueError(f"a number has more than {MAX_DIGITS} digits")
    return int(digits)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number here")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the field {twice!r} is there twice in one object")
    return found


_MARK = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')


def _line_in_json(text: str, place: FieldPath) -> int | None:
    """The line where the value at a place starts, or where its nearest holder does when it is missing itself."""
    line, depth = None, -1
    for found, offset in _values(text):
        if len(found) > depth and found == place[: len(found)]:
            line, depth = text.count("\n", 0, offset) + 1, len(found)
        if found == place:
            break
    return line


def _values(text: str) -> Iterator[tuple[FieldPath, int]]:
    """Every value in a valid JSON text with its place and the offset where it starts."""
    place: list[
        Any
    ] = []  # of every open object or list the key or index it is at; None while a key is to come
    for match in _MARK.finditer(text):
        mark = match.group()
        if mark in "]}":
            place.pop()
        elif mark == ",":
            place[-1] = place[-1] + 1 if isinstance(place[-1], int) else None
        elif mark != ":" and place and place[-1] is None:
            place[-1] = json.loads(mark)
        elif mark != ":":
            yield tuple(place), match.start()
            if mark in "{[":
                place.append(None if mark == "{" else 0)
