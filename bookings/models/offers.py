from __future__ import annotations

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Upper

from bookings.rules.terms import LIMITS, Overstay, PowerOrder, WalkIn
from depots.models import Agreement, Depot, Evse
from depots.periods import PeriodField


def _within_limits(name: str) -> models.PositiveIntegerField[int | None, int | None]:
    """A column of a term in whole numbers; null inherits."""
    bounds = LIMITS[name]
    validators = [MinValueValidator(bounds.least), MaxValueValidator(bounds.most)]
    return models.PositiveIntegerField(null=True, blank=True, validators=validators)


class BookingOption(models.Model):
    """What can be booked at a depot: one EVSE, or a set of interchangeable ones. OCPI calls it a BookingLocation.

    At a partner's depot `code` is the BookingLocation id there, its EVSEs are mirrors (one that stands for the pool when
    the partner names none) and `OfferedSlot` its calendars, as old as `calendar_at` says.
    `calendar_version` and `updated_at` rise with the tick after its free time may have changed (bookings.core.calendars).
    """

    depot = models.ForeignKey(Depot, models.CASCADE, related_name="options", db_index=False)
    code = models.CharField(max_length=64)
    name = models.CharField(max_length=100, blank=True)
    evses = models.ManyToManyField(Evse, related_name="options")
    is_mirror = models.BooleanField(default=False)
    is_withdrawn = models.BooleanField(default=False)
    is_best_effort = models.BooleanField(
        default=False,
        db_default=False,
        help_text="the partner keeps no bookings: its charger is reserved shortly before",
    )
    ad_hoc_places = models.PositiveIntegerField(
        null=True, blank=True, help_text="for vehicles without a booking, as a partner told"
    )
    calendar_at = models.DateTimeField(null=True, blank=True)
    calendar_version = models.BigIntegerField(default=1)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(F("depot"), Upper("code"), name="option_code_once_in_depot"),
            models.UniqueConstraint(Upper("code"), name="own_option_code_once", condition=Q(is_mirror=False)),
        ]

    def __str__(self) -> str:
        return self.name or self.code


class OfferedSlot(models.Model):
    """Time a partner says is free at one of its options: a hint with an age (`option.calendar_at`), never a promise."""

    option = models.ForeignKey(BookingOption, models.CASCADE, related_name="offered_slots")
    calendar_id = models.CharField(max_length=64)
    period = PeriodField()
    step_min = models.PositiveIntegerField(null=True, blank=True)
    min_power_w = models.BigIntegerField(null=True, blank=True)
    max_power_w = models.BigIntegerField(null=True, blank=True)

    class Meta:
        ordering = ["option", "period"]

    def __str__(self) -> str:
        return f"{self.option_id} {self.period}"


class CalendarMark(models.Model):
    """The free time of an EVSE, or all that a depot offers, may be different: to be told with the next tick, which removes it.

    Without foreign keys: it is written by every booking, and checking them would lock rows that others wait for.
    """

    evse_id = models.BigIntegerField(null=True)
    depot_id = models.BigIntegerField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="calendar_mark_of_one_place",
                condition=Q(evse_id__isnull=False, depot_id__isnull=True)
                | Q(evse_id__isnull=True, depot_id__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"EVSE {self.evse_id}" if self.evse_id else f"depot {self.depot_id}"


class TermsOverride(models.Model):
    """Terms where they differ from what they are resolved from: depot, then agreement, then option. Null inherits.

    The columns are the fields of bookings.rules.terms.Terms, which says what each means.
    """

    depot = models.OneToOneField(Depot, models.CASCADE, related_name="terms", null=True, blank=True)
    agreement = models.OneToOneField(Agreement, models.CASCADE, related_name="terms", null=True, blank=True)
    option = models.OneToOneField(BookingOption, models.CASCADE, related_name="terms", null=True, blank=True)

    approval = models.BooleanField(null=True, blank=True)
    decision_min = _within_limits("decision_min")
    arm_lead_min = _within_limits("arm_lead_min")
    slot_step_min = _within_limits("slot_step_min")
    early_start_min = _within_limits("early_start_min")
    late_stop_min = _within_limits("late_stop_min")
    turnaround_min = _within_limits("turnaround_min")
    no_show_min = _within_limits("no_show_min")
    change_until_min = _within_limits("change_until_min")
    cancel_until_min = _within_limits("cancel_until_min")
    min_duration_min = _within_limits("min_duration_min")
    max_duration_min = _within_limits("max_duration_min")
    lead_min = _within_limits("lead_min")
    horizon_days = _within_limits("horizon_days")
    overlapping_tokens = models.BooleanField(null=True, blank=True)
    walk_in = models.CharField(max_length=10, choices=WalkIn, null=True, blank=True)
    max_promise_kw = _within_limits("max_promise_kw")
    max_open_bookings = _within_limits("max_open_bookings")
    max_unused_holds = _within_limits("max_unused_holds")
    hold_min = _within_limits("hold_min")
    offer_min = _within_limits("offer_min")
    late_cancel = models.BooleanField(null=True, blank=True)
    end_warning_min = _within_limits("end_warning_min")
    overstay = models.CharField(max_length=13, choices=Overstay, null=True, blank=True)
    overstay_min = _within_limits("overstay_min")
    power_order = models.CharField(max_length=14, choices=PowerOrder, null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="terms_of_one_owner",
                condition=Q(depot__isnull=False, agreement__isnull=True, option__isnull=True)
                | Q(depot__isnull=True, agreement__isnull=False, option__isnull=True)
                | Q(depot__isnull=True, agreement__isnull=True, option__isnull=False),
            ),
            models.CheckConstraint(
                name="terms_step_positive", condition=Q(slot_step_min__isnull=True) | Q(slot_step_min__gt=0)
            ),
            models.CheckConstraint(
                name="terms_walk_in_known", condition=Q(walk_in__isnull=True) | Q(walk_in__in=WalkIn.values)
            ),
            models.CheckConstraint(
                name="terms_power_order_known",
                condition=Q(power_order__isnull=True) | Q(power_order__in=PowerOrder.values),
            ),
            models.CheckConstraint(
                name="terms_overstay_known",
                condition=Q(overstay__isnull=True) | Q(overstay__in=Overstay.values),
            ),
        ]

    def __str__(self) -> str:
        return f"terms of {self.depot or self.agreement or self.option}"
