"""TLS as a charger speaks it: whom it trusts, and the certificate it shows (security profiles 2 and 3)."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ClientTls:
    """PEM files: `ca` the roots of the CSMS's certificate, those of the system where it is None; `certificate` the charger's
    own, with its chain, and `key` its key."""

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def context(self, installed: str = "") -> ssl.SSLContext:
        """Read anew for each connection: the files may have changed. `installed` are further roots, as PEM. Raises OSError."""
        context = ssl.create_default_context(cafile=self.ca)
        if installed:
            context.load_verify_locations(cadata=installed)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.certificate:
            context.load_cert_chain(self.certificate, self.key)
        return context
