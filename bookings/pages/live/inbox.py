"""How many messages a person has not read: with each page, and live."""

from __future__ import annotations

from django.db.models import Count, IntegerField, OuterRef, Subquery
from django.db.models.functions import Coalesce

from bookings.models import InboxMessage
from bookings.notifications import inbox
from bookings.pages.live.rendering import Views, renders_all
from depots import navigation

_UNREAD = InboxMessage.objects.filter(user=OuterRef("user"), read_at=None).order_by().values("user")
navigation.READ_ALONG["unread"] = Coalesce(
    Subquery(_UNREAD.annotate(number=Count("pk")).values("number"), output_field=IntegerField()), 0
)


@renders_all("inbox")
def render_inboxes(user_ids: list[int]) -> dict[int, Views]:
    found = inbox.unread(set(user_ids))
    return {pk: {inbox.audience(pk): {"person": pk, "unread": found[pk]}} for pk in user_ids}
