"""EVSEs taken out of use in one step, and what became of the bookings that stood in the way."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q

from bookings.actors import Actor, ActorKind
from bookings.models.booking_history import BookingRequest
from bookings.models.bookings import Booking
from depots.models import Depot, Evse
from depots.periods import Period


class ClosureAct(models.Model):
    """One decision: some EVSEs of a depot closed for a time (`closures`), or again and again by a rule (`rrule`, RFC 5545, by the
    depot's clock; the time is from the first to the last then), their bookings moved, offered another time, cancelled or left
    (`steps`). `undone_at` is when it was taken back."""

    depot = models.ForeignKey(Depot, models.CASCADE, related_name="closure_acts", db_index=False)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    rrule = models.CharField(max_length=300, blank=True)
    reason = models.CharField(max_length=200, blank=True)
    made_at = models.DateTimeField()
    made_by_kind = models.CharField(max_length=10, choices=ActorKind)
    made_by_name = models.CharField(max_length=120, blank=True)
    undone_at = models.DateTimeField(null=True, blank=True)
    undone_by_kind = models.CharField(max_length=10, choices=ActorKind, blank=True)
    undone_by_name = models.CharField(max_length=120, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="closure_act_ends_after_start", condition=Q(ends_at__gt=F("starts_at"))
            ),
            models.CheckConstraint(
                name="closure_act_undone_by_somebody",
                condition=Q(undone_at__isnull=True) ^ ~Q(undone_by_kind=""),
            ),
        ]
        indexes = [models.Index(fields=["depot", "ends_at"], name="closure_act_at_depot")]

    def __str__(self) -> str:
        return f"closure {self.pk} at {self.depot}"

    @property
    def period(self) -> Period:
        return Period(self.starts_at, self.ends_at)

    @property
    def made_by(self) -> Actor:
        return Actor(ActorKind(self.made_by_kind), self.made_by_name)

    @property
    def undone_by(self) -> Actor | None:
        return Actor(ActorKind(self.undone_by_kind), self.undone_by_name) if self.undone_by_kind else None


class ClosureStep(models.Model):
    """What an act did with one booking. `version` is the booking's once it was done, so that undoing sees what happened since;
    `power_w` what it was promised before. Of one that was offered another time `offer` is that ask, whose decision says what
    became of it, and `evse_after` where the offered place is. `after` says what taking it back did, `why` why it could not."""

    class Outcome(models.TextChoices):
        MOVED = "moved", "Moved"
        OFFERED = "offered", "Offered another time"
        CANCELLED = "cancelled", "Cancelled"
        STAYS = "stays", "Left as it is"

    class After(models.TextChoices):
        RESTORED = "restored", "As it was"
        REBOOKED = "rebooked", "Booked again"
        KEPT = "kept", "Not put back"

    act = models.ForeignKey(ClosureAct, models.CASCADE, related_name="steps", db_index=False)
    booking = models.ForeignKey(Booking, models.CASCADE, related_name="closure_steps")
    outcome = models.CharField(max_length=9, choices=Outcome)
    evse_before = models.ForeignKey(Evse, models.PROTECT, related_name="+", db_index=False)
    evse_after = models.ForeignKey(
        Evse, models.PROTECT, related_name="+", null=True, blank=True, db_index=False
    )
    offer = models.ForeignKey(
        BookingRequest, models.CASCADE, related_name="+", null=True, blank=True, db_index=False
    )
    power_w = models.BigIntegerField(default=0)
    version = models.BigIntegerField()
    after = models.CharField(max_length=8, choices=After, blank=True)
    why = models.CharField(max_length=300, blank=True)
    rebooked = models.ForeignKey(
        Booking, models.SET_NULL, related_name="+", null=True, blank=True, db_index=False
    )

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["act", "booking"], name="closure_step_once"),
            models.CheckConstraint(
                name="closure_step_moved_somewhere",
                condition=~Q(outcome__in=["moved", "offered"]) | Q(evse_after__isnull=False),
            ),
            models.CheckConstraint(
                name="closure_step_offered_something",
                condition=~Q(outcome="offered") | Q(offer__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.booking_id} {self.outcome}"
