"""Every address below /api/v1."""

from __future__ import annotations

from typing import Any

from ninja import NinjaAPI

from bookings.api import problems
from bookings.api.authentication import BearerToken
from bookings.api.documentation import OpenApiPage, completed
from bookings.api.guard import ReadBefore, guarded
from bookings.api.resources import ROUTERS


class BerthApi(NinjaAPI):
    def get_openapi_schema(self, **where: Any) -> Any:
        return completed(super().get_openapi_schema(**where))


api = BerthApi(
    title="Berth",
    version="1",
    description="Book charging slots for electric trucks and buses, from a fleet's own systems.",
    urls_namespace="api",
    docs=OpenApiPage(),
    auth=BearerToken(),
    parser=ReadBefore(),
)
problems.install(api)
api.add_decorator(guarded, mode="view")
for _path, _router in ROUTERS.items():
    api.add_router(_path, _router, tags=[_path] if _path else None)
