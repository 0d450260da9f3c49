from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import DurationField, ExpressionWrapper, IntegerField, Value
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast, Coalesce, Greatest

from bookings.actors import ENFORCEMENT
from bookings.core import lifecycle
from bookings.models import Booking, BookingStatus, Enforcement
from bookings.rules.terms import Terms
from depots.models import Charger, Evse

# How often a slot that could not be armed is tried again.
RETRY = timedelta(minutes=1)

# A reservation may stand at the charger, or is on its way there.
AT_CHARGER = {Enforcement.DUE, Enforcement.ARMED, Enforcement.AT_RISK, Enforcement.SOFT}


def set_state(
    booking: Booking,
    to: Enforcement,
    *,
    why: str = "",
    retry_at: datetime | None = None,
    now: datetime,
    fields: tuple[str, ...] = (),
) -> None:
    """Write the enforcement of a locked booking, with an event when it is another one."""
    is_news = (booking.enforcement, booking.enforcement_why) != (to, why)
    before = booking.enforcement
    booking.enforcement, booking.enforcement_why, booking.next_try_at = to, why, retry_at
    columns = {"enforcement", "enforcement_why", "enforcement_at", "next_try_at", *fields}
    if is_news:
        booking.enforcement_at = now
    if not is_news:
        booking.save(update_fields=list(columns))
        return
    lifecycle.record(
        booking, kind="enforcement", step=(before, to), actor=ENFORCEMENT, at=now,
        detail={"why": why} if why else {}, fields=columns,
    )  # fmt: skip


def charger_of(booking: Booking) -> Charger | None:
    return booking.evse.charger if booking.evse is not None else None


def is_wanted(booking: Booking, evse: Evse | None = None) -> bool:
    """Whether a reservation for the booking should stand, and at this EVSE."""
    return (
        booking.status == BookingStatus.CONFIRMED
        and booking.is_ours
        and (evse is None or booking.evse_id == evse.pk)
    )


def longest_term(*names: str) -> ExpressionWrapper:
    """The longest of these terms of a booking, which are minutes, in SQL."""
    minutes = [
        Coalesce(Cast(KeyTextTransform(name, "terms_json"), IntegerField()), getattr(Terms, name))
        for name in names
    ]
    longest = Greatest(*minutes) if len(minutes) > 1 else minutes[0]
    return ExpressionWrapper(longest * Value(timedelta(minutes=1)), DurationField())
