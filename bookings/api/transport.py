"""What holds for every request below /api, whatever answers it: its size, its address, and that a refusal is a problem.

A middleware before all others that answer: what Django refuses by itself (an unknown address, a forged Host) becomes a
problem as well, and nothing redirects.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import structlog
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpRequest, HttpResponse
from django.http.request import UnreadablePostError

from bookings.api.problems import MEDIA_TYPE, ApiResponse, for_status, problem_of

logger = structlog.get_logger(__name__)

MAX_BODY = 1024 * 1024
LONGEST_LENGTH = 20  # digits of a Content-Length; of thousands no number is made
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


def is_api(path: str) -> bool:
    return path == "/api" or path.startswith("/api/")


class ApiTransport:
    """Django middleware; of other paths it knows nothing."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not is_api(request.path_info):
            return self.get_response(request)
        asked = request.method
        if asked == "HEAD":
            request.method = "GET"
        try:
            response = self._answer(request)
        except Exception as error:  # Django would answer in HTML
            response = problem_of(request, error)
        request.method = asked
        response["Cache-Control"] = "no-store"
        if asked == "HEAD":  # the answer to GET, but for its body
            response["Content-Length"] = str(len(response.content))
            response.content = b""
        return response

    def _answer(self, request: HttpRequest) -> HttpResponse:
        if (refusal := _refuse_early(request)) is not None:
            return refusal
        # With or without a slash at the end, and never a redirect: a POST would arrive as a GET.
        path = request.path_info.rstrip("/")
        request.path_info = path if path.count("/") > 2 else f"{path}/"
        response = self.get_response(request)
        if response.status_code < 400 or response["Content-Type"] == MEDIA_TYPE:
            return response
        problem = for_status(response.status_code)
        for name in ("Allow", "Retry-After"):
            if name in response:
                problem[name] = response[name]
        return problem


def _refuse_early(request: HttpRequest) -> ApiResponse | None:
    """What is refused before anybody looks at it: names that cannot exist, and bodies beyond the limit (unread)."""
    if _UNPRINTABLE.search(request.path_info):
        return for_status(404)
    declared = request.META.get("CONTENT_LENGTH") or "0"
    if not declared.isascii() or not declared.isdigit():
        return for_status(400)
    if len(declared) > LONGEST_LENGTH or int(declared) > MAX_BODY:
        return for_status(413)
    try:
        body = _read_body(request)
    except (UnreadablePostError, OSError):
        return for_status(400)
    return for_status(413) if len(body) > MAX_BODY else None


def _read_body(request: HttpRequest) -> bytes:
    """The body, also one sent in chunks without a length, of which Django would see nothing."""
    chunked = "chunked" in request.META.get("HTTP_TRANSFER_ENCODING", "").lower()
    if chunked and isinstance(request, WSGIRequest) and not request.META.get("CONTENT_LENGTH"):
        body: bytes = request.environ["wsgi.input"].read(MAX_BODY + 1)
        request._body = body  # noqa: SLF001 - where Django keeps what it has read
        return body
    return request.body
