from __future__ import annotations

from datetime import datetime, timedelta

from django.db import models
from django.db.models import Q

from bookings.actors import Actor, ActorKind
from bookings.models.bookings import Booking


class PartnerCommand(models.Model):
    """What a person had a partner's charger do for a booking there. It is asked once: a lost answer is one.

    `key` is unguessable and names it to whoever tells its result. `remote_session` is the partner's name of what is stopped or
    limited, `power_w` the limit; `reservation` ours of what is kept until `expires_at`, or given back.
    `answer_by` is when nothing more is to be expected.
    """

    class Kind(models.TextChoices):
        START = "remote_start", "Start charging"
        STOP = "remote_stop", "Stop charging"
        UNLOCK = "unlock", "Unlock the plug"
        LIMIT = "limit", "Limit the power"
        LIFT_LIMIT = "lift_limit", "Lift the limit of power"
        SHOW_LIMIT = "show_limit", "Tell the power it may take"
        RESERVE = "reserve", "Keep the charger"
        GIVE_BACK = "give_back", "Give the charger back"

    class State(models.TextChoices):
        ASKED = "asked", "Not answered yet"
        TAKEN = "taken", "Passed on to the charger"
        DONE = "accepted", "Done"
        REFUSED = "rejected", "Refused"
        NO_ANSWER = "no_answer", "No answer came"

    WAITING = (State.ASKED, State.TAKEN)
    OF_LIMITS = (Kind.LIMIT, Kind.LIFT_LIMIT, Kind.SHOW_LIMIT)

    booking = models.ForeignKey(Booking, models.CASCADE, related_name="partner_commands")
    kind = models.CharField(max_length=12, choices=Kind)
    remote_session = models.CharField(max_length=64, blank=True)
    power_w = models.BigIntegerField(null=True, blank=True)
    reservation = models.CharField(max_length=36, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    key = models.CharField(max_length=64, unique=True)
    state = models.CharField(max_length=10, choices=State, default=State.ASKED)
    text = models.CharField(max_length=200, blank=True, help_text="what the partner said")
    asked_by_kind = models.CharField(max_length=10, choices=ActorKind)
    asked_by_name = models.CharField(max_length=120, blank=True)
    asked_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True, blank=True)
    answer_by = models.DateTimeField()
    answered_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["booking", "kind"],
                name="partner_command_waiting_once",
                condition=Q(state__in=["asked", "taken"]),
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.booking_id}"

    @property
    def asked_by(self) -> Actor:
        return Actor(ActorKind(self.asked_by_kind), self.asked_by_name)

    def is_waited_for(self, now: datetime) -> bool:
        return self.state in self.WAITING and now < self.answer_by + timedelta(seconds=5)
