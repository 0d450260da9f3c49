"""A small certificate authority for chargers: one root, and client certificates signed by it. Nothing here is stored.

Formats are those of the OCPP security whitepaper (§4) and OCPP 2.x part 2, A02 and A03: a charger's certificate has its
identity as common name and its operator as organisation.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from depots.certificates import UNREADABLE, common_name

ROOT_LASTS = timedelta(days=20 * 365)
CERTIFICATE_LASTS = timedelta(days=365)
# A charger's clock may be slow when it is given its certificate.
STARTS_BEFORE = timedelta(days=1)
LEAST_RSA_BITS = 2048
CURVES = ("secp256r1", "secp384r1", "secp521r1")
LONGEST_NAME = 64  # bytes of UTF-8


class InvalidRequestError(ValueError):
    """A certificate signing request that is refused; the text says why."""


@dataclass(frozen=True)
class Root:
    """Certificate and key of an authority, as PEM."""

    certificate: str
    key: str


def new_root(name: str, *, now: datetime) -> Root:
    """An authority of its own, with a key on P-256."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, _cut(name))])
    builder = _builder(subject, subject, key.public_key(), now, ROOT_LASTS)
    usage = x509.KeyUsage(
        digital_signature=False, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    made = (
        builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .sign(key, hashes.SHA256())
    )
    kept = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return Root(_pem(made), kept.decode())


def read_request(csr: str, *, identity: str, organisations: set[str]) -> x509.CertificateSigningRequest:
    """A request that may be signed for this charger. Raises InvalidRequestError.

    `organisations` are the names its operator goes by; a request without one is as good.
    """
    try:
        request = x509.load_pem_x509_csr(csr.encode())
        is_signed, key = request.is_signature_valid, request.public_key()
        name, named = common_name(request.subject), _organisations(request.subject)
    except (*UNREADABLE, InvalidSignature) as fault:
        raise InvalidRequestError("It is no certificate signing request.") from fault
    if not is_signed:
        raise InvalidRequestError("Its signature is not of the key it names.")
    _check_key(key)
    if name.casefold() != identity.casefold():
        raise InvalidRequestError(f"Its common name is not the identity {identity}.")
    if _cut(identity) != identity:
        raise InvalidRequestError(f"The identity {identity} is too long for a common name.")
    if any(name.casefold() not in {each.casefold() for each in organisations} for name in named):
        raise InvalidRequestError(f"Its organisation is {named[0][:64]!r}, not the operator.")
    return request


def issue(
    request: x509.CertificateSigningRequest, *, root: Root, identity: str, organisation: str, now: datetime
) -> x509.Certificate:
    """A client certificate for the key of a request that was read; of the request only the key is taken over."""
    issuer = x509.load_pem_x509_certificate(root.certificate.encode())
    key = serialization.load_pem_private_key(root.key.encode(), password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, identity),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, _cut(organisation)),
        ]
    )
    usage = x509.KeyUsage(
        digital_signature=True, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=True, key_cert_sign=False, crl_sign=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    own_key = request.public_key()
    builder = _builder(subject, issuer.subject, own_key, now - STARTS_BEFORE, CERTIFICATE_LASTS)
    return (
        builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def _organisations(name: x509.Name) -> list[str]:
    return [str(part.value) for part in name.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]


def _cut(name: str) -> str:
    """As much of it as a certificate's name holds."""
    return name.encode()[:LONGEST_NAME].decode(errors="ignore")


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: CertificatePublicKeyTypes,
    starts_at: datetime,
    lasts: timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(starts_at)
        .not_valid_after(starts_at + lasts)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _check_key(key: CertificatePublicKeyTypes) -> None:
    if isinstance(key, rsa.RSAPublicKey):
        if key.key_size < LEAST_RSA_BITS:
            raise InvalidRequestError(f"Its RSA key has {key.key_size} bits, fewer than {LEAST_RSA_BITS}.")
    elif not (isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in CURVES):
        raise InvalidRequestError("Its key is neither RSA nor on one of the curves P-256, P-384 and P-521.")


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()
