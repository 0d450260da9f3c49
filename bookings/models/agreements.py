"""How an agreement comes about, and what became of it. What is in force is `depots.models.Agreement` alone."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q

from bookings.actors import Actor, ActorKind
from depots.models import Agreement, Depot, Organisation


class AgreementProposal(models.Model):
    """A guest asks to book at a depot, or its operator offers it; the other side answers. Accepted, it is an agreement from that
    moment on, until `ends_at` if that was proposed."""

    class Side(models.TextChoices):
        GUEST = "guest", "asked for by the guest"
        OPERATOR = "operator", "offered by the operator"

    class State(models.TextChoices):
        WAITING = "waiting", "waiting"
        ACCEPTED = "accepted", "accepted"
        DECLINED = "declined", "declined"
        WITHDRAWN = "withdrawn", "withdrawn"

    depot = models.ForeignKey(Depot, models.CASCADE, related_name="proposals", db_index=False)
    guest = models.ForeignKey(Organisation, models.CASCADE, related_name="proposals")
    made_by_side = models.CharField(max_length=8, choices=Side)
    state = models.CharField(max_length=9, choices=State, default=State.WAITING)
    message = models.CharField(max_length=300, blank=True)
    ends_at = models.DateTimeField(null=True, blank=True)
    made_at = models.DateTimeField()
    made_by_kind = models.CharField(max_length=10, choices=ActorKind)
    made_by_name = models.CharField(max_length=120, blank=True)
    answered_at = models.DateTimeField(null=True, blank=True)
    answered_by_kind = models.CharField(max_length=10, choices=ActorKind, blank=True)
    answered_by_name = models.CharField(max_length=120, blank=True)
    answer = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ["-made_at", "-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["depot", "guest"], name="proposal_waits_once", condition=Q(state="waiting")
            ),
            models.CheckConstraint(
                name="proposal_ends_after_it_was_made",
                condition=Q(ends_at__isnull=True) | Q(ends_at__gt=F("made_at")),
            ),
            models.CheckConstraint(
                name="proposal_answered_when_over",
                condition=Q(state="waiting") ^ Q(answered_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.guest} at {self.depot}"

    @property
    def waits(self) -> bool:
        return self.state == self.State.WAITING

    @property
    def is_asked(self) -> bool:
        """By the guest, so that the operator answers."""
        return self.made_by_side == self.Side.GUEST


class AgreementEvent(models.Model):
    """What happened to an agreement: its history, which the row itself does not keep.

    `detail`: of ENDED {"ends_at", "ends_at_before", "cancelled": [booking ids]}, of REOPENED {"waiting": [booking ids],
    "again": {booking id: the new one's}, "lost": {booking id: why}}, without "waiting" once all of it was tried.
    """

    class Kind(models.TextChoices):
        OPENED = "opened", "Opened"
        ENDED = "ended", "Ended"
        REOPENED = "reopened", "Its end was taken back"
        RULES = "rules", "Hours or quotas were changed"

    agreement = models.ForeignKey(Agreement, models.CASCADE, related_name="events")
    kind = models.CharField(max_length=8, choices=Kind)
    at = models.DateTimeField()
    by_kind = models.CharField(max_length=10, choices=ActorKind)
    by_name = models.CharField(max_length=120, blank=True)
    detail = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"{self.kind} {self.agreement}"

    @property
    def by(self) -> Actor:
        return Actor(ActorKind(self.by_kind), self.by_name)
