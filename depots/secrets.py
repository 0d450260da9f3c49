"""Secrets of machines: charger passwords, API and partner tokens.

They are long random texts, so one keyed hash is enough, and cheap enough for thousands of chargers that reconnect
together; people's passwords are Django's business. Keys are derived from `BERTH_STORAGE_KEYS` for one purpose each: what is
new is kept under the first, what is older is read under any, so that a key can be replaced while everything runs
(docs/operators/backup.md, "Another key"). A copy of the database alone opens nothing.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import string
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings

# A charger's own password among its settings: OCPP 1.6 security whitepaper, and SecurityCtrlr of 2.x; in small letters.
PASSWORD_SETTINGS = ("authorizationkey", "basicauthpassword")


class UnreadableSecretError(ValueError):
    """An encrypted secret that this server's key does not open."""


def names_password_setting(text: str) -> bool:
    """May this frame, or the setting of this name, hold a charger's password?"""
    folded = text.casefold()
    return any(setting in folded for setting in PASSWORD_SETTINGS)


def new_token() -> str:
    """256 random bits as text that is safe in a URL or a header."""
    # A letter first: what begins with a dash looks like an option where it is given to a command.
    return secrets.choice(string.ascii_letters) + secrets.token_urlsafe(32)


def hash_charger_password(password: str | bytes) -> tuple[str, str]:
    """(salt, hash) for Charger.password_salt and Charger.password_hash; the salt begins with the key's fingerprint."""
    key = _storage_keys()[0]
    salt = f"{fingerprint(key)}{secrets.token_hex(12)}"
    return salt, _charger_hash(key, salt, _bytes(password))


def charger_password_matches(password: str | bytes, *, salt: str, hashed: str) -> bool:
    """Constant time for a key. Without a stored hash nothing matches, after the same amount of work."""
    made = [_charger_hash(key, salt, _bytes(password)) for key in _storage_keys()]
    return any(hmac.compare_digest(found, hashed) for found in made) and bool(hashed)


def is_under_newest_key(password_salt: str) -> bool:
    """Whether a charger's password needs no rotation."""
    return password_salt.startswith(fingerprint(_storage_keys()[0]))


def fingerprint(key: str) -> str:
    """Eight characters that tell keys apart and say nothing about them."""
    return _derived(key, "fingerprint").hex()[:8]


def hash_token(token: str) -> str:
    """The same text for the same token: stored under a unique index, so that a token is looked up by its hash."""
    return hash_token_under_each_key(token)[0]


def hash_token_under_each_key(token: str) -> list[str]:
    """What the token may be stored as, the newest key first."""
    return [
        hmac.new(_derived(key, "token"), token.encode(), hashlib.sha256).hexdigest()
        for key in _storage_keys()
    ]


def encrypt(secret: str) -> str:
    """Text for a column, for the few secrets we have to show or send again (a partner's token)."""
    return _box().encrypt(secret.encode()).decode()


def decrypt(stored: str) -> str:
    """The secret that `encrypt` was given. Raises UnreadableSecretError."""
    try:
        return _box().decrypt(stored.encode()).decode()
    except InvalidToken:
        raise UnreadableSecretError(
            "This secret was encrypted under a key that is not among BERTH_STORAGE_KEYS, or altered."
        ) from None


def _charger_hash(key: str, salt: str, password: bytes) -> str:
    return hmac.new(
        _derived(key, "charger password"), salt.encode() + b":" + password, hashlib.sha256
    ).hexdigest()


def _box() -> MultiFernet:
    return MultiFernet(
        [Fernet(base64.urlsafe_b64encode(_derived(key, "encryption"))) for key in _storage_keys()]
    )


def _storage_keys() -> list[str]:
    keys: list[str] = settings.BERTH_STORAGE_KEYS
    return keys


@lru_cache(maxsize=32)
def _derived(key: str, purpose: str) -> bytes:
    """One key a purpose (HMAC as a one-step key derivation: a storage key has the entropy). 32 bytes."""
    return hmac.new(key.encode(), b"berth " + purpose.encode(), hashlib.sha256).digest()


def _bytes(password: str | bytes) -> bytes:
    return password.encode() if isinstance(password, str) else password
