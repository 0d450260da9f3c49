"""An organisation's webhooks, for its administrators: made, tried, paused, and what became of each delivery."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from bookings.errors import BookingError, ChangedMeanwhile
from bookings.models import Webhook
from bookings.notifications.feed import TYPES
from bookings.pages import telling_access
from bookings.pages.forms.telling import WebhookForm
from bookings.pages.views.refusals import status_of, words_of
from bookings.rules.content_version import seen_version, version_of
from bookings.webhooks import registry
from depots.pages import done, respond

LOG = 100


@never_cache
@login_required
@require_safe
def webhooks(request: HttpRequest) -> HttpResponse:
    return _list(request)


@never_cache
@login_required
@require_POST
def add(request: HttpRequest) -> HttpResponse:
    """The answer shows the secret, this once."""
    form = WebhookForm(request.POST, organisations=telling_access.administered(request.user))
    if form.is_valid():
        told = form.cleaned_data
        try:
            made, secret = registry.make_webhook(
                organisation=told["organisation"], url=told["url"], events=told["events"], now=timezone.now()
            )
        except BookingError as refusal:
            form.add_error(refusal.field or None, str(refusal))
        else:
            return _one(request, made, secret=secret, status=201)
    return _list(request, form, status=422)


@never_cache
@login_required
@require_safe
def webhook(request: HttpRequest, webhook_id: int) -> HttpResponse:
    return _one(request, telling_access.webhook(request.user, webhook_id))


@login_required
@require_POST
def pause(request: HttpRequest, webhook_id: int) -> HttpResponse:
    return _changed(request, webhook_id, lambda found: registry.pause(webhook_id=found.pk), "Paused.")


@login_required
@require_POST
def resume(request: HttpRequest, webhook_id: int) -> HttpResponse:
    now = timezone.now()
    return _changed(
        request, webhook_id, lambda found: registry.resume(webhook_id=found.pk, now=now), "Switched on."
    )


@login_required
@require_POST
def test(request: HttpRequest, webhook_id: int) -> HttpResponse:
    now = timezone.now()
    words = "A test is on its way: what came back stands below in a moment."
    return _changed(
        request, webhook_id, lambda found: registry.send_test(webhook_id=found.pk, now=now), words
    )


@login_required
@require_POST
def remove(request: HttpRequest, webhook_id: int) -> HttpResponse:
    words, to = "The webhook is gone.", reverse("telling:webhooks")
    return _changed(request, webhook_id, lambda found: registry.remove(webhook_id=found.pk), words, to=to)


@login_required
@require_POST
def resend(request: HttpRequest, webhook_id: int, delivery_id: int) -> HttpResponse:
    now, row = timezone.now(), telling_access.delivery(request.user, webhook_id, delivery_id)
    return _changed(
        request, webhook_id, lambda _: registry.resend(delivery=row, now=now), "It is sent again."
    )


def _changed(
    request: HttpRequest, webhook_id: int, change: Callable[[Webhook], object], words: str, *, to: str = ""
) -> HttpResponse:
    found = telling_access.webhook(request.user, webhook_id)
    try:
        if seen_version(request.POST) != _version(found):
            raise ChangedMeanwhile("The webhook was changed meanwhile.")
        change(found)
    except BookingError as refusal:
        return _one(request, found, refusal=words_of(refusal), status=status_of(refusal))
    return done(request, to or reverse("telling:webhook", args=[webhook_id]), words)


def _version(found: Webhook) -> int:
    """Of what a person decides on: calls that fail meanwhile change nothing of it."""
    return version_of([found.pk, found.url, found.events, found.state])


def _one(
    request: HttpRequest, found: Webhook, *, secret: str = "", refusal: str = "", status: int = 200
) -> HttpResponse:
    context = {
        "webhook": found,
        "version": _version(found),
        "secret": secret,
        "refusal": refusal,
        "deliveries": found.deliveries.select_related("event").order_by("-pk")[:LOG],
        "events": found.events or list(TYPES),
        "is_active": found.state == Webhook.State.ACTIVE,
    }
    return respond(request, "telling/webhook", context, status)


def _list(request: HttpRequest, form: WebhookForm | None = None, *, status: int = 200) -> HttpResponse:
    organisations = telling_access.administered(request.user)
    rows = Webhook.objects.filter(organisation__in=organisations).select_related("organisation")
    context = {
        "webhooks": rows.order_by("organisation__name", "pk"),
        "is_several": len(organisations) > 1,
        "form": form or WebhookForm(organisations=organisations),
    }
    return respond(request, "telling/webhooks", context, status)
