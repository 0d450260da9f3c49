"""Roaming under test: one clock for everybody, and our own server on a free port."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import time_machine

from simulators.partner import PartnerSettings, SimulatedPartner
from tests.factories import NOW


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    """The time of this process stands at NOW; `clock.shift(…)` moves it for every thread."""
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture
def platform(live_server: Any, settings: Any, clock: time_machine.Traveller) -> str:
    """Our own platform on a free port, private partners allowed; gives its versions URL."""
    settings.BERTH_ALLOW_PRIVATE_PARTNERS = True
    settings.BERTH_BASE_URL = live_server.url
    return f"{live_server.url}/ocpi/versions"


@pytest.fixture
def network(
    request: pytest.FixtureRequest, tmp_path: Path, platform: str, settings: Any
) -> Iterator[SimulatedPartner]:
    """A partner network FR*SIM, running, not registered; of the version of OCPI that is its (indirect) parameter."""
    settings.BERTH_BOOKINGS_UNDER_2_2_1 = True
    version = getattr(request, "param", "2.3.0")
    with SimulatedPartner(PartnerSettings(tmp_path / "network.json", version=version)) as partner:
        yield partner
