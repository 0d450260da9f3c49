from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Upper
from django.urls import reverse

from bookings.models import enforcement_words
from bookings.models.booking_names import new_group, new_reference, new_request_id
from bookings.models.booking_states import (
    INTERRUPTED_WHY,
    LEAD_MINUTES,
    LIVE,
    BookingStatus,
    Enforcement,
)
from bookings.models.fleet import Trailer, Vehicle
from bookings.models.holders import NextHolder
from bookings.models.offers import BookingOption
from bookings.models.series import BookingSeries
from bookings.models.tariffs import TariffVersion
from bookings.rules.terms import Terms
from depots.models import ChargingSession, Depot, Evse, Organisation
from depots.periods import Period

if TYPE_CHECKING:
    from bookings.models.booking_history import BookingRequest

# Of the terms of a booking that is one (Booking.is_best_effort).
BEST_EFFORT = "best_effort"


class BookingQuerySet(models.QuerySet["Booking"]):
    def live(self) -> BookingQuerySet:
        return self.filter(status__in=LIVE)

    def here(self) -> BookingQuerySet:
        """At depots of ours, where we are the truth."""
        return self.exclude(route=Booking.Route.OUTBOUND)

    def overlapping(self, period: Period) -> BookingQuerySet:
        """Those whose booked period has time in common with this one."""
        return self.filter(starts_at__lt=period.ends_at, ends_at__gt=period.starts_at)

    def overdue_holds(self, now: datetime) -> BookingQuerySet:
        """Holds that ran out and were not swept away yet: they stand in nobody's way."""
        return self.filter(status=BookingStatus.HELD, held_until__lte=now)


class Booking(models.Model):
    """One vehicle, one place, one span. `terms`, `quote` and tariffs are kept as they were when it was made.

    `id` comes from the sequence of holders and is also the reservation id on chargers (32 bit, > 0).
    `reference` is its public id (Booking.id in OCPI); `remote_id` the partner's, for a booking at a partner's depot.
    `request_id` is constant over all asks for one booking and unique per customer party. `version` rises with each
    change. `group` is a secret between us and the charger: whoever presents it is taken for the holder. `session` is the
    latest of its sessions, all of which `visits` holds.
    `promised_power_w` is its floor: the wish, or what its place and time give without one. `is_going_on` is no column: whether
    its truck, as far as somebody has looked (rules.own_slots), has outlived it in a slot of its own.
    """

    is_going_on = False

    class Route(models.TextChoices):
        OWN = "own", "Own fleet or fleet here"
        INBOUND = "inbound", "Partner books with us"
        OUTBOUND = "outbound", "We book with a partner"
        RESERVED = "reserved", "Partner keeps a charger from now on"

    class Side(models.TextChoices):
        FLEET = "fleet", "Fleet"
        DEPOT = "depot", "Depot"

    id = models.BigIntegerField(primary_key=True, db_default=NextHolder(), editable=False)
    reference = models.CharField(max_length=36, default=new_reference, editable=False)
    remote_id = models.CharField(max_length=64, blank=True)
    request_id = models.CharField(max_length=64, default=new_request_id)
    authorization_reference = models.CharField(max_length=64, blank=True)
    customer_country = models.CharField(max_length=2, blank=True)
    customer_party = models.CharField(max_length=5, blank=True)
    route = models.CharField(max_length=8, choices=Route, default=Route.OWN)

    # Indexes of their own would repeat the first column of those below, or serve no question: an option is withdrawn, a
    # vehicle retired, and neither is deleted.
    fleet = models.ForeignKey(Organisation, models.PROTECT, related_name="bookings", db_index=False)
    depot = models.ForeignKey(Depot, models.PROTECT, related_name="bookings", db_index=False)
    option = models.ForeignKey(BookingOption, models.PROTECT, related_name="bookings", db_index=False)
    evse = models.ForeignKey(
        Evse, models.PROTECT, related_name="bookings", null=True, blank=True, db_index=False
    )
    is_evse_asked = models.BooleanField(
        default=False,
        help_text="its customer or depot chose the EVSE: it is not moved to make room for others",
    )
    vehicle = models.ForeignKey(
        Vehicle, models.PROTECT, related_name="bookings", null=True, blank=True, db_index=False
    )
    plate = models.CharField(max_length=20, blank=True)
    trailer = models.ForeignKey(
        Trailer, models.PROTECT, related_name="bookings", null=True, blank=True, db_index=False
    )
    series = models.ForeignKey(
        BookingSeries, models.PROTECT, related_name="bookings", null=True, blank=True, db_index=False
    )
    series_date = models.DateField(
        null=True, blank=True, help_text="the day of the series' rule it is, however it was moved since"
    )
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    promised_power_w = models.BigIntegerField(default=0)
    wished_power_w = models.BigIntegerField(
        null=True, blank=True, help_text="what its customer asked for; a change keeps it or is refused"
    )
    energy_wh = models.BigIntegerField(
        null=True, blank=True, help_text="what it was asked to charge, where it was asked for by energy"
    )
    soc_from = models.PositiveSmallIntegerField(null=True, blank=True, help_text="percent, as it was asked")
    soc_to = models.PositiveSmallIntegerField(null=True, blank=True, help_text="percent, as it was asked")
    terms_json = models.JSONField(db_column="terms")
    quote = models.JSONField(default=dict, blank=True)
    # Versions are never deleted: checking the keys would lock one row that every booking of a depot names.
    charging_tariff = models.ForeignKey(
        TariffVersion,
        models.DO_NOTHING,
        related_name="+",
        null=True,
        blank=True,
        db_index=False,
        db_constraint=False,
    )
    booking_tariff = models.ForeignKey(
        TariffVersion,
        models.DO_NOTHING,
        related_name="+",
        null=True,
        blank=True,
        db_index=False,
        db_constraint=False,
    )

    status = models.CharField(max_length=10, choices=BookingStatus)
    remote_status = models.CharField(max_length=20, blank=True, help_text="as the partner last told it")
    is_irregular = models.BooleanField(
        default=False, help_text="the partner made a move its protocol does not know"
    )
    held_until = models.DateTimeField(null=True, blank=True)
    decide_until = models.DateTimeField(null=True, blank=True)
    enforcement = models.CharField(max_length=10, choices=Enforcement, default=Enforcement.NOT_DUE)
    enforcement_why = models.CharField(max_length=200, blank=True)
    enforcement_at = models.DateTimeField(null=True, blank=True, help_text="since when it is so")
    armed_evse = models.ForeignKey(
        Evse, models.PROTECT, related_name="+", null=True, blank=True, db_index=False
    )
    next_try_at = models.DateTimeField(
        null=True, blank=True, help_text="when the scheduler looks at its enforcement again"
    )
    group = models.CharField(
        max_length=20,
        default=new_group,
        editable=False,
        help_text="what its tokens have in common at chargers",
    )
    session = models.OneToOneField(
        ChargingSession, models.SET_NULL, related_name="booking", null=True, blank=True
    )
    metered_wh = models.BigIntegerField(
        null=True,
        blank=True,
        editable=False,
        help_text="by all its sessions that have ended; null is not known",
    )
    interrupted_at = models.DateTimeField(null=True, blank=True)
    interrupted_why = models.CharField(max_length=20, blank=True)

    cancel_reason = models.CharField(max_length=20, blank=True)
    cancelled_by = models.CharField(max_length=5, choices=Side, blank=True)
    changed_by_depot_at = models.DateTimeField(null=True, blank=True)
    late_from = models.DateTimeField(
        null=True, blank=True, help_text="the start that deadlines count from, where it slid after them"
    )
    arrived_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="since when its vehicle stands at the depot, as a gate or manager told",
    )
    seen_by_fleet_at = models.DateTimeField(null=True, blank=True)
    note = models.CharField(max_length=200, blank=True)
    trip = models.ForeignKey(
        "bookings.Trip", models.PROTECT, related_name="stops", null=True, blank=True, db_index=False
    )
    version = models.BigIntegerField(default=1)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    objects = BookingQuerySet.as_manager()

    # What was written along with it (lifecycle.begin), for whoever answers at once; of one that was read nothing.
    written_with: Sequence[models.Model] = ()
    # Of a new one, its values and each as it is to be sent, made before its place was locked (bookings.core.writing).
    written_ahead: Sequence[tuple[object, object]] = ()
    # Of a new one, when its operation saw under the locks that no charger keeps a reservation where it is going to be.
    finds_nothing_armed = False

    class Meta:
        constraints = [
            models.UniqueConstraint(Upper("reference"), name="booking_reference_once"),
            models.UniqueConstraint(fields=["group"], name="booking_group_once"),
            models.UniqueConstraint(
                Upper("request_id"),
                F("fleet"),
                Upper("customer_country"),
                Upper("customer_party"),
                name="booking_request_id_once",
            ),
            models.CheckConstraint(name="booking_ends_after_start", condition=Q(ends_at__gt=F("starts_at"))),
            models.CheckConstraint(
                name="booking_status_known", condition=Q(status__in=[s.value for s in BookingStatus])
            ),
            models.CheckConstraint(
                name="booking_here_has_evse",
                condition=Q(route="outbound") | Q(evse__isnull=False) | Q(status__in=["declined", "failed"]),
            ),
            models.UniqueConstraint(
                fields=["series", "series_date"],
                name="booking_of_series_once",
                condition=Q(series__isnull=False),
            ),
            models.CheckConstraint(
                name="booking_of_series_dated",
                condition=Q(series__isnull=True, series_date__isnull=True)
                | Q(series__isnull=False, series_date__isnull=False),
            ),
            models.CheckConstraint(name="booking_id_fits_charger", condition=Q(id__gt=0, id__lt=2**31)),
            models.CheckConstraint(
                name="booking_energy_sensible",
                condition=(Q(energy_wh__isnull=True) | Q(energy_wh__gt=0))
                & (Q(soc_from__isnull=True) | Q(soc_from__lte=100))
                & (Q(soc_to__isnull=True) | Q(soc_to__lte=100)),
            ),
        ]
        indexes = [
            models.Index(fields=["fleet", "starts_at"], name="booking_of_fleet"),
            models.Index(fields=["fleet", "updated_at", "id"], name="booking_by_change"),
            models.Index(fields=["depot", "starts_at"], name="booking_at_depot"),
            models.Index(fields=["evse", "starts_at"], name="booking_at_evse"),
            models.Index(
                fields=["vehicle"],
                name="booking_of_vehicle",
                condition=Q(status__in=LIVE, vehicle__isnull=False),
            ),
            models.Index(fields=["trailer"], name="booking_of_trailer", condition=Q(trailer__isnull=False)),
            models.Index(fields=["trip"], name="booking_of_trip", condition=Q(trip__isnull=False)),
            models.Index(fields=["held_until"], name="booking_held", condition=Q(status="held")),
            models.Index(
                fields=["decide_until"], name="booking_undecided", condition=Q(decide_until__isnull=False)
            ),
            models.Index(fields=["starts_at"], name="booking_waiting", condition=Q(status="confirmed")),
            models.Index(
                fields=["starts_at"],
                name="booking_at_risk",
                condition=Q(status="confirmed", enforcement="at_risk"),
            ),
            models.Index(
                LEAD_MINUTES, name="booking_lead", condition=Q(status="confirmed", enforcement="not_due")
            ),
            models.Index(fields=["ends_at"], name="booking_charging", condition=Q(status="charging")),
            models.Index(
                fields=["next_try_at"], name="booking_next_try", condition=Q(next_try_at__isnull=False)
            ),
            models.Index(Upper("remote_id"), name="booking_of_remote_id", condition=Q(route="outbound")),
            models.Index(Upper("request_id"), name="booking_of_our_request", condition=Q(route="outbound")),
            models.Index(fields=["armed_evse"], name="booking_armed", condition=Q(armed_evse__isnull=False)),
        ]

    def __str__(self) -> str:
        return self.reference

    def get_absolute_url(self) -> str:
        return reverse("bookings:booking", args=[self.pk])

    @property
    def period(self) -> Period:
        return Period(self.starts_at, self.ends_at)

    @period.setter
    def period(self, period: Period) -> None:
        self.starts_at, self.ends_at = period.starts_at, period.ends_at

    @property
    def terms(self) -> Terms:
        return Terms.from_json(self.terms_json)

    @property
    def pays_before(self) -> str:
        """What it has to secure before it is promised, of PaymentTerms.Before; empty where it pays by invoice alone."""
        return str(self.terms_json.get("pays_before", ""))

    @property
    def reservation_id(self) -> int:
        return self.pk

    @property
    def ocpi_id(self) -> str:
        """The id both platforms know it by; empty until a partner has given one."""
        return self.remote_id if self.route == self.Route.OUTBOUND else self.reference

    @property
    def is_live(self) -> bool:
        return self.status in LIVE

    @property
    def is_ours(self) -> bool:
        """At a depot of ours: we are the truth."""
        return self.route != self.Route.OUTBOUND

    @property
    def is_reservation(self) -> bool:
        """Of a charger that is kept from now on (bookings/rules/reservations.py)."""
        return self.route == self.Route.RESERVED

    @property
    def is_best_effort(self) -> bool:
        """At a depot of a partner that keeps no bookings: nothing but the charger is kept, shortly before, if it can be."""
        return bool(self.terms_json.get(BEST_EFFORT))

    @property
    def is_changed_unseen(self) -> bool:
        """The depot changed it and no dispatcher has looked since."""
        return self.changed_by_depot_at is not None and (
            self.seen_by_fleet_at is None or self.seen_by_fleet_at < self.changed_by_depot_at
        )

    @property
    def enforcement_sentence(self) -> str:
        """How firmly it is kept and why not better, for people."""
        return enforcement_words.sentence(self.enforcement, self.enforcement_why)

    @property
    def enforcement_in_full(self) -> str:
        """The same, with what follows from it."""
        return enforcement_words.in_full(self.enforcement, self.enforcement_why)

    @property
    def enforcement_explained(self) -> str:
        """The same, for beside its badge."""
        return enforcement_words.explained(self.enforcement, self.enforcement_why)

    @property
    def is_interrupted(self) -> bool:
        """Charging broke off before its time and has not been taken up again."""
        return self.interrupted_at is not None

    @property
    def interrupted_sentence(self) -> str:
        """Why, for people."""
        return INTERRUPTED_WHY.get(self.interrupted_why, "")

    @property
    def expected_wh(self) -> int | None:
        """About what it was to charge, as it was quoted or, without a price, asked for; None where neither says it."""
        return expected_wh(self.quote) or self.energy_wh

    @property
    def pending_request(self) -> BookingRequest | None:
        """The ask that waits for an answer, from `requests` as they were read already where they were."""
        if "requests" in getattr(self, "_prefetched_objects_cache", {}):
            return next((request for request in self.requests.all() if request.is_pending), None)
        return self.requests.pending().first()

    def no_show_at(self) -> datetime:
        """When it is over for a vehicle that does not charge; one that stands at the depot has all of its slot."""
        return self.ends_at if self.arrived_at is not None else self.terms.no_show_at(self.period)

    def overstays(self, now: datetime) -> bool:
        """Its session has outlived the slot and what its terms allow for a late stop, and is not known to go on in another."""
        is_charging = self.is_ours and self.status == BookingStatus.CHARGING
        return is_charging and not self.is_going_on and now >= self.overstays_from()

    def overstays_from(self) -> datetime:
        return self.ends_at + timedelta(minutes=self.terms.late_stop_min)


def expected_wh(quote: Any) -> int | None:
    """The watt-hours a quote counts on; None where it names none."""
    wh = quote.get("energy_wh") if isinstance(quote, dict) else None
    return wh if isinstance(wh, int) and wh > 0 else None


class BookingSession(models.Model):
    """A session in which a booking was used: mostly one, more where charging broke off and was taken up again."""

    booking = models.ForeignKey(Booking, models.CASCADE, related_name="visits")
    session = models.OneToOneField(ChargingSession, models.CASCADE, related_name="visit")

    def __str__(self) -> str:
        return f"{self.session_id} of {self.booking_id}"
