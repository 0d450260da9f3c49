"""An organisation's webhooks: made, paused, tried, and taken away by its administrators or by the JSON API."""

from __future__ import annotations

import base64
import secrets as random_bytes
from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from bookings.errors import EventUnknown, TooManyWebhooks, WebhookRefused, WrongWebhookState
from bookings.models import Webhook, WebhookDelivery
from bookings.notifications.feed import TYPES, WAKE_CHANNEL
from depots.models import Organisation
from depots.notices import tell
from depots.secrets import decrypt, encrypt
from depots.url_guard import MAX_URL, HostileAddress, check_url

MOST_WEBHOOKS = 20
LONGEST_URL = MAX_URL
State = Webhook.State


def make_webhook(
    *, organisation: Organisation, url: str, events: Sequence[str] = (), now: datetime
) -> tuple[Webhook, str]:
    """A webhook and its secret, which is shown this once. Without `events` it is told all types.

    Raises WebhookRefused for an address that is not called, EventUnknown, TooManyWebhooks.
    """
    try:
        check_url(url)
    except HostileAddress as refusal:
        raise WebhookRefused(str(refusal)) from refusal
    unknown = [name for name in events if name not in TYPES]
    if unknown:
        raise EventUnknown(f"There is no event {unknown[0]!r:.60}.")
    secret = new_secret()
    with transaction.atomic():
        Organisation.objects.select_for_update(no_key=True).get(pk=organisation.pk)
        if organisation.webhooks.count() >= MOST_WEBHOOKS:
            raise TooManyWebhooks(f"An organisation has {MOST_WEBHOOKS} webhooks at most.")
        made = Webhook.objects.create(
            organisation=organisation, url=url, events=sorted(set(events)), secret=encrypt(secret), created_at=now
        )  # fmt: skip
    return made, secret


def new_secret() -> str:
    """`whsec_` and 32 random bytes in base64, as Standard Webhooks has them."""
    return "whsec_" + base64.b64encode(random_bytes.token_bytes(32)).decode()


def pause(*, webhook_id: int) -> Webhook:
    """Call it no more until it is resumed; its deliveries wait, three days at most. Raises WrongWebhookState."""
    with transaction.atomic():
        found = _locked(webhook_id)
        if found.state != State.ACTIVE:
            raise WrongWebhookState("It is not active.")
        found.state = State.PAUSED
        found.save(update_fields=["state"])
    return found


def resume(*, webhook_id: int, now: datetime) -> Webhook:
    """Call it again, with what waits first. Raises WrongWebhookState when it is active."""
    with transaction.atomic():
        found = _locked(webhook_id)
        if found.state == State.ACTIVE:
            raise WrongWebhookState("It is active already.")
        found.state, found.failing_since, found.failures, found.retry_at = State.ACTIVE, None, 0, None
        found.save(update_fields=["state", "failing_since", "failures", "retry_at"])
        waiting = found.deliveries.filter(state=WebhookDelivery.State.WAITING)
        waiting.filter(next_try_at__gt=now).update(next_try_at=now)
        tell(WAKE_CHANNEL, ["resumed"])
    return found


def send_test(*, webhook_id: int, now: datetime) -> WebhookDelivery:
    """Queue a call of the type `webhook.test`, once, whatever the webhook's events. Raises WrongWebhookState when it is not
    active."""
    with transaction.atomic():
        found = _locked(webhook_id)
        if found.state != State.ACTIVE:
            raise WrongWebhookState("Switch it on first.")
        made = WebhookDelivery.objects.create(webhook=found, next_try_at=now, created_at=now)
        tell(WAKE_CHANNEL, ["test"])
    return made


def resend(*, delivery: WebhookDelivery, now: datetime) -> None:
    """Send a delivery again that arrived or was given up, under the same id. Raises WrongWebhookState while it waits anyway."""
    with transaction.atomic():
        _locked(delivery.webhook_id)
        settled = WebhookDelivery.objects.filter(pk=delivery.pk).exclude(state=WebhookDelivery.State.WAITING)
        if not settled.update(
            state=WebhookDelivery.State.WAITING,
            next_try_at=now,
            attempts=0,
            created_at=now,
            leased_until=None,
        ):
            raise WrongWebhookState("It waits to be sent already.")
        tell(WAKE_CHANNEL, ["again"])


def remove(*, webhook_id: int) -> None:
    """With its log. Its row is locked before its deliveries', as by who settles one."""
    with transaction.atomic():
        for found in Webhook.objects.select_for_update().filter(pk=webhook_id):
            found.delete()


def rotate_webhook_secrets() -> int:
    """Keep every secret under the newest storage key; how many. Raises UnreadableSecretError, and changes nothing then."""
    with transaction.atomic():
        found = list(Webhook.objects.order_by("pk").select_for_update(no_key=True))
        for webhook in found:
            webhook.secret = encrypt(decrypt(webhook.secret))
        Webhook.objects.bulk_update(found, ["secret"], batch_size=500)
        return len(found)


def _locked(webhook_id: int) -> Webhook:
    return Webhook.objects.select_for_update(no_key=True).get(pk=webhook_id)
