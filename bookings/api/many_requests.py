"""The rows of a batch as what is asked for: what they name is read once for all, and a row that names nothing known is refused by
itself."""

from __future__ import annotations

from collections.abc import Sequence

from bookings.api.authentication import Caller
from bookings.api.booking_requests import Named, NewBooking, kept_tokens, request_for, token_called
from bookings.api.problems import Invalid, inside
from bookings.errors import BookingError, TrailerUnknown, VehicleUnknown
from bookings.models import Trailer, Vehicle
from bookings.operations import ManyWish
from bookings.search.named_options import find_options
from depots.name_keys import name_key


def wishes_of(caller: Caller, rows: Sequence[NewBooking]) -> list[ManyWish | BookingError]:
    """What each asks for, or why it is refused already. Raises Invalid for rows that are not whole."""
    reader, found, faults = _Reader(caller, rows), list[ManyWish | BookingError](), list[tuple[str, str]]()
    for number, row in enumerate(rows):
        try:
            with inside(f"bookings.{number}"):
                found.append(ManyWish([request_for(caller.organisation, row, reader.named(row))]))
        except BookingError as refusal:
            found.append(refusal)
        except Invalid as fault:
            faults += fault.errors
    if faults:
        raise Invalid(faults)
    return found


class _Reader:
    """Options, vehicles, trailers and tokens that any of the rows names; a constant number of queries."""

    def __init__(self, caller: Caller, rows: Sequence[NewBooking]) -> None:
        self._fleet = fleet = caller.organisation
        self._options = find_options({row.option for row in rows}, fleet, now=caller.now)
        own = {"fleet": fleet, "is_retired": False}
        vehicles = Vehicle.objects.filter(**own, plate_key__in={row.vehicle for row in rows})
        self._vehicles = {vehicle.plate_key: vehicle for vehicle in vehicles}
        plates = {row.trailer for row in rows if row.trailer is not None}
        trailers = Trailer.objects.filter(**own, plate_key__in=plates) if plates else ()
        self._trailers = {trailer.plate_key: trailer for trailer in trailers}
        uids = {uid for row in rows for uid in row.tokens or ()}
        self._tokens = kept_tokens(fleet, uids) if uids else []

    def named(self, row: NewBooking) -> Named:
        """Raises OptionUnknown, VehicleUnknown, TrailerUnknown."""
        option = self._options.called(row.option, depot_code=row.depot)
        vehicle = self._vehicles.get(name_key(row.vehicle))
        if vehicle is None:
            raise VehicleUnknown(f"{self._fleet} has no vehicle {row.vehicle}.")
        trailer = self._trailers.get(name_key(row.trailer)) if row.trailer is not None else None
        if row.trailer is not None and trailer is None:
            raise TrailerUnknown(f"{self._fleet} has no trailer {row.trailer}.")
        tokens = [token_called(uid, self._tokens) for uid in row.tokens] if row.tokens is not None else None
        return Named(option, vehicle, trailer, tokens)
