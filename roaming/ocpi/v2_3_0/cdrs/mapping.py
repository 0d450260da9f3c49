"""Our records as CDRs: tables and pure functions, without queries."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from bookings.models import ChargeDetailRecord, TariffVersion
from bookings.pricing.bills import Amount, Bill, Tax
from bookings.pricing.tariff_content import TariffContent
from roaming.guest_sessions import told_id
from roaming.ocpi.v2_3_0.bookings.schemas import ConnectorFormat, PowerType
from roaming.ocpi.v2_3_0.bookings.token_types import token_type_out
from roaming.ocpi.v2_3_0.cdrs import schemas
from roaming.ocpi.v2_3_0.cdrs.schemas import AuthMethod, CdrDimensionType
from roaming.ocpi.v2_3_0.cdrs.signed_data import signed_data_out
from roaming.ocpi.v2_3_0.locations.schemas import GeoLocation
from roaming.ocpi.v2_3_0.tariffs.mapping import price_out, tariff_out
from roaming.ocpi.v2_3_0.tariffs.schemas import Price
from roaming.ocpi.wire_object import NOT_ASSIGNED

# How it was let in (bookings.billing.snapshots). We decide by the tokens we hold, or start the charger ourselves.
AUTH_METHOD = {"card": AuthMethod.WHITELIST, "remote": AuthMethod.COMMAND, "asked": AuthMethod.AUTH_REQUEST}
# Seconds of a period as the record keeps them, and whose tariff prices them.
HOURS: dict[str, tuple[CdrDimensionType, str]] = {
    "charging_s": (CdrDimensionType.TIME, "charging"),
    "parking_s": (CdrDimensionType.PARKING_TIME, "charging"),
    "reserved_s": (CdrDimensionType.RESERVATION_TIME, "charging"),
    "booked_s": (CdrDimensionType.RESERVATION_TIME, "booking"),
    "expired_s": (CdrDimensionType.RESERVATION_EXPIRES, "booking"),
    "overtime_s": (CdrDimensionType.RESERVATION_OVERTIME, "booking"),
}
_IN_CORE = {"RESERVATION_EXPIRES": "RESERVATION_TIME", "RESERVATION_OVERTIME": "RESERVATION_TIME"}
FOUR_DECIMALS = Decimal("0.0001")


def cdr_out(cdr: ChargeDetailRecord, contents: Mapping[int, TariffContent]) -> schemas.Cdr:
    """A record with booking, credited record, invoice, tariffs' operators and its session's signed values at hand; `contents` of
    its versions by id."""
    bill, sign = Bill.from_json(cdr.bill), -1 if cdr.is_credit else 1
    versions = [version for version in (cdr.charging_tariff, cdr.booking_tariff) if version is not None]
    return schemas.Cdr(
        country_code=cdr.place["country_code"].upper(),
        party_id=cdr.place["party_id"].upper(),
        id=cdr.code,
        start_date_time=cdr.starts_at,
        end_date_time=cdr.ends_at,
        booking_id=_booking_id(cdr),
        session_id=_session_id(cdr),
        cdr_token=token_out(cdr.token),
        auth_method=AUTH_METHOD[cdr.token["let_in"]],
        authorization_reference=cdr.token["authorization_reference"][:36] or None,
        cdr_location=_location_out(cdr.place),
        currency=cdr.currency,
        tariffs=[tariff_out(version, contents[version.pk]) for version in versions],
        charging_periods=[
            period_out(period, cdr.charging_tariff, cdr.booking_tariff) for period in cdr.periods
        ],
        signed_data=_signed_out(cdr),
        total_cost=_total_out(cdr, bill, sign),
        total_fixed_cost=_part_out(bill.fixed),
        total_energy=Decimal(cdr.energy_wh) / 1000,
        total_energy_cost=_part_out(bill.energy),
        total_time=_session_hours(cdr),
        total_time_cost=_part_out(bill.time),
        total_parking_time=_hours(cdr.parking_s) if cdr.parking_s else None,
        total_parking_cost=_part_out(bill.parking),
        total_reservation_cost=_part_out(bill.reservation),
        remark=cdr.remark or None,
        invoice_reference_id=cdr.invoiced.invoice.number[:39] if hasattr(cdr, "invoiced") else None,
        credit=True if cdr.is_credit else None,
        credit_reference_id=cdr.credits.code if cdr.credits is not None else None,
        last_updated=cdr.issued_at,
    )


def _booking_id(cdr: ChargeDetailRecord) -> str | None:
    """A reservation is no Booking: its name is its session's."""
    return cdr.booking.reference if cdr.booking is not None and not cdr.booking.is_reservation else None


def _session_id(cdr: ChargeDetailRecord) -> str | None:
    """Of a reservation that was not used, too: it was told of as a session."""
    if cdr.session is not None:
        return told_id(cdr.session)
    return cdr.booking.guest.code if cdr.booking is not None and hasattr(cdr.booking, "guest") else None


def _session_hours(cdr: ChargeDetailRecord) -> Decimal:
    """Without the time for which the charger was kept before."""
    if cdr.session_id is None:
        return Decimal()
    kept = [period for period in cdr.periods if "reserved_s" in period]
    charged = (period["starts_at"] for period in cdr.periods if "energy_kwh" in period)
    begun = datetime.fromisoformat(next(charged)) if kept else cdr.starts_at
    return _hours(int((cdr.ends_at - begun).total_seconds()))


def _signed_out(cdr: ChargeDetailRecord) -> schemas.SignedData | None:
    if cdr.session is None:
        return None
    return signed_data_out(value.sample for value in cdr.session.signed_values.all())


def _total_out(cdr: ChargeDetailRecord, bill: Bill, sign: int) -> Price:
    """By the row, which may say less than its taxes one by one."""
    if sum((tax.amount for tax in bill.total.taxes), Decimal()) * sign == cdr.taxes:
        return price_out(bill.total, sign)
    return price_out(Amount(cdr.before_taxes, (Tax(None, cdr.taxes),)))


def _part_out(amount: Amount) -> Price | None:
    return price_out(amount) if amount.before_taxes or amount.tax else None


def period_out(
    period: Mapping[str, Any], charging: TariffVersion | None, booking: TariffVersion | None
) -> schemas.ChargingPeriod:
    tariffs = {"charging": charging, "booking": booking}
    found = [(kind, whose, period[name]) for name, (kind, whose) in HOURS.items() if name in period]
    dimensions = [schemas.CdrDimension(type=kind, volume=_hours(seconds)) for kind, _, seconds in found]
    if "energy_kwh" in period:
        energy = Decimal(period["energy_kwh"])
        dimensions.insert(0, schemas.CdrDimension(type=CdrDimensionType.ENERGY, volume=energy))
    tariff = tariffs[found[0][1] if found else "charging"] or charging
    return schemas.ChargingPeriod(
        start_date_time=datetime.fromisoformat(period["starts_at"]),
        dimensions=dimensions,
        tariff_id=tariff.tariff.code if tariff is not None else None,
    )


def core_period(period: dict[str, Any]) -> dict[str, Any]:
    """A period as it is written, for who knows none of Bookings' dimensions."""
    dimensions = [
        {**dimension, "type": _IN_CORE.get(dimension["type"], dimension["type"])}
        for dimension in period["dimensions"]
    ]
    return {**period, "dimensions": dimensions}


def token_out(token: Mapping[str, Any]) -> schemas.CdrToken:
    uid = token["uid"] or NOT_ASSIGNED
    return schemas.CdrToken(
        country_code=token["country_code"].upper() or "XX",
        party_id=token["party_id"].upper() or "XXX",
        uid=uid,
        type=token_type_out(token["type"]),
        contract_id=token["contract_id"] or uid,
    )


def _location_out(place: dict[str, Any]) -> schemas.CdrLocation:
    evse_uid = place.get("evse_uid") or NOT_ASSIGNED
    return schemas.CdrLocation(
        id=place["location_id"],
        name=place["name"] or None,
        address=place["address"],
        city=place["city"],
        postal_code=place["postal_code"] or None,
        country=place["country"],
        coordinates=GeoLocation(latitude=place["latitude"] or "0", longitude=place["longitude"] or "0"),
        evse_uid=evse_uid,
        # Required; whose operator has given no EVSE ID is known by its uid, since #NA is for what nobody can fill.
        evse_id=place.get("evse_id") or evse_uid,
        connector_id=place.get("connector") or NOT_ASSIGNED,
        connector_standard=place.get("standard") or "IEC_62196_T2_COMBO",
        connector_format=ConnectorFormat(place.get("format") or "CABLE"),
        connector_power_type=PowerType(place.get("power_type") or "DC"),
    )


def _hours(seconds: int) -> Decimal:
    return (Decimal(seconds) / 3600).quantize(FOUR_DECIMALS)
