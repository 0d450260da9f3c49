"""What partners really send of what was charged, brought into the shape of 2.3.0: prices of 2.2.1, and records of which only what
is billed must be readable. What stays wrong raises UnreadableError."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

from pydantic import Field

from roaming.ocpi.field_types import CountryCode, Flag, Id36, Id39, Id48, PartyId, Text10, Text255, one_of
from roaming.ocpi.shapes import Shape, read_shaped, shaped_as
from roaming.ocpi.times import Moment
from roaming.ocpi.v2_3_0.cdrs.schemas import AuthMethod, CdrToken, ChargingPeriod
from roaming.ocpi.v2_3_0.locations.schemas import GeoLocation
from roaming.ocpi.v2_3_0.tariffs.schemas import Amount, Currency, Price
from roaming.ocpi.wire_object import NOT_ASSIGNED, Notes, Read, WireObject

# As 2.2.1 has them, and 2.1.1: a deviation of who speaks 2.3.0.
OLD_PRICE, PLAIN_PRICE = "price.excl_vat", "price.number"
COSTS = (
    "total_cost",
    "total_fixed_cost",
    "total_energy_cost",
    "total_time_cost",
    "total_parking_cost",
    "total_reservation_cost",
)
PERIOD = Shape("charging_period", lists=frozenset({"dimensions"}))
CDR = Shape(
    "cdr",
    renamed={
        "last_update": "last_updated",
        "stop_date_time": "end_date_time",
        "auth_id": "authorization_reference",
    },
    lists=frozenset({"charging_periods", "tariffs"}),
    inside={"charging_periods": PERIOD},
)
MAY_BE_UNASSIGNED = ("evse_uid", "connector_id")


class ReceivedLocation(WireObject):
    """Evidence of where it was: only the location is needed to book it."""

    id: Id36
    name: Text255 | None = None
    address: Text255 | None = None
    city: Text255 | None = None
    postal_code: Text10 | None = None
    country: Text10 | None = None
    coordinates: GeoLocation | None = None
    evse_uid: Id36 = NOT_ASSIGNED
    evse_id: Id48 | None = None
    connector_id: Id36 = NOT_ASSIGNED
    connector_standard: Text255 | None = None
    connector_format: Text10 | None = None
    connector_power_type: Text255 | None = None


class ReceivedCdr(WireObject):
    """A CDR, of either side of a partner. Its tariffs and signed values stay as they came."""

    country_code: CountryCode
    party_id: PartyId
    id: Id39
    start_date_time: Moment
    end_date_time: Moment
    booking_id: Id36 | None = None
    session_id: Id36 | None = None
    cdr_token: CdrToken
    auth_method: Annotated[AuthMethod, one_of(AuthMethod, unknown=AuthMethod.WHITELIST)]
    authorization_reference: Id36 | None = None
    cdr_location: ReceivedLocation
    currency: Currency
    charging_periods: Annotated[list[ChargingPeriod], Field(min_length=1)]
    total_cost: Price
    total_fixed_cost: Price | None = None
    total_energy: Amount
    total_energy_cost: Price | None = None
    total_time: Amount
    total_time_cost: Price | None = None
    total_parking_time: Amount | None = None
    total_parking_cost: Price | None = None
    total_reservation_cost: Price | None = None
    remark: Text255 | None = None
    credit: Flag = False
    credit_reference_id: Id39 | None = None
    last_updated: Moment


def read_cdr(raw: Any) -> Read[ReceivedCdr]:
    notes = Notes()
    shaped = shaped_as(raw, CDR, notes)
    if isinstance(shaped, dict):
        normalise(shaped, COSTS, notes)
        if isinstance(shaped.get("cdr_location"), dict):
            _leave_out_unassigned(shaped["cdr_location"])
    return read_shaped(ReceivedCdr, shaped, notes)


def normalise(shaped: dict[str, Any], costs: tuple[str, ...], notes: Notes) -> None:
    """What sessions and records have in common: prices, the currency, and a token that lacks its contract."""
    for name in costs:
        if name in shaped:
            shaped[name] = _price(shaped[name], notes)
    currency = shaped.get("currency")
    if isinstance(currency, str) and currency != currency.strip().upper():
        notes.add("currency.spelling")
        shaped["currency"] = currency.strip().upper()
    token = shaped.get("cdr_token")
    if isinstance(token, dict) and "uid" in token:
        if "contract_id" not in token:
            notes.add("cdr_token.contract_id_missing")
            token["contract_id"] = token["uid"]
        token.setdefault("type", "OTHER")


def _price(price: Any, notes: Notes) -> Any:
    if isinstance(price, int | float) and not isinstance(price, bool):
        notes.add(PLAIN_PRICE)
        return {"before_taxes": price}
    if not isinstance(price, dict) or "excl_vat" not in price:
        return price
    notes.add(OLD_PRICE)
    before, after = price["excl_vat"], price.get("incl_vat")
    told: dict[str, Any] = {"before_taxes": before}
    try:
        tax = Decimal(str(after)) - Decimal(str(before)) if after is not None else None
    except InvalidOperation:
        return price  # refused with the name of its field
    return told if tax is None else {**told, "taxes": [{"name": "VAT", "amount": tax}]}


def _leave_out_unassigned(location: dict[str, Any]) -> None:
    for name in MAY_BE_UNASSIGNED:
        if str(location.get(name, "")).upper() == NOT_ASSIGNED:
            location.pop(name, None)
