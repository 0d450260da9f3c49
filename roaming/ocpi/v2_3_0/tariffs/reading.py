"""What partners really send of Tariffs, of either version, as values of `bookings.pricing`."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from bookings.imports.tariff_schemas import TariffRow
from roaming.mirror.values import ToldTariff
from roaming.ocpi.shapes import Shape, shaped_as
from roaming.ocpi.times import read_time
from roaming.ocpi.wire_object import Notes, Read, UnreadableError

TARIFF = Shape("tariff", lists=frozenset({"elements"}), renamed={"last_update": "last_updated"})
TAX_INCLUDED = {True: "YES", False: "NO"}
# Bookings 1.0 had its restrictions under another name.
BOOKING_OF_1_0 = {
    "RESERVATION_CANCELLATION_FEES": "BOOKING_CANCELLATION_FEES",
    "RESERVATION_OVERTIME": "BOOKING_OVERTIME",
}
LONGEST_ID = 64


def read_tariff(raw: Any) -> Read[ToldTariff]:
    """Raises UnreadableError with the path of what is wrong: a price read otherwise than it was meant is worse than none."""
    notes = Notes()
    shaped = shaped_as(raw, TARIFF, notes)
    if not isinstance(shaped, dict):
        raise UnreadableError("", "must be an object")
    _normalise(shaped, notes)
    try:
        row = TariffRow.model_validate(shaped)
    except ValidationError as error:
        first = error.errors()[0]
        raise UnreadableError(".".join(str(part) for part in first["loc"]), first["msg"]) from None
    told = ToldTariff(
        country_code=_text(shaped, "country_code", 2),
        party_id=_text(shaped, "party_id", 5),
        code=_text(shaped, "id", LONGEST_ID),
        content=row.content(),
        starts_at=_moment(shaped, "start_date_time"),
        ends_at=_moment(shaped, "end_date_time"),
        last_updated=_required_moment(shaped, "last_updated"),
    )
    return Read(told, tuple(notes.names))


def _normalise(shaped: dict[str, Any], notes: Notes) -> None:
    included = shaped.get("tax_included")
    if isinstance(included, bool):  # as loaders of YAML 1.1 read YES and NO
        notes.add("tariff.tax_included.boolean")
        shaped["tax_included"] = TAX_INCLUDED[included]
    for element in shaped.get("elements", ()):
        restrictions = element.get("restrictions") if isinstance(element, dict) else None
        if isinstance(restrictions, dict) and restrictions.get("reservation") in BOOKING_OF_1_0:
            notes.add("tariff.restrictions.reservation")
            restrictions["booking"] = BOOKING_OF_1_0[restrictions.pop("reservation")]


def _text(shaped: dict[str, Any], name: str, longest: int) -> str:
    value = shaped.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value.strip():
        raise UnreadableError(name, "is required")
    if len(value) > longest or not value.isprintable():
        raise UnreadableError(name, f"must be a text of at most {longest} printable characters")
    return value


def _moment(shaped: dict[str, Any], name: str) -> Any:
    return _required_moment(shaped, name) if shaped.get(name) is not None else None


def _required_moment(shaped: dict[str, Any], name: str) -> Any:
    try:
        return read_time(shaped.get(name))
    except ValueError as error:
        raise UnreadableError(name, str(error)) from None
