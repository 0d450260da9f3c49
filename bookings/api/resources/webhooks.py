"""/webhooks: where an organisation wants to be called with each event."""

from __future__ import annotations

import json
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from ninja import Query, Router
from pydantic import BaseModel, Field

from bookings.api.authentication import Caller, caller_of
from bookings.api.fields import Body, whole_number
from bookings.api.paging import Page, paged
from bookings.api.problems import ApiResponse
from bookings.api.schemas import List
from bookings.models import Webhook
from bookings.notifications.feed import TYPES
from bookings.webhooks import registry
from bookings.webhooks.registry import LONGEST_URL

router = Router()


class NewWebhook(Body):
    url: str = Field(min_length=1, max_length=LONGEST_URL, description="https, at a public address")
    events: list[str] = Field(default=[], max_length=len(TYPES), description="types; without it all of them")


class WebhookObject(BaseModel):
    id: int
    url: str
    events: list[str]
    state: str = Field(
        description="active, paused, dead (it failed for three days) or gone (it answered 410)"
    )


class MadeWebhook(WebhookObject):
    secret: str = Field(description="`whsec_…`, shown this once")


@router.post("", response={201: MadeWebhook})
def make(request: HttpRequest, body: NewWebhook) -> HttpResponse:
    """Be called with each event, signed by Standard Webhooks."""
    caller = caller_of(request)
    made, secret = registry.make_webhook(
        organisation=caller.organisation, url=body.url, events=body.events, now=caller.now
    )
    response = ApiResponse(
        json.dumps({**webhook_object(made), "secret": secret}, ensure_ascii=False), status=201
    )
    response.is_secret = True
    response["Location"] = f"/api/v1/webhooks/{made.pk}"
    return response


@router.get("", response=List[WebhookObject])
def webhooks(request: HttpRequest, query: Query[Page]) -> HttpResponse:
    rows = Webhook.objects.filter(organisation=caller_of(request).organisation)
    return ApiResponse(json.dumps(paged(rows, query, ["pk"], webhook_object), ensure_ascii=False))


@router.get("/{webhook_id}", response=WebhookObject)
def webhook(request: HttpRequest, webhook_id: str) -> HttpResponse:
    found = _own_webhook(caller_of(request), webhook_id)
    return ApiResponse(json.dumps(webhook_object(found), ensure_ascii=False))


@router.delete("/{webhook_id}", response={204: None})
def remove(request: HttpRequest, webhook_id: str) -> HttpResponse:
    """With the log of its deliveries."""
    registry.remove(webhook_id=_own_webhook(caller_of(request), webhook_id).pk)
    return HttpResponse(status=204)


def webhook_object(row: Webhook) -> dict[str, Any]:
    return {"id": row.pk, "url": row.url, "events": row.events or list(TYPES), "state": row.state}


def _own_webhook(caller: Caller, webhook_id: str) -> Webhook:
    rows = Webhook.objects.filter(organisation=caller.organisation)
    return get_object_or_404(rows, pk=whole_number(webhook_id))
