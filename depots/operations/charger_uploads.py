"""Files that chargers were asked for: each is taken once, under the secret of its address, while it is awaited."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import QuerySet

from depots.models import ChargerUpload
from depots.secrets import hash_token_under_each_key

LONGEST_NAME = 120
_ODD = re.compile(r"[^A-Za-z0-9._-]+")


class UploadNotAwaited(Exception):
    """No file is awaited under this secret: there is none, it was used, or its time is over."""


def is_awaited(token: str, *, now: datetime) -> bool:
    return _awaited(token, now).exists()


def keep_upload(*, token: str, name: str, content: bytes, now: datetime) -> ChargerUpload:
    """Raises UploadNotAwaited."""
    with transaction.atomic():
        upload = _awaited(token, now).select_for_update(no_key=True).first()
        if upload is None:
            raise UploadNotAwaited
        upload.name = _safe(name) or f"charger-log-{upload.command_id}"
        upload.content, upload.size, upload.received_at = content, len(content), now
        upload.save()
    return upload


def forget_old_uploads(*, now: datetime, kept_days: int = 30) -> int:
    """Logs are kept for a month; an address nobody used goes with them."""
    old = ChargerUpload.objects.filter(open_until__lt=now - timedelta(days=kept_days))
    return old.delete()[0]


def _awaited(token: str, now: datetime) -> QuerySet[ChargerUpload]:
    """The one of this secret, while it is open."""
    return ChargerUpload.objects.filter(
        secret_hash__in=hash_token_under_each_key(token), received_at__isnull=True, open_until__gt=now
    )


def _safe(name: str) -> str:
    return _ODD.sub("_", name.rsplit("/", 1)[-1]).strip("._")[-LONGEST_NAME:]
