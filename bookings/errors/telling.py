"""What webhooks and calendars of an organisation refuse."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass

from bookings.errors.base import BookingError


class WebhookRefused(BookingError):
    """An address that is not called."""

    code = "webhook_refused"
    field = "url"


class EventUnknown(BookingError):
    code = "unknown_event"
    field = "events"


class TooManyWebhooks(BookingError):
    code = "too_many_webhooks"


class TooManyCalendars(BookingError):
    code = "too_many_calendars"


class WrongWebhookState(BookingError):
    """A webhook is paused, stopped or active already, or what is to be sent again still waits."""

    code = "wrong_webhook_state"
