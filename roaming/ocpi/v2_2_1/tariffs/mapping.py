"""Tariffs of 2.2.1: prices without tax, and no restriction for bookings (2.2.1 mod_tariffs)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from roaming.ocpi.style import Style
from roaming.ocpi.v2_2_1.tariffs.prices import limit_out, number

FOUR_DECIMALS = Decimal("0.0001")


def tariff_out(tariff: dict[str, Any], style: Style) -> dict[str, Any] | None:
    """A Tariff of 2.3.0. None where its prices include a tax nobody knows, and where nothing is left.

    An element for bookings is left out unless the partner knows it: to others it would be charged on every session.
    """
    told = {name: value for name, value in tariff.items() if name != "tax_included"}
    known = [e for e in tariff["elements"] if style.shows_extensions or not _is_for_bookings(e)]
    if tariff["tax_included"] == "YES":
        if any("vat" not in c for e in known for c in e["price_components"]):
            return None
        known = [_without_tax(element) for element in known]
    if not known:
        return None
    limits: dict[str, Any] = {
        name: limit_out(told[name]) for name in ("min_price", "max_price") if name in told
    }
    return {**told, **limits, "elements": known}


def _is_for_bookings(element: dict[str, Any]) -> bool:
    return "booking" in element.get("restrictions", {})


def _without_tax(element: dict[str, Any]) -> dict[str, Any]:
    return {**element, "price_components": [_component_without_tax(c) for c in element["price_components"]]}


def _component_without_tax(component: dict[str, Any]) -> dict[str, Any]:
    price = Decimal(str(component["price"])) / (1 + Decimal(str(component["vat"])) / 100)
    return {**component, "price": number(price.quantize(FOUR_DECIMALS))}
