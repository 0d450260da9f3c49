from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db.models import DurationField, ExpressionWrapper, IntegerField, Value
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast, Coalesce, Greatest

from bookings.actors import ENFORCEMENT
from bookings.core import lifecycle
from bookings.models import Booking, BookingStatus, Enforcement
from bookings.rules.terms import Terms
from depots import round_trips
from depots.models import Charger, Evse

# How often a slot that could not be armed is tried again.
RETRY = timedelta(minutes=1)

_SET = """
UPDATE bookings_booking AS booking
SET enforcement = %s, enforcement_why = %s, next_try_at = %s, armed_evse_id = CASE WHEN %s THEN evse_id ELSE armed_evse_id END,
    enforcement_at = CASE WHEN told.is_news THEN %s ELSE enforcement_at END,
    updated_at = CASE WHEN told.is_news THEN greatest(updated_at, %s) ELSE updated_at END,
    version = version + told.is_news::int
FROM unnest(%s::bigint[], %s::boolean[]) AS told (id, is_news) WHERE booking.id = told.id
"""

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


def set_states(
    bookings: Sequence[Booking],
    to: Enforcement,
    *,
    why: str = "",
    retry_at: datetime | None,
    is_armed: bool = False,
    now: datetime,
) -> None:
    """`set_state` of many locked bookings; a statement, and one for the events of each state they were in. `is_armed`: their
    reservations are on the way to their EVSEs."""
    if not bookings:
        return
    is_news = {b: (b.enforcement, b.enforcement_why) != (to, why) for b in bookings}
    columns: list[Any] = [[b.pk for b in bookings], list(is_news.values())]
    round_trips.send(_SET, [to, why, retry_at, is_armed, now, now, *columns])
    before = {b: Enforcement(b.enforcement) for b in bookings if is_news[b]}
    for booking in bookings:
        booking.enforcement, booking.enforcement_why, booking.next_try_at = to, why, retry_at
        booking.enforcement_at = now if is_news[booking] else booking.enforcement_at
        if is_armed:
            booking.armed_evse = booking.evse
    for was in dict.fromkeys(before.values()):
        lifecycle.log_written(
            [b for b in before if before[b] == was], kind="enforcement", step=(was, to), actor=ENFORCEMENT, at=now,
            detail={"why": why} if why else {},
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
