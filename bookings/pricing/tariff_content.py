"""What one version of a tariff says, as values: elements in order, of which the first that holds prices a dimension.

Money is in the tariff's currency; prices are per kWh, per hour, or once. A tariff is judged nowhere here: see `price`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import date, time
from decimal import Decimal
from enum import StrEnum
from functools import cached_property
from typing import Any


class Dimension(StrEnum):
    """What is priced: once, per kWh, per hour of charging (or of a reservation, a booking), per hour of parking."""

    FLAT = "flat"
    ENERGY = "energy"
    TIME = "time"
    PARKING_TIME = "parking_time"


class ElementUse(StrEnum):
    """What an element is the price of. `RESERVATION` is of a charger held by itself, `BOOKING` of a booked slot."""

    CHARGING = "charging"
    RESERVATION = "reservation"
    RESERVATION_EXPIRED = "reservation_expired"
    BOOKING = "booking"
    NO_SHOW = "no_show"
    LATE_CANCELLATION = "late_cancellation"
    OVERTIME = "overtime"

    @property
    def is_of_bookings(self) -> bool:
        return self in _OF_BOOKINGS

    @property
    def is_of_reservations(self) -> bool:
        return self in (ElementUse.RESERVATION, ElementUse.RESERVATION_EXPIRED)


_OF_BOOKINGS = frozenset(
    {ElementUse.BOOKING, ElementUse.NO_SHOW, ElementUse.LATE_CANCELLATION, ElementUse.OVERTIME}
)


class TaxIncluded(StrEnum):
    """Whether prices contain their tax. `NOT_APPLICABLE`: there is none, whatever a component's `vat` says."""

    YES = "yes"
    NO = "no"
    NOT_APPLICABLE = "not_applicable"


@dataclass(frozen=True, slots=True)
class PriceComponent:
    """`step`: Wh or seconds to which the total of the dimension is rounded up; 0 rounds nothing. `vat` in percent."""

    dimension: Dimension
    price: Decimal
    vat: Decimal | None = None
    step: int = 1


@dataclass(frozen=True, slots=True)
class Restrictions:
    """When an element holds; all that are set must. Least values are included, greatest are not; times are local.

    Weekdays are 1 (Monday) to 7. An element with a restriction nobody here knows is not understood and never holds.
    """

    start_time: time | None = None
    end_time: time | None = None
    start_date: date | None = None
    end_date: date | None = None
    weekdays: frozenset[int] = frozenset()
    min_kwh: Decimal | None = None
    max_kwh: Decimal | None = None
    min_power_kw: Decimal | None = None
    max_power_kw: Decimal | None = None
    min_current_a: Decimal | None = None
    max_current_a: Decimal | None = None
    min_duration_s: int | None = None
    max_duration_s: int | None = None
    is_understood: bool = True


@dataclass(frozen=True, slots=True)
class TariffElement:
    components: tuple[PriceComponent, ...]
    restrictions: Restrictions = Restrictions()
    use: ElementUse = ElementUse.CHARGING


@dataclass(frozen=True, slots=True)
class PriceLimit:
    """What the charging of a visit costs at least or at most; without `after_taxes` the tax keeps its share."""

    before_taxes: Decimal
    after_taxes: Decimal | None = None


@dataclass(frozen=True)
class TariffContent:
    """Hashable and compared by value; its elements keep the order in which they are asked."""

    currency: str
    elements: tuple[TariffElement, ...]
    min_price: PriceLimit | None = None
    max_price: PriceLimit | None = None
    tax_included: TaxIncluded = TaxIncluded.NO

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        """Once, for what is worked out of a tariff is kept by its content."""
        return hash((self.currency, self.elements, self.min_price, self.max_price, self.tax_included))

    def to_json(self) -> dict[str, Any]:
        """Our own words, decimals as text; what is not set is left out."""
        return {
            "currency": self.currency,
            "tax_included": self.tax_included.value,
            **_set(min_price=_limit_json(self.min_price), max_price=_limit_json(self.max_price)),
            "elements": [_element_json(element) for element in self.elements],
        }

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> TariffContent:
        return cls(
            currency=told["currency"],
            elements=tuple(_element(element) for element in told["elements"]),
            min_price=_limit(told.get("min_price")),
            max_price=_limit(told.get("max_price")),
            tax_included=TaxIncluded(told["tax_included"]),
        )


def _element_json(element: TariffElement) -> dict[str, Any]:
    return {
        "use": element.use.value,
        "components": [_component_json(component) for component in element.components],
        **_set(restrictions=_restrictions_json(element.restrictions) or None),
    }


def _component_json(component: PriceComponent) -> dict[str, Any]:
    return {
        "dimension": component.dimension.value,
        "price": str(component.price),
        **_set(vat=None if component.vat is None else str(component.vat)),
        "step": component.step,
    }


def _restrictions_json(restrictions: Restrictions) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for name, default in _RESTRICTION_DEFAULTS.items():
        value = getattr(restrictions, name)
        if value != default:
            told[name] = value if isinstance(value, int) else _RESTRICTION_TEXT[name](value)
    return told


def _limit_json(limit: PriceLimit | None) -> dict[str, str] | None:
    if limit is None:
        return None
    after = None if limit.after_taxes is None else str(limit.after_taxes)
    return {"before_taxes": str(limit.before_taxes), **_set(after_taxes=after)}


def _element(told: dict[str, Any]) -> TariffElement:
    return TariffElement(
        components=tuple(_component(component) for component in told["components"]),
        restrictions=_restrictions(told.get("restrictions", {})),
        use=ElementUse(told["use"]),
    )


def _component(told: dict[str, Any]) -> PriceComponent:
    vat = told.get("vat")
    return PriceComponent(
        dimension=Dimension(told["dimension"]),
        price=Decimal(told["price"]),
        vat=None if vat is None else Decimal(vat),
        step=told["step"],
    )


def _restrictions(told: dict[str, Any]) -> Restrictions:
    return Restrictions(**{name: _RESTRICTION_VALUE[name](value) for name, value in told.items()})


def _limit(told: dict[str, str] | None) -> PriceLimit | None:
    if told is None:
        return None
    after = told.get("after_taxes")
    return PriceLimit(Decimal(told["before_taxes"]), None if after is None else Decimal(after))


def _set(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


_RESTRICTION_DEFAULTS = {field.name: field.default for field in fields(Restrictions)}
_DECIMALS = ("min_kwh", "max_kwh", "min_power_kw", "max_power_kw", "min_current_a", "max_current_a")
# Restrictions that are neither whole numbers nor flags, as text and back.
_RESTRICTION_TEXT: dict[str, Any] = {
    **dict.fromkeys(("start_time", "end_time"), lambda value: value.isoformat("minutes")),
    **dict.fromkeys(("start_date", "end_date"), date.isoformat),
    **dict.fromkeys(_DECIMALS, str),
    "weekdays": sorted,
}
_RESTRICTION_VALUE: dict[str, Any] = {
    **dict.fromkeys(("start_time", "end_time"), time.fromisoformat),
    **dict.fromkeys(("start_date", "end_date"), date.fromisoformat),
    **dict.fromkeys(_DECIMALS, Decimal),
    "weekdays": frozenset,
    "min_duration_s": int,
    "max_duration_s": int,
    "is_understood": bool,
}
