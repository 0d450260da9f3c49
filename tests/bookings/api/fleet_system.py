"""An organisation's own system, as a client of the API."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from django.http import HttpResponse
from django.test import Client

from depots.models import Organisation
from depots.operations.api_tokens import make_api_token
from tests.factories import NOW

_numbers = count(1)


@dataclass
class FleetSystem:
    """Sends with a token, and each POST under a key of its own unless one is given."""

    token: str
    client: Client = field(default_factory=Client)

    @classmethod
    def of(cls, organisation: Organisation, *, is_read_only: bool = False) -> FleetSystem:
        _, token = make_api_token(
            organisation=organisation, name="planner", is_read_only=is_read_only, now=NOW
        )
        return cls(token)

    def get(self, path: str, **query: Any) -> HttpResponse:
        return self.client.get(f"/api/v1{path}", query, headers=self._headers())

    def post(self, path: str, body: Any = None, *, key: str | None = None, **headers: str) -> HttpResponse:
        return self.send("POST", path, body, **{"Idempotency-Key": key or f"key-{next(_numbers)}"}, **headers)

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> HttpResponse:
        content = body if isinstance(body, bytes | str) else "" if body is None else json.dumps(body)
        return self.client.generic(
            method, f"/api/v1{path}", content, content_type="application/json" if content else "",
            headers={**self._headers(), **{name.replace("_", "-"): value for name, value in headers.items()}},
        )  # fmt: skip

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


def refused(response: HttpResponse) -> tuple[int, str]:
    """Status and code of a problem that is whole."""
    problem = response.json()
    assert response["Content-Type"] == "application/problem+json"
    assert problem["status"] == response.status_code
    assert problem["title"]
    assert problem["detail"]
    return response.status_code, problem["code"]
