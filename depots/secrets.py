"""Secrets of machines: charger passwords, API and partner tokens.

They are long random texts, so one keyed hash is enough, and cheap enough for thousands of chargers that reconnect
together; people's passwords are Django's business. Every key is derived from SECRET_KEY for one purpose each:
changing SECRET_KEY makes all of them worthless, and a copy of the database alone opens nothing.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import string

from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings


class UnreadableSecretError(ValueError):
    """An encrypted secret that this server's key does not open."""


def new_token() -> str:
    """256 random bits as text that is safe in a URL or a header."""
    # A letter first: what begins with a dash looks like an option where it is given to a command.
    return secrets.choice(string.ascii_letters) + secrets.token_urlsafe(32)


def new_charger_password() -> str:
    """Twenty characters: fits OCPP 1.6 (16 to 20) and 2.x (16 to 40) alike."""
    return secrets.choice(string.ascii_letters) + secrets.token_urlsafe(15)[1:]


def hash_charger_password(password: str | bytes) -> tuple[str, str]:
    """(salt, hash) for Charger.password_salt and Charger.password_hash."""
    salt = secrets.token_hex(16)
    return salt, _charger_hash(salt, _bytes(password))


def charger_password_matches(password: str | bytes, *, salt: str, hashed: str) -> bool:
    """Constant time. Without a stored hash nothing matches, after the same amount of work."""
    found = _charger_hash(salt, _bytes(password))
    return hmac.compare_digest(found, hashed) and bool(hashed)


def hash_token(token: str) -> str:
    """The same text for the same token: stored under a unique index, so that a token is looked up by its hash."""
    return hmac.new(_key("token"), token.encode(), hashlib.sha256).hexdigest()


def encrypt(secret: str) -> str:
    """Text for a column, for the few secrets we have to show or send again (a partner's token)."""
    return _box().encrypt(secret.encode()).decode()


def decrypt(stored: str) -> str:
    """The secret that `encrypt` was given. Raises UnreadableSecretError."""
    try:
        return _box().decrypt(stored.encode()).decode()
    except InvalidToken:
        raise UnreadableSecretError(
            "This secret was encrypted under another BERTH_SECRET_KEY, or altered."
        ) from None


def _charger_hash(salt: str, password: bytes) -> str:
    return hmac.new(_key("charger password"), salt.encode() + b":" + password, hashlib.sha256).hexdigest()


def _box() -> Fernet:
    return Fernet(base64.urlsafe_b64encode(_key("encryption")))


def _key(purpose: str) -> bytes:
    """One key a purpose (HMAC as a one-step key derivation: SECRET_KEY has the entropy). 32 bytes."""
    return hmac.new(settings.SECRET_KEY.encode(), b"berth " + purpose.encode(), hashlib.sha256).digest()


def _bytes(password: str | bytes) -> bytes:
    return password.encode() if isinstance(password, str) else password
