"""Who may come in: known chargers with their password, before the connection is upgraded.

A stranger learns nothing and stops nobody: the right password is let in however many wrong ones came before, and a
wrong one is answered alike for identities that exist and those that do not, after the same work.
"""

from __future__ import annotations

import base64
import binascii
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from enum import StrEnum
from http import HTTPStatus
from urllib.parse import unquote
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection
from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from depots import secrets
from depots.certificates import ClientCertificate, UnreadableCertificateError, read_der, read_pem
from depots.client_address import client_address, is_trusted_proxy
from depots.models import Charger
from depots.ocpp import redaction
from depots.ocpp.limits import WITHIN

logger = logging.getLogger(__name__)

PREFIX = "/ocpp/"
LONGEST_IDENTITY = 48
_FIND = """
    SELECT asked.identity, depot.time_zone, charger.id, charger.depot_id, charger.identity, charger.password_salt,
        charger.password_hash, charger.next_password_salt, charger.next_password_hash, charger.security_profile,
        charger.next_security_profile
    FROM unnest(%s::text[]) AS asked (identity)
    JOIN depots_charger AS charger
        ON upper(charger.identity) = upper(asked.identity) AND NOT charger.is_withdrawn
    JOIN depots_depot AS depot ON depot.id = charger.depot_id
"""
_NOBODYS_SALT = "0" * 32


@dataclass(frozen=True)
class KnownCharger:
    """What the gateway needs to know of a charger that connects."""

    pk: int
    depot_id: int
    identity: str
    zone: tzinfo
    password_salt: str
    password_hash: str
    next_password_salt: str
    next_password_hash: str
    security_profile: int
    next_security_profile: int | None


def identity_in(path: str) -> str | None:
    """The charger's identity, the last segment of its address; None for an address that is not a charger's."""
    path = path.partition("?")[0]
    if not path.startswith(PREFIX):
        return None
    identity = unquote(path.removeprefix(PREFIX).removesuffix("/"))
    is_name = 0 < len(identity) <= LONGEST_IDENTITY and "/" not in identity and "\x00" not in identity
    return identity if is_name else None


def find_known(identity: str) -> KnownCharger | None:
    """Read by each connection that comes: a changed password counts at once."""
    return find_all_known([{"identity": identity}])[identity]


def find_all_known(calls: Sequence[Mapping[str, str]]) -> dict[str, KnownCharger | None]:
    """The charger of each identity, without regard to case: one query for all that connect in the same moment."""
    found: dict[str, KnownCharger | None] = {call["identity"]: None for call in calls}
    with connection.cursor() as cursor:
        cursor.execute(_FIND, [list(found)])
        for asked, zone, pk, depot_id, identity, *security in cursor.fetchall():
            found[asked] = KnownCharger(pk, depot_id, identity, ZoneInfo(zone), *security)
    return found


class Password(StrEnum):
    """Which of a charger's passwords a connection shows."""

    NONE = ""
    CURRENT = "current"
    NEXT = "next"


def shown_password(request: Request, identity: str, charger: KnownCharger | None) -> Password:
    """HTTP basic authentication with the identity as user name. Passwords are bytes: some are not text.

    Without a charger of that identity, or a next password: none, after as much work.
    """
    user, password = basic_credentials(request)
    salt, hashed = (charger.password_salt, charger.password_hash) if charger else ("", "")
    next_salt, next_hash = (charger.next_password_salt, charger.next_password_hash) if charger else ("", "")
    is_current = _matches([password], salt, hashed)
    is_next = not is_current and _matches(_readings(password), next_salt, next_hash)
    if user.casefold() != identity.casefold():
        return Password.NONE
    return Password.CURRENT if is_current else Password.NEXT if is_next else Password.NONE


def _matches(passwords: Sequence[bytes], salt: str, hashed: str) -> bool:
    found = [
        secrets.charger_password_matches(password, salt=salt or _NOBODYS_SALT, hashed=hashed)
        for password in passwords
    ]
    return any(found)


def _readings(password: bytes) -> list[bytes]:
    """As it came, and as what that is in hex: 1.6 is told its key in hex, and some chargers send it as they were told."""
    plain = redaction.from_hex(password.decode("ascii", errors="replace"))
    return [password, plain.encode()] if plain else [password]


def is_under_older_key(charger: KnownCharger) -> bool:
    return not secrets.is_under_newest_key(charger.password_salt)


def rotate_password(request: Request, charger: KnownCharger) -> None:
    """Keep the right password, known only now, under the newest storage key. One that was changed meanwhile stays."""
    _, password = basic_credentials(request)
    salt, hashed = secrets.hash_charger_password(password)
    same = Charger.objects.filter(pk=charger.pk, password_hash=charger.password_hash)
    same.update(password_salt=salt, password_hash=hashed)


def basic_credentials(request: Request) -> tuple[str, bytes]:
    """User name and password of the header; no name where there are none that can be read, or more than one header."""
    told = request.headers.get_all("Authorization")
    scheme, _, encoded = (told[0] if len(told) == 1 else "").partition(" ")
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError):
        decoded = b""
    user, colon, password = decoded.partition(b":")
    return (user.decode(errors="replace"), password) if colon and scheme.lower() == "basic" else ("", b"")


def address_of(websocket: ServerConnection, request: Request) -> str:
    """Where the charger is, also behind a proxy that is trusted to say so."""
    return client_address(_peer(websocket), ",".join(request.headers.get_all("X-Forwarded-For")))


def is_encrypted(websocket: ServerConnection, request: Request) -> bool:
    """Did it come over TLS, to us or to a proxy that is trusted to say so?"""
    if websocket.transport.get_extra_info("ssl_object") is not None:
        return True
    told = [
        part.strip().lower() for part in ",".join(request.headers.get_all("X-Forwarded-Proto")).split(",")
    ]
    return set(told) <= {"https", "wss"} and is_trusted_proxy(_peer(websocket))


def client_certificate(websocket: ServerConnection, request: Request) -> ClientCertificate | None:
    """The certificate it came with, whose chain was checked by TLS: ours, or that of a trusted proxy where the header it
    tells of it in is named (BERTH_OCPP_CLIENT_CERT_HEADER)."""
    tls = websocket.transport.get_extra_info("ssl_object")
    encoded = tls.getpeercert(binary_form=True) if tls is not None else None
    try:
        if encoded:
            return read_der(encoded)
        header = settings.BERTH_OCPP_CLIENT_CERT_HEADER
        told = request.headers.get_all(header) if header and is_trusted_proxy(_peer(websocket)) else []
        return read_pem(unquote(told[0])) if len(told) == 1 and told[0].strip() else None
    except UnreadableCertificateError as fault:
        logger.warning("A client certificate cannot be read: %s", fault)
        return None


def offered_protocols(request: Request) -> list[str]:
    """The sub-protocols it would speak, those it likes best first."""
    told = ",".join(request.headers.get_all("Sec-WebSocket-Protocol"))
    return [name.strip() for name in told.split(",") if name.strip()]


def _peer(websocket: ServerConnection) -> str:
    return str((websocket.remote_address or ("unknown",))[0])


def no_charger(websocket: ServerConnection) -> Response:
    return websocket.respond(HTTPStatus.NOT_FOUND, "Chargers connect at /ocpp/ and their identity.\n")


def wrong_password(websocket: ServerConnection) -> Response:
    response = websocket.respond(
        HTTPStatus.UNAUTHORIZED, "User name is the identity; one of them or the password is wrong.\n"
    )
    response.headers["WWW-Authenticate"] = 'Basic realm="OCPP", charset="UTF-8"'
    return response


def profile_too_low(websocket: ServerConnection, sentence: str) -> Response:
    """Told only to who has shown that it is the charger."""
    return websocket.respond(HTTPStatus.FORBIDDEN, f"{sentence}\n")


def too_often(websocket: ServerConnection, sentence: str = "Too many wrong passwords.") -> Response:
    response = websocket.respond(HTTPStatus.TOO_MANY_REQUESTS, f"{sentence} Wait a minute.\n")
    response.headers["Retry-After"] = str(int(WITHIN.total_seconds()))
    return response
