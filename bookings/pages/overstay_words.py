"""What is said of vehicles that charge beyond their slot."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from bookings.models import Booking, BookingEvent, BookingStatus
from bookings.pages.wording import local
from bookings.rules.terms import Overstay


def overstay_words(booking: Booking, *, now: datetime) -> str:
    """Of one booking; empty where it does not overstay."""
    return words_by_booking([booking], now=now).get(booking.pk, "")


def for_whom(booking: Booking) -> str:
    """What is added to "it is stopped"; empty where that is so whoever comes next."""
    is_always = booking.terms.overstay == Overstay.STOP
    return "" if is_always else " as soon as the next vehicle's slot is being prepared"


def words_by_booking(bookings: Collection[Booking], *, now: datetime) -> dict[int, str]:
    """Of those that overstay, by id: since when, and what becomes of it. One query, none where nobody does."""
    late = [booking for booking in bookings if booking.overstays(now)]
    if not late:
        return {}
    # By EVSE: of a truck that charged on into a later slot of its own that slot says it.
    in_vain = BookingEvent.objects.filter(
        booking__evse__in=[booking.evse_id for booking in late], booking__status=BookingStatus.CHARGING,
        kind="overstay", detail__in_vain=True,
    )  # fmt: skip
    since = dict(in_vain.order_by("id").values_list("booking__evse", "at"))
    return {booking.pk: _words(booking, since.get(booking.evse_id or 0), now) for booking in late}


def _words(booking: Booking, in_vain_at: datetime | None, now: datetime) -> str:
    over_at = local(booking.overstays_from(), booking.period, booking.depot)
    return f"Its slot is over since {over_at}. {_what_follows(booking, in_vain_at, now)}"


def _what_follows(booking: Booking, in_vain_at: datetime | None, now: datetime) -> str:
    if in_vain_at is not None and in_vain_at >= booking.ends_at:
        return "The charger does not stop it: somebody has to go there."
    patience = booking.terms.stop_after
    if patience is None:
        return "The depot does not have it stopped; somebody may be waiting for the bay."
    whom = for_whom(booking)
    stops_at = booking.ends_at + patience
    if now >= stops_at:
        return f"The charger is told to stop it{whom}."
    return f"From {local(stops_at, booking.period, booking.depot)} on the charger is told to stop it{whom}."
