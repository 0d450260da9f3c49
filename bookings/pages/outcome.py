"""What a booking that is over came to: energy and cost as metered, a fee that is due, or why there is none."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from bookings.models import Booking, BookingStatus
from bookings.pages.price_parts import PriceParts, no_show_total, settled_parts
from bookings.pages.wording import WENT_ON
from depots.templatetags.berth import kilowatt_hours, money

UNKNOWN_ENERGY = "The charger told no usable meter value, so energy and cost are not known here."

UNTOLD_ENERGY = "The partner has not told yet what was charged."


@dataclass(frozen=True)
class Outcome:
    """`short` for a row of a list, `words` for the booking's page; `bill` by parts, where there is one."""

    short: str
    words: str
    bill: PriceParts | None = None


def outcome_of(booking: Booking, *, is_waived: bool) -> Outcome | None:
    """None for what is not over, or never was a booking. `is_waived`: the timeline says that a fee was."""
    if (billed := _billed(booking)) is not None:
        return billed
    if booking.status == BookingStatus.COMPLETED:
        return _completed(booking)
    if booking.status == BookingStatus.CANCELLED and booking.cancelled_by:
        return _cancelled(booking, is_waived)
    if booking.status == BookingStatus.NO_SHOW:
        return _no_show(booking, is_waived)
    return None


def charged_wh(booking: Booking) -> int | None:
    """By all its sessions that have ended, else by the latest; None is not known."""
    if booking.metered_wh is not None or booking.session is None:
        return booking.metered_wh
    return booking.session.energy_wh


def _billed(booking: Booking) -> Outcome | None:
    """By its records, where it has any; rows of `access.booking_rows` know their sum."""
    currency, total = getattr(booking, "billed_currency", None), getattr(booking, "billed_total", None)
    if currency is None:
        return None
    if total is None:
        return Outcome("waived", "Nothing is due: what it cost was credited.")
    cost = money(total, currency)
    if booking.status == BookingStatus.NO_SHOW:
        return Outcome(f"fee {cost}", f"{cost} are due: the vehicle did not come in time.")
    if booking.status == BookingStatus.CANCELLED:
        return Outcome(f"fee {cost}", f"{cost} are due: it was cancelled after its deadline.")
    if booking.status != BookingStatus.COMPLETED:
        return None
    if _stayed(booking):
        return Outcome(cost, f"It costs {cost}. {WENT_ON}")
    wh = charged_wh(booking)
    if wh is None:
        return Outcome(cost, f"It costs {cost}, as far as the meter proves.")
    return Outcome(
        f"{kilowatt_hours(wh)} · {cost}", f"Charged {kilowatt_hours(wh)}, as metered. It costs {cost}."
    )


def _stayed(booking: Booking) -> bool:
    """Used by a session of the booking before, and by none of its own."""
    return booking.is_ours and booking.session_id is None and booking.metered_wh is None


def _completed(booking: Booking) -> Outcome:
    if _stayed(booking):
        return Outcome("charged on", WENT_ON)
    wh = charged_wh(booking)
    if wh is None:
        return Outcome("energy not known", UNKNOWN_ENERGY if booking.is_ours else UNTOLD_ENERGY)
    energy = kilowatt_hours(wh)
    if not booking.quote:
        whose = "No price was set." if booking.is_ours else "The partner bills by its own prices."
        return Outcome(energy, f"Charged {energy}. {whose}", None)
    bill = settled_parts(booking, wh)
    if bill is None:
        return Outcome(energy, f"Charged {energy}. No price was set.", None)
    cost = money(bill.total, bill.currency)
    return Outcome(f"{energy} · {cost}", f"Charged {energy}, as metered. It costs {cost}.", bill)


def _cancelled(booking: Booking, is_waived: bool) -> Outcome:
    if booking.cancelled_by == Booking.Side.DEPOT:
        return Outcome("no fee", "No fee: the depot cancelled it.")
    if not booking.is_ours:
        return Outcome("", "Whether the partner charges a fee is not known here.")
    if is_waived:
        return Outcome("no fee", "No fee: less power than promised had been announced for its slot.")
    return Outcome("no fee", "No fee: it was cancelled in time.")


def _no_show(booking: Booking, is_waived: bool) -> Outcome:
    if not booking.is_ours:
        return Outcome("", "Whether the partner charges a fee is not known here.")
    if is_waived:
        return Outcome("no fee", "No fee: the charger was at fault; what happened says how.")
    fee = no_show_total(booking) if booking.quote else Decimal()
    if not fee:
        return Outcome("no fee", "No fee is set for not coming.")
    due = money(fee, booking.quote["currency"])
    return Outcome(f"fee {due}", f"{due} are due: the vehicle did not come in time.")
