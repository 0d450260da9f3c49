"""What one object waits for that its partner has not got yet: the session that a booking or a record is about, the record that a
credit takes back.

Beside the order between kinds (delivery_rules.py), which knows neither which session a record is of nor which of many parties
behind a hub is away.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db import models
from django.db.models import ExpressionWrapper, Q

from roaming.hubs.clients import UNREACHABLE
from roaming.models import Delivery
from roaming.outbound.deliveries import CIRCUIT_OPENS_AT, Lease
from roaming.outbound.delivery_rules import HOLDS_UP_FOR
from roaming.outbound.postponing import Postponed, postpone_all

# So soon is looked again whether it is there, and at the latest so late, where it is tried later and may come sooner.
SOON, AT_THE_LATEST = timedelta(milliseconds=300), timedelta(seconds=30)
# A partner that has said no to everything for so long may be waiting for what is held back.
REFUSED_FOR = timedelta(hours=36)


class Untold(NamedTuple):
    """An object that a partner has not got as it is. `is_first`: not in any state; `is_coming`: neither refused by one that
    takes other things nor given up on for now."""

    tried_at: datetime
    is_first: bool
    is_coming: bool


def untold(
    kind: Delivery.Kind, object_ids: Collection[int], *, now: datetime
) -> dict[tuple[int, int], Untold]:
    """By partner and object; at most one query."""
    if not object_ids:
        return {}
    rows = Delivery.objects.filter(kind=kind, object_id__in=object_ids, next_try_at__isnull=False)
    rows = rows.annotate(is_coming=ExpressionWrapper(_is_coming(now), models.BooleanField()))
    found = rows.values_list("partner_id", "object_id", "next_try_at", "delivered_version", "is_coming")
    return {
        (partner_id, pk): Untold(at or now, version == 0, is_coming)
        for partner_id, pk, at, version, is_coming in found
    }


def _is_coming(now: datetime) -> Q:
    """A no of a partner that has said yes to nothing since is about nothing of the object, nor is a hub's that its party is
    away."""
    is_silent = Q(was_refused=False)
    is_failing = Q(partner__failures__gte=CIRCUIT_OPENS_AT)
    says_no = Q(partner__failures__gt=0, waiting_since__gt=now - REFUSED_FOR)
    is_away = Q(last_error__startswith=UNREACHABLE)
    return is_away | (is_silent & (Q(attempts__lte=HOLDS_UP_FOR) | is_failing)) | (~is_silent & says_no)


def wait(leases: Mapping[Lease, Untold], *, now: datetime) -> None:
    """Give these back until what each waits for was tried."""
    postpone_all([Postponed(lease, _until(first, now)) for lease, first in leases.items()])


def _until(first: Untold, now: datetime) -> datetime:
    """What is refused, perhaps for good, is looked at no oftener than it is tried."""
    until = max(first.tried_at, now + SOON)
    return min(until, now + AT_THE_LATEST) if first.is_coming else until
