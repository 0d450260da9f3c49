"""Rows of what organisations and people are told, for test_rows.py."""

from __future__ import annotations

from collections.abc import Callable

from django.db.models import Model

from bookings.models import (
    BookingEvent,
    CalendarFeed,
    FeedEvent,
    NotificationChoice,
    OutgoingMail,
    TellingCursor,
    Webhook,
    WebhookDelivery,
)
from depots.models import User
from tests.factories import (
    NOW,
    book_slot,
    make_depot,
    make_evse,
    make_fleet,
    make_user,
    make_vehicle,
    option_of,
    slot,
)


def telling() -> dict[str, Callable[[int], Model]]:
    fleet = make_fleet()
    user, event, webhook = make_user(fleet), _event(), _webhook()
    webhook.save()
    told = FeedEvent.objects.create(organisation=fleet, type="booking.changed", content={}, at=NOW)
    return {
        "feed_event_once": lambda _: FeedEvent(
            organisation=fleet, source=event, type="booking.changed", content={}, at=NOW
        ),
        "webhook_delivery_once": lambda _: WebhookDelivery(
            webhook=webhook, event=told, next_try_at=NOW, created_at=NOW
        ),
        "waiting_mail_once": lambda _: OutgoingMail(user=user, booking_id=event.booking_id, due_at=NOW),
        "notification_choice_once": lambda _: NotificationChoice(
            user=user, kind="granted", inbox=True, mail=False
        ),
        "calendar_feed_secret_once": lambda _: CalendarFeed(
            organisation=fleet, secret_hash="ab", made_by="a@b.example", created_at=NOW
        ),
    }


NONSENSE: dict[str, Callable[[], Model]] = {
    "one_telling_cursor": lambda: TellingCursor(id=2),
    "webhook_state_known": lambda: _webhook(state="maybe"),
    "webhook_delivery_state_known": lambda: WebhookDelivery(
        webhook=_saved(_webhook()), state="maybe", next_try_at=NOW, created_at=NOW
    ),
    "mail_state_known": lambda: OutgoingMail(user=_user(), state="maybe", due_at=NOW),
    "calendar_feed_of_one": lambda: CalendarFeed(
        organisation=make_fleet(), vehicle=make_vehicle(), depot=make_depot(), secret_hash="ab", made_by="", created_at=NOW
    ),
}  # fmt: skip


def _event() -> BookingEvent:
    evse, vehicle = make_evse(), make_vehicle()
    booked = book_slot(fleet=vehicle.fleet, option=option_of(evse), vehicle=vehicle, period=slot(10, 11))
    return booked.events.get()


def _webhook(**fields: str) -> Webhook:
    return Webhook(organisation=make_fleet(), url="https://a.example/", secret="", created_at=NOW, **fields)


def _saved(webhook: Webhook) -> Webhook:
    webhook.save()
    return webhook


def _user() -> User:
    return make_user(make_fleet())
