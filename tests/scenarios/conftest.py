from collections.abc import Iterator

import pytest
from pytest_django import Settings

from depots import gate as depots_gate
from tests.scenarios import bed as beds
from tests.scenarios.outside.fixtures import (  # noqa: F401 - pytest finds fixtures by their names here
    berth,
    book,
    charger_of,
    mortal,
    network,
    outside,
    shared_folder,
)


@pytest.fixture
def bed(transactional_db: None) -> Iterator[beds.Bed]:
    """A gateway and chargers; the gate is the real one of bookings."""
    with beds.running_bed() as bed:
        yield bed


@pytest.fixture
def gate(settings: Settings) -> Iterator[beds.ScriptedGate]:
    """A gate that answers as the test says, for tests that are about chargers alone."""
    settings.CHARGING_GATE = "tests.scenarios.bed.may_charge"
    depots_gate._answerer.cache_clear()
    beds.scripted_gate.__init__()  # type: ignore[misc]
    yield beds.scripted_gate
    depots_gate._answerer.cache_clear()
