"""What partners have our chargers do."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from bookings.models import Booking
from depots.models import ChargerCommand, ChargingSession, Organisation


class ReceivedCommand(models.Model):
    """Something a partner's party had us do at a depot of ours; its result is owed at `response_url` until `answer_by`, and
    goes by a Delivery of kind `command_result`.

    `booking` is the reservation of a RESERVE, or whose charging was started; `charger_command` what a charger was asked, and
    `session` which one is stopped or limited. `reservation_key` is the partner's name of a reservation. `report` is what a
    result says beside its word: {"limits": [[seconds, watts]…], "starts_at": "…Z", "lasts_s": …} of SHOW_LIMIT.
    """

    class Kind(models.TextChoices):
        RESERVE = "reserve", "Reserve an EVSE from now on"
        CANCEL_RESERVATION = "cancel_reservation", "Give a reservation back"
        START = "start", "Start charging"
        STOP = "stop", "Stop charging"
        UNLOCK = "unlock", "Unlock the plug"
        LIMIT = "limit", "Limit the power"
        LIFT_LIMIT = "lift_limit", "Lift its limit of power"
        SHOW_LIMIT = "show_limit", "Tell the limit in force"

    class Result(models.TextChoices):
        ACCEPTED = "accepted", "Done"
        REJECTED = "rejected", "Refused by the charger"
        OCCUPIED = "occupied", "The EVSE is in use"
        INOPERATIVE = "inoperative", "The EVSE is out of order"
        NOT_SUPPORTED = "not_supported", "The charger cannot do this"
        FAILED = "failed", "It did not work"
        TIMEOUT = "timeout", "The charger did not answer"
        UNKNOWN_RESERVATION = "unknown_reservation", "There is no such reservation"
        NO_LIMIT = "no_limit", "Its power is not limited"
        WITHDRAWN = "withdrawn", "The depot took the reservation back"

    partner = models.ForeignKey(
        "roaming.Partner", models.CASCADE, related_name="commands_received", db_index=False
    )
    kind = models.CharField(max_length=20, choices=Kind)
    country_code = models.CharField(max_length=2, blank=True, help_text="of the party that asked")
    party_id = models.CharField(max_length=5, blank=True)
    operator = models.ForeignKey(Organisation, models.PROTECT, related_name="+")
    response_url = models.CharField(max_length=500)
    reservation_key = models.CharField(max_length=64, blank=True)
    raw = models.JSONField()
    booking = models.ForeignKey(Booking, models.SET_NULL, related_name="+", null=True, blank=True)
    charger_command = models.ForeignKey(
        ChargerCommand, models.SET_NULL, related_name="+", null=True, blank=True
    )
    session = models.ForeignKey(ChargingSession, models.SET_NULL, related_name="+", null=True, blank=True)
    received_at = models.DateTimeField()
    answer_by = models.DateTimeField()
    result = models.CharField(max_length=20, choices=Result, blank=True)
    result_text = models.CharField(max_length=200, blank=True)
    report = models.JSONField(default=dict, blank=True)
    decided_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["charger_command"],
                name="received_command_at_charger",
                condition=Q(charger_command__isnull=False),
            ),
            models.Index(fields=["partner", "reservation_key"], name="received_reservation"),
            models.Index(fields=["received_at"], name="received_command_age"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.partner_id}"
