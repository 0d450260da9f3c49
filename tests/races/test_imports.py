"""Two imports of the same new things at the same moment: the second waits, and finds them there."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bookings.imports import depots, vehicles
from bookings.models import Vehicle
from depots.models import Depot
from tests.factories import NOW, make_fleet, make_operator
from tests.races.processes import at_once, rendezvous
from tests.races.removed_guards import attempt

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.races]


def without_queue(monkeypatch: pytest.MonkeyPatch, module: Any, read: str) -> None:
    """Both read what is there before either has written."""
    meeting, original = rendezvous(2), getattr(module, read)

    def read_together(*args: Any) -> Any:
        found = original(*args)
        meeting.wait(30)
        return found

    monkeypatch.setattr(module, "_queue_imports", lambda *_: None)
    monkeypatch.setattr(module, read, read_together)


def imported_twice(work: Callable[[], Any]) -> Counter[str]:
    return Counter(at_once(lambda _: attempt(work), 2))


@pytest.mark.parametrize("guarded", [True, False])
def test_one_import_of_depots_at_a_time(monkeypatch, tmp_path: Path, guarded):
    evse = {"uid": "CP-1-1", "max_power_kw": 400}
    place = {"country": "DEU", "latitude": 53.5, "longitude": 9.9, "time_zone": "Europe/Berlin"}
    row = {"id": "X-1", "operator": make_operator("Ladepark").name, "name": "X", **place}
    file = tmp_path / "depots.json"
    file.write_text(json.dumps({"depots": [{**row, "chargers": [{"identity": "CP-1", "evses": [evse]}]}]}))
    if not guarded:
        without_queue(monkeypatch, depots, "_locked_depots")

    answers = imported_twice(lambda: depots.import_depots(file, now=NOW))

    assert answers == ({"done": 2} if guarded else {"done": 1, "IntegrityError": 1})
    assert Depot.objects.count() == 1


@pytest.mark.parametrize("guarded", [True, False])
def test_one_import_of_a_fleets_vehicles_at_a_time(monkeypatch, tmp_path: Path, guarded):
    fleet = make_fleet()
    file = tmp_path / "vehicles.json"
    file.write_text(json.dumps({"vehicles": [{"plate": "HH-NF 1"}]}))
    if not guarded:
        without_queue(monkeypatch, vehicles, "_locked")

    answers = imported_twice(lambda: vehicles.import_vehicles(file, fleet=fleet))

    assert answers == ({"done": 2} if guarded else {"done": 1, "IntegrityError": 1})
    assert Vehicle.objects.count() == 1
