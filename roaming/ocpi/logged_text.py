"""What of a message may be kept and shown: its beginning, without tokens."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

LOGGED = 20_000
LOGGED_HEADERS, LONGEST_HEADER = 4_000, 500
EXCERPT = 200

# A letter of a key may be written as its code; a token that is cut off at the end is one too.
_TOKEN = "".join(rf"(?:{c}|\\u00{ord(c):02x}|\\u00{ord(c.upper()):02x})" for c in "token")
_SECRET = re.compile(rf'("\s*{_TOKEN}\s*"\s*:\s*")(?:[^"\\]|\\.?)*("|$)', re.IGNORECASE)
# In an address, where nobody has to send one.
_IN_ADDRESS = re.compile(r"([?&](?:token|authorization|access_token|api_?key)=)[^&#]*", re.IGNORECASE)
_SECRET_HEADERS = {"authorization", "proxy-authorization", "cookie", "set-cookie"}


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


def logged_address(url: str) -> str:
    """An address with its query, without what looks like a token in it."""
    return _IN_ADDRESS.sub(r"\1…", url)


def header_lines(headers: Iterable[tuple[str, str]]) -> str:
    """Headers as the message log keeps them: a line each, and of who authorises or signs in nothing but the scheme."""
    lines = [
        f"{name}: {value.partition(' ')[0][:20] + ' …' if name.lower() in _SECRET_HEADERS else value[:LONGEST_HEADER]}"
        for name, value in headers
    ]
    return "\n".join(lines)[:LOGGED_HEADERS].replace("\x00", "")


def excerpt_of(content: bytes) -> str:
    """The beginning of a body as one line of plain text, for whoever has to find out what the other server means."""
    text = " ".join(content[: EXCERPT * 4].decode("utf-8", "replace").split())
    printable = "".join(c if c.isprintable() else "?" for c in _SECRET.sub(r"\1…\2", text))
    return printable if len(printable) <= EXCERPT else f"{printable[:EXCERPT]}…"
