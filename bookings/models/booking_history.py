"""What was asked of a booking, what was decided, and what happened to it."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from bookings.actors import Actor, ActorKind
from bookings.models.bookings import Booking


class BookingRequestQuerySet(models.QuerySet["BookingRequest"]):
    def pending(self) -> BookingRequestQuerySet:
        """Those that wait for an answer; a booking has one at most."""
        return self.filter(decision=BookingRequest.Decision.PENDING)

    def for_depot(self) -> BookingRequestQuerySet:
        """Of those the ones whose depot's answer is missing: not what waits for its payment alone."""
        is_decided = models.Q(booking__payment__approved_at__isnull=False) | ~models.Q(
            booking__terms_json__approval=True
        )
        return self.for_answer().exclude(is_decided, booking__payment__status="asked")

    def for_answer(self) -> BookingRequestQuerySet:
        """Those that wait for the depot, or for a payment: not what it has offered itself."""
        return self.pending().exclude(kind=BookingRequest.Kind.OFFER)


class BookingRequest(models.Model):
    """One ask (create, change, cancel; or of the depot an offer of something else) and its decision. `asked` holds our words,
    `received` the message as it came.

    `asked`: {"period": {"start","end"}, "evse": uid|null, "option": code, "vehicle": id|null, "tokens": [uid…],
    "power_w": int|null, "plate": str, "authorization_reference": str, "needs": rules.fit.Needs as JSON, "reason": str};
    only what the ask is about. Of an offer also "cancels": the booking is cancelled where it is not accepted; and "closed": it
    is made because its EVSE is closed then, and is taken back with that closure.
    """

    class Kind(models.TextChoices):
        CREATE = "create", "Create"
        CHANGE = "change", "Change"
        CANCEL = "cancel", "Cancel"
        OFFER = "offer", "Offer by the depot"

    class Decision(models.TextChoices):
        PENDING = "pending", "Pending"
        ACCEPTED = "accepted", "Accepted"
        DECLINED = "declined", "Declined"
        FAILED = "failed", "Failed"

    booking = models.ForeignKey(Booking, models.CASCADE, related_name="requests")
    kind = models.CharField(max_length=6, choices=Kind)
    decision = models.CharField(max_length=8, choices=Decision)
    asked = models.JSONField(default=dict)
    received = models.JSONField(null=True, blank=True)
    fingerprint = models.CharField(
        max_length=64, blank=True, help_text="of the canonical body, to know a repeated message"
    )
    asked_by_kind = models.CharField(max_length=10, choices=ActorKind)
    asked_by_name = models.CharField(max_length=120, blank=True, db_column="asked_by")
    asked_at = models.DateTimeField()
    decided_at = models.DateTimeField(null=True, blank=True)
    decided_by_kind = models.CharField(max_length=10, choices=ActorKind, blank=True)
    decided_by_name = models.CharField(max_length=120, blank=True, db_column="decided_by")
    reason = models.CharField(max_length=300, blank=True)

    objects = BookingRequestQuerySet.as_manager()

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["booking"], name="one_pending_request", condition=Q(decision="pending")
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.decision} for {self.booking_id}"

    @property
    def asked_by(self) -> Actor:
        return Actor(ActorKind(self.asked_by_kind), self.asked_by_name)

    @property
    def decided_by(self) -> Actor | None:
        """None until somebody decided, and where an ask was granted as it came in."""
        return Actor(ActorKind(self.decided_by_kind), self.decided_by_name) if self.decided_by_kind else None

    @property
    def is_pending(self) -> bool:
        return self.decision == self.Decision.PENDING

    @property
    def is_last_word(self) -> bool:
        """Of an open ask: an offer after which its booking is elsewhere or cancelled, whatever its fleet answers."""
        return self.kind == self.Kind.OFFER and bool(self.asked.get("cancels"))


class BookingEvent(models.Model):
    """History and audit trail. `kind` is "status" with before and after, or what else happened: "changed", "enforcement",
    "change_requested", "change_declined", "change_accepted", "offered", "offer_ended", "cancel_requested",
    "answered", "seen", of a new booking that waits for its depot and its payment "approved" and "payment_secured", of a no-show
    "evidence", of money "waived" (by rule),
    "fee_waived", "disputed", "dispute_accepted", "dispute_rejected", and of charging
    "session", "interrupted", "resumed", "ending" (soon), "overstay", "remote_start", "remote_stop", of a partner's charger
    "unlock", "limit" and "lift_limit", "fallback" (`after`: asked, or why it was given back, of `KeptEvse.Why`),
    "power_limited" (it is to have less than promised),
    "power_limit_lifted" (no longer), "power_short" (it has less), "power_restored".

    `version` is the booking's version that it made: what happened since a version somebody saw are the events above it.
    """

    booking = models.ForeignKey(Booking, models.CASCADE, related_name="events", db_index=False)
    kind = models.CharField(max_length=20, default="status")
    before = models.CharField(max_length=20, blank=True)
    after = models.CharField(max_length=20, blank=True)
    version = models.BigIntegerField(default=0)
    detail = models.JSONField(default=dict, blank=True)
    actor_kind = models.CharField(max_length=10, choices=ActorKind)
    actor_name = models.CharField(max_length=120, blank=True, db_column="actor")
    at = models.DateTimeField()

    class Meta:
        ordering = ["id"]
        indexes = [models.Index(fields=["booking", "id"], name="event_of_booking")]

    def __str__(self) -> str:
        return f"{self.kind} {self.before}→{self.after}"

    @property
    def actor(self) -> Actor:
        return Actor(ActorKind(self.actor_kind), self.actor_name)
