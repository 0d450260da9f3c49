"""/events: what happened to an organisation's bookings, in the order in which it was told; the same that its webhooks get."""

from __future__ import annotations

import json
import re
from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router
from pydantic import BaseModel, Field

from bookings.api.authentication import caller_of
from bookings.api.fields import Moment
from bookings.api.paging import Page, paged
from bookings.api.problems import ApiResponse, Invalid
from bookings.api.schemas import List
from bookings.models import FeedEvent
from bookings.notifications.feed import events_of
from depots.periods import utc_text

router = Router()
_ID = re.compile(r"evt_([1-9]\d{0,17})", re.ASCII)


class EventsPage(Page):
    after: str | None = Field(
        None, max_length=30, description="the `id` of an event: only what was told behind it"
    )


class EventObject(BaseModel):
    id: str = Field(description="the `webhook-id`")
    type: str
    timestamp: Moment
    data: dict[str, Any] = Field(description="the booking as it was rendered then")


@router.get("", response=List[EventObject])
def events(request: HttpRequest, query: Query[EventsPage]) -> HttpResponse:
    """The oldest first, kept for 30 days. An event appears once no older transaction is open: reading on behind the last one that
    was read misses nothing."""
    rows = events_of(caller_of(request).organisation, after=_number(query.after))
    return ApiResponse(json.dumps(paged(rows, query, ["pk"], event_object), ensure_ascii=False))


def event_object(event: FeedEvent) -> dict[str, Any]:
    return {
        "id": event.public_id,
        "type": event.type,
        "timestamp": utc_text(event.at, timespec="milliseconds"),
        "data": event.content,
    }


def _number(after: str | None) -> int:
    """Raises Invalid."""
    if not after:
        return 0
    found = _ID.fullmatch(after)
    if found is None:
        raise Invalid([("after", "is no id of an event")])
    return int(found[1])
