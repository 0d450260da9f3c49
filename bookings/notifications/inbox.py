"""People's inboxes: what they were told, unread until they have looked, kept for MESSAGES_KEPT."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db.models import Count, QuerySet

from bookings.core.forgetting import delete_in_batches
from bookings.models import InboxMessage
from bookings.notifications.recipients import Told
from depots.models import User
from depots.notices import PAGES_CHANNEL, tell

MESSAGES_KEPT = timedelta(days=90)


def deliver(told: Sequence[Told], *, now: datetime) -> None:
    """Write the messages of who hears in the inbox, and tell their open pages."""
    messages = [
        InboxMessage(
            user_id=one.user_id, kind=one.news.kind, params=one.news.params, link=one.news.link, at=one.news.at
        )
        for one in sorted(told, key=lambda one: one.news.at)
        if one.inbox
    ]  # fmt: skip
    InboxMessage.objects.bulk_create(messages)
    tell_pages({message.user_id for message in messages})


def tell_pages(user_ids: set[int]) -> None:
    """Have the open pages of these people count again."""
    if user_ids:
        notes = [{"kind": "inbox", "id": pk, "audiences": [audience(pk)]} for pk in sorted(user_ids)]
        tell(PAGES_CHANNEL, [json.dumps(note) for note in notes])


def audience(user_id: int) -> str:
    """A person's own, of which only they are part."""
    return f"inbox-{user_id}"


def messages_of(user: User) -> QuerySet[InboxMessage]:
    """The newest first."""
    return InboxMessage.objects.filter(user=user).order_by("-at", "-id")


def unread(user_ids: set[int]) -> dict[int, int]:
    """How many messages each has not read; everybody asked about is in the answer."""
    rows = InboxMessage.objects.filter(user__in=user_ids, read_at=None).values_list("user")
    return dict.fromkeys(user_ids, 0) | dict(rows.annotate(number=Count("pk")).order_by())


def mark_read(*, user: User, ids: Sequence[int] | None = None, now: datetime) -> int:
    """Mark some of a person's messages as read, or all; how many were not before. Others' messages are left alone."""
    rows = InboxMessage.objects.filter(user=user, read_at=None)
    number = (rows if ids is None else rows.filter(pk__in=ids)).update(read_at=now)
    if number:
        tell_pages({user.pk})
    return number


def forget_old(*, now: datetime) -> None:
    delete_in_batches(InboxMessage.objects.filter(at__lte=now - MESSAGES_KEPT))
