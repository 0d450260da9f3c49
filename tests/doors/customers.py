"""Who comes to the doors, what they want, and what they are told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from bookings.errors import IN_THE_WAY, BookingError
from bookings.models import Booking, BookingOption, Vehicle
from depots.models import Depot, Evse, Membership, Organisation
from depots.periods import Period
from roaming.models import Partner
from tests.bookings.api.fleet_system import FleetSystem
from tests.bookings.people import client_of
from tests.factories import make_user, make_vehicle
from tests.roaming.partners import Caller, make_partner


@dataclass(frozen=True)
class Wish:
    """A slot that somebody wants."""

    option: BookingOption
    period: Period
    vehicle: Vehicle | None = None
    evse: Evse | None = None
    power_w: int | None = None


@dataclass(frozen=True)
class Answer:
    """The booking, or a refusal as far as the door tells it: pages and commands tell the sentence, the API the code beside it."""

    booking: Booking | None = None
    code: str = ""
    words: str = ""
    status: int = 0

    def is_for(self, refusal: BookingError) -> bool:
        """Whether this is how the door tells that refusal."""
        status = 409 if refusal.code in IN_THE_WAY else 422
        return (
            self.booking is None
            and self.code in {"", refusal.code}
            and str(refusal) in self.words
            and self.status in {0, status}
        )


@dataclass
class Customer:
    """Who books: a fleet with its desk and its own system, or a partner network."""

    fleet: Organisation
    trucks: list[Vehicle] = field(default_factory=list)
    partner: Partner | None = None

    def __post_init__(self) -> None:
        if self.partner is not None:
            self.caller = Caller(self.partner)
        else:
            self.system = FleetSystem.of(self.fleet)
            self.desk = client_of(make_user(self.fleet))

    @classmethod
    def with_trucks(cls, fleet: Organisation, number: int) -> Customer:
        return cls(fleet, [make_vehicle(fleet) for _ in range(number)])

    @classmethod
    def network(cls) -> Customer:
        partner = make_partner()
        return cls(partner.organisation, partner=partner)

    @property
    def bookings(self) -> Any:
        return Booking.objects.filter(fleet=self.fleet)


@dataclass
class Manager:
    """Who runs the depot, at its board."""

    depot: Depot

    def __post_init__(self) -> None:
        self.desk = client_of(make_user(self.depot.operator, Membership.Role.DEPOT_MANAGER))
