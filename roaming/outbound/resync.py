"""A partner and we told all again, both ways: on demand, and every night, each partner at its own moment.

What was delivered is known by its digest, and what changed is read by its date; neither heals a copy that somebody lost.
"""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

from django.db import transaction
from django.db.models import Q

from roaming.models import Partner
from roaming.outbound import full_sets, pull_plan
from roaming.outbound.waking import wake_sender
from roaming.party_roles import NotRegistered
from roaming.switches import switch

# The night in UTC, over which partners are spread.
FROM, OVER = time(1), timedelta(hours=4)
AT_ONCE = 20


def resync(*, partner_id: int, sent_before: datetime | None = None, now: datetime) -> Partner:
    """All it is to have of us is on its way to it, all its lists are read whole. Raises NotRegistered.

    Bookings and offers are sent as they are then, not as they are now. What was sent at `sent_before` or later is not sent again.
    """
    with transaction.atomic():
        partner = (
            Partner.objects.select_for_update(no_key=True, of=("self",))
            .select_related("organisation")
            .get(pk=partner_id)
        )
        if not partner.is_registered:
            raise NotRegistered(f"{partner} is not registered.")
        full_sets.want_all(partner, anew=False, sent_before=sent_before, now=now)
        pull_plan.read_all_again(partner, now=now)
        partner.next_resync_at = next_night(partner, now)
        partner.save(update_fields=["next_resync_at"])
        wake_sender()
    return partner


def resync_due(*, now: datetime) -> int:
    """The partners whose night it is. One that does not answer is left for when it does: then it gets what it has missed, and
    of all else what it had before that night."""
    due = Partner.objects.filter(state=Partner.State.REGISTERED, next_resync_at__lte=now)
    open_now = due.filter(Q(closed_until__isnull=True) | Q(closed_until__lte=now), failures=0, paused_at=None)
    found = 0
    for partner in open_now.order_by("next_resync_at")[:AT_ONCE]:
        if not Partner.objects.filter(pk=partner.pk, next_resync_at=partner.next_resync_at).update(
            next_resync_at=next_night(partner, now)
        ):
            continue  # another worker's
        if switch(partner, "nightly_resync"):
            resync(partner_id=partner.pk, sent_before=partner.next_resync_at, now=now)
            found += 1
    return found


def plan_nights(*, now: datetime) -> None:
    """For partners that have none planned."""
    for partner in Partner.objects.filter(state=Partner.State.REGISTERED, next_resync_at__isnull=True):
        Partner.objects.filter(pk=partner.pk).update(next_resync_at=next_night(partner, now))


def next_night(partner: Partner, now: datetime) -> datetime:
    """The partner's moment of the next night that has not come yet."""
    own = pull_plan.splay(partner.pk, OVER)
    tonight = datetime.combine(now.astimezone(UTC).date(), FROM, UTC) + own
    return tonight if tonight > now else tonight + timedelta(days=1)
