"""A priced visit: lines and totals, as they are shown, kept and billed. Amounts have four decimals, totals the currency's."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple

from bookings.pricing.tariff_content import Dimension, ElementUse

NOTHING = Decimal()


class PricingPass(StrEnum):
    """Elements are judged in three passes, so that one of a booking never hides one of the charging."""

    BOOKING = "booking"
    RESERVATION = "reservation"
    CHARGING = "charging"


class Tax(NamedTuple):
    """`percentage` is None where only the amount is known."""

    percentage: Decimal | None
    amount: Decimal
    name: str = "VAT"


class Amount(NamedTuple):
    """Money before taxes, and one tax a rate."""

    before_taxes: Decimal = NOTHING
    taxes: tuple[Tax, ...] = ()

    @property
    def tax(self) -> Decimal:
        return sum((tax.amount for tax in self.taxes), NOTHING)

    @property
    def after_taxes(self) -> Decimal:
        return self.before_taxes + self.tax


class BillLine(NamedTuple):
    """What one component came to, or (`dimension` None) what a price limit adds or takes.

    `element` counts from 0 in the tariff of its pass. `quantity` is what was used and `billed` what step sizes made of it:
    kWh, hours, or 1 for a flat price. `price` is the tariff's own, with tax where the tariff includes it.
    """

    use: ElementUse
    dimension: Dimension | None
    cost: Amount
    element: int | None = None
    quantity: Decimal | None = None
    billed: Decimal | None = None
    price: Decimal | None = None
    vat: Decimal | None = None

    @property
    def is_limit(self) -> bool:
        return self.dimension is None

    @property
    def pricing_pass(self) -> PricingPass:
        if self.use.is_of_bookings:
            return PricingPass.BOOKING
        return PricingPass.RESERVATION if self.use.is_of_reservations else PricingPass.CHARGING

    @property
    def unit(self) -> str | None:
        return _UNITS.get(self.dimension) if self.dimension else None


_UNITS = {Dimension.ENERGY: "kWh", Dimension.TIME: "h", Dimension.PARKING_TIME: "h"}


NO_AMOUNT = Amount()


@dataclass(frozen=True)
class Bill:
    """`reservation` is all of reservation and booking, flat parts too; a price limit is in `total` alone."""

    currency: str
    lines: tuple[BillLine, ...]
    total: Amount
    fixed: Amount = NO_AMOUNT
    energy: Amount = NO_AMOUNT
    time: Amount = NO_AMOUNT
    parking: Amount = NO_AMOUNT
    reservation: Amount = NO_AMOUNT

    def to_json(self) -> dict[str, Any]:
        """Decimals as text."""
        return {
            "currency": self.currency,
            **{part: _amount_json(getattr(self, part)) for part in PARTS},
            "lines": [_line_json(line) for line in self.lines],
        }

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> Bill:
        return cls(
            currency=told["currency"],
            lines=tuple(_line(line) for line in told["lines"]),
            **{part: _amount(told[part]) for part in PARTS},
        )


PARTS = ("total", "fixed", "energy", "time", "parking", "reservation")
_NUMBERS = ("quantity", "billed", "price", "vat")


def _amount_json(amount: Amount) -> dict[str, Any]:
    return {
        "before_taxes": str(amount.before_taxes),
        "taxes": [
            {"name": tax.name, "percentage": _text(tax.percentage), "amount": str(tax.amount)}
            for tax in amount.taxes
        ],
    }


def _line_json(line: BillLine) -> dict[str, Any]:
    return {
        "use": line.use.value,
        "dimension": line.dimension and line.dimension.value,
        "element": line.element,
        **{name: _text(getattr(line, name)) for name in _NUMBERS},
        **_amount_json(line.cost),
    }


def _amount(told: dict[str, Any]) -> Amount:
    taxes = (Tax(_number(tax["percentage"]), Decimal(tax["amount"]), tax["name"]) for tax in told["taxes"])
    return Amount(Decimal(told["before_taxes"]), tuple(taxes))


def _line(told: dict[str, Any]) -> BillLine:
    return BillLine(
        use=ElementUse(told["use"]),
        dimension=Dimension(told["dimension"]) if told["dimension"] else None,
        element=told["element"],
        cost=_amount(told),
        **{name: _number(told[name]) for name in _NUMBERS},
    )


def _text(number: Decimal | None) -> str | None:
    return None if number is None else str(number)


def _number(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
