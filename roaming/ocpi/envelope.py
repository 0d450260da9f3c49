"""The envelope around every answer, its codes, and what each error becomes in it (OCPI 2.3.0 transport_and_format, Response
format, and status_codes)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from enum import IntEnum
from typing import Any

import structlog
from django.core.exceptions import SuspiciousOperation
from django.db import OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, Throttled
from ninja.errors import ValidationError as RequestError

from depots import strict_json
from roaming.ocpi.times import time_out
from roaming.ocpi.wire_object import UnreadableError, WireObject

logger = structlog.get_logger(__name__)

MAX_BODY = 1024 * 1024
_FIELD = re.compile(r"([A-Za-z_][\w.-]{0,199}): ")
_POSITION = re.compile(r"\.\d+(?=\.|$)")
RETRY_AFTER_S = 5  # how long the database is given to come back


class Code(IntEnum):
    SUCCESS = 1000
    CLIENT_ERROR = 2000
    INVALID = 2001
    NOT_ENOUGH = 2002
    UNKNOWN_LOCATION = 2003
    UNKNOWN_TOKEN = 2004
    SERVER_ERROR = 3000
    CANNOT_USE_API = 3001
    UNSUPPORTED_VERSION = 3002
    NO_MATCHING_ENDPOINTS = 3003


class OcpiResponse(HttpResponse):
    """An answer in the envelope, with its `status_code` and message at hand; transport.py puts every other answer into one."""

    def __init__(
        self, content: Mapping[str, Any], *, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(
            json.dumps(content, ensure_ascii=False), status=status, content_type="application/json"
        )
        self.ocpi_status: int = content["status_code"]
        self.ocpi_message: str = content.get("status_message", "")
        for name, value in (headers or {}).items():
            self[name] = value


class RefusalError(Exception):
    """An OCPI error on its way to the partner. `http` is 200 wherever the request reached an existing resource."""

    def __init__(
        self, code: Code, message: str, *, http: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.code, self.message, self.http, self.headers = code, message, http, headers


def ok(
    data: Any = None, *, http: int = 200, message: str = "", headers: Mapping[str, str] | None = None
) -> OcpiResponse:
    """Success: an object, a list of objects, or nothing at all."""
    content: dict[str, Any] = {"data": _plain(data)} if data is not None else {}
    return OcpiResponse(_closed(content, Code.SUCCESS, message), status=http, headers=headers)


def refused(
    code: Code, message: str, *, http: int = 200, headers: Mapping[str, str] | None = None
) -> OcpiResponse:
    """An error: without data, and with nothing in the message that the partner did not send or may not know."""
    return OcpiResponse(_closed({}, code, message), status=http, headers=headers)


def read_json(request: HttpRequest) -> Any:
    """The body of a request. Raises RefusalError: 400 when it is not JSON, 2001 when no rule allows what it holds."""
    try:
        return strict_json.parse(request.body)
    except strict_json.NotJson as broken:
        raise RefusalError(Code.INVALID, str(broken), http=400) from None
    except strict_json.Unusable as flaw:
        raise RefusalError(Code.INVALID, str(flaw)) from None


def read_object(request: HttpRequest) -> dict[str, Any]:
    body = read_json(request)
    if not isinstance(body, dict):
        raise RefusalError(Code.INVALID, "The body must be an object.")
    return body


def install(api: NinjaAPI) -> None:
    """Every way a handler can fail, as an envelope."""
    for kind in (
        RefusalError,
        UnreadableError,
        RequestError,
        AuthenticationError,
        Throttled,
        HttpError,
        Http404,
        SuspiciousOperation,
        Exception,
    ):
        api.add_exception_handler(kind, answer_to)


def for_status(http: int) -> OcpiResponse:
    """What an answer that is no envelope says by its status alone."""
    known = {
        400: (Code.INVALID, "The request cannot be read."),
        401: (Code.CLIENT_ERROR, "The token is missing or unknown."),
        403: (Code.CLIENT_ERROR, "This is not yours."),
        404: (Code.CLIENT_ERROR, "There is nothing at this address."),
        405: (Code.CLIENT_ERROR, "This method is not offered here."),
        408: (Code.CLIENT_ERROR, "The body did not arrive in time."),
        413: (Code.INVALID, f"The body is larger than {MAX_BODY} bytes."),
        429: (Code.CLIENT_ERROR, "Too many requests."),
        503: (Code.SERVER_ERROR, "The server cannot work at the moment."),
    }
    fallback = (Code.SERVER_ERROR, "The server failed.") if http >= 500 else (Code.CLIENT_ERROR, "Refused.")
    code, message = known.get(http, fallback)
    return refused(code, message, http=http)


def field_of(message: str) -> str:
    """The field that a refusal names, "tokens.#.uid" for any of a list; empty where it is about the whole request.

    Every message about a field begins with its path and a colon.
    """
    named = _FIELD.match(message)
    return _POSITION.sub(".#", named[1]) if named else ""


def _closed(content: dict[str, Any], code: Code, message: str) -> dict[str, Any]:
    content["status_code"] = int(code)
    if message:
        content["status_message"] = message
    content["timestamp"] = time_out(timezone.now())
    return content


def _plain(data: Any) -> Any:
    if isinstance(data, WireObject):
        return data.wire()
    if isinstance(data, list | tuple):
        return [_plain(one) for one in data]
    return data


def answer_to(request: HttpRequest, error: Any) -> OcpiResponse:
    """The answer to whatever was raised; what nobody foresaw is logged and told as no more than that."""
    if isinstance(error, RefusalError):
        return refused(error.code, error.message, http=error.http, headers=error.headers)
    if isinstance(error, UnreadableError):
        return refused(Code.INVALID, str(error))
    if isinstance(error, RequestError):
        return refused(Code.INVALID, _complaint(error))
    if isinstance(error, HttpError):  # Throttled and AuthenticationError among them
        answer = for_status(error.status_code)
        if isinstance(error, Throttled):
            answer["Retry-After"] = str(error.wait or 1)
        return answer
    if isinstance(error, Http404 | SuspiciousOperation):
        return for_status(404 if isinstance(error, Http404) else 400)
    logger.error("ocpi request failed", path=request.path, exc_info=error)
    if isinstance(error, OperationalError):  # no database, or none that got to it
        answer = for_status(503)
        answer["Retry-After"] = str(RETRY_AFTER_S)
        return answer
    return for_status(500)


def _complaint(error: RequestError) -> str:
    first = error.errors[0]
    return f"{first['loc'][-1]}: {first['msg']}" if first.get("loc") else str(first["msg"])
