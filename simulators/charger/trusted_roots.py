"""Roots that a charger trusts its CSMS by, and what it answers about its certificates (OCPP 2.x M03 to M05, A02)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from simulators.charger.script import Json

if TYPE_CHECKING:
    from simulators.charger.charger import SimulatedCharger


class TrustedRoots:
    """By their hash data."""

    def __init__(self) -> None:
        self._roots: list[dict[str, str]] = []

    def hashes(self) -> list[dict[str, str]]:
        return list(self._roots)

    def install(self, pem: str) -> str:
        try:
            found = hash_data(x509.load_pem_x509_certificate(pem.encode()))
        except ValueError:
            return "Rejected"
        if found not in self._roots:
            self._roots.append(found)
        return "Accepted"

    def delete(self, wanted: dict[str, str]) -> str:
        if wanted not in self._roots:
            return "NotFound"
        self._roots.remove(wanted)
        return "Accepted"


def hash_data(root: x509.Certificate) -> dict[str, str]:
    """OCPP's certificateHashData of a self-signed certificate."""
    key = root.public_key().public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )
    return {
        "hashAlgorithm": "SHA256",
        "issuerNameHash": hashlib.sha256(root.issuer.public_bytes()).hexdigest(),
        "issuerKeyHash": hashlib.sha256(key).hexdigest(),
        "serialNumber": f"{root.serial_number:x}",
    }


def certificate_answers(charger: SimulatedCharger, *, is_16: bool) -> Mapping[str, Callable[[Json], Json]]:
    """What it answers to the CALLs about its certificates."""

    def listed(asked: Json) -> Json:
        hashes = charger.roots.hashes()
        chains = [{"certificateType": "CSMSRootCertificate", "certificateHashData": each} for each in hashes]
        told = {"certificateHashData": hashes} if is_16 else {"certificateHashDataChain": chains}
        return {"status": "Accepted", **told} if hashes else {"status": "NotFound"}

    return {
        "CertificateSigned": lambda asked: {"status": charger.take_certificate(asked["certificateChain"])},
        "InstallCertificate": lambda asked: {"status": charger.roots.install(asked["certificate"])},
        "DeleteCertificate": lambda asked: {"status": charger.roots.delete(asked["certificateHashData"])},
        "GetInstalledCertificateIds": listed,
    }
