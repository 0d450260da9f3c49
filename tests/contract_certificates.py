"""Authorities, contracts and OCSP answers of ISO 15118, made for tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

from tests.factories import NOW

EMAID = "DE83DUIEN83QGZ"


@dataclass(frozen=True)
class Issued:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(Encoding.PEM).decode()


def issue(
    name: str,
    by: Issued | None = None,
    *,
    key_by: Issued | None = None,
    is_authority: bool = True,
    days: int = 30,
    ocsp_url: str = "",
) -> Issued:
    """Signed by `by`, itself without one; with the key of `key_by` it is a forgery."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    signer = key_by or by
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=90))
        .not_valid_after(NOW + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
    )
    if ocsp_url:
        access = x509.AccessDescription(
            AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(ocsp_url)
        )
        builder = builder.add_extension(x509.AuthorityInformationAccess([access]), critical=False)
    return Issued(builder.sign(signer.key if signer else key, SHA256()), key)


@cache
def authorities() -> tuple[Issued, Issued]:
    """A root and the authority below it that issues contracts."""
    root = issue("V2G Root")
    return root, issue("MO Sub CA", root)


def ocsp_answer(
    contract: Issued,
    issuer: Issued,
    *,
    by: Issued | None = None,
    is_revoked: bool = False,
    at: datetime = NOW,
    next_update: datetime | None = NOW + timedelta(hours=1),
) -> bytes:
    signer = by or issuer
    builder = ocsp.OCSPResponseBuilder().add_response(
        cert=contract.certificate,
        issuer=issuer.certificate,
        algorithm=SHA256(),
        cert_status=ocsp.OCSPCertStatus.REVOKED if is_revoked else ocsp.OCSPCertStatus.GOOD,
        this_update=at,
        next_update=next_update,
        revocation_time=at if is_revoked else None,
        revocation_reason=None,
    )
    responder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, signer.certificate)
    return responder.sign(signer.key, SHA256()).public_bytes(Encoding.DER)


class Responder:
    """An OCSP responder that answers by serial number, and counts."""

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.url = f"http://127.0.0.1:{server.server_port}/ocsp"
        self.answers: dict[int, bytes] = {}
        self.asked: list[int] = []

    def answer(self, request: bytes) -> bytes:
        serial = ocsp.load_der_ocsp_request(request).serial_number
        self.asked.append(serial)
        return self.answers.get(serial, b"")


@contextmanager
def running_responder() -> Iterator[Responder]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = responder.answer(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200 if body else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    responder = Responder(server)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield responder
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
