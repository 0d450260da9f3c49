"""TLS at the gateway (security profiles 2 and 3): certificates that are read anew when their files change.

A connection keeps the context it was made with, so chargers that are connected notice nothing of another certificate.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.db import DatabaseError
from psycopg_pool import PoolTimeout

from depots.client_address import client_network
from depots.ocpp.handshakes import PEER

logger = logging.getLogger(__name__)

MOST_FAILED_ADDRESSES = 1000

# TLS 1.2 as OCPP asks of a CSMS (A00.FR.310 and following): chargers that know no key exchange but RSA's come last.
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20:AES128-GCM-SHA256:AES256-GCM-SHA384"


@dataclass(frozen=True)
class TlsFiles:
    """`client_ca` holds the roots of client certificates in PEM, None where chargers bring none of theirs; intermediate ones
    may stand beside them."""

    certificate: Path
    key: Path
    client_ca: Path | None = None

    def stamp(self) -> tuple[Any, ...]:
        """Differs once any of them was written. Raises OSError."""
        files = (self.certificate, self.key, self.client_ca)
        return tuple((s.st_mtime_ns, s.st_size, s.st_ino) for file in files if file for s in [file.stat()])


class _ReportingObject(ssl.SSLObject):
    """A handshake that fails says why, and from where: OpenSSL gives away no certificate that it has not found to be right."""

    failures: HandshakeFailures
    peer = ""

    def do_handshake(self) -> None:
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as fault:
            reason = getattr(fault, "verify_message", "") or (fault.reason or "").replace("_", " ").lower()
            if self.failures.note(self.peer, reason):
                logger.warning("A TLS handshake failed, from %s: %s", self.peer or "somewhere", reason)
            raise


class HandshakeFailures:
    """Counted by address, of IPv6 by its /64, until they are written down; a flood costs an entry of a bounded map."""

    def __init__(self) -> None:
        self._waiting: dict[str, tuple[str, int]] = {}

    def note(self, address: str, reason: str) -> bool:
        """Whether it is the first of its address since the last were taken: logged once it is said often enough."""
        address = client_network(address)
        known = self._waiting.get(address)
        if known is not None or len(self._waiting) < MOST_FAILED_ADDRESSES:
            self._waiting[address] = reason[:100], known[1] + 1 if known else 1
            return known is None
        return False

    def take(self) -> dict[str, tuple[str, int]]:
        """{address: (the last reason, how many)} since they were taken last."""
        taken, self._waiting = self._waiting, {}
        taken.pop("", None)
        return taken


class ServerTls(ssl.SSLContext):
    """The context to listen with. `reload` makes the next handshakes use what the files hold now.

    `own_roots()` gives roots of client certificates that are kept elsewhere, as PEM. Raises OSError (ssl.SSLError is one)
    where the files cannot be used.
    """

    def __new__(cls, files: TlsFiles, own_roots: Callable[[], str] = lambda: "") -> ServerTls:
        return super().__new__(cls, ssl.PROTOCOL_TLS_SERVER)

    def __init__(self, files: TlsFiles, own_roots: Callable[[], str] = lambda: "") -> None:
        self._files, self._own_roots = files, own_roots
        self.failures = HandshakeFailures()
        self._roots = ""
        self._stamp = (*files.stamp(), self._read_roots())
        self._current = _context(files, self._roots)

    def reload(self) -> bool:
        """Whether anything had changed. Files that cannot be used leave what stands; they are tried again."""
        try:
            stamp = (*self._files.stamp(), self._read_roots())
            if stamp == self._stamp:
                return False
            self._current = _context(self._files, self._roots)
        except OSError as fault:
            logger.warning("The certificates at the gateway stay as they are: %s", fault)
            return False
        self._stamp = stamp
        logger.info("The gateway uses the certificates of %s", self._files.certificate)
        return True

    def _read_roots(self) -> str:
        """Those read last while the database is away."""
        try:
            self._roots = self._own_roots()
        except (DatabaseError, PoolTimeout) as fault:
            logger.warning("Berth's own roots of client certificates cannot be read: %s", fault)
        return self._roots

    def wrap_bio(self, *args: Any, **options: Any) -> ssl.SSLObject:
        """What asyncio begins a connection with."""
        made = self._current.wrap_bio(*args, **options)
        assert isinstance(made, _ReportingObject)
        made.failures, made.peer = self.failures, PEER.get()
        return made


def _context(files: TlsFiles, own_roots: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.sslobject_class = _ReportingObject
    context.load_cert_chain(files.certificate, files.key)
    if files.client_ca:
        context.load_verify_locations(files.client_ca)
    if own_roots:
        context.load_verify_locations(cadata=own_roots)
    if files.client_ca or own_roots:
        # A charger with a password alone is as welcome: its profile decides. One that brings a certificate is held to it.
        context.verify_mode = ssl.CERT_OPTIONAL
    return context
