"""What is sent of a booking that is to be made or changed, and how it becomes what is asked of the operations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from bookings.api.authentication import Caller
from bookings.api.fields import Body, Kilowatts, Moment, Name, Plate, watts
from bookings.api.named_vehicles import ask_for_plate, vehicle_called
from bookings.api.problems import Invalid
from bookings.errors import EndsBeforeStart, EvseUnknown, TrailerUnknown
from bookings.models import BookingOption, Token, Trailer, Vehicle
from bookings.operations import ChangeRequest, SlotRequest
from bookings.rules.charging_duration import EnergyAsked
from bookings.rules.entitlement import MOST_TOKENS, TokenName
from bookings.search.named_options import find_option
from depots.models import Depot, Evse, Organisation
from depots.periods import Period
from depots.token_numbers import is_same, spellings

TokenUid = Annotated[str, Field(min_length=1, max_length=36, pattern=r"^[ -~]+$")]
Percent = Annotated[int, Field(ge=0, le=100)]
Tokens = Annotated[list[TokenUid], Field(max_length=MOST_TOKENS)]


class Price(Body):
    """What a slot was shown to cost: dearer than that it is not booked."""

    currency: str = Field(pattern=r"^[A-Z]{3}$")
    total: str = Field(pattern=r"^\d{1,9}(\.\d{1,4})?$")


class NewBooking(Body):
    """A slot to be booked or held. An item of /slots may be sent as it is, with a vehicle: of that `depot` says where the option
    is, `price` what it is to cost at most; the rest of what it tells besides is not looked at."""

    option: Name
    vehicle: Plate
    trailer: Plate | None = Field(None, description="what the vehicle brings")
    starts_at: Moment
    ends_at: Moment | None = Field(
        None, description="may be missing where energy_kwh is given: then it is found"
    )
    evse: Name | None = None
    power_kw: Kilowatts | None = None
    energy_kwh: Kilowatts | None = Field(None, description="what is to be charged")
    soc_from: Percent | None = None
    soc_to: Percent | None = None
    tokens: Tokens | None = None
    depot: Name | None = None
    price: Price | None = None
    promised_power_kw: float | None = None
    max_power_kw: float | None = None
    distance_km: float | None = None
    calendar_age_s: float | None = None
    note: str | None = None


class BookingChange(Body):
    """What is to be different; the rest stays."""

    starts_at: Moment = Field(default=None)  # type: ignore[assignment]
    ends_at: Moment = Field(default=None)  # type: ignore[assignment]
    option: Name = Field(default=None, description="another one of the same depot, by its terms")  # type: ignore[assignment]
    evse: Name = Field(default=None)  # type: ignore[assignment]
    power_kw: Kilowatts = Field(default=None)  # type: ignore[assignment]
    energy_kwh: Kilowatts = Field(default=None, description="without ends_at the end is found anew")  # type: ignore[assignment]
    soc_from: Percent = Field(default=None)  # type: ignore[assignment]
    soc_to: Percent = Field(default=None)  # type: ignore[assignment]
    vehicle: Plate = Field(default=None)  # type: ignore[assignment]
    trailer: Plate | None = Field(None, description="null: it comes without one")
    tokens: Tokens = Field(default=None)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Named:
    """What a body names, found."""

    option: BookingOption
    vehicle: Vehicle
    trailer: Trailer | None
    tokens: list[TokenName] | None


def slot_request(caller: Caller, asked: NewBooking) -> SlotRequest:
    """Raises OptionUnknown, EvseUnknown, VehicleUnknown, TrailerUnknown, EndsBeforeStart, EnergyImpossible; Invalid where the end
    is missing."""
    fleet = caller.organisation
    vehicle = ask_for_plate(fleet, asked.vehicle)
    named = Named(
        find_option(asked.option, fleet, depot_code=asked.depot, now=caller.now),
        vehicle.found(),
        trailer_called(fleet, asked.trailer) if asked.trailer is not None else None,
        tokens_called(fleet, asked.tokens),
    )
    return request_for(fleet, asked, named)


def request_for(fleet: Organisation, asked: NewBooking, named: Named) -> SlotRequest:
    """Raises EvseUnknown, EndsBeforeStart, EnergyImpossible; Invalid where the end is missing."""
    wanted: dict[str, Any] = {
        "fleet": fleet,
        "option": named.option,
        "vehicle": named.vehicle,
        "trailer": named.trailer,
        "evse": _evse(named.option, asked.evse),
        "power_w": watts(asked.power_kw),
        "tokens": named.tokens,
        "shown_price": asked.price.model_dump() if asked.price is not None else None,
    }
    energy = EnergyAsked(energy_wh=watts(asked.energy_kwh), soc_from=asked.soc_from, soc_to=asked.soc_to)
    energy = energy.checked() if energy else energy
    if asked.ends_at is not None:
        period = _period(asked.starts_at, asked.ends_at)
        return SlotRequest(period=period, energy=energy or None, **wanted)
    if not energy:
        raise Invalid([("ends_at", "Say until when, or what is to be charged.")])
    return SlotRequest.until_charged(starts_at=asked.starts_at, energy=energy, **wanted)


def change_request(
    caller: Caller, depot: Depot, option: BookingOption, asked: BookingChange
) -> ChangeRequest:
    """`option` is what is booked now. Raises OptionUnknown, EvseUnknown, VehicleUnknown, TrailerUnknown, EnergyImpossible."""
    fleet = caller.organisation
    if asked.option is not None:
        option = find_option(asked.option, fleet, depot_code=depot.code, now=caller.now)
    energy = EnergyAsked(energy_wh=watts(asked.energy_kwh), soc_from=asked.soc_from, soc_to=asked.soc_to)
    energy = energy.checked() if energy else energy
    return ChangeRequest(
        starts_at=asked.starts_at,
        ends_at=asked.ends_at,
        evse=_evse(option, asked.evse),
        power_w=watts(asked.power_kw),
        option=option if asked.option is not None else None,
        energy=energy or None,
        ends_when_charged=bool(energy) and asked.ends_at is None,
        vehicle=vehicle_called(fleet, asked.vehicle) if asked.vehicle is not None else None,
        trailer=trailer_called(fleet, asked.trailer) if asked.trailer is not None else None,
        drops_trailer="trailer" in asked.model_fields_set and asked.trailer is None,
        tokens=tokens_called(fleet, asked.tokens),
    )


def _period(starts_at: datetime, ends_at: datetime) -> Period:
    """Raises EndsBeforeStart."""
    if ends_at <= starts_at:
        raise EndsBeforeStart("The booking would end before it starts.")
    return Period(starts_at, ends_at)


def trailer_called(fleet: Organisation, plate: str) -> Trailer:
    """A trailer of the fleet by its plate. Raises TrailerUnknown."""
    found = Trailer.objects.filter(fleet=fleet, plate_key=plate, is_retired=False).first()
    if found is None:
        raise TrailerUnknown(f"{fleet} has no trailer {plate}.")
    return found


def _evse(option: BookingOption, uid: str | None) -> Evse | None:
    """Raises EvseUnknown."""
    if uid is None:
        return None
    found = next((evse for evse in option.evses.all() if evse.uid.casefold() == uid.casefold()), None)
    if found is None:
        raise EvseUnknown(f"{uid} is no EVSE of the booking option {option.code}.")
    return found


def tokens_called(fleet: Organisation, uids: list[str] | None) -> list[TokenName] | None:
    """Tokens as the fleet keeps them; one that it has not is refused with the booking."""
    if uids is None:
        return None
    kept = kept_tokens(fleet, uids)
    return [token_called(uid, kept) for uid in uids]


def kept_tokens(fleet: Organisation, uids: Iterable[str]) -> list[Token]:
    forms = {form for uid in uids for form in spellings(uid)}
    return list(Token.objects.filter(fleet=fleet, uid__card__in=forms).order_by("type", "pk"))


def token_called(uid: str, kept: Sequence[Token]) -> TokenName:
    for token in kept:
        if is_same(uid, token.type, token.uid, token.type):
            return TokenName(token.uid, token.type, contract_id=token.contract_id)
    return TokenName(uid)
