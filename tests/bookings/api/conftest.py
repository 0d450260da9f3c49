from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import time_machine

from bookings.models import Vehicle
from depots.models import Depot, Evse, Organisation
from depots.periods import Period
from tests.bookings.api.fleet_system import FleetSystem
from tests.factories import NOW, make_depot, make_evse, make_fleet, make_vehicle, slot


@pytest.fixture(autouse=True)
def _now() -> Iterator[None]:
    with time_machine.travel(NOW, tick=False):
        yield


@dataclass
class Site:
    """A depot with one EVSE that is open to all, and a fleet with a truck whose system asks."""

    depot: Depot = field(default_factory=make_depot)
    fleet: Organisation = field(default_factory=make_fleet)

    def __post_init__(self) -> None:
        self.evse: Evse = make_evse(self.depot)
        self.vehicle: Vehicle = make_vehicle(self.fleet)
        self.system = FleetSystem.of(self.fleet)

    def wanted(self, period: Period = slot(12, 13), **more: Any) -> dict[str, Any]:
        return {
            "option": self.evse.uid,
            "vehicle": self.vehicle.plate,
            "starts_at": period.starts_at.isoformat(),
            "ends_at": period.ends_at.isoformat(),
            **more,
        }

    def book(self, **more: Any) -> dict[str, Any]:
        response = self.system.post("/bookings", self.wanted(**more))
        assert response.status_code == 201, response.content
        return response.json()


@pytest.fixture
def site(db: None) -> Site:
    return Site()
