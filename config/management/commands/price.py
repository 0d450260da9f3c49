"""Price a session or a booking under a tariff, both from a file."""

from __future__ import annotations

from argparse import ArgumentParser
from decimal import Decimal
from pathlib import Path
from typing import Any

from bookings.imports.price_files import price_file
from bookings.pricing.bills import PARTS, Amount, Bill, BillLine
from config.management.operator_command import OperatorCommand


class Command(OperatorCommand):
    help = "Price a session or a booking under an OCPI tariff, from a .json file (docs/integrators/price-file.md)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE")

    def handle(self, *args: Any, file: Path, **options: Any) -> None:
        self.say(_bill(price_file(file)))


def _bill(bill: Bill) -> dict[str, Any]:
    totals = {_total_name(part): _amount(getattr(bill, part)) for part in PARTS}
    return {"currency": bill.currency, **totals, "lines": [_line(line) for line in bill.lines]}


def _total_name(part: str) -> str:
    return "total_cost" if part == "total" else f"total_{part}_cost"


def _amount(amount: Amount) -> dict[str, Any]:
    return {
        "before_taxes": _number(amount.before_taxes),
        "taxes": [
            {"name": tax.name, "percentage": _number(tax.percentage), "amount": _number(tax.amount)}
            for tax in amount.taxes
        ],
    }


def _line(line: BillLine) -> dict[str, Any]:
    return {
        "pass": line.pricing_pass.value,
        "dimension": line.dimension.name if line.dimension else "LIMIT",
        "element": line.element,
        "quantity": _number(line.quantity),
        "billed": _number(line.billed),
        "unit": line.unit,
        "price": _number(line.price),
        "vat": _number(line.vat),
        **_amount(line.cost),
    }


def _number(value: Decimal | None) -> int | float | None:
    """As JSON: the shortest number that reads as the same decimal."""
    if value is None:
        return None
    return int(value) if value == value.to_integral_value() else float(value)
