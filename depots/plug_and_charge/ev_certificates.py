"""Contract certificates for vehicles (ISO 15118 certificate installation): made by a provider outside, where one is named."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Protocol, cast

from django.conf import settings
from django.utils.module_loading import import_string


@dataclass(frozen=True)
class EvCertificateRequest:
    """As the vehicle sent it, in EXI, base64. `action` is Install or Update; `emaids` those asked for first (OCPP 2.1)."""

    schema_version: str
    action: str
    exi: str
    most_contracts: int | None = None
    emaids: tuple[str, ...] = ()


@dataclass(frozen=True)
class EvCertificateAnswer:
    """`exi` is what the vehicle is sent, base64; `remaining` how many more contracts it may ask for (OCPP 2.1)."""

    exi: str
    remaining: int | None = None


class NoEvCertificate(Exception):
    """The provider has none for this vehicle; the text says why."""


class EvCertificateProvider(Protocol):
    async def certificate(self, request: EvCertificateRequest) -> EvCertificateAnswer:
        """Raises NoEvCertificate, within the patience of a charger (30 s)."""


@cache
def ev_certificate_provider() -> EvCertificateProvider | None:
    """What settings.EV_CERTIFICATE_PROVIDER names; None by default."""
    path = settings.EV_CERTIFICATE_PROVIDER
    return cast(EvCertificateProvider, import_string(path)()) if path else None
