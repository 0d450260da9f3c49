"""What is kept encrypted about chargers, brought under the newest storage key."""

from __future__ import annotations

from django.db import transaction

from depots.models import CertificateAuthority, Charger, ChargerCommand
from depots.secrets import decrypt, encrypt, hash_charger_password


def rotate_charger_secrets() -> int:
    """Passwords on their way to chargers, and keys of certificate authorities; how many.

    Raises UnreadableSecretError, and changes nothing then.
    """
    with transaction.atomic():
        authorities = list(CertificateAuthority.objects.order_by("pk").select_for_update())
        for authority in authorities:
            authority.key = encrypt(decrypt(authority.key))
            authority.save(update_fields=["key"])
        waiting = list(
            Charger.objects.exclude(next_password="").order_by("pk").select_for_update(no_key=True)
        )
        for charger in waiting:
            plain = decrypt(charger.next_password)
            charger.next_password = encrypt(plain)
            charger.next_password_salt, charger.next_password_hash = hash_charger_password(plain)
            charger.save(update_fields=["next_password", "next_password_salt", "next_password_hash"])
            told = charger.commands.filter(action=ChargerCommand.Action.SET_PASSWORD).exclude(payload={})
            told.update(payload={"encrypted": charger.next_password})
        return len(waiting) + len(authorities)
