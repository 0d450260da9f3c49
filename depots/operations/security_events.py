"""What chargers report about their security, kept for who looks after them, and bounded."""

from __future__ import annotations

from datetime import datetime

from depots.models import SecurityEvent

MOST_OF_ONE = 100


def record_security_event(*, charger_id: int, kind: str, info: str, at: datetime, now: datetime) -> None:
    """The same event told again is one. Those that came last are kept: a charger's clock may be years ahead."""
    SecurityEvent.objects.get_or_create(
        charger_id=charger_id, kind=kind[:50], at=at, info=info[:255], defaults={"received_at": now}
    )
    kept = SecurityEvent.objects.filter(charger=charger_id).order_by("-pk")[:MOST_OF_ONE]
    SecurityEvent.objects.filter(charger=charger_id).exclude(
        pk__in=list(kept.values_list("pk", flat=True))
    ).delete()
