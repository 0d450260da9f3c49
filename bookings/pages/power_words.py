"""A booking's power in words: what it was promised, what it gets now and why, and what its history says of that."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from bookings.models import Booking, EvsePower
from depots.models import ChargingSession
from depots.templatetags.berth import kilowatts


class PowerNow(NamedTuple):
    """What a charging booking may take (None while nothing was told), what it takes, and one sentence of why."""

    may_take_w: int | None
    takes_w: int | None
    why: str
    is_short: bool


def power_now(session: ChargingSession | None) -> PowerNow | None:
    """Of the session that uses a booking now; None without one. One query."""
    if session is None:
        return None
    power = EvsePower.objects.filter(evse=session.evse_id).first()
    if power is None or power.why == EvsePower.Why.FREE:
        return PowerNow(None, session.power_w, "", is_short=False)
    return PowerNow(power.share_w, session.power_w, power.get_why_display(), power.is_short)


def power_sentence(detail: dict[str, Any], booking: Booking) -> str:
    """Of a limit that reaches a promise or was lifted, and of a promise that is not kept."""
    if "promised_w" not in detail:
        return ""
    promised = kilowatts(detail["promised_w"])
    if "expected_w" in detail:
        expected = kilowatts(detail["expected_w"])
        hours, limit = _hours(detail, booking).capitalize(), kilowatts(detail["limit_w"])
        return f"{hours} the depot has {limit}: about {expected} of the promised {promised}"
    if "lifted_at" in detail:
        lifted = f"{kilowatts(detail['limit_w'])} {_hours(detail, booking)}"
        return f"The limit of {lifted} ended at {_clock(detail['lifted_at'], booking)}; the promised {promised} stand"
    if "given_w" in detail:
        since = f", since {_clock(detail['since'], booking)}" if detail.get("since") else ""
        given_w = detail["given_w"]
        if given_w > detail["promised_w"]:
            return f"{kilowatts(given_w)}; promised are {promised}{since}"
        return f"{kilowatts(given_w)} of the promised {promised}{since}"
    return ""


def _hours(detail: dict[str, Any], booking: Booking) -> str:
    """`from 10:00 to 11:00`."""
    start, end = (_clock(detail["period"][name], booking) for name in ("start", "end"))
    return f"from {start} to {end}"


def _clock(told: str, booking: Booking) -> str:
    return f"{datetime.fromisoformat(told).astimezone(booking.depot.zone):%H:%M}"
