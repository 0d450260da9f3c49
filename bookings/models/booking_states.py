"""What a booking can be, how firmly it is kept, and in words why it broke off."""

from __future__ import annotations

from django.db import models
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast, Greatest


class BookingStatus(models.TextChoices):
    HELD = "held", "Held"
    REQUESTED = "requested", "Requested"
    CONFIRMED = "confirmed", "Confirmed"
    CHARGING = "charging", "Charging"
    COMPLETED = "completed", "Completed"
    CANCELLED = "cancelled", "Cancelled"
    DECLINED = "declined", "Declined"
    NO_SHOW = "no_show", "No-show"
    FAILED = "failed", "Failed"
    EXPIRED = "expired", "Expired"


LIVE = (BookingStatus.HELD, BookingStatus.REQUESTED, BookingStatus.CONFIRMED, BookingStatus.CHARGING)


class Enforcement(models.TextChoices):
    """How firmly the charger keeps the slot: at first not at all, shortly before its start as well as it can."""

    NOT_DUE = "not_due", "Not due"
    DUE = "due", "Due"
    ARMED = "armed", "Armed"
    AT_RISK = "at_risk", "At risk"
    SOFT = "soft", "Soft"
    USED = "used", "Used"
    RELEASED = "released", "Released"


# Codes of `Booking.interrupted_why`, as people read them.
INTERRUPTED_WHY = {
    "fault": "The charger reported a fault.",
    "power_loss": "The charger lost its power.",
    "restart": "The charger restarted.",
    "emergency_stop": "The emergency stop was pressed.",
    "offline": "The charger has lost its connection.",
    "stopped_remotely": "It was stopped from afar.",
    "stopped_early": "It was stopped long before it was done.",
    "no_energy": "No energy flowed.",
}

# How many minutes before its start a booking is due at the latest, by the terms it was made with.
LEAD_MINUTES = Greatest(
    *(
        Cast(KeyTextTransform(name, "terms_json"), models.IntegerField())
        for name in ("arm_lead_min", "early_start_min")
    )
)
