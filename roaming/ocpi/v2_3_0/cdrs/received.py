"""Records of partners in our own words: tables and pure functions."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from bookings.pricing.bills import NO_AMOUNT, Amount, Tax
from bookings.pricing.tariff_content import TariffContent
from roaming.mirror.session_values import ToldCdr, ToldCosts, ToldPeriod, ToldPlug, ToldToken
from roaming.ocpi.v2_3_0.cdrs import schemas
from roaming.ocpi.v2_3_0.cdrs.mapping import AUTH_METHOD
from roaming.ocpi.v2_3_0.cdrs.reading import ReceivedCdr, ReceivedLocation
from roaming.ocpi.v2_3_0.cdrs.schemas import CdrDimensionType
from roaming.ocpi.v2_3_0.tariffs.reading import read_tariff
from roaming.ocpi.v2_3_0.tariffs.schemas import Price
from roaming.ocpi.wire_object import NOT_ASSIGNED, UnreadableError

LET_IN = {method: let_in for let_in, method in AUTH_METHOD.items()}
VOLUME: dict[CdrDimensionType, str] = {
    CdrDimensionType.ENERGY: "energy_kwh",
    CdrDimensionType.TIME: "charging_h",
    CdrDimensionType.PARKING_TIME: "parking_h",
    CdrDimensionType.RESERVATION_TIME: "booked_h",
    CdrDimensionType.RESERVATION_EXPIRES: "expired_h",
    CdrDimensionType.RESERVATION_OVERTIME: "overtime_h",
    CdrDimensionType.POWER: "power_kw",
    CdrDimensionType.MIN_POWER: "min_power_kw",
    CdrDimensionType.MAX_POWER: "max_power_kw",
    CdrDimensionType.CURRENT: "current_a",
    CdrDimensionType.MIN_CURRENT: "min_current_a",
    CdrDimensionType.MAX_CURRENT: "max_current_a",
    CdrDimensionType.STATE_OF_CHARGE: "soc_percent",
}
MOST_MONEY, MOST_KWH, MOST_HOURS = Decimal(10**8), Decimal(10**6), Decimal(10**5)


def cdr_in(cdr: ReceivedCdr, tariffs: tuple[TariffContent, ...]) -> ToldCdr:
    """Raises UnreadableError for amounts that nobody can mean, and for a record that ends before it starts."""
    if cdr.end_date_time < cdr.start_date_time:
        raise UnreadableError("end_date_time", "must not be before start_date_time")
    return ToldCdr(
        country_code=cdr.country_code,
        party_id=cdr.party_id,
        id=cdr.id,
        starts_at=cdr.start_date_time,
        ends_at=cdr.end_date_time,
        booking_id=cdr.booking_id or "",
        session_id=cdr.session_id or "",
        token=token_in(cdr.cdr_token),
        let_in=LET_IN[cdr.auth_method],
        authorization_reference=cdr.authorization_reference or "",
        plug=_plug(cdr.cdr_location),
        currency=cdr.currency,
        periods=periods_in(cdr.charging_periods),
        costs=_costs(cdr),
        energy_kwh=within("total_energy", cdr.total_energy, MOST_KWH),
        hours=within("total_time", cdr.total_time, MOST_HOURS),
        parking_h=within("total_parking_time", cdr.total_parking_time or Decimal(), MOST_HOURS),
        remark=cdr.remark or "",
        is_credit=cdr.credit,
        credits=cdr.credit_reference_id or "",
        tariffs=tariffs,
        last_updated=cdr.last_updated,
    )


def tariffs_in(raw: Any) -> tuple[TariffContent, ...]:
    """What the tariffs of a record say; nothing where one of them cannot be read, since the others are not all of it."""
    told = raw.get("tariffs") if isinstance(raw, dict) else None
    try:
        return tuple(read_tariff(one).value.content for one in told) if isinstance(told, list) else ()
    except UnreadableError:
        return ()


def token_in(token: schemas.CdrToken) -> ToldToken:
    return ToldToken(
        token.country_code, token.party_id, assigned(token.uid), token.type[:20], assigned(token.contract_id)
    )


def periods_in(periods: Iterable[schemas.ChargingPeriod]) -> tuple[ToldPeriod, ...]:
    """In order of time. Of a dimension that is there twice the first counts, as does none that nobody here knows."""
    found = []
    for period in sorted(periods, key=lambda one: one.start_date_time):
        volumes: dict[str, Decimal] = {}
        for dimension in period.dimensions:
            name = VOLUME.get(dimension.type)
            if name is not None and 0 <= dimension.volume <= MOST_KWH:
                volumes.setdefault(name, dimension.volume)
        found.append(ToldPeriod(period.start_date_time, **volumes))
    return tuple(found)


def amount_in(field: str, price: Price | None) -> Amount:
    """Raises UnreadableError naming the field."""
    if price is None:
        return NO_AMOUNT
    told = [price.before_taxes, *(tax.amount for tax in price.taxes)]
    if any(abs(amount) > MOST_MONEY for amount in told):
        raise UnreadableError(field, "must be an amount of sensible size")
    taxes = (Tax(tax.percentage, _money(tax.amount), tax.name) for tax in price.taxes)
    return Amount(_money(price.before_taxes), tuple(taxes))


def within(field: str, quantity: Decimal, most: Decimal) -> Decimal:
    """Raises UnreadableError naming the field."""
    if not 0 <= quantity <= most:
        raise UnreadableError(field, f"must be a number from 0 to {most}")
    return quantity


def assigned(told: str | None) -> str:
    """An id; empty where none was."""
    return "" if told is None or told.upper() == NOT_ASSIGNED else told


def _costs(cdr: ReceivedCdr) -> ToldCosts:
    return ToldCosts(
        total=amount_in("total_cost", cdr.total_cost),
        fixed=amount_in("total_fixed_cost", cdr.total_fixed_cost),
        energy=amount_in("total_energy_cost", cdr.total_energy_cost),
        time=amount_in("total_time_cost", cdr.total_time_cost),
        parking=amount_in("total_parking_cost", cdr.total_parking_cost),
        reservation=amount_in("total_reservation_cost", cdr.total_reservation_cost),
    )


def _plug(place: ReceivedLocation) -> ToldPlug:
    at = place.coordinates
    return ToldPlug(
        location_id=place.id, name=place.name or "", address=place.address or "", city=place.city or "",
        postal_code=place.postal_code or "", country=(place.country or "").upper(),
        latitude=at.latitude if at is not None else "", longitude=at.longitude if at is not None else "",
        evse_uid=assigned(place.evse_uid), connector_id=assigned(place.connector_id),
        standard=place.connector_standard or "", format=place.connector_format or "",
        power_type=place.connector_power_type or "",
    )  # fmt: skip


def _money(amount: Decimal) -> Decimal:
    """To the four decimals that OCPI and our records have."""
    return amount.quantize(Decimal("0.0001"))
