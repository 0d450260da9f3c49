"""What a planned trip asks for: its stops as slots that can be held or booked, one by one or together."""

from __future__ import annotations

from bookings.operations.slot_request import SlotRequest
from bookings.search.slots import SlotSearch
from bookings.search.trip_plan import TripPlan
from depots.models import Evse


def slot_requests(plan: TripPlan, search: SlotSearch) -> list[SlotRequest]:
    """In the order of the trip. An EVSE is named where the offer is of one, as in the finder."""
    evses = Evse.objects.in_bulk([stop.offer.evse.pk for stop in plan.stops if stop.offer.evse])
    return [
        SlotRequest(
            fleet=search.fleet, option=stop.offer.option, period=stop.offer.period, vehicle=search.vehicle,
            evse=evses.get(stop.offer.evse.pk) if stop.offer.evse else None,
        )
        for stop in plan.stops
    ]  # fmt: skip
