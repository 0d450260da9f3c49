"""All told and read again by a click, and how far that is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Count, Q

from bookings.errors import ChangedMeanwhile
from roaming.console.operations import Act, locked_for, note, sending_version
from roaming.models import Partner, PartnerEvent
from roaming.outbound import resync
from roaming.party_roles import NotRegistered

SHOWN_FOR = timedelta(hours=24)


@dataclass(frozen=True)
class ResyncProgress:
    """Since somebody asked at `asked_at`: objects and lists that are still to go, of how many."""

    asked_at: datetime
    waiting: int
    objects: int
    unread: int
    lists: int

    @property
    def is_over(self) -> bool:
        return not self.waiting and not self.unread


def resync_all(act: Act) -> None:
    """Send it all it is to have, as it is then, and read all its lists. Raises ChangedMeanwhile."""
    with transaction.atomic():
        locked_for(act, sending_version)
        try:
            resync.resync(partner_id=act.partner_id, now=act.now)
        except NotRegistered as refusal:
            raise ChangedMeanwhile(str(refusal)) from refusal
        note(act, PartnerEvent.Kind.RESYNCED)


def progress_of(partner: Partner, now: datetime) -> ResyncProgress | None:
    """Of the last time somebody asked; None where that is long ago, or never was. Three statements at most."""
    asked = partner.events.filter(kind=PartnerEvent.Kind.RESYNCED, at__gt=now - SHOWN_FOR)
    asked_at = asked.order_by("-at").values_list("at", flat=True).first()
    if asked_at is None:
        return None
    waits = Q(next_try_at__isnull=False)
    of_it = partner.deliveries.filter(waits | Q(delivered_at__gte=asked_at))
    told = of_it.aggregate(objects=Count("pk"), waiting=Count("next_try_at"))
    read = list(partner.pulls.filter(next_at__isnull=False).values_list("read_at", flat=True))
    return ResyncProgress(
        asked_at,
        waiting=told["waiting"],
        objects=told["objects"],
        unread=sum(1 for moment in read if moment is None or moment < asked_at),
        lists=len(read),
    )
