"""Around every operation of the API: who asks, what may be asked, and that a POST is carried out once."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from ninja.parser import Parser

from bookings.api.authentication import Caller, recognise
from bookings.api.problems import ApiRefusal, Invalid, problem_of
from bookings.operations import kept_answers
from depots import strict_json

Run = Callable[..., HttpResponse]

SAFE = frozenset({"GET", "HEAD"})
# What of an answer's head belongs to the answer, and is told again with it.
KEPT_HEADERS = ("Content-Type", "Location", "ETag")
REPLAYED = "Idempotency-Replayed"
LONGEST_KEY = 255
_JSON = frozenset({"application/json", ""})


def guarded(run: Run) -> Run:
    """A ninja decorator around an operation with all that ninja does of it."""
    operation = run.__self__  # type: ignore[attr-defined]  # a method of ninja's Operation
    known = {
        name
        for model in operation.models
        if model.__ninja_param_source__ == "query"
        for name in model.__ninja_flatten_map__
    }
    takes_body = any(model.__ninja_param_source__ == "body" for model in operation.models)

    @wraps(run)
    def answer(request: HttpRequest, **path: Any) -> HttpResponse:
        try:
            caller = recognise(request, now=timezone.now())
            request.auth = caller  # type: ignore[attr-defined]
            if caller.token.is_read_only and request.method not in SAFE:
                raise ApiRefusal(403)
            body = None if request.method in SAFE else _read_body(request)
            if request.method == "POST":
                key = _key(request)
                return _once(request, caller, key, body, lambda: _checked(run, request, path))
            return _checked(run, request, path)
        except Exception as error:
            return problem_of(request, error)

    def _checked(run: Run, request: HttpRequest, path: dict[str, Any]) -> HttpResponse:
        try:
            _check_shape(request, known, takes_body)
        except Invalid as error:
            return problem_of(request, error)
        return run(request, **path)

    return answer


class ReadBefore(Parser):
    """Gives ninja the body that was read already."""

    def parse_body(self, request: HttpRequest) -> Any:
        return request.said  # type: ignore[attr-defined]


def _read_body(request: HttpRequest) -> Any:
    """What was sent, None for nothing; kept for ninja. Raises ApiRefusal: 415, 400."""
    request.said = None  # type: ignore[attr-defined]
    request.unusable = ""  # type: ignore[attr-defined]
    if not request.body:
        return None
    if (request.content_type or "").lower() not in _JSON:
        raise ApiRefusal(415)
    try:
        request.said = strict_json.parse(request.body)  # type: ignore[attr-defined]
    except strict_json.NotJson as broken:
        raise ApiRefusal(400, str(broken)) from None
    except strict_json.Unusable as flaw:
        request.unusable = str(flaw)  # type: ignore[attr-defined]
        return request.body.decode(errors="replace")
    return request.said  # type: ignore[attr-defined]


def _check_shape(request: HttpRequest, known: set[str], takes_body: bool) -> None:
    """Raises Invalid for what no operation would look at: ninja passes over it."""
    unknown = [(name, "There is no such parameter.") for name in request.GET if name not in known]
    twice = [(name, "stands there twice") for name, values in request.GET.lists() if len(values) > 1]
    broken = [
        (name, "holds a NUL or a broken character")
        for name, value in request.GET.dict().items()
        if not _is_text(name) or not _is_text(str(value))
    ]
    if faults := [*unknown, *twice, *broken]:
        raise Invalid([(name.encode(errors="replace").decode()[:80], why) for name, why in faults])
    if request.method in SAFE:
        return
    if flaw := request.unusable:  # type: ignore[attr-defined]
        raise Invalid([("", flaw)])
    said = request.said  # type: ignore[attr-defined]
    if said is None and not request.body:
        return
    if not isinstance(said, dict):
        raise Invalid([("", "The body is an object.")])
    if said and not takes_body:
        raise Invalid([(name[:80], "There is no such field.") for name in said])


def _is_text(value: str) -> bool:
    return "\x00" not in value and value.isprintable()


def _key(request: HttpRequest) -> str:
    """Raises ApiRefusal."""
    key = request.headers.get("Idempotency-Key", "")
    if not key:
        what = "Every POST carries an Idempotency-Key, so that it can be sent again."
        raise ApiRefusal(400, what, code="idempotency_key_missing")
    if len(key) > LONGEST_KEY or not key.isascii() or not key.isprintable():
        raise Invalid([("Idempotency-Key", f"has 1 to {LONGEST_KEY} printable ASCII characters")])
    return key


def _once(
    request: HttpRequest, caller: Caller, key: str, body: Any, act: Callable[[], HttpResponse]
) -> HttpResponse:
    """The answer to a POST, or what was answered to it before. A refusal leaves only its answer; a fault leaves nothing.

    Raises IdempotencyKeyInUse, IdempotencyKeyReused.
    """
    content = f"{request.method} {request.path_info}?{request.META.get('QUERY_STRING', '')}\n{_canonical(body)}".encode(
        errors="replace"
    )
    ask = kept_answers.Ask(caller.token.organisation_id, key, content, caller.now)
    with kept_answers.answered_once(ask) as answering:
        if answering.known is not None:
            return _again(answering.known)
        with transaction.atomic():
            response = act()
            transaction.set_rollback(response.status_code >= 400)
        if response.status_code >= 500:
            answering.undo()
        answering.keep(_kept(response))
    return response


def _canonical(body: Any) -> str:
    """The same text for the same content, however it was written."""
    return "" if body is None else json.dumps(body, sort_keys=True, separators=(",", ":"))


def _kept(response: HttpResponse) -> kept_answers.Answer:
    headers = {name: response[name] for name in KEPT_HEADERS if name in response}
    is_secret = getattr(response, "is_secret", False)
    return kept_answers.Answer(response.status_code, headers, response.content.decode(), is_secret)


def _again(known: kept_answers.Answer) -> HttpResponse:
    response = HttpResponse(known.body, status=known.status)
    for name, value in known.headers.items():
        response[name] = value
    response[REPLAYED] = "true"
    return response
