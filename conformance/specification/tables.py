"""Tables of the specification, as text, made into JSON Schema.

Connector                                a class: its fields are the indented lines below it
  id              CiString(36)   1       name, type, and how often: 1, ?, * or +
  capabilities    ConnectorCapability *  2.3.0      ... and the only version that has it
ConnectorFormat = SOCKET CABLE           a closed enumeration
Facility ~ HOTEL CAFE                    one that is open from 2.3.0 on: any name may come
TokenType ~ RFID EMAID@2.3.0             a value that only one version has
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

JsonSchema = dict[str, Any]
NEWEST = "2.3.0"

# Letters, digits and what is printed in ASCII: of a CiString; of a string everything but control characters.
PRINTABLE_ASCII = r"^[\x20-\x7e]*$"
NO_CONTROLS = r"^[^\x00-\x1f\x7f]*$"
# UTC, with `Z` or with nothing; +00:00 is no spelling of it (types.asciidoc, DateTime).
DATE_TIME = r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,3})?Z?$"
PLAIN: dict[str, JsonSchema] = {
    "DateTime": {"type": "string", "pattern": DATE_TIME},
    "URL": {"type": "string", "maxLength": 255, "pattern": "^https?://"},
    "number": {"type": "number"},
    "int": {"type": "integer"},
    "boolean": {"type": "boolean"},
    "string": {"type": "string", "pattern": NO_CONTROLS},
    "object": {"type": "object"},
}
SIZED = re.compile(r"(CiString|string|int|token)\((\d+)\)")


@dataclass(frozen=True)
class Field:
    name: str
    type: str
    card: str
    only: str = ""


@dataclass
class Table:
    """A class, or an enumeration. `values` of an enumeration: name and the only version that has it."""

    name: str
    fields: list[Field] = field(default_factory=list)
    values: list[tuple[str, str]] = field(default_factory=list)
    is_open: bool = False


def read_tables(text: str) -> Iterator[Table]:
    """Raises ValueError for a line that is neither."""
    table: Table | None = None
    for line in filter(str.strip, text.splitlines()):
        words = line.split()
        if not line.startswith(" "):
            if table:
                yield table
            table = _headed(words)
        elif table is None or len(words) not in (3, 4) or words[2] not in "1?*+":
            raise ValueError(f"not a line of a table: {line!r}")
        else:
            table.fields.append(Field(*words))
    if table:
        yield table


def _headed(words: list[str]) -> Table:
    if len(words) > 2 and words[1] in "=~":
        values = [word.partition("@")[::2] for word in words[2:]]
        return Table(words[0], values=values, is_open=words[1] == "~")
    if len(words) != 1:
        raise ValueError(f"not the head of a table: {' '.join(words)!r}")
    return Table(words[0])


def schemas(tables: Iterable[Table], version: str, *, with_newer: bool, exact: bool) -> dict[str, JsonSchema]:
    """Every class and enumeration of a version, as the `$defs` of a schema.

    `with_newer`: what a later version added counts as well (agreed between two partners). `exact`: fields that
    the specification does not know are errors, too. 2.3.0 forbids to refuse them, but nobody needs to send them.
    """
    versions = {version, NEWEST} if with_newer else {version}
    found: dict[str, JsonSchema] = {}
    for table in tables:
        if table.values:
            found[table.name] = _enumeration(table, version, versions)
        else:
            found[table.name] = _object(table, version, versions, exact=exact)
    return found


def _enumeration(table: Table, version: str, versions: set[str]) -> JsonSchema:
    if table.is_open and version == NEWEST:
        return {"type": "string", "minLength": 1, "pattern": PRINTABLE_ASCII}
    return {"enum": [value for value, only in table.values if not only or only in versions]}


def _object(table: Table, version: str, versions: set[str], *, exact: bool) -> JsonSchema:
    mine = [one for one in table.fields if not one.only or one.only in versions]
    by_name: dict[str, list[JsonSchema]] = {}
    for one in mine:
        by_name.setdefault(one.name, []).append(_occurring(one))
    schema: JsonSchema = {
        "type": "object",
        "properties": {
            name: each[0] if len(each) == 1 else {"anyOf": each} for name, each in by_name.items()
        },
        # What a later version requires can be missing where that version was only agreed on in part.
        "required": [one.name for one in mine if one.card in "1+" and one.only in ("", version)],
    }
    if exact:
        schema["additionalProperties"] = False
    return schema


def _occurring(one: Field) -> JsonSchema:
    if one.card in "1?":
        return _type(one.type)
    several: JsonSchema = {"type": "array", "items": _type(one.type)}
    return {**several, "minItems": 1} if one.card == "+" else several


def _type(name: str) -> JsonSchema:
    if name in PLAIN:
        return PLAIN[name]
    sized = SIZED.fullmatch(name)
    if not sized:
        return {"$ref": f"#/$defs/{name}"}
    kind, size = sized[1], int(sized[2])
    if kind == "int":
        return {"type": "integer", "minimum": 0, "maximum": 10**size - 1}
    if kind == "token":
        return {"type": "string", "pattern": r"^[\x21-\x7e]+$", "maxLength": size}
    return {
        "type": "string",
        "pattern": PRINTABLE_ASCII if kind == "CiString" else NO_CONTROLS,
        "maxLength": size,
    }
