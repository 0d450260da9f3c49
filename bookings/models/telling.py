"""What organisations and people are told: how far events are told, the feed, webhooks, people's inboxes and mails."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from bookings.models.booking_history import BookingEvent
from bookings.models.bookings import Booking
from bookings.models.fleet import Vehicle
from depots.models import Depot, Organisation, User


class TellingCursor(models.Model):
    """One row: the events of transactions before `from_xid` are told. Of a window up to `to_xid` that is under way, which is told
    in the order of ids, those up to `last_id` are (docs/decisions/0154)."""

    ONLY = 1

    id = models.PositiveSmallIntegerField(primary_key=True, default=ONLY)
    from_xid = models.BigIntegerField(default=0)
    to_xid = models.BigIntegerField(null=True, blank=True)
    last_id = models.BigIntegerField(default=0)
    highest_id = models.BigIntegerField(default=0, help_text="of all that were told")

    class Meta:
        constraints = [models.CheckConstraint(name="one_telling_cursor", condition=Q(id=1))]

    def __str__(self) -> str:
        return f"told before {self.from_xid}"


class Occurrence(models.Model):
    """Something to be told that is no event of a booking; gone once it is told. Written in the transaction it happens in, by
    notifications.occurrences.

    `kind` is one of notifications.kinds, or empty where only the feed is told; `feed_type` is empty where it is not, and then
    its object is `content`. `params` are the values of its words, `link` the path of its page.
    """

    organisation = models.ForeignKey(Organisation, models.CASCADE, related_name="+", db_index=False)
    kind = models.CharField(max_length=30, blank=True)
    feed_type = models.CharField(max_length=30, blank=True)
    booking = models.ForeignKey(
        Booking, models.CASCADE, related_name="+", null=True, blank=True, db_index=False
    )
    content = models.JSONField(default=dict, blank=True)
    params = models.JSONField(default=dict, blank=True)
    link = models.CharField(max_length=200, blank=True)
    actor_name = models.CharField(max_length=120, blank=True)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.kind or self.feed_type} for {self.organisation_id}"


class UntoldEvent(models.Model):
    """Something that could not be told, with all that came before and after it told: an event, or the content of an occurrence.
    For whoever runs the installation (metric `berth_untold_events`); nobody is told of it any more."""

    event = models.ForeignKey(
        BookingEvent, models.CASCADE, related_name="+", null=True, blank=True, db_index=False
    )
    occurrence = models.JSONField(null=True, blank=True)
    error = models.CharField(max_length=300)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.event_id or 'occurrence'}: {self.error}"


class FeedEvent(models.Model):
    """What an organisation's own systems are told, in the order of ids, which one writer at a time gives. `content` is the
    Booking of the JSON API as this organisation may see it, as it was rendered when it was told."""

    organisation = models.ForeignKey(Organisation, models.CASCADE, related_name="+", db_index=False)
    source = models.ForeignKey(
        BookingEvent, models.CASCADE, related_name="+", null=True, blank=True, db_index=False
    )
    booking = models.ForeignKey(
        Booking, models.CASCADE, related_name="+", null=True, blank=True, db_index=False
    )
    type = models.CharField(max_length=30)
    content = models.JSONField()
    at = models.DateTimeField(help_text="when it happened")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["source", "organisation"], name="feed_event_once")]
        indexes = [
            models.Index(fields=["organisation", "id"], name="feed_of_organisation"),
            models.Index(fields=["at"], name="feed_by_age"),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.pk}"

    @property
    def public_id(self) -> str:
        """The `webhook-id`, and the `id` in the list of events."""
        return f"evt_{self.pk}"


class Webhook(models.Model):
    """Where an organisation wants to be called. `failing_since` is when the first call in a row failed that none has succeeded
    after; while it fails often it is tried at `retry_at` with one delivery alone."""

    class State(models.TextChoices):
        ACTIVE = "active", "Active"
        PAUSED = "paused", "Paused"
        DEAD = "dead", "Stopped: it failed for three days"
        GONE = "gone", "Stopped: it answered that it is gone"

    organisation = models.ForeignKey(Organisation, models.CASCADE, related_name="webhooks")
    url = models.CharField(max_length=255)
    events = ArrayField(
        models.CharField(max_length=30), default=list, blank=True, help_text="types; none: all of them"
    )
    secret = models.TextField(help_text="encrypted")
    state = models.CharField(max_length=6, choices=State, default=State.ACTIVE)
    failing_since = models.DateTimeField(null=True, blank=True)
    failures = models.PositiveIntegerField(default=0, help_text="in a row")
    retry_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="webhook_state_known", condition=Q(state__in=["active", "paused", "dead", "gone"])
            )
        ]

    def __str__(self) -> str:
        return self.url


class WebhookDelivery(models.Model):
    """One event for one webhook; without an event a test that somebody asked for. Of one booking they go out one after the
    other. `leased_until` is set while somebody sends it; `answer` is the beginning of what came back."""

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        DELIVERED = "delivered", "Delivered"
        GIVEN_UP = "given_up", "Given up"

    webhook = models.ForeignKey(Webhook, models.CASCADE, related_name="deliveries", db_index=False)
    event = models.ForeignKey(
        FeedEvent, models.CASCADE, related_name="deliveries", null=True, blank=True, db_index=False
    )
    booking_id = models.BigIntegerField(null=True, blank=True)
    state = models.CharField(max_length=9, choices=State, default=State.WAITING)
    attempts = models.PositiveIntegerField(default=0)
    next_try_at = models.DateTimeField()
    leased_until = models.DateTimeField(null=True, blank=True)
    status = models.PositiveSmallIntegerField(null=True, blank=True, help_text="of the last answer")
    answer = models.CharField(max_length=500, blank=True)
    error = models.CharField(max_length=200, blank=True)
    took_ms = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField()
    tried_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["event", "webhook"], name="webhook_delivery_once"),
            models.CheckConstraint(
                name="webhook_delivery_state_known",
                condition=Q(state__in=["waiting", "delivered", "given_up"]),
            ),
        ]
        indexes = [
            models.Index(fields=["webhook", "id"], name="delivery_of_webhook"),
            models.Index(
                fields=["webhook", "booking_id", "id"], name="delivery_in_order", condition=Q(state="waiting")
            ),
            models.Index(fields=["created_at"], name="delivery_by_age"),
        ]

    def __str__(self) -> str:
        return f"{self.event_id} to {self.webhook_id}"


class InboxMessage(models.Model):
    """Something a person was told. Its words are made when it is read, in the reader's language, from `kind` and `params`."""

    user = models.ForeignKey(User, models.CASCADE, related_name="inbox", db_index=False)
    kind = models.CharField(max_length=30)
    params = models.JSONField(default=dict, blank=True)
    link = models.CharField(max_length=200, blank=True)
    at = models.DateTimeField()
    read_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["user", "-at", "-id"], name="inbox_of_user_by_time"),
            models.Index(fields=["user"], name="inbox_unread", condition=Q(read_at__isnull=True)),
            models.Index(fields=["at"], name="inbox_by_age"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} for {self.user_id}"


class OutgoingMail(models.Model):
    """A mail that is to be sent, or was. What happens to one booking before it is due is added: `news` is
    [{"kind", "params", "link"}], the oldest first. `claimed_until` is set while a job has it."""

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        SENDING = "sending", "Being sent"
        SENT = "sent", "Sent"
        FAILED = "failed", "Given up"

    user = models.ForeignKey(User, models.CASCADE, related_name="mails", db_index=False)
    booking = models.ForeignKey(
        Booking, models.CASCADE, related_name="+", null=True, blank=True, db_index=False
    )
    news = models.JSONField(default=list)
    state = models.CharField(max_length=7, choices=State, default=State.WAITING)
    due_at = models.DateTimeField()
    claimed_until = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    error = models.CharField(max_length=200, blank=True)
    sent_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["user", "booking"], name="waiting_mail_once", condition=Q(state="waiting")
            ),
            models.CheckConstraint(
                name="mail_state_known", condition=Q(state__in=["waiting", "sending", "sent", "failed"])
            ),
        ]
        indexes = [
            models.Index(
                fields=["due_at"], name="mail_to_send", condition=Q(state__in=["waiting", "sending"])
            ),
            models.Index(fields=["user", "-id"], name="mail_of_user"),
        ]

    def __str__(self) -> str:
        return f"to {self.user_id}: {self.state}"


class NotificationChoice(models.Model):
    """Where a person wants to hear of a kind in other ways than its table says (notifications.kinds)."""

    user = models.ForeignKey(User, models.CASCADE, related_name="notification_choices", db_index=False)
    kind = models.CharField(max_length=30)
    inbox = models.BooleanField()
    mail = models.BooleanField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "kind"], name="notification_choice_once")]

    def __str__(self) -> str:
        return f"{self.kind} of {self.user_id}"


class Reader(models.Model):
    """In which language a person is told; English for who has no row."""

    user = models.OneToOneField(User, models.CASCADE, primary_key=True, related_name="reader")
    language = models.CharField(max_length=5, default="en")

    def __str__(self) -> str:
        return f"{self.user_id} in {self.language}"


class CalendarFeed(models.Model):
    """A secret address under which calendar programs read an organisation's bookings: as a fleet all or those of one vehicle,
    or at one of its depots. Only the hash of the secret is kept; `revoked_at` ends it."""

    organisation = models.ForeignKey(Organisation, models.CASCADE, related_name="calendar_feeds")
    vehicle = models.ForeignKey(
        Vehicle, models.CASCADE, related_name="+", null=True, blank=True, db_index=False
    )
    depot = models.ForeignKey(Depot, models.CASCADE, related_name="+", null=True, blank=True, db_index=False)
    secret_hash = models.CharField(max_length=64)
    made_by = models.CharField(max_length=254)
    created_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["secret_hash"], name="calendar_feed_secret_once"),
            models.CheckConstraint(
                name="calendar_feed_of_one",
                condition=Q(vehicle__isnull=True) | Q(depot__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return f"calendar of {self.organisation_id}"
