"""Charging of one's own trucks at depots of partners, as the partner tells it: its charger reports to nobody here."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Upper

from bookings.models.bookings import Booking
from bookings.models.fleet import Vehicle
from depots.cards import card_ending
from depots.models import Depot, Organisation


class SessionStatus(models.TextChoices):
    """What a session is to whom it is told about, at a depot of ours or of a partner."""

    RESERVED = "reserved", "Kept for the vehicle"
    WAITING = "waiting", "Not charging yet"
    CHARGING = "charging", "Charging"
    COMPLETED = "completed", "Completed"
    INVALID = "invalid", "Never charged"

    @property
    def is_over(self) -> bool:
        return self in (SessionStatus.COMPLETED, SessionStatus.INVALID)


class RemoteSession(models.Model):
    """A session at a partner's depot. `remote_id` is the partner's, unique within the party that runs the depot.

    `booking` is the one it uses, `matched_by` says how that is known. `energy_wh` is what was delivered so far, `before_taxes`
    and `taxes` what the partner says that it has come to. `limit_w` is what we limited it to, which its charger keeps;
    `allowed` what the partner says it may take: {"starts_at", "unit": "W"|"A", "limits": [[seconds, amount]…]}. `told_at` is
    the partner's time of this state, `received_at` ours.
    """

    class MatchedBy(models.TextChoices):
        REFERENCE = "reference", "The reference of the booking"
        RECORD = "record", "Its charge detail record"
        PERSON = "person", "Somebody here"

    operator = models.ForeignKey(Organisation, models.PROTECT, related_name="+", db_index=False)
    depot = models.ForeignKey(Depot, models.PROTECT, related_name="remote_sessions")
    fleet = models.ForeignKey(Organisation, models.PROTECT, related_name="remote_sessions", db_index=False)
    country_code = models.CharField(max_length=2)
    party_id = models.CharField(max_length=5)
    remote_id = models.CharField(max_length=64)
    booking = models.ForeignKey(
        Booking, models.PROTECT, related_name="remote_sessions", null=True, blank=True
    )
    matched_by = models.CharField(max_length=9, choices=MatchedBy, blank=True)
    vehicle = models.ForeignKey(
        Vehicle, models.PROTECT, related_name="+", null=True, blank=True, db_index=False
    )
    status = models.CharField(max_length=9, choices=SessionStatus)
    remote_status = models.CharField(max_length=20, blank=True, help_text="as the partner last told it")
    evse_uid = models.CharField(max_length=64, blank=True)
    connector_id = models.CharField(max_length=64, blank=True)
    token_uid = models.CharField(max_length=64, blank=True)
    token_type = models.CharField(max_length=20, blank=True)
    authorization_reference = models.CharField(max_length=64, blank=True)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    energy_wh = models.BigIntegerField(default=0)
    power_w = models.IntegerField(null=True, blank=True)
    soc_percent = models.FloatField(null=True, blank=True)
    currency = models.CharField(max_length=3, blank=True)
    before_taxes = models.DecimalField(max_digits=14, decimal_places=4, null=True, blank=True)
    taxes = models.DecimalField(max_digits=14, decimal_places=4, null=True, blank=True)
    limit_w = models.BigIntegerField(null=True, blank=True)
    allowed = models.JSONField(null=True, blank=True)
    told_at = models.DateTimeField()
    received_at = models.DateTimeField()

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                F("operator"),
                Upper("country_code"),
                Upper("party_id"),
                Upper("remote_id"),
                name="remote_session_once",
            ),
            models.CheckConstraint(
                name="remote_session_status_known",
                condition=Q(status__in=[status.value for status in SessionStatus]),
            ),
        ]
        indexes = [models.Index(fields=["fleet", "started_at"], name="remote_session_of_fleet")]

    def __str__(self) -> str:
        return self.remote_id

    @property
    def is_over(self) -> bool:
        return SessionStatus(self.status).is_over

    @property
    def token_ending(self) -> str:
        return card_ending(self.token_uid)
