"""Names of plugs, vehicle types, facilities and protocols that files, forms and partners share; OCPI's, where it has them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil, sqrt
from typing import Final


@dataclass(frozen=True)
class Plug:
    """A connector standard: what people call it, its kind of current and the voltage it is used with here."""

    label: str
    power_type: str
    voltage_v: int

    def amperage_a(self, power_w: int) -> int:
        """The current an outlet of this power needs, per phase."""
        phases = sqrt(3) if self.power_type == "AC_3_PHASE" else 1
        return ceil(power_w / self.voltage_v / phases)


PLUGS: Final = {
    "IEC_62196_T2_COMBO": Plug("CCS", "DC", 1000),
    "MCS": Plug("MCS", "DC", 1250),
    "IEC_62196_T1_COMBO": Plug("CCS type 1", "DC", 1000),
    "CHADEMO": Plug("CHAdeMO", "DC", 1000),
    "CHAOJI": Plug("ChaoJi", "DC", 1500),
    "GBT_DC": Plug("GB/T DC", "DC", 1000),
    "GBT_AC": Plug("GB/T AC", "AC_3_PHASE", 400),
    "SAE_J3400": Plug("NACS", "DC", 1000),
    "TESLA_S": Plug("Tesla", "DC", 500),
    "PANTOGRAPH_BOTTOM_UP": Plug("Pantograph, from the roof up", "DC", 1000),
    "PANTOGRAPH_TOP_DOWN": Plug("Pantograph, from the mast down", "DC", 1000),
    "IEC_62196_T2": Plug("Type 2", "AC_3_PHASE", 400),
    "IEC_62196_T1": Plug("Type 1", "AC_1_PHASE", 230),
    "IEC_62196_T3A": Plug("Type 3A", "AC_1_PHASE", 230),
    "IEC_62196_T3C": Plug("Type 3C", "AC_3_PHASE", 400),
    "IEC_60309_2_single_16": Plug("CEE blue 16 A", "AC_1_PHASE", 230),
    "IEC_60309_2_three_16": Plug("CEE red 16 A", "AC_3_PHASE", 400),
    "IEC_60309_2_three_32": Plug("CEE red 32 A", "AC_3_PHASE", 400),
    "IEC_60309_2_three_64": Plug("CEE red 64 A", "AC_3_PHASE", 400),
    "DOMESTIC_F": Plug("Schuko", "AC_1_PHASE", 230),
}

VEHICLE_TYPES: Final = {
    "SEMI_TRACTOR": "Semi-tractor",
    "RIGID": "Rigid truck",
    "TRUCK_WITH_TRAILER": "Truck with trailer",
    "BUS": "Bus",
    "VAN": "Van",
    "PERSONAL_VEHICLE": "Car",
    "PERSONAL_VEHICLE_WITH_TRAILER": "Car with trailer",
    "MOTORCYCLE": "Motorcycle",
    "DISABLED": "Adapted for a disabled driver",
}

# Where a vehicle's inlet is, looking the way it drives, as it stands in a sentence.
SIDES: Final = {
    "LEFT": "on the left",
    "RIGHT": "on the right",
    "FRONT": "at the front",
    "REAR": "at the rear",
}

OCPI_FACILITIES: Final = (
    "HOTEL", "RESTAURANT", "CAFE", "MALL", "SUPERMARKET", "SPORT", "RECREATION_AREA", "NATURE", "MUSEUM", "BIKE_SHARING",
    "BUS_STOP", "TAXI_STAND", "TRAM_STOP", "METRO_STATION", "TRAIN_STATION", "AIRPORT", "PARKING_LOT", "CARPOOL_PARKING",
    "FUEL_STATION", "WIFI",
)  # fmt: skip
# What drivers ask for and OCPI has no name for: told in files, and to no partner.
OWN_FACILITIES: Final = ("SHOWERS", "TOILETS", "SECURITY")
FACILITIES: Final = (*OCPI_FACILITIES, *OWN_FACILITIES)


@dataclass(frozen=True)
class Amenity:
    """What a driver looks for around a charger: any of these facilities is it."""

    label: str
    facilities: frozenset[str]

    def is_at(self, facilities: Iterable[str]) -> bool:
        return not self.facilities.isdisjoint(facilities)


AMENITIES: Final = {
    "food": Amenity("Food", frozenset({"RESTAURANT", "CAFE", "SUPERMARKET", "MALL", "FUEL_STATION"})),
    "showers": Amenity("Showers", frozenset({"SHOWERS"})),
    "toilets": Amenity("Toilets", frozenset({"TOILETS"})),
    "parking": Amenity("Parking", frozenset({"PARKING_LOT"})),
    "security": Amenity("Guarded", frozenset({"SECURITY"})),
    "wifi": Amenity("Wi-Fi", frozenset({"WIFI"})),
    "hotel": Amenity("Hotel", frozenset({"HOTEL"})),
}


def amenities_at(facilities: Iterable[str]) -> list[str]:
    """In words, in the order in which they are asked for."""
    there = set(facilities)
    return [amenity.label for amenity in AMENITIES.values() if amenity.is_at(there)]


ENERGY_SOURCES: Final = (
    "NUCLEAR",
    "GENERAL_FOSSIL",
    "COAL",
    "GAS",
    "GENERAL_GREEN",
    "SOLAR",
    "WIND",
    "WATER",
)
PARKING_RESTRICTIONS: Final = (
    "EV_ONLY", "PLUGGED", "DISABLED", "CUSTOMERS", "MOTORCYCLES", "EMPLOYEES", "TAXIS", "TENANTS",
)  # fmt: skip

PROTOCOLS: Final = ("ocpp1.6", "ocpp2.0.1", "ocpp2.1")


def is_country(code: str) -> bool:
    """Whether this is an ISO 3166-1 alpha-3 code, in capitals, as OCPI writes the country of a place.

    Of the codes that ISO leaves to its users Kosovo's counts too.
    """
    from pycountry import countries  # reads its tables when first asked, which only files of depots do

    found = countries.get(alpha_3=code)
    return code == "XKX" or (found is not None and found.alpha_3 == code)
