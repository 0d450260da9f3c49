"""What holds for every request below /ocpi, whatever answers it: its size, its ids, its envelope, its line in the log.

A middleware, and the outermost one: an answer of Django's own (an unknown path, a forged Host) is put into an envelope
as well, and nothing redirects.
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable, Mapping
from datetime import datetime

import structlog
from django.core.handlers.wsgi import WSGIRequest
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.http.request import UnreadablePostError
from django.utils import timezone

from roaming import message_log
from roaming.models import Partner
from roaming.ocpi.auth import Caller, token_of
from roaming.ocpi.envelope import MAX_BODY, OcpiResponse, for_status

logger = structlog.get_logger(__name__)

LOGGED_BODY = 16 * 1024
_SECRET = re.compile(r'("token"\s*:\s*")(?:[^"\\]|\\.)*(")', re.IGNORECASE)
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
# Configuration modules carry no routing headers.
_UNROUTED = re.compile(r"^/ocpi/(versions|[^/]+|[^/]+/credentials)$")


def is_ocpi(path: str) -> bool:
    return path == "/ocpi" or path.startswith("/ocpi/")


def message_ids(headers: Mapping[str, str]) -> dict[str, str]:
    """The ids an answer carries: the caller's, echoed; new ones where it sent none, or one that is no header value."""
    return {name: _message_id(headers.get(name, "")) for name in ("X-Request-ID", "X-Correlation-ID")}


def _message_id(sent: str) -> str:
    return sent if sent and len(sent) <= 200 and sent.isascii() and sent.isprintable() else str(uuid.uuid4())


class OcpiTransport:
    """Django middleware; of other paths it knows nothing."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not is_ocpi(request.path_info):
            return self.get_response(request)
        try:
            return self._exchange(request)
        except Exception:  # Django would answer in HTML
            logger.exception("ocpi request failed", path=request.path_info[:200])
            return for_status(500)

    def _exchange(self, request: HttpRequest) -> HttpResponse:
        at, started, asked = timezone.now(), time.monotonic(), request.method
        if asked == "HEAD":
            request.method = "GET"
        ids = message_ids(request.headers)
        response = self._answer(request)
        for name, value in ids.items():
            response[name] = value
        _route(request, response)
        request.method = asked
        _log(request, response, ids, at=at, took=time.monotonic() - started)
        if asked == "HEAD":  # the answer to GET, but for its body
            response["Content-Length"] = str(len(response.content))
            response.content = b""
        return response

    def _answer(self, request: HttpRequest) -> HttpResponse:
        refusal = _refuse_early(request)
        if refusal is not None:
            return refusal
        # With or without a slash at the end, and never a redirect: a POST would arrive as a GET.
        request.path_info = request.path_info.rstrip("/") or "/"
        response = self.get_response(request)
        if isinstance(response, OcpiResponse):
            return response
        enveloped = for_status(response.status_code if response.status_code >= 400 else 404)
        for name in ("Allow", "Retry-After"):
            if name in response:
                enveloped[name] = response[name]
        if "Allow" in enveloped:
            offered = {name.strip() for name in enveloped["Allow"].split(",")}
            enveloped["Allow"] = ", ".join(sorted(offered | ({"HEAD"} if "GET" in offered else set())))
        return enveloped


def _refuse_early(request: HttpRequest) -> OcpiResponse | None:
    """What is refused before anybody looks at it: names that cannot exist, and bodies beyond the limit (unread)."""
    if _UNPRINTABLE.search(request.path_info):
        return for_status(404)
    declared = request.META.get("CONTENT_LENGTH") or "0"
    if not declared.isascii() or not declared.isdigit():
        return for_status(400)
    if int(declared) > MAX_BODY:
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


def _route(request: HttpRequest, response: HttpResponse) -> None:
    """From and to change places (OCPI 2.3.0 transport_and_format, Message routing)."""
    caller: Caller | None = getattr(request, "caller", None)
    if caller is None or _UNROUTED.match(request.path_info):
        return
    for direction, party in (("to", caller.from_party), ("from", caller.to_party)):
        if party is not None and all(part.isascii() and part.isprintable() for part in party):
            response[f"OCPI-{direction}-country-code"], response[f"OCPI-{direction}-party-id"] = party


def _log(
    request: HttpRequest, response: HttpResponse, ids: dict[str, str], *, at: datetime, took: float
) -> None:
    """A line for a known partner, cut and without tokens. A log that cannot be written spoils no answer."""
    partner = _partner(request, at=at, status=response.status_code)
    if partner is None:
        logger.info(
            "ocpi request without a known token", path=request.path_info[:200], status=response.status_code
        )
        return
    said = message_log.IncomingMessage(
        partner_id=partner.pk, at=at, method=(request.method or "")[:7],
        url=_UNPRINTABLE.sub("?", request.get_full_path())[:500],
        request_id=ids["X-Request-ID"][:64], correlation_id=ids["X-Correlation-ID"][:64],
        request_body=_loggable(getattr(request, "_body", b"")), response_body=_loggable(response.content),
        http_status=response.status_code, took_ms=int(took * 1000),
    )  # fmt: skip
    try:
        message_log.record_incoming(said)
    except DatabaseError:
        logger.warning("partner message not logged", exc_info=True)


def _partner(request: HttpRequest, *, at: datetime, status: int) -> Partner | None:
    """Whose request it was, also one that was refused before anybody asked for its token."""
    caller: Caller | None = getattr(request, "caller", None)
    if caller is not None:
        return caller.partner
    if status == 503:  # there is nobody to ask, and asking would take as long again
        return None
    try:
        token = token_of(request, now=at)
    except DatabaseError:
        return None
    return token.partner if token else None


def _loggable(body: bytes) -> str:
    """The beginning of a body, with every token struck out before it is cut."""
    text = _SECRET.sub(r"\1…\2", body.decode("utf-8", "replace"))
    return text[:LOGGED_BODY].replace("\x00", "")
