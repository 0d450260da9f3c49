"""What a tariff says, in plain sentences: one an element, in the order in which they are asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, time, timedelta
from decimal import Decimal

from bookings.pricing.tariff_content import (
    Dimension,
    ElementUse,
    PriceComponent,
    PriceLimit,
    Restrictions,
    TariffContent,
    TariffElement,
    TaxIncluded,
)
from depots.templatetags.berth import unit_price

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MIDNIGHT = time(0)
# What a price is of, by what the element is about.
_PRICED: dict[ElementUse, dict[Dimension, str]] = {
    ElementUse.CHARGING: {
        Dimension.FLAT: "a visit costs {} once",
        Dimension.ENERGY: "a kWh costs {}",
        Dimension.TIME: "an hour of charging costs {}",
        Dimension.PARKING_TIME: "an hour parked without charging costs {}",
    },
    ElementUse.RESERVATION: {
        Dimension.FLAT: "reserving the charger costs {} once",
        Dimension.TIME: "an hour of a reservation costs {}",
    },
    ElementUse.RESERVATION_EXPIRED: {
        Dimension.FLAT: "a reservation that nobody uses costs {} once",
        Dimension.TIME: "an hour of a reservation that nobody uses costs {}",
    },
    ElementUse.BOOKING: {
        Dimension.FLAT: "a booking costs {} once",
        Dimension.TIME: "a booked hour costs {}",
    },
    ElementUse.NO_SHOW: {
        Dimension.FLAT: "not coming costs {}",
        Dimension.TIME: "not coming costs {} for each booked hour",
    },
    ElementUse.LATE_CANCELLATION: {
        Dimension.FLAT: "cancelling after the deadline costs {}",
        Dimension.TIME: "cancelling after the deadline costs {} an hour, of which there are none",
    },
    ElementUse.OVERTIME: {
        Dimension.FLAT: "staying past the booked end costs {} once",
        Dimension.TIME: "an hour past the booked end costs {}",
    },
}
_FREE = {Dimension.ENERGY: "a kWh costs nothing", Dimension.TIME: "an hour of charging costs nothing"}
# Where an element's duration and energy are counted from.
_COUNTED = {True: "of the booked time", False: "of the visit"}
_STRETCHES = (
    ("min_kwh", "max_kwh"),
    ("min_duration_s", "max_duration_s"),
    ("min_power_kw", "max_power_kw"),
    ("min_current_a", "max_current_a"),
    ("start_date", "end_date"),
)
NOT_KNOWN = "A condition is not known here, so this never applies."


def sentences(content: TariffContent) -> list[str]:
    """One an element, then what a price of nothing follows from, limits, and what is said of tax."""
    said = [element_sentence(content, number) for number in range(len(content.elements))]
    return [*said, *whole_sentences(content)]


def whole_sentences(content: TariffContent) -> list[str]:
    """What is said of no one element."""
    return [*_gaps(content), *_limits(content), tax_sentence(content)]


def element_sentence(content: TariffContent, number: int) -> str:
    """`Monday to Friday, from 22:00 to 06:00, a kWh costs €0.32.`"""
    element = content.elements[number]
    if not element.restrictions.is_understood:
        return NOT_KNOWN
    names_tax = len(_rates(content)) > 1
    prices = [_priced(element, component, content, names_tax=names_tax) for component in _counted(element)]
    when = conditions(element.restrictions, of_bookings=element.use.is_of_bookings)
    if _comes_after(content.elements[:number], element):
        when = ["otherwise", *when]
    return _sentence(", ".join([*when, _and(prices)]))


def conditions(restrictions: Restrictions, *, of_bookings: bool = False) -> list[str]:
    """When an element holds, in parts that all must be so."""
    of = _COUNTED[of_bookings]
    parts = [
        _dates(restrictions.start_date, restrictions.end_date),
        _weekdays(sorted(restrictions.weekdays)),
        _times(restrictions.start_time, restrictions.end_time),
        _stretch(_span(restrictions.min_duration_s), _span(restrictions.max_duration_s), of),
        _stretch(_amount(restrictions.min_kwh, "kWh"), _amount(restrictions.max_kwh, "kWh"), of),
        _between(restrictions.min_power_kw, restrictions.max_power_kw, "kW"),
        _between(restrictions.min_current_a, restrictions.max_current_a, "A"),
    ]
    return [part for part in parts if part]


def tax_sentence(content: TariffContent) -> str:
    rates = sorted(_rates(content))
    if content.tax_included is TaxIncluded.NOT_APPLICABLE or not rates:
        return "No VAT is due." if content.tax_included is TaxIncluded.NOT_APPLICABLE else "No VAT is named."
    named = _and([f"{_plain(rate)} %" for rate in rates])
    if content.tax_included is TaxIncluded.YES:
        return f"Prices include VAT of {named}."
    return f"VAT of {named} comes on top."


def _priced(
    element: TariffElement, component: PriceComponent, content: TariffContent, *, names_tax: bool
) -> str:
    pattern = _PRICED[element.use].get(component.dimension, "{} for what cannot be priced here")
    text = pattern.format(_cost(component.price, content.currency))
    if step := _step(component):
        text = f"{text} {step}"
    if names_tax and component.vat is not None:
        text = f"{text} ({_plain(component.vat)} % VAT)"
    return text


def _cost(price: Decimal, currency: str) -> str:
    return unit_price(price, currency) if price else "nothing"


def _step(component: PriceComponent) -> str:
    """How it is counted, where a person would notice."""
    if component.dimension is Dimension.FLAT or component.step <= 1:
        return ""
    if component.dimension is Dimension.ENERGY:
        each = "kWh" if component.step == 1000 else f"{_plain(Decimal(component.step) / 1000)} kWh"
    else:
        each = _span(component.step) or ""
    return f"(each {each} begun counts)"


def _counted(element: TariffElement) -> list[PriceComponent]:
    """Of two prices of a dimension the first."""
    first: dict[Dimension, PriceComponent] = {}
    for component in element.components:
        first.setdefault(component.dimension, component)
    return list(first.values())


def _comes_after(before: Sequence[TariffElement], element: TariffElement) -> bool:
    dimensions = {component.dimension for component in element.components}
    return any(
        earlier.use is element.use
        and earlier.restrictions.is_understood
        and dimensions & {component.dimension for component in earlier.components}
        for earlier in before
    )


def _gaps(content: TariffContent) -> Iterator[str]:
    """Energy and charging time that are priced at some times alone."""
    for dimension, free in _FREE.items():
        priced = [
            element.restrictions
            for element in content.elements
            if element.use is ElementUse.CHARGING and dimension in {c.dimension for c in element.components}
        ]
        if priced and not always_covered(priced):
            yield f"At all other times, {free}."


def always_covered(elements: Sequence[Restrictions]) -> bool:
    """Whether there is no moment of a week, and nothing else, at which none of them holds."""
    open_minutes = set(range(7 * 24 * 60))
    for restrictions in elements:
        if restrictions == Restrictions(
            start_time=restrictions.start_time, end_time=restrictions.end_time, weekdays=restrictions.weekdays
        ):
            open_minutes -= _minutes(restrictions)
    return not open_minutes or _bounds_meet(elements)


def _bounds_meet(elements: Sequence[Restrictions]) -> bool:
    """A pair such as "up to 50 kWh" and "from 50 kWh on" leaves nothing out."""
    return any(_stretches_meet(elements, least, most) for least, most in _STRETCHES)


def _stretches_meet(elements: Sequence[Restrictions], least: str, most: str) -> bool:
    """Of those that ask for nothing else: from the first value to the last, without a gap."""
    ends = [(getattr(one, least), getattr(one, most)) for one in elements]
    alone = [
        (low, high)
        for one, (low, high) in zip(elements, ends, strict=True)
        if one == Restrictions(**{least: low, most: high})
    ]
    reached = [high for low, high in alone if not low]
    if not reached or None in reached:
        return bool(reached)
    reach = max(reached)
    for low, high in sorted((pair for pair in alone if pair[0]), key=lambda pair: pair[0]):
        if low > reach:
            return False
        if high is None:
            return True
        reach = max(reach, high)
    return False


def _minutes(restrictions: Restrictions) -> set[int]:
    first = _minute(restrictions.start_time or _MIDNIGHT)
    last = _minute(restrictions.end_time) if restrictions.end_time is not None else 24 * 60
    of_day = range(first, last) if first < last else [*range(last), *range(first, 24 * 60)]
    days = restrictions.weekdays or range(1, 8)
    return {(day - 1) * 24 * 60 + minute for day in days for minute in of_day}


def _minute(at: time) -> int:
    return at.hour * 60 + at.minute


def _limits(content: TariffContent) -> Iterator[str]:
    least, most = (
        _limit(limit, content.currency) if limit is not None else ""
        for limit in (content.min_price, content.max_price)
    )
    if least or most:
        words = _and([*([f"at least {least}"] if least else []), *([f"at most {most}"] if most else [])])
        yield f"Charging costs {words} a visit."


def _limit(limit: PriceLimit, currency: str) -> str:
    before = unit_price(limit.before_taxes, currency)
    if limit.after_taxes is None or limit.after_taxes == limit.before_taxes:
        return before
    return f"{before} ({unit_price(limit.after_taxes, currency)} with VAT)"


def _rates(content: TariffContent) -> set[Decimal]:
    return {c.vat for element in content.elements for c in element.components if c.vat is not None}


def _dates(first: date | None, after: date | None) -> str:
    """`after` is the first day that is left out."""
    last = after - timedelta(days=1) if after is not None else None
    if first is not None and first == last:
        return f"on {_day(first)}"
    if first is not None and last is not None:
        return f"from {_day(first)} to {_day(last)}"
    if first is not None:
        return f"from {_day(first)} on"
    return f"until {_day(last)}" if last is not None else ""


def _weekdays(days: list[int]) -> str:
    if not days or len(days) == 7:
        return ""
    if len(days) > 2 and days[-1] - days[0] == len(days) - 1:
        return f"{WEEKDAYS[days[0] - 1]} to {WEEKDAYS[days[-1] - 1]}"
    return f"on {_and([WEEKDAYS[day - 1] for day in days])}"


def _times(start: time | None, end: time | None) -> str:
    if start == end:
        return ""
    if end is None or (end == _MIDNIGHT and start):
        return f"from {start:%H:%M} to midnight"
    return f"from {start:%H:%M} to {end:%H:%M}" if start else f"from midnight to {end:%H:%M}"


def _stretch(least: str | None, most: str | None, of: str) -> str:
    """A part of what adds up during a visit."""
    if least and most:
        return f"from {least} to {most} {of}"
    if least:
        return f"after {least} {of}"
    return f"in the first {most} {of}" if most else ""


def _between(least: Decimal | None, most: Decimal | None, unit: str) -> str:
    """A strength that may change from one moment to the next."""
    if least and most is not None:
        return f"while charging with {_plain(least)} to less than {_plain(most)} {unit}"
    if least:
        return f"while charging with {_plain(least)} {unit} or more"
    return f"while charging with less than {_plain(most)} {unit}" if most is not None else ""


def _span(seconds: int | None) -> str | None:
    """`1 h 30 min`, `45 s`; None of none."""
    if not seconds:
        return None
    hours, rest = divmod(seconds, 3600)
    minutes, rest = divmod(rest, 60)
    parts = [f"{n} {unit}" for n, unit in ((hours, "h"), (minutes, "min"), (rest, "s")) if n]
    return " ".join(parts)


def _amount(value: Decimal | None, unit: str) -> str | None:
    return f"{_plain(value)} {unit}" if value else None


def _plain(value: Decimal | None) -> str:
    """`0.5` of 0.50, `200` of 200.000."""
    return f"{(value or Decimal()).normalize():f}"


def _day(day: date) -> str:
    return f"{day.day} {day:%B %Y}"


def _and(words: Sequence[str]) -> str:
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
