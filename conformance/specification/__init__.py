"""The objects of OCPI 2.2.1 and 2.3.0 with Bookings 1.1, as tables written from the specification.

Nothing here is shared with what Berth serialises with: each is the other's second opinion.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from jsonschema_rs import Validator, validator_for

from conformance.specification import bookings, charging, common, locations, tariffs
from conformance.specification.tables import JsonSchema, Table, read_tables, schemas

VERSIONS = ("2.3.0", "2.2.1")
MOST_FAULTS = 10
LONGEST_FAULT = 160
# The envelope is the same in all versions; `data` is checked by itself.
ENVELOPE: JsonSchema = {
    "type": "object",
    "properties": {
        "status_code": {"type": "integer", "minimum": 1000, "maximum": 4999},
        "status_message": {"type": "string"},
        "timestamp": {"type": "string", "pattern": "^[0-9-]{10}T[0-9:.]{8,12}Z$"},
    },
    "required": ["status_code", "timestamp"],
}


@cache
def tables() -> tuple[Table, ...]:
    """All of them; a name is defined once."""
    return tuple(
        table
        for module in (common, bookings, locations, charging, tariffs)
        for table in read_tables(module.TABLES)
    )


@cache
def schema_of(name: str, version: str, *, with_newer: bool = False, exact: bool = False) -> JsonSchema:
    """JSON Schema of one class, complete in itself. See `tables.schemas` for the two switches."""
    definitions = schemas(tables(), version, with_newer=with_newer, exact=exact)
    return {"$ref": f"#/$defs/{name}", "$defs": definitions}


def faults(
    name: str,
    value: Any,
    version: str,
    *,
    with_newer: bool = False,
    exact: bool = False,
    partial: bool = False,
) -> list[str]:
    """What is wrong with an object, each as the path of the field and a sentence; nothing when all is well.

    `partial`: the body of a PATCH, of which anything but `last_updated` may be missing at the top.
    """
    found = []
    for error in _validator(name, version, with_newer, exact, partial).iter_errors(value):
        path = ".".join(str(part) for part in error.instance_path) or name
        found.append(f"{path}: {error.message[:LONGEST_FAULT]}")
        if len(found) == MOST_FAULTS:
            break
    return found


def envelope_faults(value: Any) -> list[str]:
    """What is wrong with the frame of an answer."""
    return [error.message[:LONGEST_FAULT] for error in _envelope().iter_errors(value)]


@cache
def _validator(name: str, version: str, with_newer: bool, exact: bool, partial: bool) -> Validator:
    schema = schema_of(name, version, with_newer=with_newer, exact=exact)
    if partial:
        whole = schema["$defs"][name]
        schema = {**whole, "required": ["last_updated"], "$defs": schema["$defs"]}
    return validator_for(schema)


@cache
def _envelope() -> Validator:
    return validator_for(ENVELOPE)
