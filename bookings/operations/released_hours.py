"""Hours that the own fleet had first, and guests may book by now: their calendars show more although nobody did anything."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction

from bookings.core.calendars import mark_depot_changed
from bookings.models import AccessRule, SchedulerTick

EVERY_MIN = 15
_NAME = "released hours"


def tell_of_released_hours(*, now: datetime) -> int:
    """Once in every quarter of an hour, whenever in it a tick comes, the calendars of depots with such hours are looked at anew;
    how many depots."""
    rules = AccessRule.objects.filter(kind=AccessRule.Kind.OWN_FIRST, ahead_min__isnull=False)
    depot_ids = sorted(set(rules.values_list("depot_id", flat=True)))
    if not depot_ids:
        return 0
    with transaction.atomic():
        if not _is_first_of(_quarter(now)):
            return 0
        for depot_id in depot_ids:
            mark_depot_changed(depot_id, at=now)
    return len(depot_ids)


def _quarter(now: datetime) -> datetime:
    return now - timedelta(minutes=now.minute % EVERY_MIN, seconds=now.second, microseconds=now.microsecond)


def _is_first_of(quarter: datetime) -> bool:
    """Claimed in the transaction of what is done in it, so that a process that dies leaves the quarter to another."""
    if SchedulerTick.objects.filter(name=_NAME, at__lt=quarter).update(at=quarter):
        return True
    _, is_new = SchedulerTick.objects.get_or_create(name=_NAME, defaults={"at": quarter})
    return is_new
