"""The people who hear of news: by their roles in the organisation it concerns, and as each of them has chosen."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from bookings.models import NotificationChoice
from bookings.notifications.kinds import KINDS, Kind, concerns, mails_by_default
from bookings.notifications.resolving import News
from depots.models import Membership


@dataclass(frozen=True)
class Told:
    """One person hears of one piece of news, in at least one way."""

    user_id: int
    news: News
    inbox: bool
    mail: bool


def who_hears(news: Sequence[News]) -> list[Told]:
    """In the order of the news; two queries, however many there are."""
    members = _members({one.organisation_id for one in news})
    choices = _choices({user_id for people in members.values() for user_id, _ in people})
    found = []
    for one in news:
        kind = KINDS[one.kind]
        for (user_id, email), roles in members.get(one.organisation_id, {}).items():
            if not concerns(kind, roles) or email == one.actor_name:
                continue
            inbox, mail = choices.get((user_id, kind.name)) or by_default(kind, roles)
            if inbox or mail:
                found.append(Told(user_id, one, inbox, mail))
    return found


def by_default(kind: Kind, roles: set[str]) -> tuple[bool, bool]:
    """Inbox, mail."""
    return kind.inbox, mails_by_default(kind, roles)


_Members = dict[int, dict[tuple[int, str], set[str]]]


def _members(organisation_ids: set[int]) -> _Members:
    """By organisation, each person (key and address) with all their roles there."""
    rows = Membership.objects.filter(organisation__in=organisation_ids, user__is_active=True)
    found: _Members = defaultdict(lambda: defaultdict(set))
    for organisation_id, user_id, email, role in rows.order_by("user_id").values_list(
        "organisation", "user", "user__email", "role"
    ):
        found[organisation_id][user_id, email].add(role)
    return found


def _choices(people: set[int]) -> dict[tuple[int, str], tuple[bool, bool]]:
    rows = NotificationChoice.objects.filter(user__in=people)
    return {(row.user_id, row.kind): (row.inbox, row.mail) for row in rows}
