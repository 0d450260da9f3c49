"""The bookable locations of the simulated network, and the terms they are booked under."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from simulators.partner.ocpi_format import Json

STEP_MIN = 15
HORIZON = timedelta(days=7)
QUIET_HOURS_UTC = range(4)


@dataclass(frozen=True)
class SimulatedSite:
    """A bookable location: `bays` interchangeable EVSEs, deciding at once or after a while."""

    location_id: str
    name: str
    address: str
    city: str
    postal_code: str
    latitude: str
    longitude: str
    booking_location_id: str
    bays: tuple[str, ...]
    connector: str
    max_power_w: int
    vehicle_types: tuple[str, ...]
    decides_at_once: bool


SITES = (
    SimulatedSite(
        "SIM-LYON", "Lyon Corbas Truck Park", "Boulevard des Nations 3", "Corbas", "69960", "45.6700", "4.9020",
        "SIM-LYON-CCS", ("SIM-LYON-1", "SIM-LYON-2"), "IEC_62196_T2_COMBO", 400_000,
        ("SEMI_TRACTOR", "TRUCK_WITH_TRAILER", "RIGID", "BUS"), True,
    ),
    SimulatedSite(
        "SIM-METZ", "Metz Nord Logistics Yard", "Rue des Transporteurs 18", "Metz", "57050", "49.1500", "6.1500",
        "SIM-METZ-MCS", ("SIM-METZ-1",), "MCS", 1_000_000, ("SEMI_TRACTOR", "TRUCK_WITH_TRAILER"), False,
    ),
    SimulatedSite(
        "SIM-DIJON", "Dijon Sud Truck Stop", "Rue du Stade 12", "Longvic", "21600", "47.2900", "5.0600",
        "SIM-DIJON-CCS", ("SIM-DIJON-1",), "IEC_62196_T2_COMBO", 350_000,
        ("SEMI_TRACTOR", "TRUCK_WITH_TRAILER", "RIGID", "BUS"), True,
    ),
)  # fmt: skip
TERMS: Json = {
    "rfid_auth_required": True,
    "token_groups_supported": False,
    "remote_auth_supported": False,
    "supported_access_methods": ["TOKEN", "LICENSE_PLATE"],
    "change_until_minutes": 30,
    "cancel_until_minutes": 15,
    "early_start_allowed": True,
    "early_start_time": 10,
    "noshow_timeout": 20,
    "noshow_fee": False,
    "late_stop_allowed": False,
    "overlapping_bookings_allowed": True,
    "min_booking_duration": 15,
    "max_booking_duration": 180,
}


def site_of(booking: Json) -> SimulatedSite:
    return next(site for site in SITES if site.location_id == booking["location_id"])


def find_location(location_id: str) -> SimulatedSite | None:
    """OCPI's ids are compared without regard to case."""
    return next((site for site in SITES if site.location_id.upper() == location_id.upper()), None)


def find_booking_location(booking_location_id: str) -> SimulatedSite | None:
    wanted = booking_location_id.upper()
    return next((site for site in SITES if site.booking_location_id.upper() == wanted), None)
