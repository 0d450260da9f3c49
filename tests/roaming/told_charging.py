"""What a partner FR*CPO tells of charging at its depot LOC-1: sessions and records with defaults that work."""

from __future__ import annotations

from typing import Any

SESSIONS, CDRS = "/ocpi/emsp/2.3.0/sessions", "/ocpi/emsp/2.3.0/cdrs"
SESSION = f"{SESSIONS}/FR/CPO/S-1"


def token(**changes: Any) -> dict[str, Any]:
    body = {"country_code": "DE", "party_id": "NFE", "uid": "04AA", "type": "RFID", "contract_id": "C1"}
    return {**body, **changes}


def period(hour: str, **volumes: float) -> dict[str, Any]:
    dimensions = [{"type": name, "volume": volume} for name, volume in volumes.items()]
    return {"start_date_time": f"2030-01-15T{hour}:00Z", "dimensions": dimensions}


def session(**changes: Any) -> dict[str, Any]:
    body = {
        "country_code": "FR", "party_id": "CPO", "id": "S-1", "start_date_time": "2030-01-15T12:00:00Z", "kwh": 20.5,
        "cdr_token": token(), "auth_method": "WHITELIST", "authorization_reference": "REF-1", "location_id": "LOC-1",
        "evse_uid": "E-1", "connector_id": "1", "currency": "EUR", "status": "ACTIVE",
        "charging_periods": [period("12:00", ENERGY=20.5, POWER=240, STATE_OF_CHARGE=41)],
        "total_cost": {"before_taxes": 10.25, "taxes": [{"name": "VAT", "percentage": 20, "amount": 2.05}]},
        "last_updated": "2030-01-15T12:05:00Z", "x_colour": "blue",
    }  # fmt: skip
    return {name: value for name, value in {**body, **changes}.items() if value is not None}


def price(before: float, tax: float = 0) -> dict[str, Any]:
    taxes = [{"name": "VAT", "percentage": 20, "amount": tax}] if tax else []
    return {"before_taxes": before, "taxes": taxes}


def tariff(kwh: float = 0.5) -> dict[str, Any]:
    component = {"type": "ENERGY", "price": kwh, "vat": 20, "step_size": 1}
    return {
        "country_code": "FR", "party_id": "CPO", "id": "T-1", "currency": "EUR", "tax_included": "NO",
        "elements": [{"price_components": [component]}], "last_updated": "2030-01-01T00:00:00Z",
    }  # fmt: skip


def cdr(**changes: Any) -> dict[str, Any]:
    """80 kWh at 0.50, with 20 % tax: 48."""
    body = {
        "country_code": "FR", "party_id": "CPO", "id": "CDR-1", "start_date_time": "2030-01-15T12:00:00Z",
        "end_date_time": "2030-01-15T12:45:00Z", "session_id": "S-1", "cdr_token": token(), "auth_method": "WHITELIST",
        "authorization_reference": "REF-1", "currency": "EUR", "tariffs": [tariff()],
        "cdr_location": {
            "id": "LOC-1", "address": "Rue 1", "city": "Metz", "postal_code": "57050", "country": "FRA",
            "coordinates": {"latitude": "49.1", "longitude": "6.2"}, "evse_uid": "E-1", "evse_id": "FR*CPO*E1",
            "connector_id": "1", "connector_standard": "IEC_62196_T2_COMBO", "connector_format": "CABLE",
            "connector_power_type": "DC",
        },
        "charging_periods": [period("12:00", ENERGY=80, TIME=0.75)],
        "signed_data": {
            "encoding_method": "OCMF", "public_key": "a key",
            "signed_values": [{"nature": "End", "plain_data": "{}", "signed_data": "OCMF|{}|{}"}],
        },
        "total_cost": price(40, 8), "total_energy": 80, "total_energy_cost": price(40, 8), "total_time": 0.75,
        "last_updated": "2030-01-15T12:46:00Z", "x_colour": "blue",
    }  # fmt: skip
    return {name: value for name, value in {**body, **changes}.items() if value is not None}


def no_show(booking_id: str = "CB-881", **changes: Any) -> dict[str, Any]:
    fee = price(30, 6)
    body = {
        "id": "CDR-N", "session_id": None, "booking_id": booking_id, "end_date_time": "2030-01-15T13:00:00Z",
        "auth_method": "COMMAND", "charging_periods": [period("12:00", RESERVATION_EXPIRES=1)], "signed_data": None,
        "tariffs": None, "total_cost": fee, "total_reservation_cost": fee, "total_energy": 0, "total_energy_cost": None,
        "total_time": 0,
    }  # fmt: skip
    return cdr(**{**body, **changes})
