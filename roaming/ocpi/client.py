"""Calls to a partner's OCPI system: one request, one checked answer, one line in the message log.

Written for an event loop (the sender keeps hundreds of calls open); `in_thread` runs the same calls from a view or a
command. Nothing here touches the database: what was said is handed to `log`.
"""

from __future__ import annotations

import asyncio
import base64
import json
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, TypeVar
from urllib.parse import quote, urljoin, urlsplit

import httpx

from depots.http_connection import AnswerTooLong, BrokenConnection, RawRequest
from depots.url_guard import HostileAddress, check_url
from roaming.ocpi import partner_json
from roaming.ocpi.call_failures import CallFailed, Refused, Unreachable
from roaming.ocpi.connections import Connections, NotConnected, Origin
from roaming.ocpi.logged_text import excerpt_of, header_lines, logged

CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 15.0
BOOKING_TIMEOUT_S = 10.0
# A page of a list may be long, every other answer is one object or none. What is longer than PARSED_AT_ONCE is parsed
# beside the event loop.
MAX_ANSWER, MAX_PAGE = 1024 * 1024, 8 * 1024 * 1024
PARSED_AT_ONCE = 64 * 1024
NO_CONNECTION = "there is no connection to this address"
MAX_PAGES, MAX_LISTED = 1000, 1_000_000
SHORTEST_TOKEN = 6  # what is shorter stands in any text
MAX_NEXT_URL = 2000  # a Link repeats every filter; OCPI's 255 are for URLs in objects

Party = tuple[str, str]
T = TypeVar("T")


@dataclass(frozen=True)
class Peer:
    """Who is called, with which token, and between which parties (country code, party id) the message runs. `is_callback`: the
    HTTP status alone says whether it was taken; not everybody answers to the result of a command in an envelope."""

    token: str
    partner_id: int | None = None
    sends_raw_token: bool = False
    from_party: Party | None = None
    to_party: Party | None = None
    is_callback: bool = False

    def headers(self) -> dict[str, str]:
        token = self.token if self.sends_raw_token else base64.b64encode(self.token.encode()).decode()
        headers = {"Authorization": f"Token {token}"}
        for direction, party in (("from", self.from_party), ("to", self.to_party)):
            if party:
                headers[f"OCPI-{direction}-country-code"], headers[f"OCPI-{direction}-party-id"] = party
        return headers

    def without_token(self, text: str) -> str:
        """What was said by whoever was called, in either spelling of the token."""
        encoded = base64.b64encode(self.token.encode()).decode()
        for secret in (self.token, encoded):
            text = text.replace(secret, "…") if len(secret) >= SHORTEST_TOKEN else text
        return text

    def unrouted(self) -> Peer:
        """The same for configuration modules, which carry no routing headers."""
        return replace(self, from_party=None, to_party=None)


@dataclass(frozen=True)
class Target:
    """A URL as a request names it: the connection it takes, the Host header, and the path with its query."""

    url: str
    origin: Origin
    host: str
    path: str

    @classmethod
    @lru_cache(maxsize=2000)
    def of(cls, url: str, query: tuple[tuple[str, str], ...] = ()) -> Target:
        """Raises httpx.InvalidURL. Partners' URLs come again and again."""
        parsed = httpx.URL(url)
        if query:
            parsed = parsed.copy_merge_params(dict(query))
        is_tls = parsed.scheme == "https"
        # Not `host`: that is decoded, and a name with "ß" would be looked up under the older IDNA, which is another name.
        origin = Origin(is_tls, parsed.raw_host.decode("ascii"), parsed.port or (443 if is_tls else 80))
        return cls(str(parsed), origin, parsed.netloc.decode("ascii"), parsed.raw_path.decode("ascii"))


@dataclass(frozen=True)
class Written:
    """A body as it goes out and as the log keeps it, written once for all who get the same."""

    content: bytes
    logged: str

    @classmethod
    def of(cls, body: Any) -> Written:
        return cls(json.dumps(body, separators=(",", ":"), allow_nan=False).encode(), logged(body))


@dataclass
class Exchange:
    """One request and what came of it, fit for the message log: no tokens, bodies cut, headers as lines.

    `is_answered` by a yes, `is_refused` by a no; neither where nothing came that we could read, or their server failed.
    """

    partner_id: int | None
    method: str
    url: str
    request_id: str
    correlation_id: str
    request_body: str = ""
    http_status: int | None = None
    status_code: int | None = None
    response_body: str = ""
    error: str = ""
    took_ms: int = 0
    request_headers: str = ""
    response_headers: str = ""
    is_answered: bool = False
    is_refused: bool = False


@dataclass(frozen=True)
class Answer:
    """An envelope that said yes: HTTP 2xx and a status code of 1xxx."""

    data: Any
    http_status: int
    status_code: int
    message: str
    headers: httpx.Headers = field(repr=False)


class Http:
    """Calls over connections that only lead to addresses a partner may have.

    A redirect is an answer like any other: followed, it would carry the token to somebody else.
    """

    def __init__(
        self, log: Callable[[Exchange], None] = lambda exchange: None, max_connections: int = 400
    ) -> None:
        self.log = log
        self._connections = Connections(max_connections)

    async def __aenter__(self) -> Http:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._connections.close()

    async def call(
        self,
        peer: Peer,
        method: str,
        url: str,
        *,
        body: Any = None,
        query: dict[str, str] | None = None,
        time_limit_s: float = READ_TIMEOUT_S,
        most: int | None = None,
    ) -> Answer:
        """Send one request; its answer has at most `most` bytes (MAX_ANSWER). A `Written` body goes out as it is.

        Raises Refused for a no, Unreachable for anything that is not a readable answer.
        """
        request_id, correlation_id = str(uuid.uuid4()), str(uuid.uuid4())
        exchange = Exchange(peer.partner_id, method, url, request_id, correlation_id)
        exchange.request_body = body.logged if isinstance(body, Written) else logged(body)
        began = time.monotonic()
        try:
            answer = await self._exchange(peer, exchange, body, query, time_limit_s, most or MAX_ANSWER)
            exchange.status_code, exchange.is_answered = answer.status_code, True
            return answer
        except CallFailed as failure:
            failure.strike_out(peer)
            exchange.error = str(failure)[:300]
            if isinstance(failure, Refused):
                exchange.status_code, exchange.is_refused = failure.status_code, not failure.is_their_fault
            raise
        finally:
            exchange.took_ms = int((time.monotonic() - began) * 1000)
            exchange.response_body = peer.without_token(exchange.response_body)
            self.log(exchange)

    async def _exchange(
        self,
        peer: Peer,
        exchange: Exchange,
        body: Any,
        query: dict[str, str] | None,
        time_limit_s: float,
        most: int,
    ) -> Answer:
        request = RawRequest(b"")
        try:
            origin, request.content = _request(peer, exchange, body, query)
            # The limit is on the whole exchange; a peer that sends a byte a second does not hold us.
            async with asyncio.timeout(CONNECT_TIMEOUT_S + time_limit_s):
                raw = await self._connections.ask(
                    origin, request, most=most, connect_timeout_s=CONNECT_TIMEOUT_S
                )
        except HostileAddress as refusal:
            raise Unreachable(str(refusal), maybe_received=False, public=NO_CONNECTION) from refusal
        except NotConnected as error:
            raise Unreachable(
                f"no connection: {error or type(error).__name__}", maybe_received=False, public=NO_CONNECTION
            ) from error
        except AnswerTooLong as error:
            raise Unreachable(f"the answer is longer than {most >> 20} MiB") from error
        except (TimeoutError, BrokenConnection, OSError, httpx.InvalidURL, ValueError) as error:
            raise _unreachable(error, is_sent=request.may_have_arrived) from error
        status, headers, content = raw.status, httpx.Headers(raw.headers), bytes(raw.content)
        exchange.http_status, exchange.response_body = status, logged(content)
        if peer.is_callback and 200 <= status < 300:
            return Answer(None, status, 1000, "", headers)
        exchange.response_headers = header_lines(
            (name.decode("latin-1"), value.decode("latin-1")) for name, value in raw.headers
        )
        if len(content) > PARSED_AT_ONCE:
            return await asyncio.to_thread(_read, status, headers, content)
        return _read(status, headers, content)

    async def pages(
        self, peer: Peer, url: str, query: dict[str, str] | None = None
    ) -> AsyncIterator[list[Any]]:
        """Every page of a list, following `Link: …; rel="next"` as the partner gave it, on the partner's own host only.

        Raises like `call`; a crawl that ends without raising was complete.
        """
        seen: set[str] = set()
        listed, page = 0, url
        while page:
            if page in seen or len(seen) >= MAX_PAGES or listed > MAX_LISTED:
                raise Unreachable("the pages of the list do not come to an end", maybe_received=False)
            seen.add(page)
            answer = await self.call(peer, "GET", page, query=query if page == url else None, most=MAX_PAGE)
            if not isinstance(answer.data, list):
                raise Unreachable("the list is not a list", maybe_received=False)
            yield answer.data
            listed += len(answer.data)
            page = _next_page(page, answer.headers)


@asynccontextmanager
async def opened(log: Callable[[Exchange], None]) -> AsyncIterator[Http]:
    async with Http(log, max_connections=10) as http:
        yield http


def in_thread(conversation: Callable[[Http], Awaitable[T]], log: Callable[[Exchange], None]) -> T:
    """Run a conversation to its end from code without an event loop; failed or not, it is logged afterwards."""
    said: list[Exchange] = []

    async def run() -> T:
        async with opened(said.append) as http:
            return await conversation(http)

    try:
        return asyncio.run(run())
    finally:
        for exchange in said:
            log(exchange)


def joined(base: str, *segments: str) -> str:
    """A partner's endpoint URL with path segments below it, whether or not the URL ends in a slash."""
    return "/".join([base.rstrip("/"), *(quote(segment, safe="") for segment in segments)])


def _request(peer: Peer, exchange: Exchange, body: Any, query: dict[str, str] | None) -> tuple[Origin, bytes]:
    """Where to, and what goes out; the URL is checked. Raises HostileAddress, httpx.InvalidURL and ValueError."""
    check_url(exchange.url, max_length=MAX_NEXT_URL)
    target = Target.of(exchange.url, tuple(query.items()) if query else ())
    exchange.url = target.url[:500]
    headers = {
        "Host": target.host,
        **peer.headers(),
        "X-Request-ID": exchange.request_id,
        "X-Correlation-ID": exchange.correlation_id,
        "User-Agent": "Berth",
        "Accept": "application/json",
        # No compressed answers: a small one could grow past every limit.
        "Accept-Encoding": "identity",
    }
    exchange.request_headers = header_lines(headers.items())
    content = b""
    if body is not None:
        content = (body if isinstance(body, Written) else Written.of(body)).content
        headers |= {"Content-Type": "application/json", "Content-Length": str(len(content))}
    head = [
        f"{exchange.method} {target.path} HTTP/1.1",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    if any("\r" in line or "\n" in line for line in head):
        raise ValueError("a header with a line break")
    return target.origin, "\r\n".join([*head, "", ""]).encode("latin-1") + content


def _unreachable(error: Exception, *, is_sent: bool) -> Unreachable:
    """What is told of a call that ended without an answer, or never went out."""
    if isinstance(error, TimeoutError):
        reason = public = "no answer in time" if is_sent else "no connection in time"
    elif isinstance(error, BrokenConnection | OSError):
        public = "the connection broke"
        reason = f"{public}: {error or type(error).__name__}"
    else:
        public = "the call failed"
        reason = f"{public}: {error}"
    return Unreachable(reason, maybe_received=is_sent, public=public if is_sent else NO_CONNECTION)


def _read(status: int, headers: httpx.Headers, content: bytes) -> Answer:
    """The envelope of an answer. Success is HTTP 2xx and OCPI 1xxx; each layer alone is not trusted."""
    envelope: Any = None
    try:
        envelope = partner_json.parsed(content)
    except (ValueError, RecursionError):
        if 200 <= status < 300:
            raise Unreachable(f"the answer is not JSON: {excerpt_of(content)}") from None
    said = envelope if isinstance(envelope, dict) else {}
    message = str(said.get("status_message") or "")
    code = _status_code(said.get("status_code"))
    if 200 <= status < 300 and code is None:
        raise Unreachable("the answer has no status_code")
    if not 200 <= status < 300 or code is None or not 1000 <= code < 2000:
        excerpt = excerpt_of(content) if code is None else ""
        raise Refused(status, code, message, said.get("data"), excerpt=excerpt)
    return Answer(said.get("data"), status, code, message, headers)


def _status_code(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 6:
        return int(value)
    return value if isinstance(value, int) else None


def _next_page(page: str, headers: httpx.Headers) -> str:
    """The `next` of the Link headers, absolute; empty where there is none. Raises Unreachable when it leads to another host."""
    for entry in httpx.Response(200, headers=headers).links.values():
        if "next" in str(entry.get("rel", "")).lower().split() and entry.get("url"):
            following = urljoin(page, str(entry["url"]))
            here, there = urlsplit(page), urlsplit(following)
            if (here.scheme, here.netloc.lower()) != (there.scheme, there.netloc.lower()):
                raise Unreachable(
                    f"the next page is on another host, {there.netloc[:80]}", maybe_received=False
                )
            return following
    return ""
