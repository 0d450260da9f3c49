"""The roots an operator trusts for contract certificates."""

from __future__ import annotations

from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from django.db import transaction

from depots.certificates import UNREADABLE
from depots.models import Organisation, TrustedRoot

LARGEST_FILE = 100_000
# All of an operator's are looked through when a contract is shown.
MOST_ROOTS = 100


class NotARoot(ValueError):
    """What was given as a root certificate is none, or one too many; the text says why."""


def trust_root(*, operator: Organisation, pem: str, now: datetime) -> tuple[TrustedRoot, bool]:
    """The root, and whether it was not trusted before. Raises NotARoot."""
    certificate, name = _read(pem)
    if now > certificate.not_valid_after_utc:
        raise NotARoot(f"The certificate was valid until {certificate.not_valid_after_utc:%Y-%m-%d}.")
    fingerprint = certificate.fingerprint(SHA256()).hex()
    others = operator.trusted_roots.exclude(fingerprint=fingerprint).count()
    if others >= MOST_ROOTS:
        noun = "root" if others == 1 else "roots"
        raise NotARoot(f"{operator} trusts {others} {noun} already: remove those that are not needed first.")
    with transaction.atomic():
        return TrustedRoot.objects.get_or_create(
            operator=operator,
            fingerprint=fingerprint,
            defaults={
                "name": name[:255],
                "pem": certificate.public_bytes(Encoding.PEM).decode(),
                "not_after": certificate.not_valid_after_utc,
                "added_at": now,
            },
        )


def distrust_root(*, operator: Organisation, fingerprint: str) -> TrustedRoot:
    """By the beginning of its fingerprint, at least 8 digits. Raises NotARoot where none, or more than one, begins so."""
    wanted = fingerprint.replace(":", "").strip().lower()
    found = (
        list(operator.trusted_roots.filter(fingerprint__startswith=wanted)[:2]) if len(wanted) >= 8 else []
    )
    if len(found) != 1:
        raise NotARoot(f"{operator} trusts no one root whose fingerprint begins with {fingerprint}.")
    found[0].delete()
    return found[0]


def _read(pem: str) -> tuple[x509.Certificate, str]:
    """With its subject, which is read only when it is asked for."""
    try:
        certificate, *others = x509.load_pem_x509_certificates(pem.encode())
        name = certificate.subject.rfc4514_string()
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except (*UNREADABLE, x509.ExtensionNotFound):
        raise NotARoot("That is no certificate of an authority in PEM.") from None
    if others:
        raise NotARoot(f"The file has {len(others) + 1} certificates: give each root in a file of its own.")
    if not constraints.ca:
        raise NotARoot("The certificate is not of an authority: it may not issue others.")
    return certificate, name
