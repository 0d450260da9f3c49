"""OpenAPI of every endpoint of OCPI that Berth has, made of the specification's tables, for one version.

Where a field or a part of a path names something, the names that are known here are likely ones: what is generated reaches
what is there, not only its absence.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from conformance.specification import tables
from conformance.specification.tables import DATE_TIME, schemas
from tests.roaming.endpoints import KEPT, NOTHING, Endpoint, endpoints

Names = Mapping[str, Sequence[str]]
_TIME = {
    "anyOf": [
        {"type": "string", "pattern": DATE_TIME},
        {"enum": ["2020-01-01T00:00:00Z", "2030-01-15T08:00:00Z"]},
    ]
}
_NUMBER = {"type": "integer", "minimum": 0, "maximum": 1000}
PAGING: dict[str, Any] = {"date_from": _TIME, "date_to": _TIME, "offset": _NUMBER, "limit": _NUMBER}
PROFILE: dict[str, Any] = {
    "duration": _NUMBER,
    "response_url": {"enum": ["https://partner.example/profiles/1"]},
}
FREE: dict[str, Any] = {"timeslot_from": _TIME, "timeslot_to": _TIME}
TYPE: dict[str, Any] = {"type": {"enum": ["RFID", "APP_USER", "OTHER", "AD_HOC_USER", "EMAID"]}}
ID = {"type": "string", "minLength": 1, "maxLength": 36, "pattern": r"^[\x20-\x7e]*$"}


def document(version: str, names: Names) -> dict[str, Any]:
    paths: dict[str, Any] = {}
    for one in endpoints():
        path = "/ocpi" + one.path.replace("{version}", version)
        paths.setdefault(path, {})[one.method.lower()] = _operation(one, names)
    known = schemas(tables(), version, with_newer=version != "2.3.0", exact=False)
    components = {name: _naming(schema, names) for name, schema in known.items()}
    text = json.dumps({"paths": paths, "components": {"schemas": components}})
    return {
        "openapi": "3.1.0",
        "info": {"title": f"OCPI {version} as Berth has it", "version": version},
        "servers": [{"url": "http://testserver"}],
        **json.loads(text.replace("#/$defs/", "#/components/schemas/")),
    }


def _operation(one: Endpoint, names: Names) -> dict[str, Any]:
    in_path = [_parameter(name, "path", _likely(name, ID, names)) for name in one.names if name != "version"]
    in_query = [_parameter(name, "query", schema) for name, schema in _query(one).items()]
    in_head = [_parameter(name, "header", _likely(name, ID, names)) for name in _headers(one)]
    described = {"description": "an envelope"}
    found: dict[str, Any] = {
        "parameters": in_path + in_query + in_head,
        "responses": {"200": described, "default": described},
    }
    if one.body != NOTHING:
        schema: dict[str, Any] = {"$ref": f"#/components/schemas/{one.body}"}
        if one.is_partial:
            schema = _partial(one)
        found["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return found


def _partial(one: Endpoint) -> dict[str, Any]:
    """Some fields of a class, and when it was changed."""
    table = next(each for each in tables() if each.name == one.body)
    names = {field.name for field in table.fields}
    part = {name: {"$ref": f"#/components/schemas/{one.body}/properties/{name}"} for name in sorted(names)}
    part["last_updated"] = {"type": "string", "pattern": DATE_TIME}
    return {"type": "object", "properties": part, "required": ["last_updated"]}


def _query(one: Endpoint) -> dict[str, Any]:
    if one.module in ("tokens", "authorize") and "uid" in one.names:
        return TYPE
    if one.answer == "ChargingProfileResponse" and one.body == NOTHING:
        return PROFILE
    if one.is_list and one.answer != "Version":
        return {**PAGING, **FREE} if one.answer == "BookingLocation" else PAGING
    return {}


def _headers(one: Endpoint) -> list[str]:
    directions = ("from", "to") if one.answer != KEPT else ("to",)
    routing = [f"OCPI-{way}-{what}" for way in directions for what in ("country-code", "party-id")]
    return ["X-Request-ID", *routing]


def _parameter(name: str, where: str, schema: Any) -> dict[str, Any]:
    return {"name": name, "in": where, "required": where == "path", "schema": schema}


def _likely(name: str, schema: Any, names: Names) -> Any:
    known = [one for one in names.get(name, ()) if one]
    return {"anyOf": [{"enum": known}, schema]} if known else schema


def _naming(schema: dict[str, Any], names: Names) -> dict[str, Any]:
    properties = {name: _likely(name, one, names) for name, one in schema.get("properties", {}).items()}
    return {**schema, "properties": properties} if properties else schema
