"""An eMSP of OCPI 2.2.1 made of the published library `extrawest-ocpi`: its routes, its schemas, its handshake.

Run by an interpreter that has it (requirements/outside.lock): the library pins releases of what it needs that ours exclude.

    python published_emsp.py HOST:PORT COUNTRY PARTY TOKEN_A

Each object that was pushed is a line of JSON on standard output, `{"module", "id", "object"}`, as the library has read it.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
from typing import Any

HOST, COUNTRY, PARTY, TOKEN_A = sys.argv[1:5]
os.environ |= {"OCPI_HOST": HOST, "PROTOCOL": "http", "COUNTRY_CODE": COUNTRY, "PARTY_ID": PARTY}

import uvicorn  # noqa: E402 - the library reads its settings when it is imported
from py_ocpi import get_application  # noqa: E402
from py_ocpi.core.adapter import BaseAdapter  # noqa: E402
from py_ocpi.core.authentication.authenticator import Authenticator  # noqa: E402
from py_ocpi.core.crud import Crud  # noqa: E402
from py_ocpi.core.enums import ModuleID, RoleEnum  # noqa: E402
from py_ocpi.modules.versions.enums import VersionNumber  # noqa: E402

TOKENS: dict[str, dict[str, Any]] = {}  # that we gave out → the credentials of whoever has it
HELD: dict[tuple[str, str], dict[str, Any]] = {}


class Tokens(Authenticator):
    @classmethod
    async def get_valid_token_c(cls) -> list[str]:
        return list(TOKENS)

    @classmethod
    async def get_valid_token_a(cls) -> list[str]:
        return [TOKEN_A]


class Store(Crud):
    """Keeps what the library hands over, in memory."""

    @classmethod
    async def get(cls, module: ModuleID, role: RoleEnum, id: str, *args: Any, **more: Any) -> Any:
        if module == ModuleID.credentials_and_registration:
            return _credentials(id)
        return HELD.get((module.value, str(id).upper()))

    @classmethod
    async def list(cls, *args: Any, **more: Any) -> Any:
        return [], 0, True

    @classmethod
    async def create(
        cls, module: ModuleID, role: RoleEnum, data: dict[str, Any], *args: Any, **more: Any
    ) -> Any:
        if module == ModuleID.credentials_and_registration:
            token = secrets.token_urlsafe(24)
            TOKENS[token] = data
            return _credentials(token)
        return _keep(module, data)

    @classmethod
    async def update(
        cls, module: ModuleID, role: RoleEnum, data: dict[str, Any], id: str, *args: Any, **more: Any
    ) -> Any:
        if module == ModuleID.credentials_and_registration:
            return await cls.create(module, role, data)
        return _keep(module, data)

    @classmethod
    async def delete(cls, module: ModuleID, role: RoleEnum, id: str, *args: Any, **more: Any) -> None:
        HELD.pop((module.value, str(id).upper()), None)

    @classmethod
    async def do(cls, *args: Any, **more: Any) -> Any:
        return None


def _credentials(token: str) -> dict[str, Any]:
    role = {
        "role": "EMSP",
        "country_code": COUNTRY,
        "party_id": PARTY,
        "business_details": {"name": "Published eMSP"},
    }
    return {"token": token, "url": f"http://{HOST}/ocpi/versions", "roles": [role]}


def _keep(module: ModuleID, data: dict[str, Any]) -> dict[str, Any]:
    HELD[module.value, str(data["id"]).upper()] = data
    print(json.dumps({"module": module.value, "id": data["id"], "object": data}, default=str), flush=True)
    return data


if __name__ == "__main__":
    app = get_application(
        version_numbers=[VersionNumber.v_2_2_1],
        roles=[RoleEnum.emsp],
        crud=Store,
        modules=[
            ModuleID.credentials_and_registration,
            ModuleID.locations,
            ModuleID.tariffs,
            ModuleID.sessions,
            ModuleID.cdrs,
        ],
        authenticator=Tokens,
        adapter=BaseAdapter,
    )
    host, port = HOST.split(":")
    uvicorn.run(app, host=host, port=int(port), log_level="warning")
