"""A contract certificate chain, checked against roots that an operator trusts. Pure: no queries, no clock, no network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.x509 import ocsp

from depots.certificates import UNREADABLE, common_name
from depots.token_numbers import TokenKind, is_same

# Contract, up to two authorities below the root, the root (ISO 15118-2); some send the root along.
LONGEST_CHAIN = 5

HASHES: Mapping[str, Callable[[], hashes.HashAlgorithm]] = {
    "SHA256": hashes.SHA256,
    "SHA384": hashes.SHA384,
    "SHA512": hashes.SHA512,
}


class CertificateStatus(StrEnum):
    """What is answered of a contract certificate; the words of OCPP 2.x's AuthorizeCertificateStatus."""

    ACCEPTED = "Accepted"
    SIGNATURE_ERROR = "SignatureError"
    EXPIRED = "CertificateExpired"
    REVOKED = "CertificateRevoked"
    NOT_AVAILABLE = "NoCertificateAvailable"
    CHAIN_ERROR = "CertChainError"
    CONTRACT_CANCELLED = "ContractCancelled"


@dataclass(frozen=True)
class CertificateHash:
    """Which certificate is meant, as OCSP names it: hexadecimal hashes of its issuer's name and key, and its serial number."""

    algorithm: str
    issuer_name_hash: str
    issuer_key_hash: str
    serial_number: str

    @property
    def key(self) -> tuple[str, str, str, int]:
        """Equal for two that are written differently. Raises ValueError for what is no number."""
        serial = int(self.serial_number, 16)
        return self.algorithm, self.issuer_name_hash.lower(), self.issuer_key_hash.lower(), serial


@dataclass(frozen=True)
class CheckedChain:
    """`links` are the certificates below the root, each with its issuer, the contract's first; empty unless accepted."""

    status: CertificateStatus
    links: tuple[tuple[x509.Certificate, x509.Certificate], ...] = ()


class _Broken(Exception):
    def __init__(self, status: CertificateStatus) -> None:
        self.status = status


def check_chain(
    pem: str,
    *,
    emaid: str,
    roots: Sequence[x509.Certificate],
    now: datetime,
    told: Sequence[CertificateHash] = (),
) -> CheckedChain:
    """Signatures up to one of the roots, validity, the contract's number in its common name, and that the hash data `told`
    beside it name its certificates. Whether one was revoked is asked elsewhere."""
    try:
        given = x509.load_pem_x509_certificates(pem.encode())
    except UNREADABLE:
        return CheckedChain(CertificateStatus.NOT_AVAILABLE)
    try:
        links = _path(given, roots)
        _check_validity(links, now)
        _check_names(links, emaid, told)
    except _Broken as fault:
        return CheckedChain(fault.status)
    except UNREADABLE:  # a name, a date or an extension that is looked at only here
        return CheckedChain(CertificateStatus.CHAIN_ERROR)
    return CheckedChain(CertificateStatus.ACCEPTED, tuple(links))


def hash_of(certificate: x509.Certificate, issuer: x509.Certificate, algorithm: str) -> CertificateHash:
    """As OCSP names it (RFC 6960)."""
    named = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, HASHES[algorithm]()).build()
    serial = f"{certificate.serial_number:X}"
    return CertificateHash(algorithm, named.issuer_name_hash.hex(), named.issuer_key_hash.hex(), serial)


def _path(
    given: Sequence[x509.Certificate], roots: Sequence[x509.Certificate]
) -> list[tuple[x509.Certificate, x509.Certificate]]:
    """From the first certificate to a root. A name that fits with a signature that does not is a forgery, nothing that fits a
    chain that ends nowhere."""
    links: list[tuple[x509.Certificate, x509.Certificate]] = []
    current, others = given[0], list(given[1:LONGEST_CHAIN])
    while len(links) < LONGEST_CHAIN:
        root = _issuer(current, roots)
        issuer = root or _issuer(current, others)
        if issuer is None:
            raise _Broken(CertificateStatus.CHAIN_ERROR)
        if not _is_authority(issuer, below=len(links)):
            raise _Broken(CertificateStatus.CHAIN_ERROR)
        links.append((current, issuer))
        if root is not None:
            return links
        others.remove(issuer)
        current = issuer
    raise _Broken(CertificateStatus.CHAIN_ERROR)


def _issuer(certificate: x509.Certificate, candidates: Sequence[x509.Certificate]) -> x509.Certificate | None:
    named = [each for each in candidates if each.subject == certificate.issuer and each != certificate]
    for candidate in named:
        try:
            certificate.verify_directly_issued_by(candidate)
        except InvalidSignature:
            continue
        except UNREADABLE:
            raise _Broken(CertificateStatus.CHAIN_ERROR) from None
        return candidate
    if named:
        raise _Broken(CertificateStatus.SIGNATURE_ERROR)
    return None


def _is_authority(certificate: x509.Certificate, *, below: int) -> bool:
    """Whether it may issue, with so many authorities below it."""
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except (x509.ExtensionNotFound, *UNREADABLE):
        return False
    return constraints.ca and (constraints.path_length is None or below <= constraints.path_length)


def _check_validity(links: Sequence[tuple[x509.Certificate, x509.Certificate]], now: datetime) -> None:
    for certificate in (*(link for link, _ in links), links[-1][1]):
        if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
            raise _Broken(CertificateStatus.EXPIRED)


def _check_names(
    links: Sequence[tuple[x509.Certificate, x509.Certificate]], emaid: str, told: Sequence[CertificateHash]
) -> None:
    """The contract is that of the token, and what is asked of is what was shown."""
    name = common_name(links[0][0].subject)
    if not is_same(name, TokenKind.EMAID, emaid, TokenKind.EMAID):
        raise _Broken(CertificateStatus.CHAIN_ERROR)
    for each in told:
        if each.algorithm not in HASHES:
            raise _Broken(CertificateStatus.CHAIN_ERROR)
        named = {hash_of(certificate, issuer, each.algorithm).key for certificate, issuer in links}
        if not _is_among(each, named):
            raise _Broken(CertificateStatus.CHAIN_ERROR)


def _is_among(told: CertificateHash, named: set[tuple[str, str, str, int]]) -> bool:
    try:
        return told.key in named
    except ValueError:
        return False
