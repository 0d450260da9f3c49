"""Files a charger fetches and hands over when its CSMS says so: firmware, diagnostics, logs. By HTTP(S) and FTP."""

from __future__ import annotations

import asyncio
import ftplib
import io
from collections.abc import Callable
from typing import Any
from urllib.error import HTTPError
from urllib.parse import unquote, urlsplit
from urllib.request import Request, urlopen

TIMEOUT_S = 20
LARGEST_DOWNLOAD = 8 * 1024 * 1024


class TransferFailed(Exception):
    """Says why."""


async def upload(url: str, name: str, content: bytes) -> None:
    """Hand a file over under this name. Raises TransferFailed."""
    await _in_thread(_upload, url, name, content)


async def download(url: str) -> bytes:
    """Raises TransferFailed."""
    content: bytes = await _in_thread(_download, url)
    return content


async def _in_thread(work: Callable[..., Any], *args: Any) -> Any:
    try:
        return await asyncio.to_thread(work, *args)
    except (OSError, ValueError, EOFError, ftplib.Error) as fault:
        raise TransferFailed(str(fault)) from None


def _upload(url: str, name: str, content: bytes) -> None:
    place = urlsplit(url)
    if place.scheme in {"http", "https"}:
        target = f"{url.rstrip('/')}/{name}" if url.endswith("/") else url
        try:
            _send(target, "PUT", content)
        except HTTPError as refusal:
            if refusal.code != 405:
                raise
            _send(target, "POST", content)
    else:
        with _ftp(url) as server:
            server.storbinary(f"STOR {name}", io.BytesIO(content))


def _download(url: str) -> bytes:
    if urlsplit(url).scheme in {"http", "https"}:
        with urlopen(url, timeout=TIMEOUT_S) as answer:  # noqa: S310 - of these schemes only
            content: bytes = answer.read(LARGEST_DOWNLOAD)
        return content
    taken = io.BytesIO()
    with _ftp(url) as server:
        server.retrbinary(f"RETR {unquote(urlsplit(url).path)}", taken.write)
    return taken.getvalue()


def _send(url: str, method: str, content: bytes) -> None:
    with urlopen(Request(url, content, method=method), timeout=TIMEOUT_S):  # noqa: S310 - of these schemes only
        pass


def _ftp(url: str) -> ftplib.FTP:
    place = urlsplit(url)
    if place.scheme not in {"ftp", "ftps"} or not place.hostname:
        raise ValueError(f"no way is known to {url[:100]}")
    server = ftplib.FTP_TLS() if place.scheme == "ftps" else ftplib.FTP()  # noqa: S321 - what OCPP 1.6 names
    server.connect(place.hostname, place.port or 21, timeout=TIMEOUT_S)
    server.login(unquote(place.username or "anonymous"), unquote(place.password or ""))
    return server
