"""What flat tariffs said, as a tariff of charging and one of booking, each with one version that always held."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from django.db import migrations

FIRST_MOMENT, LAST_MOMENT = datetime(1900, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)


def give_versions(apps: Any, _: Any) -> None:
    flats = apps.get_model("bookings", "FlatTariff").objects.select_related(
        "depot__operator", "agreement__depot__operator", "option__depot__operator"
    )
    for flat in flats:
        _bind(apps, flat, "charging", flat.code, _charging(flat))
        if any((flat.booking_fee, flat.time_per_hour, flat.no_show_fee, flat.late_cancel_fee)):
            _bind(apps, flat, "booking", _booking_code(flat.code), _booking(flat))


def _bind(apps: Any, flat: Any, kind: str, code: str, elements: list[dict[str, Any]]) -> None:
    from depots.periods import Period

    owner = {name: getattr(flat, name) for name in ("depot", "agreement", "option") if getattr(flat, name)}
    depot = flat.depot or next(iter(owner.values())).depot
    tariff = apps.get_model("bookings", "Tariff").objects.create(
        operator=depot.operator, code=code, kind=kind, name=""
    )
    apps.get_model("bookings", "TariffVersion").objects.create(
        tariff=tariff,
        number=1,
        currency=flat.currency,
        content={"currency": flat.currency, "tax_included": "no", "elements": elements},
        made_at=flat.updated_at,
        made_by_kind="berth",
        made_by_name="migration",
    )
    apps.get_model("bookings", "TariffBinding").objects.create(
        tariff=tariff,
        kind=kind,
        valid=Period(FIRST_MOMENT, LAST_MOMENT),
        from_file=flat.agreement is None,
        **owner,
    )


def _charging(flat: Any) -> list[dict[str, Any]]:
    return [_element("charging", [_price("energy", flat.energy_per_kwh, flat)])]


def _booking(flat: Any) -> list[dict[str, Any]]:
    booked = [
        _price(dimension, price, flat)
        for dimension, price in (("flat", flat.booking_fee), ("time", flat.time_per_hour))
        if price
    ]
    found = [_element("booking", booked)] if booked else []
    if booked or flat.no_show_fee:
        # Who does not come pays the fee and nothing for the booking.
        instead = [_price("time", Decimal(0), flat)] if flat.time_per_hour else []
        found.append(_element("no_show", [_price("flat", flat.no_show_fee, flat), *instead]))
    if flat.late_cancel_fee:
        found.append(_element("late_cancellation", [_price("flat", flat.late_cancel_fee, flat)]))
    return found


def _element(use: str, components: list[dict[str, Any]]) -> dict[str, Any]:
    return {"use": use, "components": components}


def _price(dimension: str, price: Decimal, flat: Any) -> dict[str, Any]:
    vat = {"vat": f"{flat.vat_percent.normalize():f}"} if flat.vat_percent else {}
    return {"dimension": dimension, "price": f"{price.normalize():f}", **vat, "step": 1}


def _booking_code(code: str) -> str:
    """As bookings/imports/short_tariffs.py names it, so that importing the same file again changes nothing."""
    prefix, dash, rest = code.partition("-")
    if dash and prefix in {"D", "O"} and len(rest) <= 33:
        return f"{prefix}B-{rest}"
    digest = hashlib.sha256(code.upper().encode()).hexdigest()[:8]
    return f"{code[:25]}-B{digest}"


class Migration(migrations.Migration):
    dependencies = [("bookings", "0018_records_of_invoices_unchecked")]

    operations = [migrations.RunPython(give_versions, migrations.RunPython.noop)]
