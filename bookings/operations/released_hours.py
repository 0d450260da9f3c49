"""Hours that the own fleet had first, and guests may book by now: their calendars show more although nobody did anything."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from bookings.core.calendars import mark_depot_changed
from bookings.models import AccessRule

EVERY_MIN = 15


def tell_of_released_hours(*, now: datetime) -> int:
    """Every quarter of an hour the calendars of depots with such hours are looked at anew; how many depots."""
    if now.minute % EVERY_MIN or now.second:
        return 0
    rules = AccessRule.objects.filter(kind=AccessRule.Kind.OWN_FIRST, ahead_min__isnull=False)
    depot_ids = sorted(set(rules.values_list("depot_id", flat=True)))
    for depot_id in depot_ids:
        with transaction.atomic():
            mark_depot_changed(depot_id, at=now)
    return len(depot_ids)
