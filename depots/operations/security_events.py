"""What chargers report about their security, kept for who looks after them, and bounded: a row a kind, however often."""

from __future__ import annotations

from datetime import datetime

from django.db.models import F

from depots.models import SecurityEvent

MOST_KINDS = 100
MOST_COUNTED = 2**31 - 1


def record_security_event(*, charger_id: int, kind: str, info: str, at: datetime, now: datetime) -> None:
    """The same event told again is one. Kinds that came last are kept: a charger's clock may be years ahead."""
    told = {"info": info[:255], "at": at, "received_at": now}
    event, is_new = SecurityEvent.objects.get_or_create(charger_id=charger_id, kind=kind[:50], defaults=told)
    if is_new:
        _forget_oldest(charger_id)
    elif (event.info, event.at) != (told["info"], at):
        more = SecurityEvent.objects.filter(pk=event.pk)
        more.filter(count__lt=MOST_COUNTED).update(count=F("count") + 1)
        more.update(**told)


def _forget_oldest(charger_id: int) -> None:
    kept = SecurityEvent.objects.filter(charger=charger_id).order_by("-received_at", "-pk")[:MOST_KINDS]
    SecurityEvent.objects.filter(charger=charger_id).exclude(
        pk__in=list(kept.values_list("pk", flat=True))
    ).delete()
