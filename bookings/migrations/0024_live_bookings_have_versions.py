"""Live bookings that were made under a flat tariff keep its prices: as versions of the tariffs it became, by the unit prices of
their quotes. Without a version a booking would end without a record.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from importlib import import_module
from types import SimpleNamespace
from typing import Any

from django.db import migrations

flat_tariffs = import_module("bookings.migrations.0019_flat_tariffs_have_versions")
charging, booked, booking_code = (
    getattr(flat_tariffs, name) for name in ("_charging", "_booking", "_booking_code")
)

LIVE = ("held", "requested", "confirmed", "charging")
PRICES = ("energy_per_kwh", "time_per_hour", "booking_fee", "no_show_fee", "late_cancel_fee", "vat_percent")
# One that says what a tariff said before is in force at no moment that is to come.
BYGONE = (flat_tariffs.FIRST_MOMENT, flat_tariffs.FIRST_MOMENT + timedelta(days=1))


def give_versions(apps: Any, _: Any) -> None:
    known: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    rows = apps.get_model("bookings", "Booking").objects.select_related("depot")
    live = rows.filter(status__in=LIVE, depot__is_mirror=False, quote__has_key="energy_per_kwh")
    for booking in live.exclude(quote__has_key="tariffs").order_by("pk").iterator(500):
        booking.quote = _with_versions(apps, booking.depot.operator_id, booking.quote, known)
        for named in booking.quote["tariffs"]:
            setattr(booking, f"{named['kind']}_tariff_id", named["id"])
        booking.save(update_fields=["quote", "charging_tariff", "booking_tariff"])
    asks = apps.get_model("bookings", "BookingRequest").objects.select_related("booking__depot")
    waiting = asks.filter(
        decision="pending", booking__depot__is_mirror=False, asked__quote__has_key="energy_per_kwh"
    )
    for ask in waiting.exclude(asked__quote__has_key="tariffs").order_by("pk").iterator(500):
        operator_id = ask.booking.depot.operator_id
        ask.asked["quote"] = _with_versions(apps, operator_id, ask.asked["quote"], known)
        ask.save(update_fields=["asked"])


def _with_versions(
    apps: Any, operator_id: int, quote: dict[str, Any], known: dict[tuple[Any, ...], list[dict[str, Any]]]
) -> dict[str, Any]:
    key = (operator_id, quote["tariff"], quote["currency"], *(quote.get(name, "0") for name in PRICES))
    if key not in known:
        known[key] = list(_versions(apps, operator_id, quote))
    return {**quote, "tariffs": known[key]}


def _versions(apps: Any, operator_id: int, quote: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """As bookings/rules/quotes.py names them in a quote."""
    flat: Any = SimpleNamespace(**{name: Decimal(quote.get(name) or 0) for name in PRICES})
    yield _version(apps, operator_id, "charging", quote["tariff"], quote["currency"], charging(flat))
    if any((flat.booking_fee, flat.time_per_hour, flat.no_show_fee, flat.late_cancel_fee)):
        code = booking_code(quote["tariff"])
        yield _version(apps, operator_id, "booking", code, quote["currency"], booked(flat))


def _version(
    apps: Any, operator_id: int, kind: str, code: str, currency: str, elements: list[dict[str, Any]]
) -> dict[str, Any]:
    """One that says the same, else a new one."""
    tariffs = apps.get_model("bookings", "Tariff").objects
    tariff = tariffs.filter(operator=operator_id, code__iexact=code, kind=kind).first() or tariffs.create(
        operator_id=operator_id, code=code, kind=kind, name="", is_withdrawn=True
    )
    content = {"currency": currency, "tax_included": "no", "elements": elements}
    versions = apps.get_model("bookings", "TariffVersion").objects.filter(tariff=tariff).order_by("number")
    version = versions.filter(content=content).first()
    if version is None:
        last = versions.last()
        version = versions.model.objects.create(
            tariff=tariff,
            number=last.number + 1 if last else 1,
            currency=currency,
            content=content,
            starts_at=BYGONE[0],
            ends_at=BYGONE[1],
            made_at=datetime.now(UTC),
            made_by_kind="berth",
            made_by_name="migration",
        )
    return {
        "kind": kind, "id": version.pk, "code": tariff.code, "name": tariff.name, "version": version.number,
    }  # fmt: skip


class Migration(migrations.Migration):
    dependencies = [("bookings", "0023_bank_orders")]

    operations = [migrations.RunPython(give_versions, migrations.RunPython.noop)]
