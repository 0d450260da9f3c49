"""Passwords of chargers, replaced over OCPP without a moment in which one of them is locked out.

The new password opens from the moment it exists, the old one until the charger has come with the new. Whatever is lost in
between, a gateway, an answer, a charger's power, one of the two is what it has.
"""

from __future__ import annotations

import secrets
import string
from datetime import datetime

from django.db import transaction

from depots.models import Charger, ChargerCommand
from depots.operations.commands import queue_command
from depots.secrets import (
    UnreadableSecretError,
    decrypt,
    encrypt,
    hash_charger_password,
)

# Right for every version: 16 to 20 bytes in 1.6, 16 to 40 characters in 2.x. 119 bits.
PASSWORD_LENGTH = 20
_CHARACTERS = string.ascii_letters + string.digits
Action = ChargerCommand.Action
State = ChargerCommand.State
NEXT_PASSWORD = ["next_password", "next_password_salt", "next_password_hash"]


class PasswordChangedError(Exception):
    """A charger's password is another one by now."""


def new_charger_password() -> str:
    return "".join(secrets.choice(_CHARACTERS) for _ in range(PASSWORD_LENGTH))


def rotate_charger_password(*, charger_id: int, asked_by: str = "", now: datetime) -> ChargerCommand:
    """Give a charger another password over OCPP, as soon as it is reachable. Asked again before it has come with the new
    one, it is told the same once more: of a third nobody could say which it has.
    """
    with transaction.atomic():
        charger = Charger.objects.select_for_update(no_key=True).get(pk=charger_id)
        if not _can_read(charger.next_password):
            password = new_charger_password()
            charger.next_password = encrypt(password)
            charger.next_password_salt, charger.next_password_hash = hash_charger_password(password)
            charger.save(update_fields=NEXT_PASSWORD)
        return queue_command(
            charger=charger,
            action=Action.SET_PASSWORD,
            payload={"encrypted": charger.next_password},
            asked_by=asked_by,
            now=now,
        )


def promote_password(*, charger_id: int, was_next: str, password: bytes, now: datetime) -> None:
    """The charger has come with the new password, as these bytes: it is its only one from now on.

    `was_next` is the hash that was seen; one that has been promoted meanwhile changes nothing.
    """
    salt, hashed = hash_charger_password(password)
    with transaction.atomic():
        charger = Charger.objects.select_for_update(no_key=True).get(pk=charger_id)
        if charger.next_password_hash != was_next:
            return
        _replace(charger, salt, hashed, now)
        forget_next_password(charger)
        charger.save(update_fields=[*_CURRENT, *NEXT_PASSWORD])


def give_new_password(*, charger_id: int, was: str | None = None, now: datetime) -> str:
    """A password for somebody to enter at the charger by hand, returned this once; the one before opens no more.

    One that is on its way to the charger over OCPP still opens. `was` is the hash that was seen: of two who ask at once
    one would enter a password that the other's has replaced. Raises PasswordChangedError.
    """
    password = new_charger_password()
    with transaction.atomic():
        charger = Charger.objects.select_for_update(no_key=True).get(pk=charger_id)
        if was is not None and charger.password_hash != was:
            raise PasswordChangedError
        _replace(charger, *hash_charger_password(password), now)
        charger.save(update_fields=_CURRENT)
    return password


def forget_next_password(charger: Charger) -> None:
    """None is on its way any more, not saved: who comes as this charger from now on was told none."""
    charger.next_password = charger.next_password_salt = charger.next_password_hash = ""
    told = charger.commands.filter(action=Action.SET_PASSWORD)
    told.filter(state=State.QUEUED).update(state=State.STALE)
    told.exclude(payload={}).update(payload={})


_CURRENT = [
    "password_salt",
    "password_hash",
    "replaced_password_salt",
    "replaced_password_hash",
    "password_at",
]


def _replace(charger: Charger, salt: str, hashed: str, now: datetime) -> None:
    """The one before is remembered, so that a depot file that still has it does not bring it back."""
    charger.replaced_password_salt, charger.replaced_password_hash = (
        charger.password_salt,
        charger.password_hash,
    )
    charger.password_salt, charger.password_hash, charger.password_at = salt, hashed, now


def _can_read(encrypted: str) -> bool:
    """Is one on its way that can still be told?"""
    try:
        return bool(encrypted and decrypt(encrypted))
    except UnreadableSecretError:
        return False
