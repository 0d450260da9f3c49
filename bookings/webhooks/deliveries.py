"""What webhooks have not got yet: taken under a lease, in order for each booking, and settled by what was answered.

A webhook that fails often is tried with its oldest delivery alone, with growing pauses, beside the first retry of each; one
that answers again gets at once what waits. Locks: webhooks by key, then deliveries by key; claiming leaves out what is locked.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction

from bookings.core.forgetting import delete_in_batches
from bookings.models import Webhook, WebhookDelivery
from bookings.notifications.occurrences import leave_word
from depots.periods import utc_text

# Longer than a call may take.
LEASE = timedelta(seconds=45)
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=20), timedelta(minutes=15)
TRIED_FOR = timedelta(days=3)
# After so many failures in a row one delivery at a time is tried.
CIRCUIT_OPENS_AT = 4
IN_FLIGHT_PER_WEBHOOK = 4
# The attempt that follows within 45 seconds of the first, whatever else fails.
FIRST_RETRY = 2
LOG_KEPT = timedelta(days=30)
GONE = 410
TEST = "webhook.test"

# What is due of a webhook `open`, of each booking its first; so many as are not under way already.
_DUE = """
    SELECT d.id FROM bookings_webhookdelivery d
    WHERE d.webhook_id = open.id AND d.state = 'waiting' AND d.next_try_at <= %(now)s
      AND (d.leased_until IS NULL OR d.leased_until <= %(now)s)
      AND (d.booking_id IS NULL OR NOT EXISTS (
          SELECT FROM bookings_webhookdelivery earlier
          WHERE earlier.webhook_id = d.webhook_id AND earlier.booking_id = d.booking_id
            AND earlier.state = 'waiting' AND earlier.id < d.id
      ))
      AND {which}
    ORDER BY d.id
    LIMIT greatest(0, {most} - (
        SELECT count(*) FROM bookings_webhookdelivery b
        WHERE b.webhook_id = open.id AND b.state = 'waiting' AND b.leased_until > %(now)s
    ))
"""
_NEXT = _DUE.format(which="true", most="CASE WHEN open.failures >= %(opens_at)s THEN 1 ELSE %(each)s END")
_FIRST_RETRIES = _DUE.format(which="d.attempts = 1", most="%(each)s")
# Of each webhook the first deliveries in the order of their numbers; of one that fails often a single one when it is asked again,
# and what was refused once, whose first retry is promised whatever else fails.
_CLAIM = f"""
WITH open AS (
    SELECT id, failures FROM bookings_webhook
    WHERE state = 'active' AND (retry_at IS NULL OR retry_at <= %(now)s)
), failing AS (
    SELECT id FROM bookings_webhook WHERE state = 'active' AND retry_at > %(now)s
), chosen AS (
    SELECT id FROM (
        SELECT picked.id FROM open CROSS JOIN LATERAL ({_NEXT}) picked
        UNION
        SELECT picked.id FROM (
            SELECT id FROM open WHERE failures >= %(opens_at)s UNION ALL SELECT id FROM failing
        ) open CROSS JOIN LATERAL ({_FIRST_RETRIES}) picked
    ) due
    ORDER BY id LIMIT %(most)s
), locked AS (
    SELECT id FROM bookings_webhookdelivery
    WHERE id IN (SELECT id FROM chosen) AND state = 'waiting' AND (leased_until IS NULL OR leased_until <= %(now)s)
    ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE bookings_webhookdelivery SET leased_until = %(until)s WHERE id IN (SELECT id FROM locked) RETURNING id
"""  # noqa: S608 - made of constants


@dataclass(frozen=True)
class Claim:
    """A delivery that is ours to send until its lease is over, with all that a call needs. `secret` is encrypted."""

    delivery_id: int
    leased_until: datetime
    url: str
    secret: str
    message_id: str
    type: str
    at: datetime
    content: dict[str, Any]


@dataclass(frozen=True)
class Outcome:
    """What came of a call: a status where there was an answer, else the error."""

    status: int | None = None
    answer: str = ""
    error: str = ""
    took_ms: int = 0

    @property
    def is_taken(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


def claim(*, room: int, now: datetime) -> list[Claim]:
    """What is due, at most `room`, in order."""
    parameters: dict[str, datetime | int] = {
        "now": now, "until": now + LEASE, "most": room, "each": IN_FLIGHT_PER_WEBHOOK, "opens_at": CIRCUIT_OPENS_AT
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, parameters)
        ids = [pk for (pk,) in cursor.fetchall()]
    if not ids:
        return []
    rows = WebhookDelivery.objects.filter(pk__in=ids).select_related("webhook", "event").order_by("pk")
    return [_claimed(row) for row in rows]


def settle(claimed: Claim, outcome: Outcome, *, now: datetime) -> None:
    """Write down what came of it, and what that says of its webhook; nothing where the lease has become somebody else's."""
    with transaction.atomic():
        rows = WebhookDelivery.objects.filter(pk=claimed.delivery_id)
        # The webhook's row alone, before its delivery's: who takes a webhook away locks it first, too.
        webhook = (
            Webhook.objects.select_for_update(no_key=True, of=("self",)).filter(deliveries__in=rows).first()
        )
        delivery = rows.select_for_update(no_key=True).filter(leased_until=claimed.leased_until).first()
        if webhook is None or delivery is None:
            return
        _note(delivery, outcome, now)
        if outcome.is_taken:
            _taken(webhook, delivery, now)
        else:
            _failed(webhook, delivery, outcome, now)
        delivery.save()


def pause_after(failures: int) -> timedelta:
    """20 s after the first, then twice as long each time, a quarter of an hour at most."""
    return min(FIRST_PAUSE * 2 ** min(failures - 1, 12), LONGEST_PAUSE)


def forget_old(*, now: datetime) -> None:
    delete_in_batches(WebhookDelivery.objects.filter(created_at__lte=now - LOG_KEPT))


def give_up_overdue(*, now: datetime) -> None:
    """What waited for three days, its webhook paused or not."""
    overdue = WebhookDelivery.objects.filter(state="waiting", created_at__lte=now - TRIED_FOR)
    overdue.update(state="given_up", leased_until=None)


def _claimed(row: WebhookDelivery) -> Claim:
    webhook, event = row.webhook, row.event
    assert row.leased_until is not None
    lease = (row.pk, row.leased_until, webhook.url, webhook.secret)
    if event is None:
        return Claim(*lease, f"test_{row.pk}", TEST, row.created_at, {})
    return Claim(*lease, event.public_id, event.type, event.at, event.content)


def _note(delivery: WebhookDelivery, outcome: Outcome, now: datetime) -> None:
    delivery.attempts += 1
    delivery.status, delivery.answer, delivery.error = outcome.status, outcome.answer, outcome.error
    delivery.took_ms, delivery.tried_at, delivery.leased_until = outcome.took_ms, now, None


def _taken(webhook: Webhook, delivery: WebhookDelivery, now: datetime) -> None:
    delivery.state = WebhookDelivery.State.DELIVERED
    if not webhook.failures:
        return
    was_open = webhook.failures >= CIRCUIT_OPENS_AT
    webhook.failing_since, webhook.failures, webhook.retry_at = None, 0, None
    webhook.save(update_fields=["failing_since", "failures", "retry_at"])
    if not was_open:
        return  # what fails by itself keeps its pause
    waiting = WebhookDelivery.objects.filter(webhook=webhook, state="waiting", next_try_at__gt=now)
    waiting.exclude(pk=delivery.pk).update(next_try_at=now)


def _failed(webhook: Webhook, delivery: WebhookDelivery, outcome: Outcome, now: datetime) -> None:
    webhook.failing_since = webhook.failing_since or now
    delivery.next_try_at = now + pause_after(delivery.attempts)
    is_promised = webhook.failures >= CIRCUIT_OPENS_AT and delivery.attempts == FIRST_RETRY
    if not is_promised:  # what is tried beside the circuit says nothing new of it
        webhook.failures += 1
    if not is_promised and webhook.failures >= CIRCUIT_OPENS_AT:
        webhook.retry_at = now + pause_after(webhook.failures - CIRCUIT_OPENS_AT + 1)
    is_test = delivery.event_id is None
    if is_test or now - delivery.created_at >= TRIED_FOR:
        delivery.state = WebhookDelivery.State.GIVEN_UP
    if outcome.status == GONE:
        _stop(webhook, Webhook.State.GONE, now)
    elif now - webhook.failing_since >= TRIED_FOR and webhook.state == Webhook.State.ACTIVE:
        _stop(webhook, Webhook.State.DEAD, now)
    webhook.save(update_fields=["failures", "failing_since", "retry_at", "state"])


def _stop(webhook: Webhook, state: Webhook.State, now: datetime) -> None:
    """Its administrators are told; it is theirs to switch on again."""
    webhook.state = state
    since = utc_text(webhook.failing_since or now)
    params = {"url": webhook.url, "since": since, "zone": "UTC", "is_gone": state == Webhook.State.GONE}
    leave_word(
        "webhook_stopped", webhook.organisation_id, params=params, link=f"/webhooks/{webhook.pk}/", at=now
    )
