"""Was a certificate revoked? A service says, which settings.REVOCATION_SERVICE names; the shipped one asks OCSP responders."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache
from typing import Protocol, cast
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID
from django.conf import settings
from django.utils.module_loading import import_string

from depots import url_guard
from depots.certificates import UNREADABLE
from depots.http_connection import AnswerTooLong, BrokenConnection, HttpConnection, RawRequest
from depots.plug_and_charge.chain import HASHES, LONGEST_CHAIN, CertificateHash, hash_of

logger = logging.getLogger(__name__)

# All of an exchange, and all that one authorization waits for. A charger waits 30 s, and has a truck at its plug.
TIMEOUT_S = 5
PATIENCE_S = 12
LARGEST_ANSWER = 18_000
MAX_URL = 2000
# An answer that names no next one is asked again after this; none is kept for longer than a day.
KEPT_UNDATED = timedelta(minutes=10)
LONGEST_KEPT = timedelta(days=1)
MOST_KEPT = 5000


# The certificate, and the responders of an answer whose signature nobody could check.
_Key = tuple[tuple[str, str, str, int], tuple[str, ...]]


class Verdict(StrEnum):
    GOOD = "good"
    REVOKED = "revoked"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class RevocationQuestion:
    """`issuer` is there where the chain was shown: then an answer must be signed by it, or by a responder it has certified."""

    certificate: CertificateHash
    urls: tuple[str, ...]
    issuer: x509.Certificate | None = field(default=None, compare=False)


@dataclass(frozen=True)
class RevocationAnswer:
    """`raw` is the OCSP response in DER, which a charger may check by itself."""

    verdict: Verdict
    raw: bytes
    next_update: datetime


class NotAnswered(Exception):
    """Nobody who may say so has said whether the certificate was revoked; the text says why, without secrets."""


class RevocationService(Protocol):
    async def ask(self, question: RevocationQuestion, *, now: datetime) -> RevocationAnswer:
        """Raises NotAnswered, within the patience of a charger (30 s)."""


@cache
def revocation_service() -> RevocationService:
    """The one of this process: it may keep answers."""
    return cast(RevocationService, import_string(settings.REVOCATION_SERVICE)())


def questions_of(
    links: Sequence[tuple[x509.Certificate, x509.Certificate]], told: Sequence[RevocationQuestion]
) -> list[RevocationQuestion]:
    """One for each certificate below the root: the responder is the one that the charger names, else the certificate's own. A
    certificate that names none cannot be asked about; without a chain there is what the charger names alone."""
    if not links:
        return list(told)
    named = {question.certificate.key: question.urls for question in told}
    found = []
    for certificate, issuer in links:
        by = [hash_of(certificate, issuer, algorithm) for algorithm in HASHES]
        urls = next((named[each.key] for each in by if each.key in named), responders_of(certificate))
        if urls:
            found.append(RevocationQuestion(by[0], urls, issuer))
    return found


def responders_of(certificate: x509.Certificate) -> tuple[str, ...]:
    """OCSP URLs in its Authority Information Access."""
    try:
        access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except (x509.ExtensionNotFound, *UNREADABLE):
        return ()
    wanted = [each for each in access if each.access_method == AuthorityInformationAccessOID.OCSP]
    return tuple(str(each.access_location.value) for each in wanted)


async def is_any_revoked(questions: Sequence[RevocationQuestion], *, now: datetime) -> bool:
    """Asked all at once, of no more than a chain has. Where nobody answers the contract's own state decides: a responder
    that is down must not keep out every truck that has booked (docs/decisions/0089)."""
    service = revocation_service()
    async with asyncio.TaskGroup() as asking:
        tasks = [asking.create_task(_patiently(service, each, now)) for each in questions[:LONGEST_CHAIN]]
    return any(task.result() == Verdict.REVOKED for task in tasks)


async def _patiently(service: RevocationService, question: RevocationQuestion, now: datetime) -> Verdict:
    try:
        async with asyncio.timeout(PATIENCE_S):
            return (await service.ask(question, now=now)).verdict
    except (NotAnswered, TimeoutError) as silence:
        logger.warning("Whether a contract certificate was revoked is not known: %s", silence)
    except Exception:
        logger.exception("The revocation service failed")
    return Verdict.UNKNOWN


class OcspResponders:
    """Asks the URL that charger or certificate names, guarded like every outside URL, and keeps each answer until its
    nextUpdate. Answers are signed, so that plain http, as RFC 6960 has it, is as good as https.

    Of a hash alone nobody here can check who has signed: what a responder says then is kept for whoever names the same
    responder, and decides about no chain that is shown, at this charger or another.
    """

    def __init__(self) -> None:
        self._kept: dict[_Key, RevocationAnswer] = {}

    async def ask(self, question: RevocationQuestion, *, now: datetime) -> RevocationAnswer:
        try:
            checked: _Key = (question.certificate.key, ())
            request = _request(question.certificate)
        except (KeyError, ValueError):
            raise NotAnswered("the certificate is not named as OCSP names one") from None
        unchecked: _Key = (question.certificate.key, question.urls)
        for key in [checked] if question.issuer is not None else [checked, unchecked]:
            kept = self._kept.get(key)
            if kept is not None and now < kept.next_update:
                return kept
        answer = await self._first_answer(question, request, now)
        self._keep(checked if question.issuer is not None else unchecked, answer, now)
        return answer

    def _keep(self, key: _Key, answer: RevocationAnswer, now: datetime) -> None:
        if len(self._kept) >= MOST_KEPT:
            self._kept = {each: told for each, told in self._kept.items() if now < told.next_update}
        if len(self._kept) < MOST_KEPT:
            self._kept[key] = answer

    async def _first_answer(
        self, question: RevocationQuestion, request: bytes, now: datetime
    ) -> RevocationAnswer:
        failure = NotAnswered("no responder is named")
        for url in question.urls[:2]:
            try:
                async with asyncio.timeout(TIMEOUT_S):
                    return read_answer(await _exchange(url, request), question, now=now)
            except TimeoutError:
                failure = NotAnswered(f"{url[:200]} did not answer in time")
            except (url_guard.HostileAddress, OSError, BrokenConnection, AnswerTooLong) as error:
                failure = NotAnswered(f"{url[:200]}: {error}")
            except NotAnswered as error:
                failure = error
        raise failure


def read_answer(raw: bytes, question: RevocationQuestion, *, now: datetime) -> RevocationAnswer:
    """Of this certificate, of now, and signed by who may say so. Raises NotAnswered."""
    try:
        response = ocsp.load_der_ocsp_response(raw)
        if response.response_status != ocsp.OCSPResponseStatus.SUCCESSFUL:
            raise NotAnswered(f"the responder says {response.response_status.name}")
        _check_subject(response, question.certificate)
        next_update = _next_update(response, now)
        if question.issuer is not None:
            _check_signer(response, question.issuer, now)
    except (*UNREADABLE, InvalidSignature) as error:
        raise NotAnswered(f"the answer cannot be relied on: {error or type(error).__name__}") from None
    return RevocationAnswer(_VERDICT[response.certificate_status], raw, next_update)


_VERDICT: Mapping[ocsp.OCSPCertStatus, Verdict] = {
    ocsp.OCSPCertStatus.GOOD: Verdict.GOOD,
    ocsp.OCSPCertStatus.REVOKED: Verdict.REVOKED,
    ocsp.OCSPCertStatus.UNKNOWN: Verdict.UNKNOWN,
}


def _request(certificate: CertificateHash) -> bytes:
    algorithm, name_hash, key_hash, serial = certificate.key
    builder = ocsp.OCSPRequestBuilder().add_certificate_by_hash(
        bytes.fromhex(name_hash), bytes.fromhex(key_hash), serial, HASHES[algorithm]()
    )
    return builder.build().public_bytes(Encoding.DER)


async def _exchange(url: str, request: bytes) -> bytes:
    url_guard.check_url(url, max_length=MAX_URL, is_signed=True)
    parts = urlsplit(url)
    assert parts.hostname is not None
    is_tls = parts.scheme == "https"
    connection = await url_guard.connect(
        HttpConnection, parts.hostname, parts.port or (443 if is_tls else 80),
        tls=url_guard.trusting_tls() if is_tls else None, timeout_s=TIMEOUT_S,
    )  # fmt: skip
    try:
        answer = await connection.ask(
            RawRequest(_post(parts.netloc, _path(url), request)), most=LARGEST_ANSWER
        )
    finally:
        connection.hang_up()
    if answer.status != 200:
        raise NotAnswered(f"{url[:200]} answers {answer.status}")
    return bytes(answer.content)


def _path(url: str) -> str:
    parts = urlsplit(url)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _post(host: str, path: str, body: bytes) -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/ocsp-request\r\n"
        f"Accept: application/ocsp-response\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode("ascii") + body


def _check_subject(response: ocsp.OCSPResponse, certificate: CertificateHash) -> None:
    algorithm, name_hash, key_hash, serial = certificate.key
    if response.serial_number != serial:
        raise ValueError("it is of another certificate")
    is_same_hash = response.hash_algorithm.name == HASHES[algorithm]().name
    if is_same_hash and (response.issuer_name_hash.hex(), response.issuer_key_hash.hex()) != (
        name_hash,
        key_hash,
    ):
        raise ValueError("it is of another issuer's certificate")


def _next_update(response: ocsp.OCSPResponse, now: datetime) -> datetime:
    told = response.next_update_utc
    if told is not None and told <= now:
        raise ValueError("it is out of date")
    return min(told or now + KEPT_UNDATED, now + LONGEST_KEPT)


def _check_signer(response: ocsp.OCSPResponse, issuer: x509.Certificate, now: datetime) -> None:
    """The issuer itself, or a responder of the issuer's (RFC 6960 §4.2.2.2). Raises InvalidSignature."""
    for certificate in response.certificates[:5]:
        if certificate == issuer or not _is_responder(certificate, issuer, now):
            continue
        return _verify(response, certificate)
    return _verify(response, issuer)


def _is_responder(certificate: x509.Certificate, issuer: x509.Certificate, now: datetime) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (*UNREADABLE, InvalidSignature, x509.ExtensionNotFound):
        return False
    is_valid = certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc
    return is_valid and ExtendedKeyUsageOID.OCSP_SIGNING in usage


def _verify(response: ocsp.OCSPResponse, signer: x509.Certificate) -> None:
    key, algorithm = signer.public_key(), response.signature_hash_algorithm
    signature, signed = response.signature, response.tbs_response_bytes
    if isinstance(key, ec.EllipticCurvePublicKey) and algorithm is not None:
        key.verify(signature, signed, ec.ECDSA(algorithm))
    elif isinstance(key, rsa.RSAPublicKey) and algorithm is not None:
        key.verify(signature, signed, padding.PKCS1v15(), algorithm)
    elif isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
        key.verify(signature, signed)
    else:
        raise UnsupportedAlgorithm("a key that signs in no way known here")
