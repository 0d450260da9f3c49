"""One call of a webhook by Standard Webhooks: signed, to a checked address, no redirects, and little of its answer read."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from datetime import datetime
from urllib.parse import urlsplit

from standardwebhooks import Webhook as Signer

from bookings.webhooks.deliveries import Claim, Outcome
from depots import url_guard
from depots.http_connection import AnswerTooLong, BrokenConnection, HttpConnection, RawAnswer, RawRequest
from depots.periods import utc_text
from depots.secrets import UnreadableSecretError, decrypt
from depots.url_guard import HostileAddress

CONNECT_TIMEOUT_S, ANSWER_TIMEOUT_S = 5.0, 15.0
MOST_ANSWER = 64 * 1024
MOST_LOGGED = 500


async def call(claim: Claim, *, tls: ssl.SSLContext, now: datetime) -> Outcome:
    """Send it once. Never raises for what the other end does."""
    began = time.monotonic()
    try:
        answer = await _sent(claim, tls, now)
    except HostileAddress as refusal:
        found = Outcome(error=str(refusal)[:200])
    except AnswerTooLong:
        found = Outcome(error=f"the answer is longer than {MOST_ANSWER >> 10} KiB")
    except TimeoutError:
        found = Outcome(error="no answer in time")
    except UnreadableSecretError as error:
        found = Outcome(error=str(error)[:200])
    except (BrokenConnection, OSError, ValueError) as error:
        found = Outcome(error=f"no connection: {error or type(error).__name__}"[:200])
    else:
        found = Outcome(status=answer.status, answer=_shown(bytes(answer.content)))
    took_ms = int((time.monotonic() - began) * 1000)
    return Outcome(found.status, found.answer, found.error, took_ms)


def body_of(claim: Claim) -> str:
    """`{"type", "timestamp", "data"}`; the same each time it is sent."""
    told = {
        "type": claim.type,
        "timestamp": utc_text(claim.at, timespec="milliseconds"),
        "data": claim.content,
    }
    return json.dumps(told, separators=(",", ":"), ensure_ascii=False)


def headers_of(claim: Claim, body: str, *, now: datetime) -> dict[str, str]:
    """Standard Webhooks: the id stays the same with each attempt, the time is that of the attempt."""
    return {
        "webhook-id": claim.message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Signer(decrypt(claim.secret)).sign(claim.message_id, now, body),
    }


async def _sent(claim: Claim, tls: ssl.SSLContext, now: datetime) -> RawAnswer:
    url_guard.check_url(claim.url)
    parts = urlsplit(claim.url)
    is_tls = parts.scheme == "https"
    request = _request(claim, now)
    async with asyncio.timeout(CONNECT_TIMEOUT_S + ANSWER_TIMEOUT_S):
        connection = await url_guard.connect(
            HttpConnection, parts.hostname or "", parts.port or (443 if is_tls else 80),
            tls=tls if is_tls else None, timeout_s=CONNECT_TIMEOUT_S,
        )  # fmt: skip
        try:
            return await connection.ask(request, most=MOST_ANSWER)
        finally:
            connection.hang_up()


def _request(claim: Claim, now: datetime) -> RawRequest:
    parts, body = urlsplit(claim.url), body_of(claim)
    content = body.encode()
    headers = {
        "Host": parts.netloc,
        "User-Agent": "Berth",
        "Content-Type": "application/json",
        "Content-Length": str(len(content)),
        "Accept-Encoding": "identity",
        "Connection": "close",
        **headers_of(claim, body, now=now),
    }
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    head = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return RawRequest("\r\n".join(head).encode("ascii") + content)


def _shown(content: bytes) -> str:
    """The beginning of an answer, fit for a page and a column."""
    text = content[: MOST_LOGGED * 4].decode("utf-8", errors="replace")
    return "".join(sign if sign.isprintable() else " " for sign in text)[:MOST_LOGGED]
