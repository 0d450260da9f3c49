"""What a visit costs: one function for quote, running cost and bill.

Three passes, each with its own elements of the tariff (the first that holds prices a dimension): the booking, the reservation
before the charging, the charging. Exact until the bill is written; cutting a period in two changes no amount.
"""

from __future__ import annotations

from datetime import datetime
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

from bookings.pricing.bills import Bill
from bookings.pricing.passes import pass_rules
from bookings.pricing.price_limits import apply_limits
from bookings.pricing.reckoning import Reckoning
from bookings.pricing.step_sizes import BilledQuantity, billed_quantities
from bookings.pricing.tariff_content import ElementUse, TariffContent
from bookings.pricing.visits import (
    NO_ENERGY,
    BookedSlot,
    BookingOutcome,
    ChargingPeriod,
    SessionUse,
    Stretch,
    Visit,
    whole_second,
)
from bookings.pricing.walk import SECOND, walk


class MixedCurrencies(ValueError):
    """The two tariffs of one visit have different currencies."""


def price(
    visit: Visit,
    zone: ZoneInfo,
    *,
    charging: TariffContent | None = None,
    booking: TariffContent | None = None,
) -> Bill:
    """The bill of a visit by the tariff of its charging (and of a reservation before it) and by that of its booking.

    `zone` is the depot's, for times of day. Raises MixedCurrencies, and ValueError without any tariff.
    """
    currency = _currency(charging, booking)
    billed: list[BilledQuantity] = []
    if booking is not None and visit.booking is not None:
        billed += _booking(visit.booking, visit.session, booking, zone)
    if charging is None or visit.session is None:
        return Reckoning(currency, billed).bill()
    used = visit.session.charging
    if len(used) < len(visit.session.periods):
        billed += _reservation(visit.session, charging, zone)
    rules = pass_rules(charging, ElementUse.CHARGING)
    if used and rules is not None:
        billed += billed_quantities(walk(rules, used, zone, counted_from=used[0][0].starts_at))
    reckoning = Reckoning(currency, billed)
    if used:
        apply_limits(reckoning, charging, rules)
    return reckoning.bill()


def _currency(charging: TariffContent | None, booking: TariffContent | None) -> str:
    found = {content.currency for content in (charging, booking) if content is not None}
    if len(found) > 1:
        raise MixedCurrencies(f"one visit is not priced in {' and '.join(sorted(found))}")
    if not found:
        raise ValueError("a price needs a tariff")
    return found.pop()


def _reservation(session: SessionUse, content: TariffContent, zone: ZoneInfo) -> list[BilledQuantity]:
    """Time that was reserved and used, or that expired; durations and kWh have not begun to count."""
    is_expired = any(period.expired_s is not None for period in session.periods)
    use = ElementUse.RESERVATION_EXPIRED if is_expired else ElementUse.RESERVATION
    rules = pass_rules(content, use)
    if rules is None:
        return []
    reserved = [
        (ChargingPeriod(period.starts_at, charging_s=period.reserved_s or period.expired_s or 0), ends_at)
        for period, ends_at in session.stretches
        if period.is_reservation
    ]
    return billed_quantities(walk(rules, reserved, zone, counted_from=None))


def _booking(
    slot: BookedSlot, session: SessionUse | None, content: TariffContent, zone: ZoneInfo
) -> list[BilledQuantity]:
    """The booked time, and the time past it; a cancellation is judged at the booked start and has no time."""
    begin, end = whole_second(slot.period.starts_at), whole_second(slot.period.ends_at)
    if slot.outcome is BookingOutcome.NO_SHOW:
        return _booked_time(content, ElementUse.NO_SHOW, session, zone, (begin, begin, end))
    if slot.outcome is BookingOutcome.CANCELLED:
        return _booked_time(content, ElementUse.LATE_CANCELLATION, session, zone, (begin, begin, begin))
    billed = _booked_time(content, ElementUse.BOOKING, session, zone, (begin, begin, end))
    free_until, ended_at = whole_second(slot.period.ends_at + slot.late_stop), _ended_at(slot, session)
    if ended_at is not None and ended_at > free_until:
        billed += _booked_time(content, ElementUse.OVERTIME, session, zone, (begin, free_until, ended_at))
    return billed


def _ended_at(slot: BookedSlot, session: SessionUse | None) -> datetime | None:
    if slot.ended_at is not None:
        return whole_second(slot.ended_at)
    return session.ends_at if session is not None else None


def _booked_time(
    content: TariffContent,
    use: ElementUse,
    session: SessionUse | None,
    zone: ZoneInfo,
    span: tuple[datetime, datetime, datetime],
) -> list[BilledQuantity]:
    """By elements of one use: the booked start, from which durations and kWh count, and the time to price."""
    counted_from, begin, end = span
    rules = pass_rules(content, use)
    if rules is None:
        return []
    stretches: list[Stretch] = [(ChargingPeriod(begin), end)]
    used_kwh: Any = NO_ENERGY
    if rules.kwhs and session is not None and begin < end:
        used_kwh = sum((period.energy_kwh for period, _ in _during(session, counted_from, begin)), Fraction())
        stretches = _during(session, begin, end)
    return billed_quantities(walk(rules, stretches, zone, counted_from=counted_from, used_kwh=used_kwh))


def _during(session: SessionUse, begin: datetime, end: datetime) -> list[Stretch]:
    """A span of time with the energy of a session in it, shared evenly over each of its periods, as exact Fractions."""
    none: Any = Fraction()
    before = ChargingPeriod(begin, none), min(session.periods[0].starts_at, end)
    after = ChargingPeriod(max(session.ends_at, begin), none), end
    inside = [
        _part(period, ends_at, max(period.starts_at, begin), min(ends_at, end))
        for period, ends_at in session.stretches
        if max(period.starts_at, begin) < min(ends_at, end)
    ]
    return [part for part in (before, *inside, after) if part[0].starts_at < part[1]]


def _part(period: ChargingPeriod, ends_at: datetime, start: datetime, until: datetime) -> Stretch:
    share = Fraction((until - start) // SECOND, (ends_at - period.starts_at) // SECOND)
    energy: Any = Fraction(period.energy_kwh) * share
    return ChargingPeriod(start, energy), until
