"""Prices of 2.2.1 and those of 2.3.0, both ways, without loss of totals (2.2.1 types, Price)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, TypeVar

from roaming.ocpi.v2_3_0.cdrs.reading import OLD_PRICE
from roaming.ocpi.wire_object import Read

T = TypeVar("T")
VAT = "VAT"


def price_out(price: dict[str, Any]) -> dict[str, Any]:
    """A Price of 2.3.0 as one of 2.2.1: the sum of its taxes, and none told where none is."""
    before = _exact(price["before_taxes"])
    taxes = price.get("taxes") or []
    told: dict[str, Any] = {"excl_vat": number(before)}
    if taxes:
        told["incl_vat"] = number(before + sum((_exact(tax["amount"]) for tax in taxes), Decimal()))
    return told


def price_in(price: dict[str, Any]) -> dict[str, Any]:
    """A Price of 2.2.1 as one of 2.3.0; one of 2.3.0 as it is, since partners mix them."""
    if "excl_vat" not in price:
        return price
    before, after = price["excl_vat"], price.get("incl_vat")
    told: dict[str, Any] = {"before_taxes": before}
    if after is not None:
        told["taxes"] = [{"name": VAT, "amount": number(_exact(after) - _exact(before))}]
    return told


def limit_out(limit: dict[str, Any]) -> dict[str, Any]:
    """A PriceLimit of 2.3.0 as a Price of 2.2.1."""
    told = {"excl_vat": limit["before_taxes"], "incl_vat": limit.get("after_taxes")}
    return {name: amount for name, amount in told.items() if amount is not None}


def number(amount: Decimal) -> int | float:
    return int(amount) if amount == amount.to_integral_value() else float(amount)


def _exact(amount: Any) -> Decimal:
    """Raises decimal.InvalidOperation for what is no number."""
    return Decimal(str(amount))


def own_prices(read: Read[T]) -> Read[T]:
    """What was read with the newest version's eyes: its own prices are no deviation of a partner that speaks 2.2.1."""
    return Read(read.value, tuple(name for name in read.deviations if name != OLD_PRICE))
