"""A depot file's short `"tariff": {…}` as what it stands for: a tariff of charging, and one of booking where it has a fee."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from decimal import Decimal

from bookings.imports.schemas import ShortTariffRow
from bookings.pricing.tariff_content import (
    Dimension,
    ElementUse,
    PriceComponent,
    TariffContent,
    TariffElement,
)
from depots.imports.schemas import folded

DECIMALS = 4


def short_tariffs(row: ShortTariffRow, prefix: str, code: str) -> Iterator[tuple[str, TariffContent]]:
    """Each with its code: `D-NF-HAM` and `DB-NF-HAM` of the depot `NF-HAM` (prefix "D", of an option "O")."""
    charging = charging_code(prefix, code)
    yield (
        charging,
        TariffContent(row.currency, (_element(row, ElementUse.CHARGING, energy=row.energy_per_kwh),)),
    )
    if elements := tuple(_booking_elements(row)):
        yield booking_code(charging), TariffContent(row.currency, elements)


def charging_code(prefix: str, code: str) -> str:
    """Unique and short enough for a wire: a digest of the depot's or option's id when it is long."""
    if len(code) <= 34:
        return f"{prefix}-{code}"
    return f"{prefix}-{code[:25]}-{hashlib.sha256(folded(code).encode()).hexdigest()[:8]}"


def booking_code(code: str) -> str:
    """Of the tariff of booking that belongs to one of charging."""
    prefix, _, rest = code.partition("-")
    if len(rest) <= 33:
        return f"{prefix}B-{rest}"
    return f"{code[:25]}-B{hashlib.sha256(folded(code).encode()).hexdigest()[:8]}"


def _booking_elements(row: ShortTariffRow) -> Iterator[TariffElement]:
    is_booking_priced = bool(row.booking_fee or row.time_per_hour)
    if is_booking_priced:
        yield _element(row, ElementUse.BOOKING, flat=row.booking_fee, time=row.time_per_hour)
    if is_booking_priced or row.no_show_fee:
        # Who does not come pays this fee and nothing for the booking: each price of the booking needs one in its place.
        yield _element(row, ElementUse.NO_SHOW, flat=row.no_show_fee, instead_of_time=bool(row.time_per_hour))
    if row.late_cancel_fee:
        yield _element(row, ElementUse.LATE_CANCELLATION, flat=row.late_cancel_fee)


def _element(
    row: ShortTariffRow,
    use: ElementUse,
    *,
    energy: float | None = None,
    flat: float = 0,
    time: float = 0,
    instead_of_time: bool = False,
) -> TariffElement:
    vat = _decimal(row.vat_percent) or None
    prices = [
        *([(Dimension.ENERGY, energy)] if energy is not None else []),
        *([(Dimension.FLAT, flat)] if flat or use is ElementUse.NO_SHOW else []),
        *([(Dimension.TIME, time)] if time or instead_of_time else []),
    ]
    return TariffElement(
        tuple(PriceComponent(dimension, _decimal(amount), vat, 1) for dimension, amount in prices), use=use
    )


def _decimal(amount: float) -> Decimal:
    """As the file shows it."""
    return round(Decimal(str(amount)), DECIMALS).normalize() + 0
