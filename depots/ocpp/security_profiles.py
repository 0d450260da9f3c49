"""OCPP's security profiles: what a connection shows of who it is, held against what its charger has to show.

0 nothing, 1 a password, 2 a password over TLS, 3 a client certificate whose name is the identity. More than is asked for is
always enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from depots.models import RefusedConnection
from depots.ocpp.credentials import Password
from depots.standards import PROTOCOLS

Reason = RefusedConnection.Reason


@dataclass(frozen=True)
class ShownCertificate:
    """`fault` is why it does not count (RefusedConnection.Reason), None where it does."""

    fault: Reason | None = None

    @property
    def is_the_charger(self) -> bool:
        """One that was revoked or replaced, or has expired, names the charger, too."""
        return self.fault in {None, Reason.REVOKED, Reason.REPLACED, Reason.EXPIRED}


@dataclass(frozen=True)
class Shown:
    """What a connection shows of who it is; `certificate` is None where none came."""

    password: Password
    is_encrypted: bool
    certificate: ShownCertificate | None
    protocols: Sequence[str]

    @property
    def has_password(self) -> bool:
        return self.password != Password.NONE

    @property
    def profile(self) -> int:
        if self.certificate is not None and self.certificate.fault is None:
            return 3
        return (2 if self.is_encrypted else 1) if self.has_password else 0

    @property
    def is_the_charger(self) -> bool:
        """Did it prove who it is? Only then it is told what is missing; a stranger learns nothing."""
        return self.has_password or (self.certificate is not None and self.certificate.is_the_charger)

    @property
    def speaks_16(self) -> bool:
        return next((name for name in self.protocols if name in PROTOCOLS), "ocpp1.6") == "ocpp1.6"


def refusal(shown: Shown, demanded: int) -> str:
    """Why it may not come in (RefusedConnection.Reason); empty when it may."""
    if shown.profile >= demanded:
        return "" if shown.profile or shown.speaks_16 else Reason.NOT_16
    if not shown.is_the_charger:
        return Reason.OTHER_NAME if shown.certificate else Reason.WRONG_PASSWORD
    if not shown.is_encrypted:
        return Reason.NO_TLS
    if demanded == 3:
        return (shown.certificate and shown.certificate.fault) or Reason.NO_CERTIFICATE
    return Reason.WRONG_PASSWORD
