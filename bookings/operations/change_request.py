"""What is asked for when a booking is to become another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from bookings.core.versions import Aspect
from bookings.errors import EndsBeforeStart
from bookings.models import Booking, BookingOption, BookingRequest, BookingToken, Trailer, Vehicle
from bookings.operations.request_log import NO_MESSAGE, Asked, ReceivedMessage
from bookings.rules.charging_duration import EnergyAsked
from bookings.rules.entitlement import TokenName
from bookings.rules.fit import Needs
from depots.models import Evse
from depots.periods import Period


@dataclass(frozen=True, kw_only=True)
class ChangeRequest:
    """Made at the edge and passed through to the locks. None, or "" for a text, leaves as it is.

    `period` stands for both `starts_at` and `ends_at`, either of which may be given alone. `option` is another one of the same
    depot, whose terms and tariff hold from then on. `energy` is another energy to be
    charged; empty, that none is asked for any more. With `ends_when_charged` the end is found under the locks, from the start
    that is given or kept. `power_w` is a wish in watts. With `drops_trailer` its vehicle comes without one.
    A booking that charges can be given another end unless `while_charging` says no. `restores` is the version of the
    booking whose change this one takes back. Without `accepts_lower_power` a move of the depot's that would lower the
    promised power is refused. `shown_price` is what a fleet was shown of the change (`quotes.brief`, empty where there was
    none); None for one who was shown nothing. `delay` is a truck that comes so much later: start and end move by it, the end
    as far as there is room. `until_no_show` counts the no-show time as the deadline, not that of changes.
    """

    period: Period | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    delay: timedelta | None = None
    option: BookingOption | None = None
    evse: Evse | None = None
    vehicle: Vehicle | None = None
    trailer: Trailer | None = None
    drops_trailer: bool = False
    tokens: Sequence[TokenName] | None = None
    power_w: int | None = None
    energy: EnergyAsked | None = None
    ends_when_charged: bool = False
    needs: Needs | None = None
    plate: str = ""
    authorization_reference: str = ""
    restores: int | None = None
    accepts_lower_power: bool = False
    while_charging: bool = True
    until_no_show: bool = False
    shown_price: dict[str, str] | None = None
    message: ReceivedMessage = NO_MESSAGE

    @property
    def aspects(self) -> frozenset[Aspect]:
        """What of the booking it touches; see bookings/core/versions.py."""
        times = (self.period, self.starts_at, self.ends_at, self.delay)
        place = (*times, self.option, self.evse, self.power_w, self.energy)
        trailer = self.trailer or self.drops_trailer or None
        who = (self.vehicle, trailer, self.tokens, self.needs or None, self.plate or None)
        asked = {
            Aspect.PLACE: any(value is not None for value in place),
            Aspect.VEHICLE: any(value is not None for value in who),
            Aspect.NAME: bool(self.authorization_reference),
        }
        return frozenset(aspect for aspect, is_asked in asked.items() if is_asked)

    def period_of(self, booking: Booking) -> Period:
        """Of one that ends when charged only its start counts. Raises EndsBeforeStart."""
        if self.ends_when_charged:
            starts_at = self.period.starts_at if self.period else self.starts_at or booking.starts_at
            return Period(starts_at, starts_at + timedelta(minutes=1)).in_utc()
        if self.period is not None:
            return self.period.in_utc()
        if self.delay is not None:
            return Period(booking.starts_at + self.delay, booking.ends_at + self.delay).in_utc()
        starts_at, ends_at = self.starts_at or booking.starts_at, self.ends_at or booking.ends_at
        if ends_at <= starts_at:
            raise EndsBeforeStart("The booking would end before it starts.")
        return Period(starts_at, ends_at).in_utc()

    def lasting(self, period: Period) -> ChangeRequest:
        """The same once its end is found; one that has its end as it is."""
        if not self.ends_when_charged:
            return self
        return replace(self, period=period, starts_at=None, ends_at=None, ends_when_charged=False)

    def asked(self, booking: Booking, tokens: Sequence[BookingToken] | None) -> Asked:
        """For the log of asks, with the tokens the booking is to carry."""
        times = (self.period, self.starts_at, self.ends_at, self.delay)
        is_timed = any(value is not None for value in times)
        return Asked(
            period=self.period_of(booking) if is_timed else None, evse=self.evse, vehicle=self.vehicle, tokens=tokens,
            option=self.option, power_w=self.power_w, plate=self.plate, authorization_reference=self.authorization_reference,
            needs=self.needs, energy=self.energy, trailer=self.trailer, drops_trailer=self.drops_trailer,
        )  # fmt: skip

    def on_top_of(self, waiting: BookingRequest) -> ChangeRequest:
        """The same, in place of an ask that waits, of which it keeps what is asked there in other aspects."""
        asked = waiting.asked
        kept: dict[str, Any] = {}
        if Aspect.PLACE not in self.aspects:
            kept |= {
                "period": read_period(asked["period"]) if "period" in asked else None,
                "option": option_called(asked.get("option")),
                "evse": Evse.objects.filter(pk=asked.get("evse_id")).first(),
                "power_w": asked.get("power_w"),
                "energy": EnergyAsked(**asked["energy"]) if "energy" in asked else None,
            }
        if Aspect.VEHICLE not in self.aspects:
            tokens = asked.get("tokens")
            kept |= {
                "vehicle": Vehicle.objects.filter(pk=asked.get("vehicle_id")).first(),
                "trailer": Trailer.objects.filter(pk=asked.get("trailer_id")).first(),
                "drops_trailer": "trailer" in asked and "trailer_id" not in asked,
                "tokens": [TokenName(**token) for token in tokens] if tokens is not None else None,
                "needs": Needs.from_json(asked["needs"]) if "needs" in asked else None,
                "plate": asked.get("plate", ""),
            }
        if Aspect.NAME not in self.aspects:
            kept["authorization_reference"] = asked.get("authorization_reference", "")
        return replace(self, **kept)


def option_called(code: str | None) -> BookingOption | None:
    """An option of ours by BookingRequest.asked."""
    return BookingOption.objects.filter(code=code, is_mirror=False).first() if code else None


def read_period(stored: dict[str, str]) -> Period:
    """Of BookingRequest.asked. Raises EndsBeforeStart."""
    try:
        return Period(datetime.fromisoformat(stored["start"]), datetime.fromisoformat(stored["end"]))
    except ValueError as broken:
        raise EndsBeforeStart("The end lies before the start.") from broken
