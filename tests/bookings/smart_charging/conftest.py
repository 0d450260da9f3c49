from __future__ import annotations

import pytest

from bookings import smart_charging
from depots.models import Charger
from tests.bookings.smart_charging.chargers import OPEN, Chargers, depot_of, make_site, settle
from tests.factories import NOW


@pytest.fixture
def site() -> Chargers:
    """Three EVSEs that hold what is told to free ones, at a connection of 400 kW."""
    site = Chargers(make_site(terms=OPEN))
    Charger.objects.update(clock_offset_s=0)
    smart_charging.plan_depot(depot_id=depot_of(site.evses).pk, now=NOW)
    site.answer(now=NOW)
    settle(site, NOW)
    return site
