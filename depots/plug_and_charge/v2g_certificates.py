"""Certificates by which a charger proves itself to vehicles (ISO 15118, V2G): signed by a service outside, where one is named."""

from __future__ import annotations

from functools import cache
from typing import Protocol, cast

from django.conf import settings
from django.utils.module_loading import import_string


class NoV2gCertificate(Exception):
    """The service signs none for this charger; the text says why."""


class V2gSigner(Protocol):
    async def sign(self, request: str, *, identity: str, is_iso_20: bool) -> str:
        """The certificate with its chain, as PEM, for a charger's request (PKCS #10, PEM, passed on as it came).

        `is_iso_20`: of the PKI of ISO 15118-20, else of 15118-2. Raises NoV2gCertificate, within a charger's patience (30 s).
        """


@cache
def v2g_signer() -> V2gSigner | None:
    """What settings.V2G_SIGNER names; None by default."""
    path = settings.V2G_SIGNER
    return cast(V2gSigner, import_string(path)()) if path else None
