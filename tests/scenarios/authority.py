"""Certificates made for a test: an authority of one's own, with EC keys, which take no time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from simulators.charger import ClientTls

DAY = timedelta(days=1)


@dataclass(frozen=True)
class KeyPair:
    """PEM files, and what is in them."""

    certificate: Path
    key: Path
    x509: x509.Certificate
    private: ec.EllipticCurvePrivateKey


def issue(
    folder: Path, common_name: str, *, by: KeyPair | None = None, days: tuple[float, float] = (-1, 30)
) -> KeyPair:
    """An authority, without `by`; else a certificate of that authority, for client and server (127.0.0.1) alike.

    Valid from and to so many days from now: TLS goes by the clock of the machine.
    """
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(by.x509.subject if by else name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + days[0] * DAY)
        .not_valid_after(now + days[1] * DAY)
        .add_extension(x509.BasicConstraints(ca=by is None, path_length=None), critical=True)
    )
    if by:
        here = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
        built = built.add_extension(here, critical=False)
    made = built.sign(by.private if by else private, hashes.SHA256())
    return _written(folder, common_name, made, private)


def client(authority: KeyPair, own: KeyPair | None = None) -> ClientTls:
    """What a charger trusts and shows."""
    return ClientTls(authority.certificate, own and own.certificate, own and own.key)


def _written(
    folder: Path, common_name: str, made: x509.Certificate, private: ec.EllipticCurvePrivateKey
) -> KeyPair:
    stem = folder / f"{common_name}-{made.serial_number:x}"[:80]
    certificate, key = stem.with_suffix(".crt"), stem.with_suffix(".key")
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return KeyPair(certificate, key, made, private)
