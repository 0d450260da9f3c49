"""Figures of partners for who watches the installation: how many are in which state, and the worst of them one by one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Q

from roaming.console.overview import Queue, queues_of
from roaming.models import Partner
from roaming.outbound.deliveries import CIRCUIT_OPENS_AT


@dataclass(frozen=True)
class PartnerGauge:
    name: str
    failures: int
    waiting: int
    oldest_s: int

    @property
    def is_circuit_open(self) -> bool:
        return self.failures >= CIRCUIT_OPENS_AT


def by_state() -> dict[str, int]:
    """Every state, also one that nobody is in. A partner is counted once: paused before away or refusing before registered. One
    query."""
    registered = Q(state=Partner.State.REGISTERED)
    paused, failing, refuses = Q(paused_at__isnull=False), Q(failures__gt=0), Q(refuses=True)
    found: dict[str, int] = Partner.objects.aggregate(
        paused=Count("pk", filter=registered & paused),
        away=Count("pk", filter=registered & ~paused & failing & ~refuses),
        refusing=Count("pk", filter=registered & ~paused & failing & refuses),
        registered=Count("pk", filter=registered & ~paused & ~failing),
        unregistered=Count("pk", filter=~registered),
    )
    return found


def worst(most: int, *, now: datetime) -> list[PartnerGauge]:
    """Registered partners that do not answer or lack something, those that lack it longest first. Two queries."""
    queues = queues_of(now=now)
    troubled = Partner.objects.filter(Q(pk__in=queues) | Q(failures__gt=0), state=Partner.State.REGISTERED)
    gauges = [
        PartnerGauge(str(partner), partner.failures, queue.waiting, queue.age_s(now))
        for partner in troubled.select_related("organisation")
        for queue in (queues.get(partner.pk, Queue()),)
    ]
    return sorted(gauges, key=lambda one: (-one.oldest_s, -one.failures, one.name))[:most]
