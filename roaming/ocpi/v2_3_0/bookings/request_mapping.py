"""What a partner's BookingRequest asks for, in our words: pure functions."""

from __future__ import annotations

from collections.abc import Iterable

from bookings.rules.entitlement import TokenName
from bookings.rules.fit import Needs, has_trailer
from depots.periods import Period
from depots.token_numbers import normalise
from roaming.ocpi.v2_3_0.bookings import schemas
from roaming.ocpi.v2_3_0.bookings.schemas import AccessMethod
from roaming.ocpi.wire_object import UnreadableError


def period_in(period: schemas.Period) -> Period:
    """Raises UnreadableError when it does not end after it starts."""
    if period.end_date_time <= period.start_date_time:
        raise UnreadableError("period.end_date_time", "must be after start_date_time")
    return Period(period.start_date_time, period.end_date_time)


def tokens_in(tokens: Iterable[schemas.BookingToken]) -> list[TokenName]:
    """Each once: a token named twice opens no second charger."""
    names = {
        (t.country_code.upper(), t.party_id.upper(), normalise(t.uid, t.type), t.type): TokenName(
            uid=t.uid,
            type=str(t.type),
            country_code=t.country_code,
            party_id=t.party_id,
            contract_id=t.contract_id,
        )
        for t in tokens
    }
    return list(names.values())


def needs_in(option: schemas.BookingOption | None) -> Needs:
    """What the vehicle needs. In a request the maximum sizes are the vehicle's own."""
    if option is None:
        return Needs()
    return Needs(
        vehicle_types=frozenset(name.upper() for name in option.vehicle_types),
        connector_standards=frozenset(name.upper() for name in option.connector_types),
        length_cm=_whole(option.max_vehicle_length),
        width_cm=_whole(option.max_vehicle_width),
        height_cm=_whole(option.max_vehicle_height),
        weight_kg=_whole(option.max_vehicle_weight),
        dangerous_goods=bool(option.dangerous_goods_allowed),
        refrigeration=bool(option.refrigeration_outlet),
        drive_through=bool(option.drive_through),
        trailer=bool(option.vehicle_types) and all(has_trailer(n.upper()) for n in option.vehicle_types),
    )


def power_in(request: schemas.BookingRequest) -> int | None:
    """kW on the wire, watts here."""
    return request.power_required * 1000 if request.power_required else None


def plate_in(request: schemas.BookingRequest) -> str:
    plates = [
        a.value for a in request.access_information if a.method == AccessMethod.LICENSE_PLATE and a.value
    ]
    return plates[0][:20] if plates else ""


def _whole(number: float | None) -> int | None:
    return None if number is None else int(-(-number // 1))
