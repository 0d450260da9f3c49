"""Whether a tariff could price something below zero, two ways or not at all: refused, or pointed out where OCPI allows it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from bookings.pricing.tariff_content import (
    Dimension,
    ElementUse,
    PriceComponent,
    PriceLimit,
    Restrictions,
    TariffContent,
    TariffElement,
)

# What a CDR can hold, with room for long visits.
DEAREST = Decimal(1_000_000)
LONGEST_STEP = 1_000_000
_OF_TIME_ALONE = frozenset({Dimension.FLAT, Dimension.TIME})
# ISO 4217's codes for tests and for "no currency".
_NO_MONEY = frozenset({"XTS", "XXX"})
# Ends of the ranges of restrictions: the least is included, the greatest is not.
_RANGES = (
    ("min_kwh", "max_kwh"),
    ("min_power_kw", "max_power_kw"),
    ("min_current_a", "max_current_a"),
    ("min_duration_s", "max_duration_s"),
)
# What a booked slot has no value of, so that an element which asks for it never holds.
_OF_SESSIONS = ("min_power_kw", "max_power_kw", "min_current_a", "max_current_a")
_LEAST = ("min_kwh", "min_power_kw", "min_current_a", "min_duration_s", "start_date")
_GREATEST = ("max_kwh", "max_power_kw", "max_current_a", "max_duration_s", "end_date")


@dataclass(frozen=True)
class TariffFault:
    """What is wrong with a tariff, and where: `field` is a name of TariffContent, or of the element, component or
    restrictions counted from 0 by `element` and `component`."""

    field: str
    text: str
    element: int | None = None
    component: int | None = None


def faults(content: TariffContent) -> list[TariffFault]:
    """Why the tariff is refused; none of one that can be in force."""
    found = [*_whole_faults(content), *_limit_faults(content)]
    for number, element in enumerate(content.elements):
        found += _component_faults(number, element)
        found += _restriction_faults(number, element)
    if content.elements and not any(one.restrictions.is_understood for one in content.elements):
        found.append(
            TariffFault("elements", "no element can ever apply: their restrictions are not known here")
        )
    return found


def warnings(content: TariffContent) -> list[TariffFault]:
    """What OCPI allows and nobody will have meant."""
    found: list[TariffFault] = []
    for number, element in enumerate(content.elements):
        if not element.restrictions.is_understood:
            found.append(
                TariffFault(
                    "restrictions", "holds a restriction that is not known here and never applies", number
                )
            )
            continue
        found += _said_twice(number, element)
        found += _hidden(number, element, content.elements[:number])
        if element.use is ElementUse.LATE_CANCELLATION:
            found += [
                TariffFault(
                    "dimension", "a cancellation has no length, so time costs nothing there", number, c
                )
                for c, component in enumerate(element.components)
                if component.dimension is Dimension.TIME
            ]
    return found


def is_of_bookings(content: TariffContent) -> bool:
    """What kind of tariff it is; one of elements of both kinds is refused (`faults`)."""
    return any(element.use.is_of_bookings for element in content.elements)


def includes(wide: Restrictions, narrow: Restrictions) -> bool:
    """Whether the first hold whenever the second do."""
    times = (wide.start_time, wide.end_time)
    if times != (None, None) and times != (narrow.start_time, narrow.end_time):
        return False
    if wide.weekdays and not (narrow.weekdays and narrow.weekdays <= wide.weekdays):
        return False
    return (
        wide.is_understood
        and all(_reaches(wide, narrow, name, lambda a, b: a <= b) for name in _LEAST)
        and all(_reaches(wide, narrow, name, lambda a, b: a >= b) for name in _GREATEST)
    )


def _reaches(wide: Restrictions, narrow: Restrictions, name: str, as_far: Callable[[Any, Any], bool]) -> bool:
    bound, other = getattr(wide, name), getattr(narrow, name)
    return bound is None or (other is not None and as_far(bound, other))


def _whole_faults(content: TariffContent) -> Iterator[TariffFault]:
    if not _is_currency(content.currency):
        yield TariffFault("currency", f"{content.currency} is no currency (ISO 4217)")
    if not content.elements:
        yield TariffFault("elements", "a tariff has an element at least")
    of_bookings = [element.use.is_of_bookings for element in content.elements]
    if len(set(of_bookings)) > 1:
        yield TariffFault(
            "use",
            "prices booking, and another element prices charging: a network that does not know bookings would charge "
            "it on every session. Make two tariffs of it",
            of_bookings.index(True),
        )


def _limit_faults(content: TariffContent) -> Iterator[TariffFault]:
    for name in ("min_price", "max_price"):
        limit: PriceLimit | None = getattr(content, name)
        if limit is None:
            continue
        if limit.before_taxes < 0:
            yield TariffFault(name, "is below zero")
        if limit.after_taxes is not None and limit.after_taxes < limit.before_taxes:
            yield TariffFault(name, "is less with taxes than without")
        if limit.before_taxes > DEAREST:
            yield TariffFault(name, f"is more than {DEAREST}")
    least, most = content.min_price, content.max_price
    if least and most and least.before_taxes > most.before_taxes:
        yield TariffFault("max_price", f"{most.before_taxes} is less than min_price, {least.before_taxes}")
    elif least and most and (least.after_taxes or 0) > (most.after_taxes or least.after_taxes or 0):
        yield TariffFault(
            "max_price", f"{most.after_taxes} is less than min_price, {least.after_taxes}, with taxes"
        )


def _component_faults(number: int, element: TariffElement) -> Iterator[TariffFault]:
    if not element.components:
        yield TariffFault("components", "an element has a price at least", number)
    of_time_alone = element.use is not ElementUse.CHARGING
    for c, component in enumerate(element.components):
        if of_time_alone and component.dimension not in _OF_TIME_ALONE:
            yield TariffFault(
                "dimension", "only FLAT and TIME can be the price of a booking or reservation", number, c
            )
        yield from (TariffFault(field, text, number, c) for field, text in _number_faults(component))


def _number_faults(component: PriceComponent) -> Iterator[tuple[str, str]]:
    if component.price < 0:
        yield "price", f"{component.price} is below zero"
    if component.price > DEAREST:
        yield "price", f"is more than {DEAREST}"
    if component.vat is not None and not 0 <= component.vat <= 100:
        yield "vat", f"{component.vat} is no percentage from 0 to 100"
    if not 0 <= component.step <= LONGEST_STEP:
        yield "step", f"{component.step} is no step from 0 to {LONGEST_STEP}"


def _restriction_faults(number: int, element: TariffElement) -> Iterator[TariffFault]:
    restrictions = element.restrictions
    for least, most in _RANGES:
        low, high = getattr(restrictions, least), getattr(restrictions, most)
        if low is not None and low < 0:
            yield TariffFault(least, f"{low} is below zero", number)
        elif high is not None and high <= (low or 0):
            yield TariffFault(
                most, f"no value is from {low or 0} to less than {high}: it can never apply", number
            )
    first, last = restrictions.start_date, restrictions.end_date
    if first is not None and last is not None and last <= first:
        yield TariffFault(
            "end_date", f"{last} itself is left out, so no day is left: it can never apply", number
        )
    if element.use.is_of_bookings:
        for name in _OF_SESSIONS:
            if getattr(restrictions, name):
                yield TariffFault(name, "a booked slot has no such value: it can never apply", number)


def _said_twice(number: int, element: TariffElement) -> Iterator[TariffFault]:
    seen: set[Dimension] = set()
    for c, component in enumerate(element.components):
        if component.dimension in seen:
            yield TariffFault("dimension", "is there twice in the element; the first one counts", number, c)
        seen.add(component.dimension)


def _hidden(number: int, element: TariffElement, before: Sequence[TariffElement]) -> Iterator[TariffFault]:
    """Components that never count, since an earlier element holds whenever this one does."""
    for c, component in enumerate(element.components):
        by = _hides(component.dimension, element, before)
        if by is not None:
            yield TariffFault(
                "dimension",
                f"never counts: element {by} holds whenever this one does, and comes first",
                number,
                c,
            )


def _hides(dimension: Dimension, element: TariffElement, before: Iterable[TariffElement]) -> int | None:
    for number, earlier in enumerate(before):
        has_it = any(component.dimension is dimension for component in earlier.components)
        if has_it and earlier.use is element.use and includes(earlier.restrictions, element.restrictions):
            return number
    return None


def _is_currency(code: str) -> bool:
    from pycountry import currencies  # reads its tables when first asked

    found = currencies.get(alpha_3=code)
    return found is not None and found.alpha_3 == code and code not in _NO_MONEY
