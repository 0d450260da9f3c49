"""A new booking as far as it follows from what is asked for, made before its place is locked.

Nothing is decided by a draft. It counts where all it was made from is found the same behind the locks; else it is made again.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeVar

from bookings.core.writing import write_ahead
from bookings.errors import BookingError
from bookings.models import Booking, Enforcement, Vehicle
from bookings.models.booking_names import new_request_id
from bookings.operations.places import candidates
from bookings.operations.slot_request import SlotRequest
from bookings.rules import configuration, energy_slots, guest_hours, periods
from bookings.rules.configuration import Bay, Configuration
from bookings.rules.terms import Terms

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Draft:
    """`request` is filled, `pool` are the EVSEs that fit, `booking` has no place, power and price yet."""

    configuration: Configuration
    request: SlotRequest
    pool: list[Bay]
    booking: Booking

    def holds(self, configuration: Configuration, vehicle: Vehicle | None) -> bool:
        """Whether it was made from these; a vehicle that is different by now is another object (`AskedVehicle.found`)."""
        return self.configuration is configuration and self.request.vehicle is vehicle


def drafted_ahead(request: SlotRequest, known: Configuration, now: datetime) -> Draft | None:
    """Made by what is known, with all it says written out, while nobody waits; None where it would be refused, which
    counts only behind the locks."""
    try:
        draft = drafted(request, known, now)
    except BookingError:
        return None
    write_ahead(draft.booking)
    return draft


def drafted_together(requests: Mapping[Key, SlotRequest], now: datetime) -> dict[Key, Draft]:
    """Those of many at depots of ours that would not be refused for what is known, before all of their locks."""
    found = {}
    for key, request in requests.items():
        if not request.option.is_mirror:
            found[key] = drafted_ahead(request, configuration.kept(request.option.depot_id), now)
    return {key: draft for key, draft in found.items() if draft is not None}


def drafted(request: SlotRequest, configuration: Configuration, now: datetime) -> Draft:
    """Raises a BookingError for a period or a vehicle that the place is not for."""
    option, asked = request.option, filled(request)
    terms = request.under(configuration.terms(option.pk, request.fleet.pk, now=now))
    slot = asked.energy_slot(terms, configuration.site)
    if slot is not None:  # its end is found under the locks
        asked = replace(asked, period=slot.least)
    periods.check_period(terms, configuration.site, asked.period, now=now)
    allowance = configuration.allowance(request.fleet.pk, now=now)
    guest_hours.check_hours(allowance, terms, configuration.site, asked.period, now=now)
    pool = candidates(configuration.offers.get(option.pk, ()), asked.must_fit, asked.evse)
    return Draft(configuration, asked, pool, unsaved(asked, terms))


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


def unsaved(request: SlotRequest, terms: Terms) -> Booking:
    """Raises EnergyImpossible."""
    booking = Booking(
        **as_asked(request),
        route=_route(request),
        vehicle=request.vehicle,
        is_evse_asked=request.evse is not None,
        trailer=request.trailer,
        wished_power_w=request.power_w,
        series_id=request.of_series.series_id if request.of_series else None,
        series_date=request.of_series.date if request.of_series else None,
        terms_json=terms.to_json() | (request.reserved.to_json() if request.reserved is not None else {}),
        enforcement=Enforcement.NOT_DUE,
    )
    if request.energy is not None:
        energy_slots.keep(booking, request.energy, request.vehicle)
    return booking


def as_asked(request: SlotRequest) -> dict[str, Any]:
    """What a booking says of its ask, granted or not. The id of a reservation's ask is no word of its network's."""
    reference = request.request_id[:36] if request.reserved is None else ""
    return {
        "request_id": request.request_id,
        "authorization_reference": request.authorization_reference or reference,
        "customer_country": request.party[0].upper(),
        "customer_party": request.party[1].upper(),
        "fleet": request.fleet,
        "depot": request.option.depot,
        "option": request.option,
        "plate": request.plate,
        "starts_at": request.period.starts_at,
        "ends_at": request.period.ends_at,
    }


def _route(request: SlotRequest) -> Booking.Route:
    if request.option.is_mirror:
        return Booking.Route.OUTBOUND
    if request.reserved is not None:
        return Booking.Route.RESERVED
    return Booking.Route.INBOUND if request.fleet.is_partner else Booking.Route.OWN
