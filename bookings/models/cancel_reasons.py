"""Why a booking is given up."""

from __future__ import annotations

from django.db import models


class CancelReason(models.TextChoices):
    """Why a booking was given up. The names are OCPI's (Bookings 1.1, CanceledReason); people and partners give the same."""

    POWER_OUTAGE = "POWER_OUTAGE", "Power outage"
    BROKEN_CHARGER = "BROKEN_CHARGER", "Broken charger"
    FULL = "FULL", "Depot is full"
    BLOCKED = "BLOCKED", "Bay is blocked"
    TRAFFIC = "TRAFFIC", "Traffic"
    BROKEN_VEHICLE = "BROKEN_VEHICLE", "Broken vehicle"
    NO_CANCELED = "NO_CANCELED", "No reason given"
    UNKNOWN = "UNKNOWN", "Other"

    @classmethod
    def of(cls, side: str) -> list[CancelReason]:
        """Those a Booking.Side gives, in order of how often."""
        if side == "depot":
            return [cls.BROKEN_CHARGER, cls.POWER_OUTAGE, cls.FULL, cls.BLOCKED, cls.UNKNOWN]
        return [cls.TRAFFIC, cls.BROKEN_VEHICLE, cls.BLOCKED, cls.NO_CANCELED, cls.UNKNOWN]

    @classmethod
    def words(cls, name: str) -> str:
        """As people read it; a name that is none of these as it is."""
        return cls(name).label if name in cls.values else name
