from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q

from bookings.models.offers import BookingOption
from depots.models import Agreement, Depot

WEEK = (1, 2, 3, 4, 5, 6, 7)
MOST_AMOUNT = 1_000_000
MOST_AHEAD_MIN = 366 * 24 * 60


_NO_AMOUNT = Q(amount=None, unit="", counts="")
_AMOUNT = Q(amount__isnull=False, amount__gt=0)
_OF_QUOTA = _AMOUNT & Q(kind="quota", counts__in=["each", "guests"], ahead_min=None)
# Each kind with what it says, and nothing else.
_WHOLE = (
    Q(kind="window", ahead_min=None) & _NO_AMOUNT
    | Q(kind="own_first") & _NO_AMOUNT
    | _OF_QUOTA & Q(unit__in=["evses", "kw"])
    | _OF_QUOTA & Q(unit="percent", amount__lte=100)
    | Q(kind="walk_in", unit="evses", counts="", ahead_min=None) & _AMOUNT
)


def every_day() -> list[int]:
    return list(WEEK)


class AccessRule(models.Model):
    """When, and for how much at the same time, a depot of ours is open to its customers: in some hours of some weekdays, by the
    wall clock of its zone.

    Of a depot it is for all guests, of an agreement for whom that admits; of each kind but WALK_IN the narrowest owner that has
    any counts (bookings/rules/allowance.py). WALK_IN is about everybody, the depot's own fleet too, and of a depot alone or of
    one `option` there. Hours whose end is not after their start end on the next day. `counts` of a quota: each customer by
    itself, or all guests together.
    """

    class Kind(models.TextChoices):
        WINDOW = "window", "Guests may have slots"
        OWN_FIRST = "own_first", "Own fleet first"
        QUOTA = "quota", "Quota at the same time"
        WALK_IN = "walk_in", "Kept free for trucks without a booking"

    class Unit(models.TextChoices):
        EVSES = "evses", "EVSEs"
        PERCENT = "percent", "% of the EVSEs"
        KW = "kw", "kW"

    class Counts(models.TextChoices):
        EACH = "each", "each customer"
        GUESTS = "guests", "all guests together"

    depot = models.ForeignKey(Depot, models.CASCADE, related_name="access_rules")
    agreement = models.ForeignKey(
        Agreement, models.CASCADE, related_name="access_rules", null=True, blank=True
    )
    option = models.ForeignKey(
        BookingOption, models.CASCADE, related_name="access_rules", null=True, blank=True
    )
    kind = models.CharField(max_length=9, choices=Kind)
    weekdays = ArrayField(models.PositiveSmallIntegerField(), default=every_day, help_text="1 is Monday")
    from_minute = models.PositiveSmallIntegerField(default=0)
    to_minute = models.PositiveSmallIntegerField(default=1440)
    ahead_min = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(0), MaxValueValidator(MOST_AHEAD_MIN)],
        help_text="so long before the start what the own fleet left is open to guests; none: never",
    )
    amount = models.PositiveIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1), MaxValueValidator(MOST_AMOUNT)]
    )
    unit = models.CharField(max_length=7, choices=Unit, blank=True)
    counts = models.CharField(max_length=6, choices=Counts, blank=True)

    class Meta:
        ordering = ["depot", "kind", "pk"]
        constraints = [
            models.CheckConstraint(
                name="access_rule_hours_sensible",
                condition=Q(
                    ~Q(weekdays=[]),
                    ~Q(from_minute=F("to_minute")),
                    weekdays__contained_by=every_day(),
                    from_minute__lt=1440,
                    to_minute__range=(1, 1440),
                ),
            ),
            models.CheckConstraint(name="access_rule_whole", condition=_WHOLE),
            models.CheckConstraint(
                name="access_rule_of_its_owner",
                condition=Q(
                    Q(kind="walk_in") | Q(option=None),
                    Q(agreement=None) | (~Q(kind="walk_in") & ~Q(counts="guests")),
                ),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} at {self.depot}"
