"""A fleet and an operator before their pages, at the tests' time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import time_machine
from django.test import Client

from bookings.models import Vehicle
from depots.models import Membership, Organisation
from tests.bookings.people import client_of
from tests.factories import NOW, make_fleet, make_operator, make_user, make_vehicle


@pytest.fixture
def clock() -> Iterator[Any]:
    """Stands at NOW; `clock.shift(timedelta)` and `clock.move_to(moment)` move it."""
    with time_machine.travel(NOW, tick=False) as travelling:
        yield travelling


@pytest.fixture
def fleet() -> Organisation:
    return make_fleet("Nordfracht")


@pytest.fixture
def vehicle(fleet: Organisation) -> Vehicle:
    return make_vehicle(fleet, plate="HH-NF 100")


@pytest.fixture
def dispatcher(fleet: Organisation) -> Client:
    return client_of(make_user(fleet))


@pytest.fixture
def operator() -> Organisation:
    return make_operator("Ladepark")


@pytest.fixture
def manager(operator: Organisation) -> Client:
    return client_of(make_user(operator, Membership.Role.DEPOT_MANAGER, email="manager@ladepark.example"))
