"""The depots of the demo, as a depot file would have them."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

from django.conf import settings

Row = dict[str, Any]

CCS, MCS = "IEC_62196_T2_COMBO", "MCS"
# The three that are never simulated: free for a charger of one's own.
DEMO_PASSWORDS = {"DEMO-1": "demo-1-secret", "DEMO-2": "demo-2-secret0123", "DEMO-3": "demo-3-secret0123"}
# A whole booking, from the reservation to the end of charging, fits into three minutes at these.
DEMO_TERMS: Row = {
    "slot_step_min": 1, "min_duration_min": 2, "max_duration_min": 240, "lead_min": 0, "early_start_min": 15,
    "late_stop_min": 0, "turnaround_min": 0, "no_show_min": 2, "arm_lead_min": 15, "change_until_min": 0,
    "cancel_until_min": 0,
}  # fmt: skip
USUAL_TERMS: Row = {
    "approval": False, "arm_lead_min": 15, "slot_step_min": 15, "early_start_min": 15, "late_stop_min": 0,
    "turnaround_min": 5, "no_show_min": 15, "change_until_min": 60, "cancel_until_min": 30, "min_duration_min": 30,
    "max_duration_min": 240, "lead_min": 0, "horizon_days": 14,
}  # fmt: skip
# Wherever the fleets of the demo stop; the other chargers stay offline, as chargers sometimes are.
SIMULATED = (
    "HAM-1", "HAM-2", "HAM-3", "LNZ-1", "LNZ-2", "LNZ-3", "VEN-01", "VEN-02", "VEN-03", "VEN-12", "VEN-P1", "VEN-P2",
    "DUB-1", "DUB-2", "VNO-1", "VNO-2", "LIS-1", "LIS-2", "BRE-1", "MAN-1",
)  # fmt: skip


def depot_file() -> Row:
    """The document that `import_depots` takes."""
    return {
        "depots": [_hamburg(), _linz(), _venlo(), _dublin(), _vilnius(), _lisbon(), _breuna(), _mannheim()]
    }


def charger_password(identity: str) -> str:
    """What a demo charger authenticates with: the well-known ones of DEMO-*, else one of this installation's own."""
    if identity in DEMO_PASSWORDS:
        return DEMO_PASSWORDS[identity]
    return hmac.new(
        settings.SECRET_KEY.encode(), f"demo charger {identity}".encode(), hashlib.sha256
    ).hexdigest()[:20]


def _hamburg() -> Row:
    bays = [
        ("HAM-1", "ocpp2.0.1", 400, CCS, 2),
        ("HAM-2", "ocpp1.6", 400, CCS, 2),
        ("HAM-3", "ocpp2.0.1", 1000, MCS, 1),
    ]
    chargers = [_charger(identity, protocol, kw, plug, count) for identity, protocol, kw, plug, count in bays]
    for charger in chargers[:2]:
        charger |= {"cabinet": "A", "cabinet_limit_kw": 1200}
    return {
        "id": "NF-HAM", "operator": "Nordfracht", "name": "Hamburg Altenwerder", "address": "Vollhöfner Weiden 12",
        "city": "Hamburg", "postal_code": "21129", "country": "DEU", "latitude": 53.5046, "longitude": 9.9276,
        "time_zone": "Europe/Berlin", "grid_limit_kw": 6000, "terms": USUAL_TERMS, "open_to": ["all"],
        "facilities": ["PARKING_LOT", "CAFE", "TOILETS", "WIFI"],
        "chargers": [*chargers, *(_demo_charger(n) for n in (1, 2, 3))],
        **_tariffs("NF-HAM", day=0.39, night=0.32, booking=2, vat=19),
    }  # fmt: skip


def _linz() -> Row:
    return {
        "id": "NF-LNZ", "operator": "Nordfracht", "name": "Linz Hafen", "address": "Regensburger Straße 7", "city": "Linz",
        "postal_code": "4020", "country": "AUT", "latitude": 48.3121, "longitude": 14.3226, "time_zone": "Europe/Vienna",
        "grid_limit_kw": 2500, "terms": {**USUAL_TERMS, "approval": True, "decision_min": 15}, "open_to": ["all"],
        "tariff": _tariff(0.42, booking=3, vat=20),
        "chargers": [
            _charger("LNZ-1", "ocpp1.6", 350, CCS, 2),
            _charger("LNZ-2", "ocpp2.0.1", 350, CCS, 2),
            _charger("LNZ-3", "ocpp2.1", 1000, MCS, 1),
        ],
    }  # fmt: skip


def _venlo() -> Row:
    """Twenty-four EVSEs that are booked one by one, and a pool of four where the depot chooses."""
    chargers = [
        _charger(f"VEN-{n:02}", "ocpp2.0.1" if n % 2 else "ocpp1.6", *_venlo_bay(n), 2) for n in range(1, 13)
    ]
    pool = [_charger(f"VEN-P{n}", "ocpp1.6", 300, CCS, 2) for n in (1, 2)]
    uids = [evse["uid"] for charger in chargers for evse in charger["evses"]]
    pooled = [evse["uid"] for charger in pool for evse in charger["evses"]]
    return {
        "id": "LP-VEN", "operator": "Ladepark", "name": "Venlo Trade Port", "address": "Columbusweg 31", "city": "Venlo",
        "postal_code": "5928 LA", "country": "NLD", "latitude": 51.3936, "longitude": 6.1210,
        "time_zone": "Europe/Amsterdam", "terms": USUAL_TERMS, "open_to": ["all"],
        "chargers": [*chargers, *pool], **_tariffs("LP-VEN", day=0.45, night=0.37, booking=2.5, vat=21),
        "options": [
            *({"id": uid, "evses": [uid]} for uid in uids),
            {"id": "VEN-POOL", "name": "Venlo, any bay of row P", "evses": pooled},
        ],
    }  # fmt: skip


def _venlo_bay(number: int) -> tuple[float, str]:
    """Power and plug: a slow row for the night, two megawatt bays, the rest for an hour's stop."""
    if number == 12:
        return 1200, MCS
    return (150, CCS) if number == 11 else (400 if number % 3 else 350, CCS)


def _dublin() -> Row:
    """Closes at night, and nothing charges behind the closed gate."""
    return {
        "id": "LP-DUB", "operator": "Ladepark", "name": "Dublin Ballycoolin", "address": "Cappagh Road 4", "city": "Dublin",
        "postal_code": "D11 KX25", "country": "IRL", "latitude": 53.4129, "longitude": -6.3501,
        "time_zone": "Europe/Dublin", "charging_when_closed": False,
        "opening_hours": [{"weekday": day, "from": "06:00", "to": "22:00"} for day in range(1, 8)],
        "terms": USUAL_TERMS, "open_to": ["all"], "tariff": _tariff(0.48, booking=2, vat=23),
        "chargers": [_charger(f"DUB-{n}", "ocpp1.6" if n < 3 else "ocpp2.0.1", 300, CCS, 2) for n in (1, 2, 3)],
    }  # fmt: skip


def _vilnius() -> Row:
    """A token cannot be booked in two places at once here."""
    return {
        "id": "LP-VNO", "operator": "Ladepark", "name": "Vilnius Kirtimai", "address": "Dariaus ir Girėno g. 109",
        "city": "Vilnius", "postal_code": "02189", "country": "LTU", "latitude": 54.6308, "longitude": 25.2721,
        "time_zone": "Europe/Vilnius", "terms": {**USUAL_TERMS, "overlapping_tokens": False}, "open_to": ["all"],
        "tariff": _tariff(0.34, booking=1.5, vat=21),
        "chargers": [_charger(f"VNO-{n}", "ocpp2.0.1", 350, CCS, 2) for n in (1, 2, 3)],
    }  # fmt: skip


def _lisbon() -> Row:
    """Six bays of 400 kW on a connection of 1,000 kW: the third truck gets what is left."""
    return {
        "id": "LP-LIS", "operator": "Ladepark", "name": "Lisboa Bobadela", "address": "Estrada Nacional 10, km 127",
        "city": "Bobadela", "postal_code": "2695-719", "country": "PRT", "latitude": 38.8068, "longitude": -9.0939,
        "time_zone": "Europe/Lisbon", "grid_limit_kw": 1000, "terms": USUAL_TERMS, "open_to": ["all"],
        "tariff": _tariff(0.36, booking=2, vat=23),
        "chargers": [_charger(f"LIS-{n}", "ocpp1.6", 400, CCS, 2) for n in (1, 2, 3)],
    }  # fmt: skip


def _breuna() -> Row:
    """On the way from Hamburg to the south, as far as one drives before a break."""
    return {
        "id": "LP-BRE", "operator": "Ladepark", "name": "Breuna Truck Stop A44", "address": "Rudolf-Diesel-Straße 2",
        "city": "Breuna", "postal_code": "34479", "country": "DEU", "latitude": 51.4170, "longitude": 9.1900,
        "time_zone": "Europe/Berlin", "terms": USUAL_TERMS, "open_to": ["all"], "tariff": _tariff(0.44, booking=2, vat=19),
        "facilities": ["RESTAURANT", "PARKING_LOT", "WIFI", "SHOWERS", "TOILETS"],
        "chargers": [_charger(f"BRE-{n}", "ocpp2.0.1", 400, CCS, 2) for n in (1, 2)],
    }  # fmt: skip


def _mannheim() -> Row:
    """As far again."""
    return {
        "id": "LP-MAN", "operator": "Ladepark", "name": "Mannheim Friesenheimer Insel", "address": "Max-Born-Straße 15",
        "city": "Mannheim", "postal_code": "68169", "country": "DEU", "latitude": 49.5280, "longitude": 8.4500,
        "time_zone": "Europe/Berlin", "terms": USUAL_TERMS, "open_to": ["all"], "tariff": _tariff(0.46, booking=2, vat=19),
        "facilities": ["CAFE", "PARKING_LOT", "SECURITY", "SHOWERS", "TOILETS", "HOTEL"],
        "chargers": [_charger(f"MAN-{n}", "ocpp1.6", 400, CCS, 2) for n in (1, 2)],
    }  # fmt: skip


def _charger(identity: str, protocol: str, kw: float, plug: str, count: int) -> Row:
    return {
        "identity": identity,
        "protocol": protocol,
        "password": charger_password(identity),
        "evses": [_evse(identity, number, kw, plug) for number in range(1, count + 1)],
    }


def _evse(identity: str, number: int, kw: float, plug: str) -> Row:
    return {
        "uid": f"{identity}-{number}", "number": number, "max_power_kw": kw, "connector_standard": plug, "format": "CABLE",
        "vehicle_types": ["SEMI_TRACTOR", "TRUCK_WITH_TRAILER", "RIGID", "BUS"], "drive_through": True,
        "dangerous_goods_allowed": number == 1, "refrigeration_outlet": number == 1, "max_vehicle_length_cm": 1875,
        "max_vehicle_height_cm": 420, "max_vehicle_width_cm": 300, "max_vehicle_weight_kg": 44_000,
    }  # fmt: skip


def _demo_charger(number: int) -> Row:
    """A charger whose bays take any vehicle, on terms for trying things out."""
    identity = f"DEMO-{number}"
    charger = _charger(identity, {1: "ocpp1.6", 2: "ocpp2.0.1", 3: "ocpp2.1"}[number], 400, CCS, 2)
    for evse in charger["evses"]:
        evse |= {
            "vehicle_types": [],
            "dangerous_goods_allowed": True,
            "refrigeration_outlet": True,
            "terms": DEMO_TERMS,
        }
    return charger


def _tariffs(depot: str, *, day: float, night: float, booking: float, vat: float) -> Row:
    """Cheaper at night, dearer for who stays when full; and what a booking costs, kept, broken and overstayed."""

    def price(kind: str, amount: float, step: int = 1) -> Row:
        return {"type": kind, "price": amount, "vat": vat, "step_size": step}

    charging = [
        {
            "price_components": [price("ENERGY", night)],
            "restrictions": {"start_time": "22:00", "end_time": "06:00"},
        },
        {"price_components": [price("ENERGY", day)]},
        {"price_components": [price("PARKING_TIME", 6, 900)], "restrictions": {"min_duration": 5400}},
    ]
    booked = [
        {"price_components": [price(kind, amount)], "restrictions": {"booking": about}}
        for about, kind, amount in (
            ("BOOKING", "FLAT", booking), ("BOOKING_EXPIRES", "FLAT", 25), ("BOOKING_CANCELLATION_FEES", "FLAT", 10),
            ("BOOKING_OVERTIME", "TIME", 30),
        )
    ]  # fmt: skip
    codes = (f"{depot}-POWER", f"{depot}-BOOKING")
    said = {"currency": "EUR", "tax_included": "NO"}
    return {
        "tariffs": [
            {**said, "id": codes[0], "elements": charging, "tariff_alt_text": [{"language": "en", "text": "Day and night"}]},
            {**said, "id": codes[1], "elements": booked, "tariff_alt_text": [{"language": "en", "text": "Booked slots"}]},
        ],
        "tariff_ids": list(codes),
    }  # fmt: skip


def _tariff(energy: float, *, booking: float, vat: float) -> Row:
    return {
        "currency": "EUR", "energy_per_kwh": energy, "booking_fee": booking, "no_show_fee": 25, "late_cancel_fee": 10,
        "vat_percent": vat,
    }  # fmt: skip
