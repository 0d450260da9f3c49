from __future__ import annotations

from django.db import models
from django.db.models import F
from django.db.models.functions import Upper

from bookings.models.bookings import Booking
from bookings.models.fleet import GROUP, Token, shown_to_others
from depots.cards import CardNumber
from depots.token_numbers import PLUGGED_IN


class BookingToken(models.Model):
    """A token that may use a booking, as it was named when the booking was made."""

    booking = models.ForeignKey(Booking, models.CASCADE, related_name="tokens", db_index=False)
    country_code = models.CharField(max_length=2, blank=True)
    party_id = models.CharField(max_length=5, blank=True)
    uid = models.CharField(max_length=36)
    type = models.CharField(
        max_length=12, choices=[*Token.Type.choices, (GROUP, "Group")], default=Token.Type.RFID
    )
    contract_id = models.CharField(max_length=36, blank=True)
    position = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ["booking", "position"]
        constraints = [
            models.UniqueConstraint(
                F("booking"),
                Upper("country_code"),
                Upper("party_id"),
                Upper("uid"),
                F("type"),
                name="booking_token_once",
            )
        ]
        indexes = [models.Index(CardNumber("uid"), name="booking_token_card")]

    def __str__(self) -> str:
        return self.uid

    @property
    def ending(self) -> str:
        return shown_to_others(self.uid, self.type)

    @property
    def is_group(self) -> bool:
        return self.type == GROUP

    @property
    def is_told_by_plug(self) -> bool:
        return self.type in PLUGGED_IN
