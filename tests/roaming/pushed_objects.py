"""What a partner pushes: OCPI objects with defaults that work, each under its name there."""

from __future__ import annotations

from typing import Any

from bookings.models import Booking
from depots.periods import Period
from tests.factories import NOW, at, slot

BASE = "/ocpi/emsp/2.3.0/bookings"
OFFER = f"{BASE}/FR/CPO/booking_locations/BL-1"
CALENDAR = f"{OFFER}/CA-1"


def offer(**changes: Any) -> dict[str, Any]:
    body = {
        "country_code": "FR",
        "party_id": "CPO",
        "id": "BL-1",
        "location_id": "LOC-1",
        "booking_option": {
            "evse_uid": "E-1",
            "connector_types": ["IEC_62196_T2_COMBO"],
            "vehicle_types": ["SEMI_TRACTOR"],
        },
        "booking_terms": {
            "supported_access_methods": ["TOKEN"],
            "change_until_minutes": 60,
            "cancel_until_minutes": 30,
            "min_booking_duration": 30,
        },
        "calendars": [calendar()],
        "last_updated": "2030-01-15T07:00:00Z",
        "x_colour": "blue",
    }
    return {**body, **changes}


def calendar(*slots: Period, **changes: Any) -> dict[str, Any]:
    body = {
        "id": "CA-1",
        "begin_from": "2030-01-15T00:00:00Z",
        "end_before": "2030-01-20T00:00:00Z",
        "timeslot_increment": 15,
        "available_timeslots": [
            {"start_date_time": z(s.starts_at), "end_date_time": z(s.ends_at), "max_power": 350_000}
            for s in slots or (slot(8, 18),)
        ],
        "last_updated": "2030-01-15T07:00:00Z",
    }
    return {**body, **changes}


def booking(ours: Booking | None = None, **changes: Any) -> dict[str, Any]:
    body = {
        "id": "CB-881",
        "country_code": "FR",
        "party_id": "CPO",
        "request_id": ours.request_id if ours else "never-asked",
        "booking_option": {"evse_uid": "E-1"},
        "location_id": "LOC-1",
        "booking_tokens": [
            {"country_code": "DE", "party_id": "NFE", "uid": "04AA", "type": "RFID", "contract_id": "C1"}
        ],
        "period": {"start_date_time": z(at(12)), "end_date_time": z(at(13)), "max_power": 350_000},
        "reservation_status": "RESERVED",
        "authorization_reference": "REF-1",
        "booking_terms": {
            "supported_access_methods": ["TOKEN"],
            "change_until_minutes": 60,
            "cancel_until_minutes": 30,
        },
        "booking_requests": [],
        "last_updated": "2030-01-15T08:00:00Z",
    }
    return {**body, **changes}


def z(moment: Any) -> str:
    text: str = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    return text


def location(**changes: Any) -> dict[str, Any]:
    """The depot of the offer, as a pull brings it."""
    body = {
        "country_code": "FR", "party_id": "CPO", "id": "LOC-1", "publish": True, "name": "Metz", "address": "Rue 1",
        "city": "Metz", "country": "FRA", "coordinates": {"latitude": "49.1", "longitude": "6.2"},
        "time_zone": "Europe/Paris", "opening_times": {"twentyfourseven": True},
        "evses": [{"uid": "E-1", "status": "AVAILABLE", "connectors": [plug()], "last_updated": z(NOW)}],
        "last_updated": z(NOW),
    }  # fmt: skip
    return {**body, **changes}


def plug(**changes: Any) -> dict[str, Any]:
    body = {
        "id": "1", "standard": "IEC_62196_T2_COMBO", "format": "CABLE", "power_type": "DC",
        "max_voltage": 1000, "max_amperage": 400, "last_updated": z(NOW),
    }  # fmt: skip
    return {**body, **changes}
