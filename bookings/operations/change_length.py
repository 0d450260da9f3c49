"""How long a changed booking lasts that is to end when it has charged what is asked for."""

from __future__ import annotations

from datetime import datetime

from bookings.errors import EnergyImpossible
from bookings.models import Booking, OfferedSlot
from bookings.operations import change_plan, until_charged
from bookings.operations.apply_change import Asker, ChangeGround
from bookings.operations.change_plan import PlannedChange
from bookings.operations.change_request import ChangeRequest
from bookings.operations.quotas_under_lock import allotted
from bookings.rules import configuration, permissions
from bookings.rules.charging_duration import Charging
from bookings.rules.energy_slots import EnergySlot, partners_slot
from bookings.rules.power import Supply
from bookings.search import availability
from depots.periods import Period


def planned(
    booking: Booking, request: ChangeRequest, *, now: datetime
) -> tuple[PlannedChange, EnergySlot | None]:
    """What is to become of it. Of one that ends when charged, at a depot of ours, with the longest time it may take, and the slot
    whose end is still to be found. Raises a BookingError."""
    change = change_plan.planned(booking, request)
    if change.option is not None:
        change_plan.take_terms(booking, change, configuration.current(booking.depot_id), now)
    if not request.ends_when_charged:
        return change, None
    asked = change.energy_then(booking)
    if asked is None:
        raise EnergyImpossible("Say how much energy, or from which state of charge to which.")
    charging = Charging.of(asked, change.vehicle)
    slot = EnergySlot(charging, change.period.starts_at, change.terms_then(booking), booking.depot)
    change.period = slot.longest
    if booking.is_ours:
        return change, slot
    told = OfferedSlot.objects.filter(option=booking.option_id, period__overlap=slot.longest)
    wish_w = change.power_w or booking.wished_power_w
    change.period, _ = partners_slot(slot, change.needs, change.evse, told, wish_w=wish_w)
    return change, None


def length_of_change(
    booking: Booking,
    request: ChangeRequest,
    change: PlannedChange,
    slot: EnergySlot,
    ground: ChangeGround,
    asker: Asker,
) -> Period:
    """The shortest that one of the EVSEs in reach charges it in. Raises a BookingError."""
    permissions.check_change(booking, by=asker.by, now=asker.now)
    pool = change_plan.pool(booking, request, change, asker.by, ground.configuration)
    reach = slot.longest.widened(availability.FAR, availability.FAR)
    there, standing = ground.configuration, ground.standing
    supply = allotted(
        Supply(there.limits, standing.floors(reach, without=booking.pk)), there, standing.taken,
        booking.fleet_id, reach, booking_id=booking.pk, now=asker.now,
    )  # fmt: skip
    wish_w = change.power_w or booking.wished_power_w
    vehicle_w, most_w = change.needs.max_power_w, slot.terms.max_promise_w
    taken = ground.standing.by_evse()
    return until_charged.shortest(
        slot, pool, taken,
        lambda place: supply.promise(place.evse, place.span, wish_w, vehicle_w, most_w=most_w),
        holder=booking.pk, now=asker.now,
    )[0]  # fmt: skip
