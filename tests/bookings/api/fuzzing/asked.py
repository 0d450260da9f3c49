"""Requests of the JSON API that nobody would send: by schemathesis from its own OpenAPI, and right ones that were broken."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any
from urllib.parse import quote, urlencode

import schemathesis
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode

from bookings.api.urls import api
from tests.roaming.fuzzing.mutations import ODD_TEXTS, broken

PREFIX = "/api/v1"
_PLACE = re.compile(r"{(\w+)}")
# Parameters that nobody guesses, with values that mean something.
QUERY = {
    "depot": ["nowhere"], "near": ["53.5,9.9", "91,0", "53.5"], "along": ["53.55,9.99;47.56,7.59", "0,0;0,0", "1,2"],
    "radius_km": ["50", "0", "1e9"], "corridor_km": ["20", "-1"], "duration_min": ["45", "0"], "energy_kwh": ["200", "nan"],
    "soc_from": ["20", "101"], "soc_to": ["80", "10"], "min_power_kw": ["100", "inf"], "limit": ["1", "200", "0", "x"],
    "arrive_from": ["2030-01-15T12:00:00Z"], "arrive_to": ["2030-01-15T16:00:00Z", "2031-01-15T16:00:00Z"],
    "starts_at": ["2030-01-15T12:00:00Z", "9999-12-31T23:59:59Z"], "ends_at": ["2030-01-15T13:00:00Z"],
    "depart_at": ["2030-01-15T09:00:00Z"], "changed_since": ["2030-01-15T08:00:00Z", "0001-01-01T00:00:00Z"],
    "status": ["held", "x"], "after": ["evt_1", "evt_0"], "cursor": ["x", "W10", "WzFd", "WyJhIl0"],
}  # fmt: skip


@dataclass(frozen=True)
class Asked:
    method: str
    path: str  # quoted
    template: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def __str__(self) -> str:
        said = self.body.decode(errors="backslashreplace")
        return f"{self.method} {self.path}?{self.query} {dict(self.headers)} {said:.4000}"


@cache
def document() -> dict[str, Any]:
    """As it is served; plain, as a client reads it."""
    told: dict[str, Any] = json.loads(
        json.dumps(api.get_openapi_schema(path_prefix=f"{PREFIX}/"), default=str)
    )
    return told


def makers(
    names: Mapping[str, list[str]], bodies: Mapping[str, Any]
) -> dict[str, Callable[[], st.SearchStrategy[Asked]]]:
    """By the name of an operation and of a way to make requests of it. `names` has values of parts of paths and of parameters,
    `bodies` a right body by operation."""
    schema = schemathesis.openapi.from_dict(document())
    found: dict[str, Callable[[], st.SearchStrategy[Asked]]] = {}
    for template, operations in document()["paths"].items():
        for method, told in operations.items():
            name = f"{method.upper()} {template.removeprefix(PREFIX)}"
            parameters = [one["name"] for one in told.get("parameters", []) if one["in"] == "query"]
            found[f"{name} near right"] = partial(
                _near_right, method.upper(), template, parameters, bodies.get(name), names
            )
            for mode in GenerationMode:
                found[f"{name} {mode.value}"] = cache(
                    partial(_by_schema, schema, template, method, mode, names)
                )
    return found


@st.composite
def _near_right(
    draw: st.DrawFn,
    method: str,
    template: str,
    parameters: list[str],
    body: Any,
    names: Mapping[str, list[str]],
) -> Asked:
    query = {}
    for name in draw(st.sets(st.sampled_from([*parameters, "x"]), max_size=7)) if parameters else ():
        query[name] = draw(st.sampled_from([*names.get(name, []), *QUERY.get(name, ["x"]), *ODD_TEXTS[:3]]))
    said = draw(broken(st.just(body))) if body is not None else None
    headers = {"If-Match": draw(st.sampled_from(('"1"', "*", "x")))} if method == "PATCH" else {}
    return Asked(
        method, _path(draw, template, names), template, urlencode(query, errors="replace"), headers,
        json.dumps(said).encode() if body is not None else b"",
    )  # fmt: skip


def _by_schema(
    schema: Any, template: str, method: str, mode: GenerationMode, names: Mapping[str, list[str]]
) -> st.SearchStrategy[Asked]:
    @st.composite
    def asked(draw: st.DrawFn) -> Asked:
        case: Case = draw(schema[template][method].as_strategy(generation_mode=mode))
        body = case.body
        is_plain = isinstance(body, dict | list | str | int | float | bool | type(None))
        headers = {
            name: value for name, value in (case.headers or {}).items()
            if isinstance(value, str) and re.fullmatch(r"[\x20-\xff]*", value) and name.lower() != "authorization"
        }  # fmt: skip
        query = urlencode({n: str(v) for n, v in (case.query or {}).items()}, errors="replace")
        said = json.dumps(body).encode() if is_plain else b""
        return Asked(method.upper(), _path(draw, template, names), template, query, headers, said)

    return asked()


def _path(draw: st.DrawFn, template: str, names: Mapping[str, list[str]]) -> str:
    def chosen(place: re.Match[str]) -> str:
        known = names.get(place[1], []) if draw(st.integers(0, 9)) else []
        odd = [text for text in ODD_TEXTS if 0 < len(text) < 400]
        return quote(draw(st.sampled_from(known or odd)).encode(errors="replace"), safe="")

    return _PLACE.sub(chosen, template)
