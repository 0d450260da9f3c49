from __future__ import annotations

from django.db import models
from django.db.models import F, Q

from depots.cards import card_ending
from depots.models.chargers import Charger, Evse


class ChargingState(models.TextChoices):
    """What holds between an EVSE and a vehicle. Whether `PLUGGED` is before the charging or after it, its place in time says."""

    CHARGING = "charging", "Charging"
    NO_DEMAND = "no_demand", "The vehicle asks for no power"
    NO_OFFER = "no_offer", "The EVSE gives no power"
    PLUGGED = "plugged", "Plugged in"
    UNPLUGGED = "unplugged", "Nobody is plugged in"
    OUT_OF_ORDER = "out_of_order", "Out of order"


# Energy flows, or would if the other side wanted it.
UNDER_WAY = (ChargingState.CHARGING, ChargingState.NO_DEMAND, ChargingState.NO_OFFER)


class ChargingSession(models.Model):
    """What a charger reported of one transaction. Energy in Wh register values, as OCPP gives them.

    `transaction` is the charger's id of it (2.x) or ours, the primary key as text (1.6). The booking it uses points
    here. `flags` lists what was odd (depots.operations.transaction_reports.FLAGS).
    """

    charger = models.ForeignKey(Charger, models.CASCADE, related_name="sessions")
    evse = models.ForeignKey(
        Evse, models.CASCADE, related_name="sessions", null=True, blank=True, db_index=False
    )
    transaction = models.CharField(max_length=64)
    start_key = models.CharField(
        max_length=128, blank=True, help_text="what makes a repeated 1.6 start the same start"
    )
    token_uid = models.CharField(max_length=255, blank=True)
    token_type = models.CharField(max_length=20, blank=True)
    reservation_id = models.BigIntegerField(null=True, blank=True, help_text="as the charger told, unchecked")
    authorization_reference = models.CharField(
        max_length=64, blank=True, help_text="by which whoever issued its token let it charge"
    )
    is_entitled = models.BooleanField(default=True, help_text="false for a stranger in a booked slot")
    announced_at = models.DateTimeField(
        null=True, blank=True, help_text="when its token was known and charging_started was sent"
    )
    started_at = models.DateTimeField()
    start_received_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    end_received_at = models.DateTimeField(null=True, blank=True)
    meter_start_wh = models.BigIntegerField(null=True, blank=True)
    meter_last_wh = models.BigIntegerField(null=True, blank=True)
    meter_stop_wh = models.BigIntegerField(null=True, blank=True)
    power_w = models.IntegerField(null=True, blank=True)
    soc_percent = models.FloatField(null=True, blank=True)
    registers = models.JSONField(
        default=list, blank=True, help_text="where the meters stand that it told of; the first one counts"
    )
    figures_told_at = models.DateTimeField(
        null=True, blank=True, help_text="when open pages last heard of it"
    )
    latest_at = models.DateTimeField(
        null=True, blank=True, help_text="the newest time that its meter or a transaction event told of"
    )
    charging_state = models.CharField(
        max_length=12,
        choices=ChargingState,
        blank=True,
        help_text="as a transaction event told it last (2.x)",
    )
    stop_reason = models.CharField(max_length=40, blank=True)
    flags = models.JSONField(default=list, blank=True)
    thinned_at = models.DateTimeField(
        null=True, blank=True, help_text="when all but some of its readings were dropped"
    )

    # Not stored: whether open pages heard of the figures by the operation that gave this object.
    are_figures_told = False

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["charger", "transaction"], name="transaction_once", condition=~Q(transaction="")
            ),
            models.UniqueConstraint(
                fields=["charger", "start_key"], name="start_once", condition=~Q(start_key="")
            ),
        ]
        indexes = [
            models.Index(fields=["evse", "started_at"], name="session_of_evse"),
            models.Index(fields=["evse"], name="session_running", condition=Q(ended_at__isnull=True)),
            models.Index(
                fields=["ended_at"],
                name="session_to_thin",
                condition=Q(ended_at__isnull=False, thinned_at__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.transaction} at {self.evse_id}"

    @property
    def token_ending(self) -> str:
        """Of the card, for whoever it does not belong to."""
        return card_ending(self.token_uid)

    @property
    def energy_wh(self) -> int | None:
        """Delivered so far; None while a meter value is missing or the register went backwards."""
        last = self.meter_stop_wh if self.meter_stop_wh is not None else self.meter_last_wh
        if last is None or self.meter_start_wh is None or last < self.meter_start_wh:
            return None
        return last - self.meter_start_wh


class SessionEvent(models.Model):
    """A transaction message that was taken in; (session, seq_no) makes a repeated one the same one (OCPP 2.x seqNo).

    One that tells no more than the meter leaves MeterReadings and no row here (docs/decisions/0093). `charging_state` is
    what held from `at` on, where the message says it.
    """

    session = models.ForeignKey(ChargingSession, models.CASCADE, related_name="events", db_index=False)
    seq_no = models.BigIntegerField()
    kind = models.CharField(max_length=20)
    at = models.DateTimeField()
    charging_state = models.CharField(max_length=12, choices=ChargingState, blank=True)
    payload = models.JSONField(default=dict)

    class Meta:
        ordering = ["session", "seq_no"]
        constraints = [
            models.UniqueConstraint(F("session"), F("seq_no"), F("kind"), name="session_event_once")
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.seq_no}"


class EvseChargingState(models.Model):
    """What held at an EVSE from `at` on, as a status said it (OCPP 1.6, whose transactions do not): kept while it charges, and
    of the first one after. The session is the one of that time; it may become known later."""

    evse = models.ForeignKey(Evse, models.CASCADE, related_name="charging_states", db_index=False)
    at = models.DateTimeField()
    state = models.CharField(max_length=12, choices=ChargingState)

    class Meta:
        ordering = ["evse", "at", "id"]
        indexes = [models.Index(fields=["evse", "at"], name="charging_state_of_evse")]

    def __str__(self) -> str:
        return f"{self.evse_id} {self.state} from {self.at}"


class MeterReading(models.Model):
    """A sample within a session; absent measurands are null. Rows are narrow, for a thousand chargers leave three million a
    day: the key is what makes a repeated one the same one."""

    pk = models.CompositePrimaryKey("session_id", "at")
    session = models.ForeignKey(ChargingSession, models.CASCADE, related_name="readings", db_index=False)
    at = models.DateTimeField()
    energy_wh = models.BigIntegerField(null=True, blank=True)
    power_w = models.IntegerField(null=True, blank=True)
    soc_percent = models.FloatField(null=True, blank=True)

    class Meta:
        ordering = ["session", "at"]

    def __str__(self) -> str:
        return f"{self.session_id} {self.at}"


class SignedMeterValue(models.Model):
    """A sample that the meter has signed, untouched: in some countries it alone may be billed.

    `sample` is OCPP's SampledValue as it came, with `format` SignedData (1.6) or `signedMeterValue` (2.x). `digest` is its
    SHA-256, which makes a repeated one the same one.
    """

    session = models.ForeignKey(ChargingSession, models.CASCADE, related_name="signed_values", db_index=False)
    at = models.DateTimeField()
    sample = models.JSONField()
    digest = models.CharField(max_length=64)

    class Meta:
        ordering = ["session", "at", "id"]
        constraints = [models.UniqueConstraint(fields=["session", "digest"], name="signed_value_once")]

    def __str__(self) -> str:
        return f"{self.session_id} {self.at}"
