"""Calling the platform that is checked, and keeping what it answers."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx

Json = Any
Party = tuple[str, str]  # country code, party id
ANSWER_S = 30.0
MOST_PAGES = 200


class NoAnswer(Exception):
    """Nothing came, or no HTTP."""


@dataclass(frozen=True)
class Answer:
    method: str
    url: str
    sent: Mapping[str, str]
    status: int
    headers: httpx.Headers
    text: str

    @property
    def body(self) -> Json:
        """None where it is not JSON."""
        try:
            return json.loads(self.text)
        except ValueError:
            return None

    @property
    def code(self) -> int | None:
        """OCPI's `status_code`."""
        code = self.body.get("status_code") if isinstance(self.body, dict) else None
        return code if isinstance(code, int) else None

    @property
    def data(self) -> Json:
        return self.body.get("data") if isinstance(self.body, dict) else None

    @property
    def message(self) -> str:
        told = self.body.get("status_message") if isinstance(self.body, dict) else None
        return str(told or "")

    @property
    def is_success(self) -> bool:
        return self.status < 300 and self.code is not None and 1000 <= self.code < 2000

    @property
    def next_url(self) -> str:
        """Of the `Link` header, resolved against the address that was asked."""
        for link in httpx.Response(200, headers=self.headers).links.values():
            if "next" in str(link.get("rel", "")).split():
                return str(httpx.URL(self.url).join(str(link["url"])))
        return ""

    def __str__(self) -> str:
        path = httpx.URL(self.url).raw_path.decode()
        return f"{self.method} {path} gave HTTP {self.status}, {self.code or 'no status_code'} {self.message[:120]}".rstrip()


@dataclass
class Caller:
    """`token` is what is sent; `sender` the party in `OCPI-from-*`. Every answer is kept in `answers`."""

    token: str
    sender: Party
    answers: list[Answer] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._http = httpx.Client(timeout=ANSWER_S, trust_env=False, follow_redirects=False)

    def close(self) -> None:
        self._http.close()

    def send(
        self,
        method: str,
        url: str,
        body: Json = None,
        *,
        to: Party | None = None,
        sender: Party | None = None,
        routed: bool = True,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """A body of bytes goes as it is. `routed`: with routing headers, which configuration modules do not have.

        Raises NoAnswer.
        """
        sent = self._headers(to, sender or self.sender, routed=routed) | dict(headers or {})
        content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        if content is not None:
            sent["Content-Type"] = "application/json"
        try:
            told = self._http.request(method, url, content=content, headers=sent)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise NoAnswer(f"{method} {url}: {error or type(error).__name__}") from error
        answer = Answer(method, url, sent, told.status_code, told.headers, told.text)
        self.answers.append(answer)
        return answer

    def _headers(self, to: Party | None, sender: Party, *, routed: bool) -> dict[str, str]:
        sent = {
            "X-Request-ID": str(uuid.uuid4()),
            "X-Correlation-ID": str(uuid.uuid4()),
            "Authorization": authorization(self.token),
        }
        if routed:
            sent |= {"OCPI-from-country-code": sender[0], "OCPI-from-party-id": sender[1]}
        if routed and to:
            sent |= {"OCPI-to-country-code": to[0], "OCPI-to-party-id": to[1]}
        return sent

    def pages(self, url: str, **more: Any) -> Iterator[Answer]:
        """A list, page by page, along its `Link` headers as they are given. Ends with the first page that is no success."""
        link, seen = url, 0
        while link and seen < MOST_PAGES:
            answer = self.send("GET", link, **more)
            yield answer
            link, seen = answer.next_url if answer.is_success else "", seen + 1


def authorization(token: str) -> str:
    return f"Token {base64.b64encode(token.encode()).decode()}"


def time_text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def read_time(text: str) -> datetime:
    """Raises ValueError."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
