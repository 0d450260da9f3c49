"""Who waits for a slot that somebody else has."""

from __future__ import annotations

from datetime import datetime

from django.db import models
from django.db.models import F, Q

from bookings.actors import ActorKind
from bookings.models.bookings import Booking
from bookings.models.fleet import Trailer, Vehicle
from bookings.models.offers import BookingOption
from depots.models import Depot, Evse, Organisation
from depots.periods import Period


class WaitlistEntry(models.Model):
    """A booking that was asked for and could not be had, in turn by `asked_at`.

    It waits until `waits_until`, from when on nobody may book its start any more. While it is OFFERED, until `offered_until`, a
    slot at a depot of ours is held by the booking `held`, which acceptance confirms; a partner's is not held, and `offered` is
    the time its calendar showed. `asked` holds `power_w`, `energy` (EnergyAsked), `tokens` (TokenName) and `shown_price`.
    `tried_mark` is the WaitlistMark for which it was last tried in vain.
    """

    class Status(models.TextChoices):
        WAITING = "waiting", "waiting"
        OFFERED = "offered", "offered"
        ACCEPTED = "accepted", "accepted"
        EXPIRED = "expired", "expired"
        WITHDRAWN = "withdrawn", "withdrawn"

    OPEN = (Status.WAITING, Status.OFFERED)

    fleet = models.ForeignKey(Organisation, models.PROTECT, related_name="waiting", db_index=False)
    depot = models.ForeignKey(Depot, models.PROTECT, related_name="waiting", db_index=False)
    option = models.ForeignKey(BookingOption, models.PROTECT, related_name="waiting", db_index=False)
    evse = models.ForeignKey(Evse, models.PROTECT, related_name="+", null=True, blank=True, db_index=False)
    vehicle = models.ForeignKey(
        Vehicle, models.PROTECT, related_name="waiting", null=True, blank=True, db_index=False
    )
    trailer = models.ForeignKey(
        Trailer, models.PROTECT, related_name="+", null=True, blank=True, db_index=False
    )
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    ends_when_charged = models.BooleanField(default=False)
    asked = models.JSONField(default=dict, blank=True)
    waits_until = models.DateTimeField()
    status = models.CharField(max_length=9, choices=Status, default=Status.WAITING)
    held = models.OneToOneField(Booking, models.PROTECT, related_name="waited", null=True, blank=True)
    offered_until = models.DateTimeField(null=True, blank=True)
    offered_starts_at = models.DateTimeField(null=True, blank=True)
    offered_ends_at = models.DateTimeField(null=True, blank=True)
    tried_mark = models.BigIntegerField(default=0)
    asked_at = models.DateTimeField()
    asked_by_kind = models.CharField(max_length=10, choices=ActorKind)
    asked_by_name = models.CharField(max_length=120, blank=True)
    settled_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["fleet", "option", "vehicle", "starts_at", "ends_at"],
                name="waitlist_once",
                condition=Q(status__in=["waiting", "offered"]),
                nulls_distinct=False,
            ),
            models.CheckConstraint(
                name="waitlist_status_known",
                condition=Q(status__in=["waiting", "offered", "accepted", "expired", "withdrawn"]),
            ),
            models.CheckConstraint(
                name="waitlist_offered_until_a_time",
                condition=~Q(status="offered") | Q(offered_until__isnull=False),
            ),
            models.CheckConstraint(name="waitlist_ends_after_start", condition=Q(ends_at__gt=F("starts_at"))),
        ]
        indexes = [
            models.Index(
                fields=["depot", "asked_at", "id"], name="waitlist_turn", condition=Q(status="waiting")
            ),
            models.Index(fields=["waits_until"], name="waitlist_over", condition=Q(status="waiting")),
            models.Index(fields=["offered_until"], name="waitlist_offers", condition=Q(status="offered")),
            models.Index(fields=["fleet", "asked_at"], name="waitlist_of_fleet"),
            models.Index(
                fields=["fleet", "asked_at", "id"],
                name="waitlist_open",
                condition=Q(status__in=["waiting", "offered"]),
            ),
            models.Index(
                fields=["fleet", "-settled_at", "-id"],
                name="waitlist_settled",
                condition=Q(settled_at__isnull=False),
            ),
            models.Index(
                fields=["settled_at"], name="waitlist_forgotten", condition=Q(settled_at__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.vehicle or self.fleet} at {self.option}"

    @property
    def period(self) -> Period:
        return Period(self.starts_at, self.ends_at)

    @property
    def offered(self) -> Period | None:
        """The slot on offer; where one is held, where that stands by now."""
        if self.status != self.Status.OFFERED:
            return None
        if self.held is not None:
            return self.held.period
        assert self.offered_starts_at is not None
        assert self.offered_ends_at is not None
        return Period(self.offered_starts_at, self.offered_ends_at)

    @property
    def is_open(self) -> bool:
        return self.status in self.OPEN

    def runs_out(self, now: datetime) -> bool:
        return self.offered_until is not None and self.offered_until <= now


class WaitlistMark(models.Model):
    """Something may be had at a depot where somebody waits: those who wait there are looked at from `due_at` on."""

    depot = models.ForeignKey(Depot, models.CASCADE, related_name="+", db_index=False)
    due_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["due_at", "depot"], name="waitlist_mark_due")]

    def __str__(self) -> str:
        return f"{self.depot_id} from {self.due_at}"
