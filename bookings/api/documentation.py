"""The OpenAPI document with what is the same everywhere, and a page that tells it to people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from ninja.openapi.docs import DocsBase

from bookings.api.problems import BY_STATUS, MEDIA_TYPE
from bookings.api.schemas import Problem

METHODS = ("get", "post", "put", "patch", "delete")
# What is answered at these says which offer it means.
ANSWERS = ("/acceptance", "/offer/refusal")
_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": True,
    "description": "The organisation's own; the same with the same content gets the same answer for 24 hours.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"},
}
_IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "required": False,
    "description": "An ETag: refused with 412 where there is another version by now.",
    "schema": {"type": "string"},
}


def completed(document: Any) -> Any:
    """With the headers that are asked for, and what a refusal looks like."""
    schemas = document["components"]["schemas"]
    told = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(told.pop("$defs"))
    schemas["Problem"] = told
    refused = {
        "description": "Refused: a problem",
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            operation["responses"]["default"] = refused
            extra = {"post": [_KEY], "patch": [_IF_MATCH]}.get(method, [])
            if path.endswith(ANSWERS):
                extra = [*extra, _IF_MATCH]
            operation["parameters"] = [*operation.get("parameters", []), *extra]
    return document


@dataclass(frozen=True)
class ShownField:
    name: str
    kind: str
    is_required: bool
    text: str


@dataclass(frozen=True)
class ShownOperation:
    method: str
    path: str
    text: str
    parameters: list[ShownField]
    body: list[ShownField]
    answers: str


class OpenApiPage(DocsBase):
    """A page of ours: no script, nothing from elsewhere."""

    def render_page(self, request: HttpRequest, api: Any, **where: Any) -> HttpResponse:
        document = api.get_openapi_schema(path_params=where)
        context = {
            "groups": _groups(document),
            "statuses": [(status, code) for status, (code, _) in BY_STATUS.items()],
        }
        return render(request, "api/docs.html", context)


def _groups(document: Any) -> list[tuple[str, list[ShownOperation]]]:
    groups: dict[str, list[ShownOperation]] = {}
    for path, operations in document["paths"].items():
        for method, told in operations.items():
            shown = ShownOperation(
                method=method.upper(),
                path=path,
                text=told.get("description", ""),
                parameters=[
                    _field(one["name"], one["schema"], one["required"]) for one in told["parameters"]
                ],
                body=_body_of(told, document),
                answers=", ".join(str(status) for status in told["responses"] if status != "default"),
            )
            groups.setdefault(told["tags"][0], []).append(shown)
    return list(groups.items())


def _body_of(told: Any, document: Any) -> list[ShownField]:
    content = told.get("requestBody", {}).get("content", {}).get("application/json", {})
    schema = _resolved(content.get("schema", {}), document)
    required = schema.get("required", [])
    return [
        _field(name, _resolved(field, document), name in required)
        for name, field in schema.get("properties", {}).items()
    ]


def _resolved(schema: Any, document: Any) -> Any:
    """What a reference stands for; of alternatives the first that is something."""
    for one in schema.get("anyOf", []):
        if one.get("type") != "null":
            return {**_resolved(one, document), "description": schema.get("description", "")}
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return document["components"]["schemas"][name]
    return schema


def _field(name: str, schema: Any, is_required: bool) -> ShownField:
    kind = schema.get("format") or schema.get("type")
    if kind is None:
        kind = next((one.get("format") or one.get("type", "object") for one in schema.get("anyOf", [])), "")
    if "enum" in schema:
        kind = " · ".join(map(str, schema["enum"]))
    return ShownField(name, str(kind), is_required, schema.get("description", ""))
