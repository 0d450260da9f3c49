"""What holds for every request below /ocpi, whatever answers it: its size, its ids, its envelope, its line in the log.

A middleware, and the outermost one: an answer of Django's own (an unknown path, a forged Host) is put into an envelope
as well, and nothing redirects.
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable, Collection, Mapping
from datetime import datetime

import structlog
from django.core.handlers.wsgi import WSGIRequest
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.http.request import UnreadablePostError
from django.utils import timezone

from roaming import deviations, message_log
from roaming.models import PartnerMessage
from roaming.ocpi.auth import Caller, recognise, recognised
from roaming.ocpi.envelope import MAX_BODY, OcpiResponse, RefusalError, answer_to, field_of, for_status
from roaming.ocpi.logged_text import header_lines, logged, logged_address

logger = structlog.get_logger(__name__)

LOGGED_BODY = 16 * 1024
STRANGERS = 0  # stands for a partner's id
LONGEST_LENGTH = 20  # digits of a Content-Length; of thousands no number is made
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_CREDENTIALS = re.compile(r"/ocpi/[^/]+/credentials")
# Configuration modules carry no routing headers.
_UNROUTED = re.compile(r"^/ocpi/(versions|[^/]+|[^/]+/credentials|[^/]+/hubclientinfo(/.*)?)$")


class Floods:
    """Of what a partner sends beyond its rate, and of what strangers send, one message a second stands for all, in each process:
    a flood neither fills a log nor, counted there, keeps its partner waiting for longer than a minute after it."""

    def __init__(self) -> None:
        self._shown: dict[int, float] = {}

    def is_shown(self, partner_id: int, now: float) -> bool:
        """`now` in seconds of a clock that only goes forward."""
        if now - self._shown.get(partner_id, now - 1) < 1:
            return False
        self._shown[partner_id] = now
        return True


_floods = Floods()


def is_ocpi(path: str) -> bool:
    return path == "/ocpi" or path.startswith("/ocpi/")


def is_registration(path: str) -> bool:
    """Whether a request may have us call the caller before it is answered (2.3.0 credentials, POST and PUT)."""
    return _CREDENTIALS.fullmatch(path) is not None


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

    def _exchange(self, request: HttpRequest) -> OcpiResponse:
        at, started, asked = timezone.now(), time.monotonic(), request.method
        if asked == "HEAD":
            request.method = "GET"
        ids = message_ids(request.headers)
        with deviations.collecting() as odd:
            response = self._answer(request, at)
        for name, value in ids.items():
            response[name] = value
        _route(request, response)
        request.method = asked
        said = _log(request, response, ids, at=at, took=time.monotonic() - started)
        if said is not None:
            _count(said, response, odd)
        if asked == "HEAD":  # the answer to GET, but for its body
            response["Content-Length"] = str(len(response.content))
            response.content = b""
        return response

    def _answer(self, request: HttpRequest, at: datetime) -> OcpiResponse:
        refusal = _refuse_early(request)
        try:
            recognise(request, now=at)
        except RefusalError as beyond_rate:
            return answer_to(request, beyond_rate)
        except DatabaseError as error:
            return refusal or answer_to(request, error)
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


def _route(request: HttpRequest, response: HttpResponse) -> None:
    """From and to change places (OCPI 2.3.0 transport_and_format, Message routing)."""
    caller: Caller | None = getattr(request, "caller", None)
    if caller is None or _UNROUTED.match(request.path_info):
        return
    for direction, party in (("to", caller.from_party), ("from", caller.to_party)):
        if party is not None and all(part.isascii() and part.isprintable() for part in party):
            response[f"OCPI-{direction}-country-code"], response[f"OCPI-{direction}-party-id"] = party


def _log(
    request: HttpRequest, response: OcpiResponse, ids: dict[str, str], *, at: datetime, took: float
) -> message_log.IncomingMessage | None:
    """A line for a known partner, cut and without tokens. A log that cannot be written spoils no answer."""
    token = recognised(request)
    if token is None:
        if _floods.is_shown(STRANGERS, time.monotonic()):
            logger.info(
                "ocpi request without a known token",
                path=request.path_info[:200],
                status=response.status_code,
            )
        return None
    if response.status_code == 429 and not _floods.is_shown(token.partner_id, time.monotonic()):
        return None
    said = message_log.IncomingMessage(
        partner_id=token.partner_id, at=at, method=(request.method or "")[:7],
        url=logged_address(_UNPRINTABLE.sub("?", request.get_full_path()))[:500],
        request_id=ids["X-Request-ID"][:64], correlation_id=ids["X-Correlation-ID"][:64],
        request_headers=header_lines(request.headers.items()),
        request_body=logged(getattr(request, "_body", b""))[:LOGGED_BODY], response_body=logged(response.content)[:LOGGED_BODY],
        response_headers=header_lines(response.headers.items()), http_status=response.status_code,
        status_code=response.ocpi_status,
        outcome=message_log.outcome_of_answer(response.status_code, response.ocpi_status),
        took_ms=int(took * 1000),
    )  # fmt: skip
    try:
        message_log.record_incoming(said)
    except DatabaseError:
        logger.warning("partner message not logged", exc_info=True)
    return said


def _count(said: message_log.IncomingMessage, response: OcpiResponse, odd: Collection[str]) -> None:
    """What was odd about a message, and what it was refused for, with the message as the example."""
    is_refused = said.outcome == PartnerMessage.Outcome.REFUSED
    if not odd and not is_refused:
        return
    example = deviations.Example(
        said.at,
        said.method,
        said.url,
        said.request_body.encode(),
        said.response_body.encode() if is_refused else None,
        said.request_id,
    )
    try:
        deviations.record(said.partner_id, odd, example)
        if is_refused:
            rule = field_of(response.ocpi_message) or f"{said.method} {_module(said.url)}"
            deviations.record(said.partner_id, [rule], example, code=response.ocpi_status)
    except DatabaseError:
        logger.warning("deviations not counted", exc_info=True)


def _module(url: str) -> str:
    """What a path of ours is about: /ocpi/cpo/2.3.0/<module>/…, else all of it."""
    parts = url.partition("?")[0].strip("/").split("/")
    return parts[3] if len(parts) > 3 else "/".join(parts[1:])
