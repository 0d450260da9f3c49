"""X.509 certificates of chargers, read into our own values."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509.oid import NameOID

# What is raised for bytes that are no certificate or request, at once or when a part of it is looked at.
UNREADABLE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)


class UnreadableCertificateError(ValueError):
    """What was given as a certificate is none."""


@dataclass(frozen=True)
class ClientCertificate:
    """A certificate whose chain somebody has checked already. `issuer` is the SHA-256 of the issuer's name in hex."""

    common_name: str
    issuer: str
    issuer_name: str
    serial_number: str
    not_before: datetime
    not_after: datetime

    def names(self, identity: str) -> bool:
        """Identities compare without regard to case."""
        return self.common_name.casefold() == identity.casefold()


def read_der(encoded: bytes) -> ClientCertificate:
    """Raises UnreadableCertificateError."""
    try:
        return describe(x509.load_der_x509_certificate(encoded))
    except UNREADABLE as fault:
        raise UnreadableCertificateError(str(fault)) from None


def read_pem(text: str) -> ClientCertificate:
    """Raises UnreadableCertificateError."""
    try:
        return describe(x509.load_pem_x509_certificate(text.encode()))
    except UNREADABLE as fault:
        raise UnreadableCertificateError(str(fault)) from None


def describe(certificate: x509.Certificate) -> ClientCertificate:
    return ClientCertificate(
        common_name=common_name(certificate.subject),
        issuer=issuer_hash(certificate.issuer),
        issuer_name=certificate.issuer.rfc4514_string()[:255],
        serial_number=serial_text(certificate.serial_number),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
    )


def common_name(name: x509.Name) -> str:
    """The one CN of a subject; nothing where there is none, or more than one."""
    found = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value) if len(found) == 1 else ""


def issuer_hash(name: x509.Name) -> str:
    return hashlib.sha256(name.public_bytes()).hexdigest()


def serial_text(number: int) -> str:
    """Hex without leading zeros, as OCPP and OpenSSL write it; RFC 5280 allows 20 bytes."""
    return f"{number:X}"[:40]
