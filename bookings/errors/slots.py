"""A slot that cannot be had: taken, against the terms, without power, or for another vehicle."""

from __future__ import annotations

from typing import TYPE_CHECKING

from depots.periods import Period

if TYPE_CHECKING:
    pass

from bookings.errors.base import BookingError


class SlotTaken(BookingError):
    code = "slot_taken"
    field = "starts_at"

    def __init__(self, sentence: str = "This slot is taken.", *, nearest: Period | None = None) -> None:
        super().__init__(sentence, nearest=nearest)


class DepotClosed(BookingError):
    code = "depot_closed"
    field = "starts_at"


class NotOpenToYou(BookingError):
    code = "not_open_to_you"
    field = "depot"


class OptionUnknown(BookingError):
    code = "unknown_option"
    field = "option"


class EvseUnknown(BookingError):
    code = "unknown_evse"
    field = "evse"


class InThePast(BookingError):
    code = "in_the_past"
    field = "starts_at"


class EndsBeforeStart(BookingError):
    code = "ends_before_start"
    field = "ends_at"


class NotAligned(BookingError):
    code = "not_aligned"
    field = "starts_at"


class TooShort(BookingError):
    code = "too_short"
    field = "ends_at"


class TooLong(BookingError):
    code = "too_long"
    field = "ends_at"


class TooSoon(BookingError):
    code = "too_soon"
    field = "starts_at"


class TooFarAhead(BookingError):
    code = "too_far_ahead"
    field = "starts_at"


class TooManyBookings(BookingError):
    """The term `max_open_bookings`: so many live bookings a customer has at one depot at most."""

    code = "too_many_bookings"


class TooManyHolds(BookingError):
    """The term `max_unused_holds`: of the slots that a customer holds at one depot so many a day may come to nothing."""

    code = "too_many_holds"


class OutsideGuestHours(BookingError):
    """Guests may have slots in other hours, or not as late: the agreement has ended by then."""

    code = "outside_guest_hours"
    field = "starts_at"


class OwnFleetFirst(BookingError):
    """So far ahead the hours are kept for the depot's own fleet."""

    code = "own_fleet_first"
    field = "starts_at"


class QuotaReached(BookingError):
    """The customer, or all guests together, have as much of the depot then as they may."""

    code = "quota_reached"
    field = "starts_at"


class KeptForWalkIns(BookingError):
    """The last EVSEs are kept for trucks without a booking."""

    code = "kept_for_walk_ins"
    field = "starts_at"


class DoesNotFit(BookingError):
    """The vehicle does not fit the bay, its plug does not fit, or the EVSE lacks what it needs."""

    code = "does_not_fit"
    field = "vehicle"


class EnergyImpossible(BookingError):
    """What is to be charged makes no sense for the vehicle, or how long that takes cannot be said."""

    code = "energy_impossible"

    def __init__(self, sentence: str, *, field: str = "energy_kwh") -> None:
        super().__init__(sentence)
        self.field = field


class PowerUnavailable(BookingError):
    """The EVSE, its cabinet or the grid cannot promise so much. `available_w` could have been promised."""

    code = "power_unavailable"
    field = "power_kw"

    def __init__(self, sentence: str, *, available_w: int) -> None:
        super().__init__(sentence)
        self.available_w = available_w


class LowerPower(BookingError):
    """A depot's move would lower what its fleet was promised: whoever moves it says first that this is meant."""

    code = "lower_power"
    field = "evse"

    def __init__(self, place: str, *, before_w: int, after_w: int) -> None:
        before, after = (f"{watts / 1000:.0f} kW" for watts in (before_w, after_w))
        super().__init__(f"Promised are {before}; at {place} it would be {after} then.")
        self.before_w, self.after_w = before_w, after_w


class TokenElsewhere(BookingError):
    code = "token_elsewhere"
    field = "tokens"


class VehicleElsewhere(BookingError):
    code = "vehicle_elsewhere"
    field = "vehicle"


class VehicleUnknown(BookingError):
    code = "unknown_vehicle"
    field = "vehicle"


class TrailerUnknown(BookingError):
    code = "unknown_trailer"
    field = "trailer"


class TokenUnusable(BookingError):
    code = "token_unusable"
    field = "tokens"


class PriceChanged(BookingError):
    """It costs more by now than who books was shown."""

    code = "price_changed"


class TooDear(BookingError):
    """It costs more than whoever looks for it wants to pay."""

    code = "too_dear"
    field = "max_price"


# What can stand in the way at one EVSE or time and not at another.
NO_ROOM = (PowerUnavailable, QuotaReached, KeptForWalkIns)
