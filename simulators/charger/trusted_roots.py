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
    """Known to the CSMS by their hash data."""

    def __init__(self) -> None:
        self._roots: list[x509.Certificate] = []

    def hashes(self) -> list[dict[str, str]]:
        return [hash_data(root) for root in self._roots]

    def pem(self) -> str:
        """All of them, one after the other."""
        return "".join(root.public_bytes(serialization.Encoding.PEM).decode() for root in self._roots)

    def install(self, pem: str) -> str:
        try:
            root = x509.load_pem_x509_certificate(pem.encode())
        except ValueError:
            return "Rejected"
        if root not in self._roots:
            self._roots.append(root)
        return "Accepted"

    def delete(self, wanted: dict[str, str]) -> str:
        found = next((root for root in self._roots if hash_data(root) == wanted), None)
        if found is None:
            return "NotFound"
        self._roots.remove(found)
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
