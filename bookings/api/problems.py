"""Why a request was refused, as a problem (RFC 9457): one status a code, from one table."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from http.client import responses
from typing import Any

import structlog
from django.core.exceptions import SuspiciousOperation
from django.db import OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from ninja import NinjaAPI
from ninja.errors import HttpError
from ninja.errors import ValidationError as RequestError

from bookings.errors import IN_THE_WAY, BookingError
from depots.periods import Period, utc_text

logger = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 5  # how long the database is given to come back
MOST_ERRORS = 20
# Where a refusal of the domain is one that HTTP has a status of its own for.
OF_HTTP = {"changed_meanwhile": 412, "unknown_booking": 404}
# What is refused by its status alone: the code, and a sentence.
BY_STATUS = {
    400: ("malformed", "The request cannot be read."),
    401: ("unauthorized", "The token is missing or unknown."),
    403: ("read_only", "This token may look and change nothing."),
    404: ("not_found", "There is nothing at this address."),
    405: ("method_not_allowed", "This method is not offered here."),
    408: ("too_slow", "The body did not arrive in time."),
    413: ("too_large", "The body is larger than 1 MiB."),
    414: ("too_large", "The address is too long."),
    415: ("unsupported_media_type", "A body is sent as application/json."),
    422: ("invalid", "The request is not understood."),
    429: ("too_many_requests", "Too many requests."),
    431: ("too_large", "The head of the request is too long."),
    500: ("failed", "Something went wrong on our side."),
    503: ("unavailable", "Berth cannot work at the moment; try again."),
}


class ApiResponse(HttpResponse):
    """An answer of the API: JSON, and no page, so that no browser is told what pages may do.

    One that `is_secret` is kept encrypted under its Idempotency-Key.
    """

    is_secret = False

    def __init__(self, content: str, *, status: int = 200, media_type: str = "application/json") -> None:
        super().__init__(content, status=status, content_type=media_type)


class ApiRefusal(Exception):
    """Refused by the API itself, before any rule of the domain was asked. Without a sentence it is the status's own."""

    def __init__(
        self, status: int, detail: str = "", *, code: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.code, self.headers = status, detail, code, headers


class Invalid(Exception):
    """Fields or parameters that are missing, unknown or wrong: (path, sentence) each."""

    def __init__(self, errors: Sequence[tuple[str, str]]) -> None:
        super().__init__(errors)
        self.errors = errors


def status_of(code: str) -> int:
    """Of a refusal of the domain: 409 where the world is in the way, 422 where terms are, or HTTP's own."""
    return OF_HTTP.get(code) or (409 if code in IN_THE_WAY else 422)


def install(api: NinjaAPI) -> None:
    """Every way a handler can fail, as a problem."""
    kinds = (ApiRefusal, Invalid, BookingError, RequestError, HttpError, Http404, SuspiciousOperation)
    for kind in (*kinds, Exception):
        api.add_exception_handler(kind, problem_of)


def problem_of(request: HttpRequest, error: Any) -> ApiResponse:
    """The answer to whatever was raised; what nobody foresaw is logged and told as no more than that."""
    if isinstance(error, BookingError):
        return refused(error, **_where(error))
    if isinstance(error, ApiRefusal):
        return for_status(error.status, error.detail, code=error.code, headers=error.headers)
    if isinstance(error, Invalid):
        return invalid(error.errors)
    if isinstance(error, RequestError):
        return invalid([(path_of(one["loc"]), sentence_of(one)) for one in error.errors])
    if isinstance(error, HttpError):
        return for_status(error.status_code)
    if isinstance(error, Http404 | SuspiciousOperation):
        return for_status(404 if isinstance(error, Http404) else 400)
    logger.error("api request failed", path=request.path[:200], exc_info=error)
    if isinstance(error, OperationalError):  # no database, or a deadlock
        return for_status(503, headers={"Retry-After": str(RETRY_AFTER_S)})
    return for_status(500)


def told(error: BookingError) -> dict[str, Any]:
    """Code, sentence and what would be allowed, of a refusal: in a problem, or in an item of a list."""
    found: dict[str, Any] = {"code": error.code, "detail": str(error)}
    if error.field:
        found["field"] = error.field
    if error.nearest is not None:
        found["nearest"] = period_out(error.nearest)
    return found


@contextmanager
def inside(path: str) -> Iterator[None]:
    """Around what reads a part of a body: a refusal names its field behind the path of that part, as `stops.0.evse`."""
    try:
        yield
    except Invalid as error:
        raise Invalid([(f"{path}.{field}", sentence) for field, sentence in error.errors]) from None
    except BookingError as error:
        error.path = path
        raise


def _where(error: BookingError) -> dict[str, Any]:
    """Of a refusal inside of a body: the field by its path."""
    if not error.path:
        return {}
    field = ".".join(part for part in (error.path, error.field) if part)
    return {"field": field, "errors": [{"field": field, "detail": str(error)}]}


def refused(error: BookingError, **more: Any) -> ApiResponse:
    """A refusal of the domain; `more` stands beside what every problem has."""
    return _problem(status_of(error.code), {**told(error), **more})


def invalid(errors: Sequence[tuple[str, str]]) -> ApiResponse:
    """422, naming the first field, and all of them."""
    field, sentence = errors[0]
    listed = [{"field": path, "detail": text} for path, text in errors[:MOST_ERRORS]]
    detail = f"{field}: {sentence}" if field else sentence
    return _problem(422, {"code": "invalid", "detail": detail, "field": field, "errors": listed})


def for_status(
    status: int, detail: str = "", *, code: str = "", headers: Mapping[str, str] | None = None
) -> ApiResponse:
    """A refusal by its status alone."""
    known = BY_STATUS.get(status) or BY_STATUS[500 if status >= 500 else 400]
    answer = _problem(status, {"code": code or known[0], "detail": detail or known[1]})
    if status == 401:
        answer["WWW-Authenticate"] = "Bearer"
    for name, value in (headers or {}).items():
        answer[name] = value
    return answer


def period_out(period: Period) -> dict[str, str]:
    return {"starts_at": utc_text(period.starts_at), "ends_at": utc_text(period.ends_at)}


def path_of(loc: Sequence[str | int]) -> str:
    """`first.starts_at`, from where pydantic found it: behind the part of the request and the name of its parameter."""
    return ".".join(str(part) for part in loc if part not in {"body", "query", "path"})


def sentence_of(error: Mapping[str, Any]) -> str:
    if error["type"] == "extra_forbidden":
        return "There is no such field."
    return str(error["msg"]).removeprefix("Value error, ")


def single(told: Mapping[str, Any], *, status: int = 200) -> ApiResponse:
    """One object that keeps no version of its own: its ETag follows from what it tells."""
    content = json.dumps(told, ensure_ascii=False)
    response = ApiResponse(content, status=status)
    response["ETag"] = f'"{sha256(content.encode()).hexdigest()[:16]}"'
    return response


def _problem(status: int, members: Mapping[str, Any]) -> ApiResponse:
    content = {"status": status, "title": responses.get(status, "Refused"), **members}
    return ApiResponse(json.dumps(content, ensure_ascii=False), status=status, media_type=MEDIA_TYPE)
