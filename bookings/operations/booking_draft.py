"""A new booking as far as it follows from what is asked for."""

from __future__ import annotations

from dataclasses import replace

from bookings.models import Booking, Enforcement
from bookings.models.bookings import new_request_id
from bookings.operations.slot_request import SlotRequest
from bookings.rules.terms import Terms


def filled(request: SlotRequest) -> SlotRequest:
    """With what follows where nothing is said: plate, id and party."""
    fleet, vehicle, party = request.fleet, request.vehicle, request.party
    return replace(
        request,
        period=request.period.in_utc(),
        plate=request.plate or (vehicle.plate if vehicle else ""),
        request_id=request.request_id or new_request_id(),
        party=party if any(party) else (fleet.country_code, fleet.emsp_party_id),
    )


def unsaved(request: SlotRequest, terms: Terms, watts: int) -> Booking:
    outbound, inbound = request.option.is_mirror, request.fleet.is_partner
    return Booking(
        route=Booking.Route.OUTBOUND if outbound else Booking.Route.INBOUND if inbound else Booking.Route.OWN,
        request_id=request.request_id,
        authorization_reference=request.authorization_reference or request.request_id[:36],
        customer_country=request.party[0].upper(),
        customer_party=request.party[1].upper(),
        fleet=request.fleet,
        depot=request.option.depot,
        option=request.option,
        vehicle=request.vehicle,
        plate=request.plate,
        starts_at=request.period.starts_at,
        ends_at=request.period.ends_at,
        promised_power_w=watts,
        wished_power_w=request.power_w,
        terms_json=terms.to_json(),
        enforcement=Enforcement.NOT_DUE,
    )
