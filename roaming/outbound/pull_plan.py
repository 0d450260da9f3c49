"""When which list of a partner is read next."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from roaming.models import Partner, PartnerPull
from roaming.outbound.reader_table import LISTS

EVERY = timedelta(hours=1)


def plan(partners: Iterable[Partner], *, now: datetime) -> None:
    """Read at once every list that these partners have and that is not read yet, or not any more."""
    for partner in partners:
        offered = [name for name, one in LISTS.items() if partner.has_role(one.owner) and one.url(partner)]
        PartnerPull.objects.bulk_create(
            [PartnerPull(partner=partner, module=name, next_at=now) for name in offered],
            ignore_conflicts=True,
        )
        partner.pulls.filter(module__in=offered, next_at__isnull=True).update(next_at=now)


def plan_new_lists(*, now: datetime) -> None:
    """The same for every partner, of lists that it was not known to have: this version may read more than the last one."""
    planned = set(PartnerPull.objects.values_list("partner", "module"))
    PartnerPull.objects.bulk_create(
        [
            PartnerPull(partner=partner, module=name, next_at=now)
            for partner in Partner.objects.filter(state=Partner.State.REGISTERED)
            for name, one in LISTS.items()
            if (partner.pk, name) not in planned and partner.has_role(one.owner) and one.url(partner)
        ],
        ignore_conflicts=True,
    )


def read_all_again(partner: Partner, *, now: datetime) -> None:
    """All of every list, at once."""
    plan([partner], now=now)
    partner.pulls.filter(next_at__isnull=False).update(next_at=now, wants_all=True, failures=0)


def splay(partner_id: int, over: timedelta) -> timedelta:
    """Not all partners at the same moment, and each always at its own."""
    return over * (partner_id * 37 % 601) / 601
