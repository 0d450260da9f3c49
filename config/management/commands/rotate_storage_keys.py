"""Bring stored secrets under the newest of BERTH_STORAGE_KEYS, so that older keys can be taken away."""

from typing import Any

from django.core.management.base import CommandError

from bookings.webhooks.registry import rotate_webhook_secrets
from config.management.operator_command import OperatorCommand
from depots.models import Charger
from depots.operations.stored_secrets import rotate_charger_secrets
from depots.secrets import UnreadableSecretError, is_under_newest_key
from roaming.stored_secrets import rotate_stored_secrets


class Command(OperatorCommand):
    help = (
        "Keep partners' tokens under the newest of BERTH_STORAGE_KEYS. A charger's password follows when the charger "
        "connects; older keys can go once `chargers_left` is empty."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            rotated = rotate_stored_secrets()
            told = rotate_charger_secrets()
            webhooks = rotate_webhook_secrets()
        except UnreadableSecretError as unreadable:
            raise CommandError(str(unreadable)) from unreadable
        salts = Charger.objects.exclude(password_hash="").order_by("identity")
        left = [
            identity
            for identity, salt in salts.values_list("identity", "password_salt")
            if not is_under_newest_key(salt)
        ]
        self.say(
            {
                "partner_secrets": rotated,
                "charger_secrets": told,
                "webhook_secrets": webhooks,
                "chargers_left": left,
            }
        )
