"""A charger's own client certificate: asked for by a request, used once it was given (SignCertificate, CertificateSigned)."""

from __future__ import annotations

import ssl
from pathlib import Path
from tempfile import mkdtemp

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from simulators.charger.client_tls import ClientTls


class OwnCertificate:
    """A key that waits for its certificate; files lie in a folder of this process."""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._key: Path | None = None
        self._count = 0

    def request(self, identity: str, organisation: str = "") -> str:
        """A signing request in PEM for a new key."""
        private = ec.generate_private_key(ec.SECP256R1())
        names = [x509.NameAttribute(NameOID.COMMON_NAME, identity)]
        if organisation:
            names.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation))
        made = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(names))
        self._folder = self._folder or Path(mkdtemp(prefix="charger-"))
        self._count += 1
        self._key = self._folder / f"{self._count}.key"
        self._key.write_bytes(
            private.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return made.sign(private, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()

    def use(self, chain: str, tls: ClientTls) -> ClientTls | None:
        """What to show from now on; None where the certificate is not for the key that waits."""
        if self._folder is None or self._key is None:
            return None
        certificate = self._folder / f"{self._count}.crt"
        certificate.write_text(chain)
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(certificate, self._key)
        except ssl.SSLError:
            return None
        return ClientTls(tls.ca, certificate, self._key)
