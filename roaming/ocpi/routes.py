"""The addresses of a module, which every version of OCPI that has it answers with the same handlers."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Router

from roaming.ocpi.auth import Caller, CallerAuth, registered
from roaming.ocpi.dialect import Dialect
from roaming.ocpi.wire_object import reading
from roaming.switches import switch

Handler = Callable[..., HttpResponse]


class Routes:
    """Handlers take the request, the dialect of the version they are called in, and what the path names.

    A version mounts `routes.router(dialect)` below an address of its own (its urls.py).
    """

    def __init__(self, auth: CallerAuth = registered) -> None:
        self._auth = auth
        self._handlers: list[tuple[list[str], str, Handler]] = []

    def get(self, path: str = "") -> Callable[[Handler], Handler]:
        return self.operation(["GET"], path)

    def post(self, path: str = "") -> Callable[[Handler], Handler]:
        return self.operation(["POST"], path)

    def put(self, path: str = "") -> Callable[[Handler], Handler]:
        return self.operation(["PUT"], path)

    def delete(self, path: str = "") -> Callable[[Handler], Handler]:
        return self.operation(["DELETE"], path)

    def operation(self, methods: list[str], path: str = "") -> Callable[[Handler], Handler]:
        def keep(handler: Handler) -> Handler:
            self._handlers.append((methods, path, handler))
            return handler

        return keep

    def router(self, dialect: Dialect, auth: CallerAuth | None = None) -> Router:
        router = Router(auth=auth or self._auth)
        for methods, path, handler in self._handlers:
            router.api_operation(methods, path)(_in(dialect, handler))
        return router


def _in(dialect: Dialect, handler: Handler) -> Handler:
    """The handler of one version, with the signature by which ninja finds the parts of the path."""

    @wraps(handler)
    def answer(request: HttpRequest, **named: Any) -> HttpResponse:
        with reading(strictly=_is_strict(request)):
            return handler(request, dialect, **named)

    signature = inspect.signature(handler, eval_str=True)
    rest = [each for name, each in signature.parameters.items() if name != "dialect"]
    answer.__signature__ = signature.replace(parameters=rest)  # type: ignore[attr-defined]
    return answer


def _is_strict(request: HttpRequest) -> bool:
    """Of whoever is not registered yet nothing is known but that it begins: what it says is forgiven."""
    caller: Caller | None = getattr(request, "caller", None)
    return caller is not None and caller.is_registered and switch(caller.partner, "reading") == "strict"
