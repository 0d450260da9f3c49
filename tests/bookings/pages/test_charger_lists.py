"""Lists of chargers cost as many queries for three as for one."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from depots.models import Depot, Membership, RefusedConnection, SettingsCheck, SettingsTemplate
from tests.bookings.people import client_of
from tests.factories import NOW, make_depot, make_evse, make_user

pytestmark = pytest.mark.django_db


def add_charger(depot: Depot, number: int) -> None:
    evse = make_evse(depot)
    SettingsCheck.objects.create(charger=evse.charger, read_at=NOW, drift_count=number)


def add_template(depot: Depot, number: int) -> None:
    SettingsTemplate.objects.create(
        operator=depot.operator, protocol="1.6", model=f"M{number}", settings={"A": "1"}
    )


def add_refused(depot: Depot, number: int) -> None:
    RefusedConnection.objects.create(
        identity=f"NEW-{number}", address="192.0.2.7", reason="unknown", first_at=NOW, last_at=NOW
    )


@pytest.mark.parametrize(
    ("path", "add"),
    [
        ("/depots/{}/", add_charger),
        ("/depots/{}/availability/", add_charger),
        ("/depots/{}/new-chargers/", add_refused),
        ("/charger-settings/", add_template),
    ],
)
def test_a_list_asks_as_much_for_three_as_for_one(path: str, add: Callable[[Depot, int], None]) -> None:
    depot = make_depot()
    client = client_of(make_user(depot.operator, Membership.Role.DEPOT_MANAGER))

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert client.get(path.format(depot.code)).status_code == 200
        return len(captured)

    add(depot, 1)
    queries()  # what is kept in memory from then on
    of_one = queries()
    add(depot, 2)
    add(depot, 3)

    assert queries() == of_one
