"""The rules of pricing a second time, as plainly as they can be said: every minute asks every element.

It knows only what happens on whole minutes, and is no faster than that.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

from bookings.pricing.tariff_content import (
    Dimension,
    ElementUse,
    PriceComponent,
    Restrictions,
    TariffContent,
    TaxIncluded,
)
from bookings.pricing.visits import BookedSlot, BookingOutcome, ChargingPeriod, SessionUse, Visit

MINUTE = timedelta(minutes=1)
# Element number and component, and how much of it was used: (kWh or hours) in order of time.
Used = dict[tuple[int, PriceComponent], Fraction]


def exact(visit: Visit, content: TariffContent, zone: ZoneInfo) -> tuple[Fraction, Fraction]:
    """Before and after taxes, not rounded."""
    net = gross = Fraction()
    if visit.booking is not None:
        net, gross = _cost(content, *_booking(visit.booking, visit.session, content, zone))
    if visit.session is None:
        return net, gross
    reserved = [(p, e) for p, e in visit.session.stretches if p.is_reservation]
    used = [(p, e) for p, e in visit.session.stretches if not p.is_reservation]
    for kind, more in ((ElementUse.RESERVATION, reserved), (ElementUse.CHARGING, used)):
        moments = _minutes(more, counted=kind is ElementUse.CHARGING)
        more_net, more_gross = _cost(content, [_pass(content, (kind,), moments, zone)])
        if kind is ElementUse.CHARGING and more:
            more_net, more_gross = _limited(content, more_net, more_gross)
        net, gross = net + more_net, gross + more_gross
    return net, gross


def _booking(
    slot: BookedSlot, session: SessionUse | None, content: TariffContent, zone: ZoneInfo
) -> tuple[list[Used]]:
    start, end = slot.period.starts_at, slot.period.ends_at
    if slot.outcome is BookingOutcome.CANCELLED:
        return ([_pass(content, (ElementUse.LATE_CANCELLATION,), [(start, 0, Fraction(), None, 0)], zone)],)
    if slot.outcome is BookingOutcome.NO_SHOW:
        return ([_pass(content, (ElementUse.NO_SHOW, ElementUse.BOOKING), _span(start, start, end), zone)],)
    parts = [_pass(content, (ElementUse.BOOKING,), _span(start, start, end), zone)]
    if session is not None and session.ends_at > end:
        parts.append(_pass(content, (ElementUse.OVERTIME,), _span(start, end, session.ends_at), zone))
    return (parts,)


# A moment, seconds since counting began, kWh used until it, the period, and hours of it that are time.
Moment = tuple[datetime, int, Fraction, ChargingPeriod | None, Fraction | int]


def _span(counted_from: datetime, start: datetime, end: datetime) -> Iterator[Moment]:
    while start < end:
        yield start, int((start - counted_from).total_seconds()), Fraction(), None, Fraction(1, 60)
        start += MINUTE


def _minutes(stretches: list[tuple[ChargingPeriod, datetime]], *, counted: bool) -> Iterator[Moment]:
    kwh, begin = Fraction(), stretches[0][0].starts_at if stretches else None
    for period, end in stretches:
        length = (end - period.starts_at) // MINUTE
        for n in range(length):
            moment = period.starts_at + n * MINUTE
            assert begin is not None
            passed = int((moment - begin).total_seconds()) if counted else 0
            yield moment, passed, kwh, period if counted else None, Fraction(1, 60)
            kwh += Fraction(period.energy_kwh) / length


def _pass(content: TariffContent, uses: tuple[ElementUse, ...], moments, zone: ZoneInfo) -> Used:
    used: Used = {}
    for moment in moments:
        for dimension in Dimension:
            if dimension is Dimension.FLAT and any(c.dimension is Dimension.FLAT for _, c in used):
                continue
            amount = _amount(dimension, moment)
            found = _find(content, _use(content, uses, dimension), dimension, moment, zone)
            if found is not None and (amount or dimension is Dimension.FLAT):
                used[found] = used.pop(found, Fraction()) + amount
    return _in_steps(used)


def _use(content: TariffContent, uses: tuple[ElementUse, ...], dimension: Dimension) -> ElementUse:
    for use in uses:
        for element in content.elements:
            if element.use is use and any(c.dimension is dimension for c in element.components):
                return use
    return uses[-1]


def _amount(dimension: Dimension, moment: Moment) -> Fraction:
    _, _, _, period, hours = moment
    if dimension is Dimension.FLAT:
        return Fraction(1)
    if period is None:
        return Fraction(hours) if dimension is Dimension.TIME else Fraction()
    if dimension is Dimension.ENERGY:
        return Fraction(1, 2) if period.energy_kwh else Fraction()
    is_parking = period.parking_s is not None
    return Fraction(hours) if is_parking == (dimension is Dimension.PARKING_TIME) else Fraction()


def _find(
    content: TariffContent, use: ElementUse, dimension: Dimension, moment: Moment, zone: ZoneInfo
) -> tuple[int, PriceComponent] | None:
    for number, element in enumerate(content.elements):
        for component in element.components:
            if (
                component.dimension is dimension
                and element.use is use
                and _holds(element.restrictions, moment, zone)
            ):
                return number, component
    return None


def _holds(asked: Restrictions, moment: Moment, zone: ZoneInfo) -> bool:
    at, passed, kwh, period, _ = moment
    local = at.astimezone(zone)
    least = greatest = None
    if period is not None:
        mean = period.energy_kwh and 60 * Decimal("0.5")
        least = _first(period.min_power_kw, period.power_kw, period.max_power_kw, mean)
        greatest = _first(period.max_power_kw, period.power_kw, period.min_power_kw, mean)
    return (
        _on_the_clock(asked, local.time())
        and (not asked.weekdays or local.isoweekday() in asked.weekdays)
        and (asked.start_date is None or asked.start_date <= local.date())
        and (asked.end_date is None or local.date() < asked.end_date)
        and _between(passed, asked.min_duration_s, asked.max_duration_s)
        and _between(kwh, asked.min_kwh, asked.max_kwh)
        and _between(least, asked.min_power_kw, None)
        and _between(greatest, None, asked.max_power_kw)
    )


def _on_the_clock(asked: Restrictions, now: time) -> bool:
    start, end = asked.start_time or time(), asked.end_time or time()
    if start == end:
        return True
    return start <= now < end if start < end else now >= start or now < end


def _first(*values: Decimal | int | None) -> Decimal | int | None:
    return next((value for value in values if value is not None), None)


def _between(value, least, below) -> bool:
    if least is None and below is None:
        return True
    return value is not None and (least is None or least <= value) and (below is None or value < below)


def _in_steps(used: Used) -> Used:
    """`used` is in the order in which components last priced something."""
    groups = [[Dimension.ENERGY], [Dimension.PARKING_TIME]]
    if not any(component.dimension is Dimension.PARKING_TIME for _, component in used):
        groups.append([Dimension.TIME])
    for group in groups:
        members = [key for key in used if key[1].dimension in group]
        if members and members[-1][1].step:
            last = members[-1]
            unit = Fraction(last[1].step, 1000 if Dimension.ENERGY in group else 3600)
            total = sum((used[key] for key in members), Fraction())
            used[last] += math.ceil(total / unit) * unit - total
    return used


def _cost(content: TariffContent, parts: list[Used]) -> tuple[Fraction, Fraction]:
    net = gross = Fraction()
    for part in parts:
        for (_, component), amount in part.items():
            price, vat = Fraction(component.price) * amount, Fraction(component.vat or 0) / 100
            if content.tax_included is TaxIncluded.NOT_APPLICABLE:
                vat = Fraction()
            if content.tax_included is TaxIncluded.YES:
                price /= 1 + vat
            net, gross = net + price, gross + price * (1 + vat)
    return net, gross


def _limited(content: TariffContent, net: Fraction, gross: Fraction) -> tuple[Fraction, Fraction]:
    """Where there is a tax at all; without, see the tests of limits."""
    for limit, nearer in ((content.min_price, max), (content.max_price, min)):
        if limit is not None:
            bounded = nearer(net, Fraction(limit.before_taxes))
            if limit.after_taxes is None:
                gross = bounded * gross / net if net else bounded
            else:
                gross = max(bounded, nearer(gross, Fraction(limit.after_taxes)))
            net = bounded
    return net, gross
