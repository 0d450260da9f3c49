"""What `manage.py check --deploy` says beyond Django's own checks."""

from typing import Any

from django.conf import settings
from django.core.checks import Tags, Warning, register


@register(Tags.security, deploy=True)
def storage_keys_of_their_own(**_: Any) -> list[Warning]:
    """Under the secret key alone stored secrets cannot be given another key without signing everybody out."""
    if settings.SECRET_KEY in settings.BERTH_STORAGE_KEYS[:1]:
        return [
            Warning(
                "Stored secrets are kept under BERTH_SECRET_KEY.",
                hint="Set BERTH_STORAGE_KEYS to a key of their own (docs/operators/backup.md, Another key).",
                id="berth.W001",
            )
        ]
    return []
