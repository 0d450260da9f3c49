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
class Shown:
    """`certificate` is "valid", a Reason why one that came does not count, or empty where none came."""

    password: Password
    is_encrypted: bool
    certificate: str
    protocols: Sequence[str]

    @property
    def has_password(self) -> bool:
        return self.password != Password.NONE

    @property
    def profile(self) -> int:
        if self.certificate == "valid":
            return 3
        return (2 if self.is_encrypted else 1) if self.has_password else 0

    @property
    def is_the_charger(self) -> bool:
        """Did it prove who it is? Only then it is told what is missing; a stranger learns nothing."""
        return self.has_password or self.certificate in {"valid", Reason.REVOKED, Reason.REPLACED}

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
        return shown.certificate or Reason.NO_CERTIFICATE
    return Reason.WRONG_PASSWORD
