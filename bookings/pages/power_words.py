"""A booking's power in words: what it was promised, what it gets now and why, and what its history says of that."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from bookings.models import Booking, BookingStatus, EvsePower
from depots.templatetags.berth import kilowatts


class PowerNow(NamedTuple):
    """What a charging booking may take (None while nothing was told), what it takes, and one sentence of why."""

    may_take_w: int | None
    takes_w: int | None
    why: str
    is_short: bool


def power_now(booking: Booking) -> PowerNow | None:
    """Of a booking that charges at a depot of ours; None of any other. One query."""
    if booking.status != BookingStatus.CHARGING or not booking.is_ours or booking.session is None:
        return None
    if booking.session.ended_at is not None:
        return None
    power = EvsePower.objects.filter(evse=booking.session.evse_id).first()
    if power is None or power.why == EvsePower.Why.FREE:
        return PowerNow(None, booking.session.power_w, "", is_short=False)
    return PowerNow(power.share_w, booking.session.power_w, power.get_why_display(), power.is_short)


def power_sentence(detail: dict[str, Any], booking: Booking) -> str:
    """Of a limit that reaches a promise, and of a promise that is not kept."""
    if "expected_w" in detail:
        moments = [datetime.fromisoformat(detail["period"][name]) for name in ("start", "end")]
        hours = [f"{moment.astimezone(booking.depot.zone):%H:%M}" for moment in moments]
        return (
            f"From {hours[0]} to {hours[1]} the depot has {kilowatts(detail['limit_w'])}: "
            f"about {kilowatts(detail['expected_w'])} of the promised {kilowatts(detail['promised_w'])}"
        )
    if "given_w" in detail:
        since = detail.get("since")
        when = (
            f", since {datetime.fromisoformat(since).astimezone(booking.depot.zone):%H:%M}" if since else ""
        )
        return f"{kilowatts(detail['given_w'])} of the promised {kilowatts(detail['promised_w'])}{when}"
    return ""
