"""Calls to a partner's OCPI system: one request, one checked answer, one line in the message log.

Written for an event loop (the sender keeps hundreds of calls open); `in_thread` runs the same calls from a view or a
command. Nothing here touches the database: what was said is handed to `log`.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar
from urllib.parse import quote, urljoin, urlsplit

import httpcore
import httpx

from roaming.ocpi.url_guard import GuardedBackend, HostileAddress, check_url

CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 15.0
BOOKING_TIMEOUT_S = 10.0
# A page of a list may be long, every other answer is one object or none. What is longer than PARSED_AT_ONCE is parsed
# beside the event loop.
MAX_ANSWER, MAX_PAGE = 1024 * 1024, 8 * 1024 * 1024
PARSED_AT_ONCE = 64 * 1024
LOGGED = 20_000
EXCERPT = 200
NO_CONNECTION = "there is no connection to this address"
MAX_PAGES = 1000
MAX_NEXT_URL = 2000  # a Link repeats every filter; OCPI's 255 are for URLs in objects

# A token that is cut off at the end is one too.
_SECRET = re.compile(r'("\s*token\s*"\s*:\s*")(?:[^"\\]|\\.?)*("|$)', re.IGNORECASE)
_BROKEN = (httpcore.NetworkError, httpcore.ProtocolError, httpcore.UnsupportedProtocol)

Party = tuple[str, str]
T = TypeVar("T")


@dataclass(frozen=True)
class Peer:
    """Who is called, with which token, and between which parties (country code, party id) the message runs."""

    token: str
    partner_id: int | None = None
    sends_raw_token: bool = False
    from_party: Party | None = None
    to_party: Party | None = None

    def headers(self) -> dict[str, str]:
        token = self.token if self.sends_raw_token else base64.b64encode(self.token.encode()).decode()
        headers = {"Authorization": f"Token {token}"}
        for direction, party in (("from", self.from_party), ("to", self.to_party)):
            if party:
                headers[f"OCPI-{direction}-country-code"], headers[f"OCPI-{direction}-party-id"] = party
        return headers

    def unrouted(self) -> Peer:
        """The same for configuration modules, which carry no routing headers."""
        return replace(self, from_party=None, to_party=None)


@dataclass
class Exchange:
    """One request and what came of it, fit for the message log: no tokens, bodies cut."""

    partner_id: int | None
    method: str
    url: str
    request_id: str
    correlation_id: str
    request_body: str = ""
    http_status: int | None = None
    response_body: str = ""
    error: str = ""
    took_ms: int = 0


@dataclass(frozen=True)
class Answer:
    """An envelope that said yes: HTTP 2xx and a status code of 1xxx."""

    data: Any
    http_status: int
    status_code: int
    message: str
    headers: httpx.Headers = field(repr=False)


class CallFailed(Exception):
    """The partner did not say yes. `str()` is a sentence for the operator, `public` one for whoever named the address.

    The latter says nothing of where a name leads, or of what is or is not there: we may see more than who asks.
    """

    public: str = ""


class Unreachable(CallFailed):
    """No answer we could read. `maybe_received`: the request may have been carried out all the same."""

    def __init__(self, reason: str, *, maybe_received: bool = True, public: str = "") -> None:
        super().__init__(reason)
        self.maybe_received = maybe_received
        self.public = public or reason


class Refused(CallFailed):
    """A readable no: an HTTP error, or OCPI status 2xxx to 4xxx. `excerpt` is of a body that is no envelope."""

    def __init__(
        self, http_status: int, status_code: int | None, message: str, data: Any = None, *, excerpt: str = ""
    ) -> None:
        said = f"{status_code}" if status_code is not None else f"HTTP {http_status}"
        super().__init__(f"{said}: {message or excerpt or 'without a reason'}"[:280])
        self.public = str(self)
        self.http_status, self.status_code, self.message, self.data = http_status, status_code, message, data

    @property
    def is_their_fault(self) -> bool:
        """Not about what we sent: a server error, a hub's trouble, or too many requests."""
        if self.status_code is not None and self.status_code >= 3000:
            return True
        return self.http_status >= 500 or self.http_status in (408, 425, 429)


class Http:
    """A pool of connections that only leads to addresses a partner may have."""

    def __init__(
        self, log: Callable[[Exchange], None] = lambda exchange: None, max_connections: int = 400
    ) -> None:
        self.log = log
        self._client = httpx.AsyncClient(
            transport=_GuardedTransport(max_connections),
            timeout=httpx.Timeout(READ_TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
            follow_redirects=False,  # a redirect would carry the token to somebody else
            trust_env=False,
        )

    async def __aenter__(self) -> Http:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

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
        correlation_id: str = "",
    ) -> Answer:
        """Send one request; its answer has at most `most` bytes (MAX_ANSWER).

        Raises Refused for a no, Unreachable for anything that is not a readable answer.
        """
        exchange = Exchange(
            peer.partner_id, method, url, str(uuid.uuid4()), correlation_id or str(uuid.uuid4()), logged(body)
        )
        began = time.monotonic()
        try:
            return await self._exchange(peer, exchange, body, query, time_limit_s, most or MAX_ANSWER)
        except CallFailed as failure:
            exchange.error = str(failure)[:300]
            raise
        finally:
            exchange.took_ms = int((time.monotonic() - began) * 1000)
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
        try:
            check_url(exchange.url, max_length=MAX_NEXT_URL)
            request = self._client.build_request(
                exchange.method,
                exchange.url,
                params=query,
                content=None if body is None else json.dumps(body, separators=(",", ":"), allow_nan=False),
                headers={
                    **peer.headers(),
                    "X-Request-ID": exchange.request_id,
                    "X-Correlation-ID": exchange.correlation_id,
                    "Accept": "application/json",
                    # No compressed answers: a small one could grow past every limit.
                    "Accept-Encoding": "identity",
                    **({"Content-Type": "application/json"} if body is not None else {}),
                },
            )
            exchange.url = str(request.url)[:500]
            # The limit is on the whole exchange; a peer that sends a byte a second does not hold us.
            async with asyncio.timeout(CONNECT_TIMEOUT_S + time_limit_s):
                status, headers, content = await self._send(request, most)
        except HostileAddress as refusal:
            raise Unreachable(str(refusal), maybe_received=False, public=NO_CONNECTION) from refusal
        except (httpcore.ConnectError, httpcore.ConnectTimeout, httpcore.PoolTimeout) as error:
            raise Unreachable(
                f"no connection: {error or type(error).__name__}", maybe_received=False, public=NO_CONNECTION
            ) from error
        except (httpcore.TimeoutException, TimeoutError) as error:
            raise Unreachable("no answer in time") from error
        except (*_BROKEN, OSError) as error:
            raise Unreachable(
                f"the connection broke: {error or type(error).__name__}", public="the connection broke"
            ) from error
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise Unreachable(f"the call failed: {error}", public="the call failed") from error
        exchange.http_status, exchange.response_body = status, logged(content)
        if len(content) > PARSED_AT_ONCE:
            return await asyncio.to_thread(_read, status, headers, content)
        return _read(status, headers, content)

    async def _send(self, request: httpx.Request, most: int) -> tuple[int, httpx.Headers, bytes]:
        response = await self._client.send(request, stream=True)
        try:
            content = bytearray()
            async for chunk in response.aiter_raw():
                content += chunk
                if len(content) > most:
                    raise Unreachable(f"the answer is longer than {most >> 20} MiB")
            return response.status_code, response.headers, bytes(content)
        finally:
            await response.aclose()

    async def pages(
        self, peer: Peer, url: str, query: dict[str, str] | None = None
    ) -> AsyncIterator[list[Any]]:
        """Every page of a list, following `Link: …; rel="next"` as the partner gave it, on the partner's own host only.

        Raises like `call`; a crawl that ends without raising was complete.
        """
        seen: set[str] = set()
        page: str | None = url
        while page:
            if page in seen or len(seen) >= MAX_PAGES:
                raise Unreachable("the pages of the list do not come to an end", maybe_received=False)
            seen.add(page)
            answer = await self.call(peer, "GET", page, query=query if page == url else None, most=MAX_PAGE)
            if not isinstance(answer.data, list):
                raise Unreachable("the list is not a list", maybe_received=False)
            yield answer.data
            page = _next_page(page, answer.headers)


class _GuardedTransport(httpx.AsyncBaseTransport):
    """httpx on a connection pool that connects to checked addresses only."""

    def __init__(self, max_connections: int) -> None:
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=httpx.create_ssl_context(trust_env=False),
            max_connections=max_connections,
            max_keepalive_connections=max_connections // 4,
            keepalive_expiry=20.0,
            network_backend=GuardedBackend(),
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = await self._pool.handle_async_request(
            httpcore.Request(
                method=request.method,
                url=httpcore.URL(
                    scheme=request.url.raw_scheme,
                    host=request.url.raw_host,
                    port=request.url.port,
                    target=request.url.raw_path,
                ),
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
        )
        return httpx.Response(
            answer.status,
            headers=answer.headers,
            stream=_Stream(answer),
            extensions=answer.extensions,
        )

    async def aclose(self) -> None:
        await self._pool.aclose()


class _Stream(httpx.AsyncByteStream):
    def __init__(self, answer: httpcore.Response) -> None:
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._answer.aiter_stream():
            yield chunk

    async def aclose(self) -> None:
        await self._answer.aclose()


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


def logged(body: Any) -> str:
    """A body as the message log keeps it: its beginning, tokens blotted out; the rest is not even looked at.

    `token` is a text in credentials only; tokens of drivers are objects.
    """
    if body is None or body == b"":
        return ""
    if isinstance(body, bytes):
        text = body[: LOGGED * 4].decode("utf-8", "replace")
    else:
        text = json.dumps(body, ensure_ascii=False)
    return _SECRET.sub(r"\1…\2", text[: LOGGED + 200])[:LOGGED].replace("\x00", "")


def _read(status: int, headers: httpx.Headers, content: bytes) -> Answer:
    """The envelope of an answer. Success is HTTP 2xx and OCPI 1xxx; each layer alone is not trusted."""
    envelope: Any = None
    try:
        envelope = json.loads(content)
    except (ValueError, RecursionError):
        if 200 <= status < 300:
            raise Unreachable(f"the answer is not JSON: {_excerpt(content)}") from None
    said = envelope if isinstance(envelope, dict) else {}
    message = str(said.get("status_message") or "")
    code = _status_code(said.get("status_code"))
    if 200 <= status < 300 and code is None:
        raise Unreachable("the answer has no status_code")
    if not 200 <= status < 300 or code is None or not 1000 <= code < 2000:
        excerpt = _excerpt(content) if code is None else ""
        raise Refused(status, code, message, said.get("data"), excerpt=excerpt)
    return Answer(said.get("data"), status, code, message, headers)


def _excerpt(content: bytes) -> str:
    """The beginning of a body as one line of plain text, for whoever has to find out what the other server means."""
    text = " ".join(content[: EXCERPT * 4].decode("utf-8", "replace").split())
    printable = "".join(c if c.isprintable() else "?" for c in _SECRET.sub(r"\1…\2", text))
    return printable if len(printable) <= EXCERPT else f"{printable[:EXCERPT]}…"


def _status_code(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 6:
        return int(value)
    return value if isinstance(value, int) else None


def _next_page(page: str, headers: httpx.Headers) -> str | None:
    """The `next` of the Link headers, absolute. Raises Unreachable when it leads to another host."""
    for entry in httpx.Response(200, headers=headers).links.values():
        if "next" in str(entry.get("rel", "")).lower().split() and entry.get("url"):
            following = urljoin(page, str(entry["url"]))
            here, there = urlsplit(page), urlsplit(following)
            if (here.scheme, here.netloc.lower()) != (there.scheme, there.netloc.lower()):
                raise Unreachable(
                    f"the next page is on another host, {there.netloc[:80]}", maybe_received=False
                )
            return following
    return None
