"""What EVSEs may give: planned for each depot, told to chargers as charging profiles, and limited from outside for a while."""

from __future__ import annotations

from datetime import datetime

from django.db import models
from django.db.models import F, Q

from bookings.actors import Actor, ActorKind
from bookings.models.power_schedules import PowerSchedule, from_json, larger
from depots.models import Charger, Depot, Evse


class ExternalLimit(models.Model):
    """Less power for a depot than its connection carries, for a while: a network operator's call, works on the site.

    Until `lifted_at`, or its end, it is configuration of the depot (bookings.rules.configuration).
    """

    depot = models.ForeignKey(Depot, models.CASCADE, related_name="external_limits")
    watts = models.BigIntegerField()
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    set_by_kind = models.CharField(max_length=10, choices=ActorKind)
    set_by_name = models.CharField(max_length=120, blank=True)
    created_at = models.DateTimeField()
    lifted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["starts_at", "id"]
        constraints = [
            models.CheckConstraint(
                name="external_limit_ends_after_start", condition=Q(ends_at__gt=F("starts_at"))
            ),
            models.CheckConstraint(name="external_limit_not_negative", condition=Q(watts__gte=0)),
        ]
        indexes = [
            models.Index(fields=["depot"], name="external_limit_open", condition=Q(lifted_at__isnull=True)),
            models.Index(
                fields=["ends_at"], name="external_limit_ending", condition=Q(lifted_at__isnull=True)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.watts} W until {self.ends_at}"

    @property
    def set_by(self) -> Actor:
        return Actor(ActorKind(self.set_by_kind), self.set_by_name)


class PowerMark(models.Model):
    """The power of this depot is to be shared out anew once it is `due_at`; taken by who does it (bookings.core.power_marks)."""

    depot = models.ForeignKey(Depot, models.DO_NOTHING, related_name="+", db_constraint=False, db_index=False)
    due_at = models.DateTimeField()
    is_urgent = models.BooleanField(default=True, help_text="does not wait for the pause between two plans")

    class Meta:
        indexes = [models.Index(fields=["due_at"], name="power_mark_due")]

    def __str__(self) -> str:
        return f"{self.depot_id} at {self.due_at}"


class DepotPower(models.Model):
    """The last plan of a depot's power. Its row is the lock under which plans are made, one after the other.

    `limit_w` is the lowest limit of the whole depot, null where none binds; `counted_w` what its EVSEs can take at most by what
    stands or may stand at their chargers.
    """

    depot = models.OneToOneField(Depot, models.CASCADE, related_name="power", primary_key=True)
    planned_at = models.DateTimeField(null=True, blank=True)
    next_at = models.DateTimeField(null=True, blank=True, help_text="when it is planned anew by itself")
    limit_w = models.BigIntegerField(null=True, blank=True)
    counted_w = models.BigIntegerField(default=0)

    class Meta:
        indexes = [
            models.Index(fields=["next_at"], name="depot_power_due", condition=Q(next_at__isnull=False))
        ]

    def __str__(self) -> str:
        return f"{self.depot_id} {self.counted_w} of {self.limit_w} W"


class EvsePower(models.Model):
    """An EVSE in the last plan of its depot.

    `share_w` is what it is to have, `floor_w` what is promised now to the booking that is there: nothing once its slot is over,
    though a vehicle that charges keeps a little (smart_charging.demand.STANDBY_W). `counted_w` as DepotPower says. `cap_w` is
    what its vehicle was seen to be content with. `short_since` is the moment from which less than the promise was there;
    `short_told_w` what its booking's history says of that.
    """

    class Why(models.TextChoices):
        FREE = "free", "Nobody charges here."
        ALL = "all", "It may take all it can."
        SHARED = "shared", "What is left beside the promises is shared by all that charge here."
        CONTENT = (
            "content",
            "The vehicle takes less than it could; what it leaves comes back when it asks for it.",
        )
        LIMITED = "limited", "Whoever charges here wants no more for now."
        SHORT = "short", "The depot has less power than it promised for now."
        BLOCKED = (
            "blocked",
            "Chargers beside it take no limits, or cannot be told now; what they may take is missing here.",
        )
        SILENT = "silent", "The charger cannot be reached; what it was told last holds."
        UNCONTROLLED = "uncontrolled", "The charger takes no limits of power."
        IGNORES = "ignores", "The charger does not keep to the limits it is told."

    evse = models.OneToOneField(Evse, models.CASCADE, related_name="power", primary_key=True)
    share_w = models.BigIntegerField(default=0)
    promised_w = models.BigIntegerField(default=0)
    counted_w = models.BigIntegerField(default=0)
    cap_w = models.BigIntegerField(null=True, blank=True)
    why = models.CharField(max_length=12, choices=Why, default=Why.FREE)
    short_since = models.DateTimeField(null=True, blank=True)
    short_told_w = models.BigIntegerField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["evse"],
                name="evse_power_short",
                condition=Q(short_since__isnull=False) | Q(short_told_w__isnull=False),
            )
        ]

    def __str__(self) -> str:
        return f"{self.evse_id} {self.share_w} W"

    @property
    def is_short(self) -> bool:
        """Less than its promise is there for it. A vehicle that leaves some of it is not short."""
        return self.why in {self.Why.SHORT, self.Why.BLOCKED} or self.short_since is not None


class ChargingProfile(models.Model):
    """A charging profile of an EVSE as far as we know: its key is the profile's id at the charger.

    `sent_w` is on its way (`serial` says which command), `unclear_w` the most of those whose answer was lost, `accepted_w` what
    stands since `accepted_at`: nothing that we know of where it is null, or where the charger has booted since. The `steps` of
    each are [[moment, watts]…] (bookings.models.power_schedules).
    """

    class Purpose(models.TextChoices):
        TX = "tx", "The transaction that runs"
        TX_DEFAULT = "tx_default", "Transactions that begin"

    evse = models.ForeignKey(Evse, models.CASCADE, related_name="charging_profiles", db_index=False)
    purpose = models.CharField(max_length=10, choices=Purpose)
    transaction = models.CharField(max_length=64, blank=True, help_text="which one, of TX")
    wanted_w = models.BigIntegerField(null=True, blank=True)
    serial = models.BigIntegerField(default=0)
    sent_w = models.BigIntegerField(null=True, blank=True)
    sent_steps = models.JSONField(default=list, blank=True)
    sent_at = models.DateTimeField(null=True, blank=True)
    unclear_w = models.BigIntegerField(null=True, blank=True)
    unclear_steps = models.JSONField(default=list, blank=True)
    accepted_w = models.BigIntegerField(null=True, blank=True)
    accepted_steps = models.JSONField(default=list, blank=True)
    accepted_at = models.DateTimeField(null=True, blank=True)
    verified_w = models.BigIntegerField(null=True, blank=True, help_text="what the charger said is in force")
    verified_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["evse", "purpose"], name="power_profile_once"),
        ]

    def __str__(self) -> str:
        return f"{self.purpose} {self.accepted_w} W at {self.evse_id}"

    @property
    def accepted(self) -> PowerSchedule | None:
        return from_json(self.accepted_w, self.accepted_steps)

    @property
    def sent(self) -> PowerSchedule | None:
        return from_json(self.sent_w, self.sent_steps)

    @property
    def unclear(self) -> PowerSchedule | None:
        return from_json(self.unclear_w, self.unclear_steps)

    def standing(self, charger: Charger) -> PowerSchedule | None:
        """What the charger holds as it said itself; None where that is not known."""
        is_forgotten = self.accepted_at is None or (
            charger.booted_at is not None and self.accepted_at <= charger.booted_at
        )
        return None if is_forgotten else self.accepted

    def on_its_way(self) -> PowerSchedule | None:
        """The most that may stand beside that: sent and not answered, or answered by nobody."""
        return larger([self.sent, self.unclear])

    def send(self, schedule: PowerSchedule, at: datetime) -> None:
        if self.sent_w is not None:
            self.doubt(self.sent)
        self.sent_w, self.sent_steps, self.sent_at = schedule.watts, schedule.steps_as_json(), at

    def withdraw(self) -> None:
        """What was sent is not there, or not on its way any more."""
        self.sent_w, self.sent_steps, self.sent_at = None, [], None

    def doubt(self, schedule: PowerSchedule | None) -> None:
        """It may stand or not."""
        found = larger([self.unclear, schedule])
        self.unclear_w = found.watts if found else None
        self.unclear_steps = found.steps_as_json() if found else []

    def accept(self, schedule: PowerSchedule | None, at: datetime | None) -> None:
        """This stands now; None for nothing."""
        self.accepted_w = schedule.watts if schedule else None
        self.accepted_steps = schedule.steps_as_json() if schedule else []
        self.accepted_at = at

    def settle(self, schedule: PowerSchedule | None, at: datetime | None) -> None:
        """The charger's answer to what was said last: nothing else may stand."""
        self.withdraw()
        self.unclear_w, self.unclear_steps = None, []
        self.accept(schedule, at)
