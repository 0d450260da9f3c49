"""The physical part of a depot file: places, chargers and EVSEs; docs/operators/depot-file.md lists the fields. kW here,
watts in tables."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal
from zoneinfo import available_timezones

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    StringConstraints,
    model_validator,
)

from depots.imports.cells import no_date
from depots.imports.descriptions import DescribedBay, DescribedPlace
from depots.imports.documents import FieldPath
from depots.imports.fields import Centimetres, FileRow, Text, one_of, printable
from depots.models.sites import Fallback
from depots.standards import PLUGS, PROTOCOLS, SIDES, VEHICLE_TYPES, is_country

MIDNIGHT = 1440
FIVE_DIGITS = frozenset({"DEU", "ESP", "EST", "FIN", "FRA", "HRV", "ITA", "LTU", "TUR", "UKR"})
_FOUR = re.compile(r"\d{4}", re.ASCII)
_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d|24:00", re.ASCII)


def known_time_zone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError("is not a time zone of the IANA list, such as Europe/Berlin")
    return name


def _country(code: str) -> str:
    if not is_country(code):
        raise ValueError("must be a country's three letters of ISO 3166-1, such as DEU")
    return code


def _minute(given: Any) -> int:
    """Minutes since midnight of a time "HH:MM"; "24:00" is the midnight that ends the day."""
    if not isinstance(given, str) or not _TIME.fullmatch(given):
        # pydantic's way to refuse is a ValueError, whatever the type was
        raise ValueError("must be a time such as 06:30, up to 24:00")
    hours, minutes = given.split(":")
    return int(hours) * 60 + int(minutes)


# Ids end up in addresses of partners and chargers, so they hold nothing that would have to be escaped there.
Id = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=36, pattern=r"^[A-Za-z0-9._~:*@+\-]+$"),
    AfterValidator(no_date),
]
# A colon would end the user name of HTTP Basic authentication.
Identity = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=48, pattern=r"^[A-Za-z0-9._*=+|@\-]+$"),
    AfterValidator(no_date),
]
Password = Annotated[str, Field(min_length=1, max_length=128), AfterValidator(printable)]
Kilowatts = Annotated[float, Field(ge=0.001, le=1_000_000, allow_inf_nan=False)]
Kilograms = Annotated[int, Field(ge=1, le=1_000_000)]
Minute = Annotated[int, Field(ge=0, le=MIDNIGHT), BeforeValidator(_minute)]
VehicleType = Annotated[str, one_of(list(VEHICLE_TYPES))]
InletSide = Annotated[str, one_of(list(SIDES))]
ConnectorStandard = Annotated[str, one_of(list(PLUGS))]


class HoursRow(FileRow):
    weekday: Annotated[int, Field(ge=1, le=7)]
    opens: Annotated[Minute, Field(alias="from")]
    closes: Annotated[Minute, Field(alias="to")]

    @model_validator(mode="after")
    def _end_after_start(self) -> HoursRow:
        if self.closes <= self.opens:
            raise ValueError("must end after it starts; split hours that pass midnight at 24:00")
        return self


class EvseRow(DescribedBay):
    """`number` is the connectorId of OCPP 1.6 and the EVSE id of 2.x; without one it is the place in the list, from 1."""

    uid: Id
    number: Annotated[int, Field(ge=1, le=1000)] | None = None
    max_power_kw: Kilowatts
    connector_standard: ConnectorStandard = "IEC_62196_T2_COMBO"
    format: Literal["CABLE", "SOCKET"] = "CABLE"
    vehicle_types: list[VehicleType] = []
    drive_through: bool = False
    dangerous_goods_allowed: bool = False
    refrigeration_outlet: bool = False
    takes_trailers: bool | None = None
    inlet_sides: list[InletSide] = []
    max_vehicle_length_cm: Centimetres | None = None
    max_vehicle_height_cm: Centimetres | None = None
    max_vehicle_width_cm: Centimetres | None = None
    max_vehicle_weight_kg: Kilograms | None = None

    @property
    def max_power_w(self) -> int:
        return watts(self.max_power_kw)


class ChargerRow(FileRow):
    """Without a password or a security profile a charger keeps what it has."""

    identity: Identity
    protocol: Annotated[str, one_of(PROTOCOLS)] = "ocpp1.6"
    password: Password | None = None
    security_profile: Annotated[int, Field(ge=0, le=3)] | None = None
    cabinet: Annotated[Text, Field(max_length=40)] = ""
    cabinet_limit_kw: Kilowatts | None = None
    evses: Annotated[Sequence[EvseRow], Field(min_length=1)]


class DepotRow(DescribedPlace):
    id: Id
    operator: Annotated[Text, Field(min_length=1, max_length=100)]
    name: Annotated[Text, Field(min_length=1, max_length=255)]
    address: Annotated[Text, Field(max_length=255)] = ""
    city: Annotated[Text, Field(max_length=45)] = ""
    postal_code: Annotated[Text, Field(max_length=10)] = ""
    country: Annotated[str, AfterValidator(_country)]
    latitude: Annotated[float, Field(ge=-90, le=90, allow_inf_nan=False)]
    longitude: Annotated[float, Field(ge=-180, le=180, allow_inf_nan=False)]
    time_zone: Annotated[str, AfterValidator(known_time_zone)]
    grid_limit_kw: Kilowatts | None = None
    opening_hours: list[HoursRow] = []
    charging_when_closed: bool = True
    fallbacks: list[Annotated[str, one_of(Fallback.values)]] = []
    chargers: Sequence[ChargerRow] = []

    def numbered(self) -> Iterator[tuple[ChargerRow, EvseRow, int]]:
        """Every EVSE with its charger and its number there."""
        for charger in self.chargers:
            for position, evse in enumerate(charger.evses, start=1):
                yield charger, evse, evse.number or position


def watts(kilowatts: float) -> int:
    return round(kilowatts * 1000)


def folded(code: str) -> str:
    """Ids compare without regard to case."""
    return code.upper()


def physical_faults(depots: Sequence[DepotRow]) -> Iterator[tuple[FieldPath, str]]:
    """What no single field shows: the same thing twice, hours that overlap, a cabinet with two limits."""
    yield from _twice((("depots", d, "id"), depot.id) for d, depot in enumerate(depots))
    chargers = [
        (("depots", d, "chargers", c), row)
        for d, depot in enumerate(depots)
        for c, row in enumerate(depot.chargers)
    ]
    yield from _twice(((*place, "identity"), charger.identity) for place, charger in chargers)
    yield from _twice(
        ((*place, "evses", e, "uid"), evse.uid)
        for place, charger in chargers
        for e, evse in enumerate(charger.evses)
    )
    for place, charger in chargers:
        yield from _charger_faults(place, charger)
    for d, depot in enumerate(depots):
        yield from _cabinet_faults(("depots", d), depot)
        yield from _hours_faults(("depots", d, "opening_hours"), depot.opening_hours)


def lost_zero_faults(depots: Sequence[DepotRow]) -> Iterator[tuple[FieldPath, str]]:
    """Postal codes of a CSV file whose leading zero a spreadsheet took for nothing."""
    for d, depot in enumerate(depots):
        if depot.country in FIVE_DIGITS and _FOUR.fullmatch(depot.postal_code):
            yield (
                ("depots", d, "postal_code"),
                f"{depot.postal_code}: postal codes of {depot.country} have five digits; is a leading zero missing?",
            )


def _twice(named: Iterator[tuple[FieldPath, str]]) -> Iterator[tuple[FieldPath, str]]:
    seen: set[str] = set()
    for place, name in named:
        if folded(name) in seen:
            yield place, f"{name} is there twice"
        seen.add(folded(name))


def _charger_faults(place: FieldPath, charger: ChargerRow) -> Iterator[tuple[FieldPath, str]]:
    numbers = [evse.number or position for position, evse in enumerate(charger.evses, start=1)]
    often = {number for number, count in Counter(numbers).items() if count > 1}
    for e, number in enumerate(numbers):
        if number in often:
            yield (*place, "evses", e, "number"), f"{number} is there twice at charger {charger.identity}"
    if charger.security_profile == 0 and charger.protocol != "ocpp1.6":
        yield (*place, "security_profile"), "0, no password at all, is for ocpp1.6 alone"


def _cabinet_faults(place: FieldPath, depot: DepotRow) -> Iterator[tuple[FieldPath, str]]:
    limits: dict[str, float | None] = {}
    for c, charger in enumerate(depot.chargers):
        if not charger.cabinet:
            continue
        limit = limits.setdefault(charger.cabinet, charger.cabinet_limit_kw)
        if limit != charger.cabinet_limit_kw:
            yield (
                (*place, "chargers", c, "cabinet_limit_kw"),
                f"differs between the chargers of cabinet {charger.cabinet}",
            )


def _hours_faults(place: FieldPath, hours: Sequence[HoursRow]) -> Iterator[tuple[FieldPath, str]]:
    for h, row in enumerate(hours):
        for other in hours[:h]:
            if row.weekday == other.weekday and row.opens < other.closes and other.opens < row.closes:
                yield (*place, h), f"overlaps other hours of weekday {row.weekday}"
                break
