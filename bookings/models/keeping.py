"""Where Berth itself keeps an EVSE for a booking, because its charger keeps no reservation; and what shows whether it does."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from bookings.actors import ActorKind
from bookings.models.booking_names import new_group
from bookings.models.bookings import Booking
from bookings.models.holders import NextHolder
from depots.models import Charger, Evse, Fallback


class KeptEvse(models.Model):
    """An EVSE taken out of service, or without power, until the truck of a booking is there.

    Written before the charger is told and open until the charger has been told the contrary, so that nothing is left
    closed, whoever is killed in between. `charger` and `number` say where, whatever becomes of the EVSE in the depot file.
    """

    class State(models.TextChoices):
        ASKED = "asked", "The charger is being told"
        STANDING = "standing", "Kept"
        LIFTING = "lifting", "The charger is being told to give it back"
        LIFTED = "lifted", "Given back; the charger has not shown it yet"
        OVER = "over", "Over"

    class Why(models.TextChoices):
        """Why it was given back, or never stood."""

        REFUSED = "refused", "The charger refused"
        ARRIVED = "arrived", "The vehicle is there"
        BEGUN = "begun", "The slot has begun"
        ENDED = "ended", "The slot is over, or is another by now"
        NOT_ALLOWED = "not_allowed", "The depot does not allow it any more"
        MANAGER = "manager", "The depot gave it back"
        BY_HAND = "by_hand", "Somebody has set the EVSE in or out of service by hand"
        TAKEN_OVER = "taken_over", "The EVSE is kept for the next booking"

    KEEPING = (State.ASKED, State.STANDING)

    booking = models.ForeignKey(Booking, models.CASCADE, related_name="kept_evses")
    evse = models.ForeignKey(Evse, models.CASCADE, related_name="+", db_index=False)
    charger = models.ForeignKey(Charger, models.CASCADE, related_name="kept_evses")
    number = models.PositiveSmallIntegerField(help_text="of the EVSE at the charger")
    way = models.CharField(max_length=12, choices=Fallback)
    state = models.CharField(max_length=8, choices=State, default=State.ASKED)
    why = models.CharField(max_length=12, choices=Why, blank=True)
    asked_at = models.DateTimeField()
    lifted_at = models.DateTimeField(null=True, blank=True)
    over_at = models.DateTimeField(null=True, blank=True)
    next_try_at = models.DateTimeField(
        null=True, blank=True, help_text="when the charger is told again unless it has answered"
    )

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["evse", "way"], name="evse_kept_once", condition=Q(over_at__isnull=True)
            ),
            models.CheckConstraint(
                name="evse_kept_over_when_over",
                condition=Q(state="over", over_at__isnull=False)
                | (~Q(state="over") & Q(over_at__isnull=True)),
            ),
            models.CheckConstraint(name="evse_kept_never_a_whole_charger", condition=Q(number__gt=0)),
        ]

    def __str__(self) -> str:
        return f"{self.way} at {self.charger_id}/{self.number} {self.state}"

    @property
    def is_keeping(self) -> bool:
        return self.state in self.KEEPING

    @property
    def profile_id(self) -> int:
        """Of the charging profile, where it is kept by one; above all ids of bookings and sessions in their time."""
        return 2**30 + self.pk % 2**29


class ReserveTest(models.Model):
    """A reservation for nobody, by which a depot sees what a charger makes of one. Its id is the reservation's, from the
    sequence of bookings, so that none has it."""

    class State(models.TextChoices):
        ASKED = "asked", "Reserved for half a minute"
        GIVING_BACK = "giving_back", "Being given back"
        DONE = "done", "Done"

    id = models.BigIntegerField(primary_key=True, db_default=NextHolder(), editable=False)
    evse = models.ForeignKey(Evse, models.CASCADE, related_name="+", db_index=False)
    charger = models.ForeignKey(Charger, models.CASCADE, related_name="reserve_tests")
    number = models.PositiveSmallIntegerField(help_text="of the EVSE at the charger")
    token = models.CharField(max_length=20, default=new_group, editable=False, help_text="nobody has it")
    state = models.CharField(max_length=11, choices=State, default=State.ASKED)
    answer = models.CharField(max_length=40, blank=True)
    answered_at = models.DateTimeField(null=True, blank=True)
    shown_at = models.DateTimeField(null=True, blank=True, help_text="when the EVSE was seen to say Reserved")
    answer_to_cancel = models.CharField(max_length=40, blank=True)
    was_forgotten = models.BooleanField(
        default=False,
        db_default=False,
        help_text="accepted, never shown, and unknown while it had to stand: none was made",
    )
    asked_at = models.DateTimeField()
    asked_by_kind = models.CharField(max_length=10, choices=ActorKind)
    asked_by_name = models.CharField(max_length=120, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["evse"], name="reserve_test_once", condition=Q(finished_at__isnull=True)
            )
        ]

    def __str__(self) -> str:
        return f"test {self.pk} at {self.charger_id}/{self.number}"
