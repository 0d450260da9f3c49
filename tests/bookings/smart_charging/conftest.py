from __future__ import annotations

import pytest

from tests.bookings.smart_charging.chargers import Chargers, make_told_site


@pytest.fixture
def site() -> Chargers:
    return make_told_site()
