"""Tariffs with round prices, and what chargers tell of sessions that are billed by them."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from bookings.models import Booking, ChargeDetailRecord, TariffVersion
from bookings.pricing.tariff_content import (
    Dimension,
    ElementUse,
    PriceComponent,
    TariffContent,
    TariffElement,
)
from depots import operations as depots
from depots.models import ChargingSession, Evse, Organisation
from tests.bookings.enforcement.charging_trucks import stop
from tests.bookings.enforcement.online_chargers import TERMS, armed, book, evse_online, start
from tests.factories import at, make_depot, slot
from tests.money_factories import make_tariff, new_version

VAT = Decimal(19)


def element(use: ElementUse, **prices: str) -> TariffElement:
    """`element(ElementUse.CHARGING, energy="0.50", parking_time="6")`."""
    components = (PriceComponent(Dimension(name), Decimal(price), VAT) for name, price in prices.items())
    return TariffElement(tuple(components), use=use)


CHARGING = TariffContent("EUR", (element(ElementUse.CHARGING, energy="0.50", parking_time="6"),))
BOOKING = TariffContent(
    "EUR",
    (
        element(ElementUse.BOOKING, flat="5"),
        element(ElementUse.NO_SHOW, flat="30"),
        element(ElementUse.LATE_CANCELLATION, flat="15"),
        element(ElementUse.OVERTIME, time="60"),
    ),
)


def make_version(
    operator: Organisation, content: TariffContent, kind: str = "charging", **fields: Any
) -> TariffVersion:
    version = new_version(
        make_tariff(operator, kind=kind), content=content.to_json(), currency=content.currency, **fields
    )
    version.save(force_insert=True)
    return version


def priced(
    booking: Booking, charging: TariffContent | None = CHARGING, booked: TariffContent | None = BOOKING
) -> Booking:
    """Under these tariffs from now on."""
    operator = booking.depot.operator
    booking.charging_tariff = make_version(operator, charging) if charging else None
    booking.booking_tariff = make_version(operator, booked, "booking") if booked else None
    booking.save(update_fields=["charging_tariff", "booking_tariff"])
    return booking


def priced_booking(
    evse: Evse | None = None, *, terms: dict[str, Any] | None = None, **wishes: Any
) -> Booking:
    """10 to 11 UTC, armed, under CHARGING and BOOKING; a whole hour of 100 kWh costs 50 + 5, with tax 65.45."""
    evse = evse or evse_online(make_depot(terms={**TERMS, **(terms or {})}))
    return priced(armed(book(evse, **wishes)))


def charge(
    booking: Booking, begin: datetime = at(10), end: datetime = at(10, 30), wh: int | None = 100_000
) -> ChargingSession:
    """A session of the booking's card at its EVSE, from start to stop."""
    assert booking.evse is not None
    session = start(booking.evse, booking.tokens.get().uid, begin)
    stop(session, end, wh)
    session.refresh_from_db()
    return session


def correct(session: ChargingSession, end: datetime, wh: int, now: datetime) -> None:
    """The stop comes after all, with another meter."""
    late = depots.Stop(transaction=session.transaction, at=end, meter_wh=1000 + wh, reason="Local")
    depots.stop_session(charger_id=session.charger_id, stop=late, now=now)


def back_to_back(**terms: Any) -> tuple[Booking, Booking, ChargingSession]:
    """9 to 10 and 10 to 11 of one truck, priced, and its session that began at 9."""
    evse = evse_online(make_depot(terms={**TERMS, **terms}))
    first = priced(book(evse, slot(9, 10)))
    second = priced(book(evse, slot(10, 11), vehicle=first.vehicle))
    armed(first, at(8, 45))
    session = start(evse, first.tokens.get().uid, at(9))
    _show(evse, "charging", at(9))
    return first, second, session


def leave(session: ChargingSession, now: datetime, wh: int | None = 100_000) -> None:
    """It stops, and its EVSE is free."""
    stop(session, now, wh)
    assert session.evse is not None
    _show(session.evse, "available", now)


def _show(evse: Evse, status: str, now: datetime) -> None:
    depots.report_status(charger_id=evse.charger_id, evse_number=evse.number, status=status, at=now, now=now)


def records(**of: Any) -> list[ChargeDetailRecord]:
    return list(ChargeDetailRecord.objects.filter(**of).order_by("id"))


def standing(**of: Any) -> list[ChargeDetailRecord]:
    """Neither credits nor credited."""
    return records(credits=None, credited_by=None, **of)


def amounts(cdrs: list[ChargeDetailRecord]) -> list[tuple[str, str]]:
    return [(f"{cdr.before_taxes:.2f}", f"{cdr.taxes:.2f}") for cdr in cdrs]


def uses(cdr: ChargeDetailRecord) -> list[tuple[str, str]]:
    return [(line["use"], line["dimension"]) for line in cdr.bill["lines"]]
